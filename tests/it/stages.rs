//! A stage needs only its own inputs: what one of them lacks stops no other.

use crate::stage::Stage;
use qualys_azure_inventory::cycle::{self, CycleResult, StartedBy};
use qualys_azure_inventory::model::{Asked, RequestId};
use qualys_azure_inventory::outcome::{ActionResult, NotStarted};
use qualys_azure_inventory::report::CycleStage;
use std::time::Duration;
use world::{CallKind, Fault, Kind};

const SECRET: &str = "connector-client-secret";
const DAY: Duration = Duration::from_hours(24);

/// A stage whose secrets are in a vault, where the connector's has expired.
fn expired() -> Stage {
    let stage = Stage::still().with_vault();
    let yesterday = stage.now().checked_sub(jiff::SignedDuration::from_hours(24)).unwrap();
    stage.world.secret_expires("kv-test", SECRET, Some(yesterday));
    stage
}

/// How often the connector's secret was read.
fn reads_of_the_secret(stage: &Stage) -> usize {
    stage.world.calls().iter().filter(|call| call.path.contains(SECRET)).count()
}

#[tokio::test]
async fn while_arm_cannot_be_read_for_three_days_snapshots_are_still_taken_daily_and_named() {
    let stage = Stage::still();
    let subscription = stage.world.subscription("a");
    stage.ours(&subscription, Duration::ZERO);
    stage.world.hosts(&subscription, 3);
    let app = stage.app().await;
    stage.cycle(&app).await;
    let mut newest = stage.latest().unwrap().id;
    stage.world.fault(Fault::new(CallKind::AnyArm, Kind::Status(500)).always());
    for day in 1..=3 {
        stage.pass(DAY);
        let asked = Asked { snapshot: true, ..Asked::default() };
        let request = RequestId::new(stage.now(), day);
        app.leave_request(app.tenant.id(), &request, &asked, "test", stage.now()).await.unwrap();
        let report = stage.cycle(&app).await.report;
        assert!(report.snapshot.as_ref().is_some_and(|taken| taken.complete), "day {day}: {report}");
        assert_eq!(report.unreadable[0].scope, "subscriptions");
        assert!(report.problems.iter().any(|one| one.stage == CycleStage::Plan), "{:?}", report.problems);
        let snapshot = stage.latest().unwrap();
        assert_ne!(std::mem::replace(&mut newest, snapshot.id.clone()), snapshot.id);
        assert_eq!(snapshot.manifest["rows_by_subscription"][subscription.id()], 3);
        assert!(stage.inbox().is_empty(), "the request for a snapshot is settled: {:?}", stage.inbox());
    }
}

#[tokio::test]
async fn a_request_for_syncs_stays_open_while_nothing_can_be_planned() {
    let stage = Stage::still();
    stage.ours(&stage.world.subscription("a"), Duration::ZERO);
    let app = stage.app().await;
    stage.cycle(&app).await;
    stage.world.fault(Fault::new(CallKind::AnyArm, Kind::Status(403)).always());
    stage.pass(Duration::from_mins(30));
    let asked = Asked { all: true, snapshot: true, ..Asked::default() };
    let request = RequestId::new(stage.now(), 1);
    app.leave_request(app.tenant.id(), &request, &asked, "test", stage.now()).await.unwrap();
    let report = stage.cycle(&app).await.report;
    assert_eq!(report.inbox[0].settled, None, "no sync was started");
    stage.world.clear_faults();
    for _ in 0..3 {
        stage.pass(Duration::from_mins(3));
        stage.cycle(&app).await;
    }
    assert!(stage.inbox().is_empty(), "{:?}", stage.inbox());
}

#[tokio::test]
async fn with_several_tenants_on_the_account_an_unreadable_arm_leaves_a_doubt_that_is_named() {
    let stage = Stage::still().set("SNAPSHOT_EVERY", "1h");
    let ours = stage.world.subscription("ours");
    let other_tenant = stage.world.add_tenant();
    let theirs = stage.world.subscription("theirs").in_tenant(&other_tenant);
    stage.ours(&ours, Duration::ZERO);
    stage.world.connector(&theirs);
    stage.world.hosts(&ours, 3);
    stage.world.hosts(&theirs, 1);
    let app = stage.app().await;
    stage.cycle(&app).await;
    let newest = stage.latest().unwrap().id;
    stage.world.fault(Fault::new(CallKind::AnyArm, Kind::Status(403)).always());
    stage.pass(Duration::from_hours(2));
    let taken = stage.cycle(&app).await.report.snapshot.unwrap();
    assert_eq!((taken.complete, taken.rows), (false, 3));
    assert!(taken.reason.unwrap().contains("the account has several tenants"));
    assert_eq!(stage.latest().unwrap().id, newest);
}

#[tokio::test]
async fn observe_neither_reads_nor_needs_the_connector_secret() {
    let stage = expired().set("MODE", "observe");
    stage.world.subscription("new");
    let ran = stage.cycle(&stage.app().await).await;
    assert!(ran.report.is_good() && ran.report.problems.is_empty(), "{:?}", ran.report.problems);
    assert!(ran.report.snapshot.is_some_and(|taken| taken.complete));
    assert_eq!((ran.report.planned.creates, reads_of_the_secret(&stage)), (1, 0));
}

#[tokio::test]
async fn the_plan_command_neither_reads_nor_needs_the_connector_secret() {
    let stage = expired();
    stage.world.subscription("new");
    let by_hand = StartedBy::Command { plan_only: true };
    let ran = cycle::run(&stage.app().await.tenant, by_hand, stage.now()).await.unwrap();
    let CycleResult::Ran(ran) = ran else { panic!() };
    assert!(ran.report.problems.is_empty(), "{:?}", ran.report.problems);
    assert_eq!((ran.plan.unwrap().cost.creates, reads_of_the_secret(&stage)), (1, 0));
}

#[tokio::test]
async fn without_the_connector_secret_only_creations_wait_and_it_is_named() {
    let stage = expired();
    let (old, twice) = (stage.world.subscription("old"), stage.world.subscription("twice"));
    stage.world.subscription("new");
    let stale = stage.ours(&old, Duration::from_hours(9));
    stage.ours(&twice, Duration::ZERO);
    let twin = stage.ours(&twice, Duration::ZERO);
    stage.world.hosts(&old, 3);
    let app = stage.app().await;
    let report = stage.cycle(&app).await.report;
    assert_eq!(report.outcomes.len(), 3, "{:?}", report.outcomes);
    let create = ActionResult::NotStarted { because: NotStarted::NoConnectorSecret };
    assert_eq!(report.outcomes[0].result, create, "a creation comes first");
    assert!(stage.world.qualys_writes().iter().any(|call| call.connector_id == Some(stale)), "it was run");
    assert!(stage.world.connectors_of(&twice).iter().any(|one| one.id == twin && one.disabled));
    assert_eq!(report.snapshot.map(|taken| (taken.complete, taken.rows)), Some((true, 3)));
    let problem = &report.problems[0];
    assert_eq!((report.problems.len(), problem.stage), (1, CycleStage::Secrets));
    assert!(problem.error.contains("`connector-client-secret` expired"), "{}", problem.error);
    assert!(stage.needs_a_person().contains("no connector is created"), "{}", stage.needs_a_person());

    // A person must act, so no cycle is booked for it.
    stage.pass(Duration::from_mins(15));
    let report = stage.cycle(&app).await.report;
    assert_eq!((report.outcomes.len(), report.next_wake_up), (1, None), "{report}");
    stage.world.set_secret("kv-test", SECRET, &stage.world.app_secret());
    stage.pass(Duration::from_mins(15));
    let report = stage.cycle(&app).await.report;
    assert_eq!((report.problems.len(), report.counts().done), (0, 1), "{report}");
}

#[tokio::test]
async fn a_connector_secret_that_is_missing_or_cannot_be_read_is_like_an_expired_one() {
    let mut missing = Stage::still();
    missing.settings.remove("CONNECTOR_CLIENT_SECRET");
    let unreadable = Stage::still().with_vault();
    unreadable.world.fault(Fault::new(CallKind::VaultGet, Kind::Status(403)).containing(SECRET).always());
    for stage in [missing, unreadable] {
        stage.world.subscription("new");
        let report = stage.cycle(&stage.app().await).await.report;
        assert_eq!(report.counts().not_started, 1, "{report}");
        assert!(report.problems[0].error.contains(SECRET), "{:?}", report.problems);
        assert!(report.snapshot.is_some_and(|taken| taken.complete));
    }
}
