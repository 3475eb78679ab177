//! Snapshots that fail or collapse: how often they are tried, what is published, what is named; and hosts that arrive meanwhile.

use crate::stage::Stage;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::cycle::Ran;
use qualys_azure_inventory::model::{Asked, RequestId};
use serde_json::Value;
use std::time::Duration;
use world::{CallKind, Fault, Kind, Subscription};

const MINUTE: Duration = Duration::from_mins(1);
/// A day, and the time that a cycle may take before its snapshot begins.
const DAY: Duration = Duration::from_mins(24 * 60 + 1);

/// A stage in `observe` with the gaps of production, and its subscription, whose machines have a first snapshot.
async fn with_machines(hosts: usize) -> (Stage, App, Subscription) {
    let stage = Stage::still().set("MODE", "observe");
    let subscription = stage.world.subscription("a");
    stage.world.hosts(&subscription, hosts);
    let app = stage.app().await;
    stage.cycle(&app).await;
    assert_eq!(stage.latest().unwrap().rows.len(), hosts);
    (stage, app, subscription)
}

/// Removes hosts until so many are left.
fn leave_hosts(stage: &Stage, left: usize) {
    for host in stage.world.all_hosts().into_iter().skip(left) {
        stage.world.remove_host(host.id);
    }
}

/// The snapshot in a report: whether it is complete, and its rows.
fn taken(ran: &Ran) -> Option<(bool, u64)> {
    ran.report.snapshot.as_ref().map(|snapshot| (snapshot.complete, snapshot.rows))
}

async fn request_snapshot(stage: &Stage, app: &App, number: u32) {
    let (asked, now) = (Asked { snapshot: true, ..Asked::default() }, stage.now());
    app.leave_request(app.tenant.id(), &RequestId::new(now, number), &asked, "test", now).await.unwrap();
}

#[tokio::test]
async fn a_collapse_is_doubted_until_a_second_reading_agrees() {
    let (stage, app, _) = with_machines(100).await;
    let newest = stage.latest().unwrap().id;
    leave_hosts(&stage, 0);
    stage.pass(DAY);
    request_snapshot(&stage, &app, 1).await;
    let first = stage.cycle(&app).await;
    assert_eq!(taken(&first), Some((false, 0)));
    assert_eq!(stage.latest().unwrap().id, newest, "latest.json stays");
    let soon = stage.now().checked_add(jiff::SignedDuration::from_mins(4)).unwrap();
    assert!(first.report.next_wake_up.is_some_and(|at| at < soon), "{:?}", first.report.next_wake_up);
    assert_eq!(stage.inbox().len(), 1, "the request waits for the second reading");
    let named = "has 0 rows where the newest complete one has 100";
    assert!(stage.needs_a_person().contains(named), "{}", stage.needs_a_person());
    assert!(first.report.snapshot.unwrap().reason.unwrap().contains(named));

    stage.pass(2 * MINUTE);
    let second = stage.cycle(&app).await;
    assert_eq!(taken(&second), Some((true, 0)));
    let snapshot = stage.latest().unwrap();
    assert_eq!(snapshot.id, second.report.snapshot.unwrap().id.to_string());
    assert_eq!(snapshot.manifest["shrunk"], serde_json::json!({ "before": 100, "first_reading": 0 }));
    assert!(
        stage.inbox().is_empty() && !stage.needs_a_person().contains("rows"),
        "{}",
        stage.needs_a_person()
    );
    stage.pass(DAY);
    assert_eq!(taken(&stage.cycle(&app).await), Some((true, 0)), "none is what the newest has now");
    assert_eq!(stage.latest().unwrap().manifest["shrunk"], Value::Null);
}

#[tokio::test]
async fn a_second_reading_that_has_the_machines_back_is_published_as_any_other() {
    let (stage, app, subscription) = with_machines(100).await;
    leave_hosts(&stage, 49);
    stage.pass(DAY);
    assert_eq!(taken(&stage.cycle(&app).await), Some((false, 49)));
    stage.world.hosts(&subscription, 51);
    stage.pass(2 * MINUTE);
    assert_eq!(taken(&stage.cycle(&app).await), Some((true, 100)));
    assert_eq!(stage.latest().unwrap().manifest["shrunk"], Value::Null);
}

#[tokio::test]
async fn a_second_reading_that_disagrees_is_doubted_too_and_the_next_waits_for_the_gap() {
    let (stage, app, subscription) = with_machines(100).await;
    leave_hosts(&stage, 10);
    stage.pass(DAY);
    assert_eq!(taken(&stage.cycle(&app).await), Some((false, 10)));
    stage.world.hosts(&subscription, 20);
    stage.pass(2 * MINUTE);
    assert_eq!(taken(&stage.cycle(&app).await), Some((false, 30)));
    for _ in 0..5 {
        stage.pass(10 * MINUTE);
        assert_eq!(taken(&stage.cycle(&app).await), None);
        assert!(stage.needs_a_person().contains("has 30 rows"), "{}", stage.needs_a_person());
    }
    stage.world.hosts(&subscription, 3);
    stage.pass(15 * MINUTE);
    assert_eq!(taken(&stage.cycle(&app).await), Some((true, 33)));
    let shrunk = serde_json::json!({ "before": 100, "first_reading": 30 });
    assert_eq!(stage.latest().unwrap().manifest["shrunk"], shrunk);
}

#[tokio::test]
async fn a_snapshot_that_fails_each_time_is_tried_once_in_a_gap_and_named_in_between() {
    let (stage, app, _) = with_machines(3).await;
    stage.pass(DAY);
    stage.world.clear_calls();
    stage.world.fault(Fault::new(CallKind::HostSearch, Kind::Status(403)).always());
    let tries = || stage.world.calls().iter().filter(|call| call.call == CallKind::HostSearch).count();
    for cycle in 0..16 {
        let report = stage.cycle(&app).await.report;
        assert_eq!(tries(), 1 + cycle / 4, "in cycle {cycle}");
        assert_eq!(report.problems.len(), 1, "{cycle}: {:?}", report.problems);
        assert!(stage.needs_a_person().contains("machines could not be read"));
        let due = stage.now().checked_add(jiff::SignedDuration::from_mins(61)).unwrap();
        assert!(report.next_wake_up.is_some_and(|at| at > stage.now() && at < due), "{report}");
        stage.pass(16 * MINUTE);
    }
    stage.cycle(&app).await;
    assert_eq!(tries(), 5);
    stage.pass(MINUTE);
    request_snapshot(&stage, &app, 1).await;
    for _ in 0..3 {
        stage.cycle(&app).await;
        stage.pass(2 * MINUTE);
    }
    assert_eq!(tries(), 6, "a person who asks does not wait, and asks once");
    stage.world.clear_faults();
    stage.pass(60 * MINUTE);
    assert_eq!(taken(&stage.cycle(&app).await), Some((true, 3)));
    assert!(stage.inbox().is_empty(), "{:?}", stage.inbox());
}

#[tokio::test]
async fn a_snapshot_whose_cycle_was_killed_counts_as_an_attempt() {
    let (stage, app, _) = with_machines(3).await;
    stage.pass(DAY);
    let (state, seen) = (stage.control("state.json"), std::sync::Arc::new(std::sync::Mutex::new(None)));
    let stored = std::sync::Arc::clone(&seen);
    stage.world.on_answer_to(CallKind::HostSearch, "", 1, move |_| {
        *stored.lock().unwrap() = Some(std::fs::read(&state).unwrap());
    });
    stage.cycle(&app).await;
    // A kill during the reading leaves this state.
    std::fs::write(stage.control("state.json"), seen.lock().unwrap().take().unwrap()).unwrap();
    stage.pass(15 * MINUTE);
    assert_eq!(taken(&stage.cycle(&app).await), None);
    stage.pass(46 * MINUTE);
    assert_eq!(taken(&stage.cycle(&app).await), Some((true, 3)));
}

#[tokio::test]
async fn hosts_that_arrive_while_the_inventory_is_read_do_not_fail_its_proof() {
    let stage = Stage::still().set("MODE", "observe");
    let subscription = stage.world.subscription("a");
    stage.world.hosts(&subscription, 1_500);
    for page in 1..=4 {
        let (world, to) = (stage.world.clone(), subscription.id().to_owned());
        stage.world.on_answer_to(CallKind::HostSearch, "", page, move |_| world.hosts(&to, 5));
    }
    let ran = stage.cycle(&stage.app().await).await;
    // What arrived before the last page was read is on it; the rest belongs to the next snapshot.
    assert_eq!(taken(&ran), Some((true, 1_505)));
    let range = stage.latest().unwrap().manifest["ranges"][0].clone();
    assert_eq!(
        (&range["attempts"], &range["declared"], &range["read"]),
        (&1.into(), &1_505.into(), &1_505.into())
    );
    assert_eq!(range["before"].as_i64().unwrap(), range["last"].as_i64().unwrap() + 1);
}

#[tokio::test]
async fn a_list_of_hosts_that_ends_early_is_read_on() {
    let stage = Stage::still().set("MODE", "observe");
    let subscription = stage.world.subscription("a");
    stage.world.hosts(&subscription, 3_500);
    stage.world.fault(Fault::new(CallKind::HostSearch, Kind::EndsEarly).always());
    let ran = stage.cycle(&stage.app().await).await;
    assert_eq!(taken(&ran), Some((true, 3_500)));
    let manifest = stage.latest().unwrap().manifest;
    let read: Vec<_> =
        manifest["ranges"].as_array().unwrap().iter().map(|range| range["read"].as_u64()).collect();
    assert_eq!(read, [Some(1_000), Some(1_000), Some(1_000), Some(500)]);
}
