//! Subscriptions that move: to another directory, or into a management group that `EXCLUDE` names.

use crate::stage::Stage;
use qualys_azure_inventory::app::App;
use std::time::Duration;
use world::{Access, CallKind, Fault, Kind};

const MINUTE: Duration = Duration::from_mins(1);
/// A day, and the time that a cycle may take before its snapshot begins.
const DAY: Duration = Duration::from_mins(24 * 60 + 1);

/// The rows of the snapshot that is taken a day later.
async fn rows_of_tomorrow(stage: &Stage, app: &App) -> usize {
    stage.pass(DAY);
    let taken = stage.cycle(app).await.report.snapshot;
    assert!(taken.as_ref().is_some_and(|taken| taken.complete), "{taken:?}");
    stage.latest().unwrap().rows.len()
}

#[tokio::test]
async fn the_rows_of_a_subscription_that_moved_to_another_directory_are_dropped_and_not_before() {
    let stage = Stage::still().set("MODE", "observe");
    let (stays, moves) = (stage.world.subscription("stays"), stage.world.subscription("moves"));
    stage.ours(&moves, Duration::ZERO);
    stage.world.hosts(&stays, 5);
    stage.world.hosts(&moves, 3);
    let app = stage.app().await;
    stage.cycle(&app).await;
    let moves = moves.access(Access::NotFound);
    assert_eq!(rows_of_tomorrow(&stage, &app).await, 8, "a lost role looks the same");
    let elsewhere = stage.world.add_tenant();
    let moves = moves.access(Access::Readable).in_tenant(&elsewhere);
    assert_eq!(rows_of_tomorrow(&stage, &app).await, 5, "ARM reports it under another directory");
    let range = stage.latest().unwrap().manifest["ranges"][0].clone();
    assert_eq!((&range["kept"], &range["dropped"]), (&5.into(), &3.into()));
    stage.world.fault(Fault::new(CallKind::AnyArm, Kind::Status(403)).always());
    assert_eq!(rows_of_tomorrow(&stage, &app).await, 5, "the state remembers it");
    stage.world.clear_faults();
    let moves = moves.in_tenant(&stage.world.tenant());
    assert_eq!(rows_of_tomorrow(&stage, &app).await, 8, "it is observed here again");
    assert!(!moves.id().is_empty());
}

#[tokio::test]
async fn a_subscription_that_only_an_event_leads_to_may_have_moved_to_another_directory_too() {
    let stage = Stage::still().set("MODE", "observe");
    let (stays, moves) = (stage.world.subscription("stays"), stage.world.subscription("moves"));
    stage.world.hosts(&stays, 5);
    stage.world.hosts(&moves, 3);
    let stage = stage.set("SCOPE", &format!("sub:{},sub:{}", stays.id(), moves.id()));
    let app = stage.app().await;
    stage.cycle(&app).await;
    // The list shows it after a lag; since SCOPE names it, it is read directly.
    stage.world.arm_manners(|arm| arm.list_lag = jiff::SignedDuration::from_hours(1_000));
    let moves = moves.in_tenant(&stage.world.add_tenant());
    assert_eq!(rows_of_tomorrow(&stage, &app).await, 5, "{}", moves.id());
}

/// A stage where everything but the management group `sandbox` is watched, and `old` has been for long.
async fn with_an_excluded_group() -> (Stage, App) {
    let stage = Stage::still().set("EXCLUDE", "mg:sandbox");
    stage.world.group("sandbox", None);
    stage.world.arm_manners(|arm| arm.tree_lag = jiff::SignedDuration::from_mins(25));
    let old = stage.world.subscription("old");
    let app = stage.app().await;
    for _ in 0..5 {
        stage.cycle(&app).await;
        stage.pass(10 * MINUTE);
    }
    assert_eq!(stage.world.connectors_of(&old).len(), 1);
    (stage, app)
}

#[tokio::test]
async fn with_excluded_groups_a_new_subscription_gets_no_connector_for_half_an_hour() {
    let (stage, app) = with_an_excluded_group().await;
    let new = stage.world.subscription("new");
    stage.tick(&app).await;
    stage.serve_wake_ups(&app).await;
    let plan = stage.json("plan.json").unwrap();
    let kept = plan["kept"].as_array().unwrap().iter().find(|kept| kept["why"] == "not-placed-yet");
    let until: jiff::Timestamp = kept.unwrap()["until"].as_str().unwrap().parse().unwrap();
    let waits = until.duration_since(stage.now());
    assert!((1_800..2_400).contains(&waits.as_secs()), "{waits}");
    stage.pass(29 * MINUTE);
    let report = stage.cycle(&app).await.report;
    assert_eq!(report.next_wake_up, Some(until));
    assert!(stage.world.connectors_of(&new).is_empty());
    stage.pass(11 * MINUTE);
    assert_eq!(stage.serve_wake_ups(&app).await, 1, "the booked wake-up");
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
}

#[tokio::test]
async fn a_new_subscription_that_is_moved_into_an_excluded_group_never_gets_a_connector() {
    let (stage, app) = with_an_excluded_group().await;
    let new = stage.world.subscription("new");
    stage.cycle(&app).await;
    stage.pass(4 * MINUTE);
    stage.world.move_subscription(&new, "sandbox");
    for _ in 0..20 {
        stage.cycle(&app).await;
        stage.pass(3 * MINUTE);
    }
    assert!(stage.world.connectors_of(&new).is_empty());
}
