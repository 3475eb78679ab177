//! The real program, as the Functions host starts it: how soon it answers, how much memory it holds, how quickly it takes
//! events.

use crate::desk::{Desk, runtime};
use crate::{Figure, median, quantile};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;
use world::events;

const STARTS: usize = 20;
const RATE: u32 = 200;
const EVENTS: u32 = 5 * RATE;

/// The program in the mode `serve`. It ends when this is dropped.
pub(crate) struct Program {
    process: Child,
    pub(crate) port: u16,
    answered_after: Duration,
}

impl Program {
    pub(crate) fn start(desk: &Desk) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"));
        command.arg("serve").env_clear().envs(&desk.settings);
        command.env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let process = command.spawn().unwrap();
        while !answers(port) {
            assert!(begun.elapsed() < Duration::from_secs(30), "the program does not answer");
            std::thread::sleep(Duration::from_micros(100));
        }
        Self { process, port, answered_after: begun.elapsed() }
    }

    /// A line of the process's status, in MiB: `VmRSS:` is the memory that it holds, `VmHWM:` the most that it has held.
    /// <https://docs.kernel.org/filesystems/proc.html>
    pub(crate) fn mib(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let mut answer = String::new();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

pub(crate) fn figures() -> Vec<Figure> {
    let desk = Desk::new();
    let mut milliseconds = Vec::new();
    let mut mib = Vec::new();
    for _ in 0..STARTS {
        let program = Program::start(&desk);
        milliseconds.push(program.answered_after.as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_millis(200));
        mib.push(program.mib("VmRSS:"));
    }
    vec![
        Figure {
            name: "first_answer_ms",
            value: median(milliseconds),
            unit: "ms",
            target: Some(20.0),
            n: STARTS,
        },
        Figure { name: "idle_mib", value: median(mib), unit: "MiB", target: Some(15.0), n: STARTS },
    ]
}

/// Sends events at a steady rate, each about another subscription. The time counts from when an event was due, so that a
/// slow answer also counts for the events that had to wait behind it.
pub(crate) fn events() -> Vec<Figure> {
    let mut desk = Desk::new();
    let tenant = desk.world.tenant();
    desk.settings.insert("EVENT_SOURCES".to_owned(), events::policy_topic(&tenant, &tenant));
    let program = Program::start(&desk);
    let milliseconds = runtime().block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://127.0.0.1:{}/subscription-event", program.port);
        let begun = Instant::now() + Duration::from_millis(50);
        let mut under_way = tokio::task::JoinSet::new();
        for number in 0..EVENTS {
            let due = begun + Duration::from_secs(1) * number / RATE;
            let subscription = Uuid::from_u128(u128::from(number) << 64 | 7).to_string();
            let event = events::policy_state(&tenant, &tenant, &subscription, "Created", desk.world.now());
            let body = json!({ "Data": { "event": event }, "Metadata": {} }).to_string();
            let request = http.post(&url).header("content-type", "application/json").body(body);
            tokio::time::sleep_until(due.into()).await;
            under_way.spawn(async move {
                let answer = request.send().await.unwrap();
                assert!(answer.status().is_success());
                answer.bytes().await.unwrap();
                due.elapsed().as_secs_f64() * 1000.0
            });
        }
        under_way.join_all().await
    });
    let items = desk.folder.path().join(format!("store/control/tenant={tenant}/inbox"));
    let items = std::fs::read_dir(items).unwrap().flatten();
    let items = items.filter(|item| !item.file_name().to_string_lossy().starts_with('.')).count();
    assert_eq!(items, EVENTS as usize, "each event left its inbox item");
    let (p50, p99) = (median(milliseconds.clone()), quantile(milliseconds, 0.99));
    let n = EVENTS as usize;
    vec![
        Figure { name: "event_p50_ms", value: p50, unit: "ms", target: None, n },
        Figure { name: "event_p99_ms", value: p99, unit: "ms", target: Some(50.0), n },
    ]
}
