//! Memory: the program never holds an inventory.

use crate::stage::Stage;
use world::host::TimerKind;

/// The peak memory of the real binary, in KiB, in a process of its own, up to the end of a snapshot of so many machines.
async fn peak(machines: usize) -> u64 {
    let stage = Stage::new().set("MODE", "observe");
    // Freed memory goes back to the system. Else glibc keeps it, in one heap for each thread, and it is chance on which thread a
    // page is read. https://man7.org/linux/man-pages/man3/mallopt.3.html
    let stage = stage.set("MALLOC_ARENA_MAX", "1").set("MALLOC_MMAP_THRESHOLD_", "65536");
    let subscription = stage.world.subscription("big");
    stage.world.hosts(&subscription, machines);
    let host = stage.host().await;
    assert!(host.fire_timer("schedule", TimerKind::OnTime).await.succeeded());
    let all = async || stage.json("latest.json").filter(|latest| latest["rows"] == machines);
    stage.wait("a complete snapshot of all machines", all).await;
    // https://docs.kernel.org/filesystems/proc.html
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.handler_pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[tokio::test]
async fn ten_times_as_many_machines_need_no_more_memory() {
    let (few, many) = (peak(5_000).await, peak(50_000).await);
    // Some growth is not the inventory: the buffer of a compressed part is full only after many pages.
    assert!(many * 5 <= few * 6, "{few} KiB with 5,000 machines, {many} KiB with 50,000");
}
