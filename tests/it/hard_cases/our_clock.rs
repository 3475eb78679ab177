//! Our own clock was wrong once. What it wrote holds nothing up and proves nothing.

use super::MINUTE;
use crate::stage::{Log, Stage};
use jiff::{SignedDuration, Timestamp};
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::cycle::{self, CycleResult, StartedBy};
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::model::Asked;
use qualys_azure_inventory::report::Report;
use qualys_azure_inventory::store::ItemName;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use world::{CallKind, Fault, Kind};

const DAYS_AHEAD: SignedDuration = SignedDuration::from_hours(3 * 24);

/// A cycle by hand on a machine whose clock shows `now`.
async fn cycle_at(app: &App, now: Timestamp) -> Report {
    match cycle::run(&app.tenant, StartedBy::Command { plan_only: false }, now).await.unwrap() {
        CycleResult::Ran(ran) => ran.report,
        CycleResult::Dropped(closed) => panic!("dropped: {closed}"),
    }
}

/// Two subscriptions with a machine each. A cycle by a right clock makes the connectors; others by one that is three days ahead
/// run them and take the snapshot.
async fn days_ahead(stage: &Stage) -> App {
    stage.world.subscription("a").with_machines(2);
    stage.world.subscription("b").with_machines(3);
    let app = stage.app().await;
    for _ in 0..4 {
        cycle_at(&app, stage.now() + DAYS_AHEAD).await;
        stage.pass(10 * MINUTE);
    }
    assert!(stage.json("state.json").unwrap()["last_snapshot"].is_object());
    app
}

/// What a timer and the queue do for so long. Returns how many cycles ran.
async fn minutes(stage: &Stage, app: &App, minutes: u32) -> usize {
    let mut ran = 0;
    for minute in 0..minutes {
        if minute % 15 == 0 {
            stage.tick(app).await;
        }
        ran += stage.serve_wake_ups(app).await;
        stage.pass(MINUTE);
    }
    ran
}

#[tokio::test]
async fn a_clock_that_was_days_ahead_stops_neither_snapshots_nor_cycles_nor_calls() {
    let stage = Stage::still().set("QUALYS_CALLS_PER_HOUR", "60").set("QUALYS_RESERVE_PERCENT", "0");
    let log = Log::of_this_thread();
    let app = days_ahead(&stage).await;
    let before = stage.latest().unwrap().id;
    let cycles = minutes(&stage, &app, 120).await;
    assert!((8..=60).contains(&cycles), "{cycles} cycles in two hours");
    let latest = stage.latest().unwrap();
    assert_ne!(latest.id, before, "a new snapshot");
    assert_eq!(latest.rows.len(), 5);
    let status = stage.json("status.json").unwrap();
    let good: Timestamp = status["last_good"].as_str().unwrap().parse().unwrap();
    assert!(good <= stage.now(), "{status}");
    for blob in ["state.json", "latest.json"] {
        let path = format!("/{blob}` has times up to 7");
        assert!(log.text().contains(&path), "{blob} is not named\n{}", log.text());
    }
    // By a new day everything is as ever: little is done, and no more is named.
    minutes(&stage, &app, 60).await;
    let named = log.text().matches("after now: a clock was wrong").count();
    assert!(named <= 12, "named {named} times");
}

#[tokio::test]
async fn a_request_is_not_settled_by_a_run_or_a_snapshot_from_the_future() {
    let stage = Stage::still();
    let app = days_ahead(&stage).await;
    let asked = Asked { all: true, snapshot: true, ..Asked::default() };
    let id = "20261123T050000Z-00000001".parse().unwrap();
    app.leave_request(app.tenant.id(), &id, &asked, "test", stage.now()).await.unwrap();
    let (left, before) = (stage.now(), stage.latest().unwrap().id);
    let runs = |stage: &Stage| stage.world.connectors().iter().map(|one| one.runs).sum::<u32>();
    let run_before = runs(&stage);
    stage.pass(2 * MINUTE);
    minutes(&stage, &app, 90).await;
    assert!(stage.inbox().iter().all(|item| !item.starts_with("request")), "{:?}", stage.inbox());
    assert_eq!(runs(&stage), run_before + 2, "each connector was run once for it");
    assert_ne!(stage.latest().unwrap().id, before);
    let began: Timestamp =
        stage.json("state.json").unwrap()["last_snapshot"]["began"].as_str().unwrap().parse().unwrap();
    assert!(began > left && began <= stage.now());
}

#[tokio::test]
async fn a_request_that_was_left_in_the_future_is_served_once_and_settled() {
    let stage = Stage::still();
    stage.world.subscription("a").with_machines(2);
    let app = stage.app().await;
    minutes(&stage, &app, 60).await;
    stage.world.connectors();
    let runs = stage.world.connectors()[0].runs;
    let asked = Asked { all: true, ..Asked::default() };
    let id = "20261126T050000Z-00000001".parse().unwrap();
    app.leave_request(app.tenant.id(), &id, &asked, "test", stage.now() + DAYS_AHEAD).await.unwrap();
    let item = ItemContent::new(stage.now() + DAYS_AHEAD, "test");
    let unknown = ItemName::Subscription("eeeeeeee-0000-0000-0000-000000000001".parse().unwrap());
    app.leave(app.tenant.id(), unknown, &item, stage.now()).await.unwrap();
    minutes(&stage, &app, 60).await;
    assert!(stage.inbox().iter().all(|item| !item.starts_with("request")), "{:?}", stage.inbox());
    assert_eq!(stage.world.connectors()[0].runs, runs + 1);
    stage.pass(24 * 60 * MINUTE);
    minutes(&stage, &app, 20).await;
    assert_eq!(stage.inbox(), Vec::<String>::new(), "the other one was given up after a day");
}

#[tokio::test]
async fn a_pause_of_more_than_a_day_is_not_believed() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    stage.cycle(&app).await;
    let log = Log::of_this_thread();
    let mut account: Value =
        serde_json::from_slice(&std::fs::read(stage.account("state.json")).unwrap()).unwrap();
    account["pause_until"] = (stage.now() + DAYS_AHEAD).to_string().into();
    std::fs::write(stage.account("state.json"), account.to_string()).unwrap();
    stage.pass(10 * MINUTE);
    let report = cycle_at(&app, stage.now()).await;
    assert!(report.coverage.is_some() && report.waits_until.is_none(), "{report}");
    assert!(log.text().contains("`account=default/state.json` has times up to 4"), "{}", log.text());
}

#[tokio::test]
async fn a_clock_that_jumps_back_and_forth_doubles_disables_and_repeats_nothing() {
    let stage = Stage::still();
    stage.world.subscriptions("s", 5);
    let app = stage.app().await;
    let jumps = [0, -30, 7200, -7200, 3, 86_400 * 2, -86_400 * 2, -3600, 60, 0, -86_400, 0];
    for (number, jump) in jumps.into_iter().cycle().take(48).enumerate() {
        let report = cycle_at(&app, stage.now() + SignedDuration::from_secs(jump)).await;
        assert_eq!(report.counts().failed, 0, "cycle {number}: {report}");
        stage.pass(15 * MINUTE);
    }
    let connectors = stage.world.connectors();
    let covered: BTreeSet<_> = connectors.iter().map(|one| one.subscription_id.clone()).collect();
    assert_eq!((connectors.len(), covered.len()), (5, 5));
    assert!(connectors.iter().all(|one| !one.disabled));
    // Twelve hours: the first sync, and at most one more of ours each five hours.
    assert!(
        connectors.iter().all(|one| one.runs <= 4),
        "{:?}",
        connectors.iter().map(|one| one.runs).collect::<Vec<_>>()
    );
    let report = cycle_at(&app, stage.now()).await;
    assert!(report.problems.is_empty() && report.coverage.unwrap().covered == 5);
}

#[tokio::test]
async fn a_snapshot_ends_after_it_began_however_long_the_cycle_took_to_sign_in() {
    let stage = Stage::still().behind_the_proxy().with_vault();
    stage.world.subscription("a").with_machines(2);
    stage.world.fault(Fault::new(CallKind::VaultGet, Kind::Slow(Duration::from_millis(700))).always());
    let app = stage.app().await;
    let began = stage.now();
    stage.cycle(&app).await;
    let manifest = stage.latest().unwrap().manifest;
    let time = |name: &str| manifest[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(time("began") > began && time("ended") > time("began"), "{} {}", time("began"), time("ended"));
}

#[tokio::test]
async fn while_paused_a_booking_that_cannot_be_read_is_named() {
    for (bytes, says) in [("{", "is malformed"), ("{\"schema_version\": 2}", "has schema version 2")] {
        let stage = Stage::still().set("MODE", "paused");
        let app = stage.app().await;
        stage.cycle(&app).await;
        std::fs::write(stage.control("wake-up.json"), bytes).unwrap();
        // A newer program's booking also ends the visit with an error; what was found is written down before that.
        let _ = cycle::run(&app.tenant, StartedBy::Command { plan_only: false }, stage.now()).await;
        let status = stage.json("status.json").unwrap();
        let needs = status["needs_a_person"].to_string();
        assert!(needs.contains("wake-up.json") && needs.contains(says), "{needs}");
        assert_eq!(status["next_wake_up"], Value::Null);
    }
}
