//! Refusals back off and are told; only limits of the account stop everything.

use super::MINUTE;
use crate::stage::Stage;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::model::{Asked, RequestId};
use qualys_azure_inventory::outcome::ActionResult;
use std::time::Duration;
use world::{CallKind, Fault, Kind};

fn refuse_creates(stage: &Stage, kind: &Kind) {
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, kind.clone()).always());
}

fn creates(stage: &Stage) -> usize {
    stage.world.calls().iter().filter(|call| call.call == CallKind::ConnectorCreate).count()
}

async fn cycles(stage: &Stage, app: &App, minutes: u32) {
    for _ in 0..minutes / 15 {
        stage.tick(app).await;
        stage.serve_wake_ups(app).await;
        stage.pass(15 * MINUTE);
    }
}

#[tokio::test]
async fn an_odd_409_refuses_its_action_and_nothing_else() {
    let quota = Kind::ErrorUnder200("LIMIT_EXCEEDED".into());
    for (kind, word) in [(Kind::Conflict409 { code: 1920, wait: None }, "1920"), (quota, "LIMIT_EXCEEDED")] {
        let stage = Stage::still();
        let old = stage.world.subscription("old");
        stage.ours(&old, MINUTE);
        let new = stage.world.subscription("new");
        refuse_creates(&stage, &kind);
        let app = stage.app().await;
        let ran = stage.cycle(&app).await;
        assert!(ran.report.snapshot.is_some_and(|snapshot| snapshot.complete), "{word}: in the same cycle");
        assert_eq!(ran.report.waits_until, None, "{word}: the account is not paused");
        let said = stage.needs_a_person();
        assert!(
            said.contains(word) && said.contains("create connector") && said.contains(new.id()),
            "{said}"
        );
        assert!(!said.contains("reserved"), "{said}");
        cycles(&stage, &app, 3 * 60).await;
        assert!((2..=4).contains(&creates(&stage)), "{word}: {} creates in three hours", creates(&stage));
    }
}

#[tokio::test]
async fn the_limits_of_an_account_pause_it() {
    for kind in [
        Kind::Conflict409 { code: 1965, wait: None },
        Kind::Conflict409 { code: 1965, wait: Some(600) },
        Kind::TooMany429 { retry_after: None },
        Kind::Status(409),
    ] {
        let stage = Stage::still();
        stage.world.subscription("new");
        refuse_creates(&stage, &kind);
        let ran = stage.cycle(&stage.app().await).await;
        assert!(ran.report.waits_until.is_some(), "{kind:?}");
        assert!(matches!(ran.report.outcomes[0].result, ActionResult::NotStarted { .. }), "{kind:?}");
    }
}

#[tokio::test]
async fn too_many_calls_at_once_is_no_long_pause() {
    let stage = Stage::still();
    let new = stage.world.subscription("new");
    let busy = Kind::Conflict409 { code: 1960, wait: None };
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, busy).times(4));
    let app = stage.app().await;
    let ran = stage.cycle(&app).await;
    let until = ran.report.next_wake_up.unwrap();
    assert!(until.duration_since(stage.now()).as_secs() <= 60, "{until}");
    stage.pass(MINUTE);
    stage.cycle(&app).await;
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
}

#[tokio::test]
async fn no_refusal_is_tried_more_than_a_handful_of_times_a_day() {
    let under_200 = |code: &str| Kind::ErrorUnder200(code.to_owned());
    for (kind, word) in [
        (under_200("SOMETHING_NEW"), "SOMETHING_NEW"),
        (under_200("INVALID_REQUEST"), "INVALID_REQUEST"),
        (Kind::Status(400), "HTTP 400"),
        (Kind::Status(500), "HTTP 500"),
        (Kind::ResetBefore, "no answer"),
    ] {
        let stage = Stage::still();
        stage.world.subscription("new");
        refuse_creates(&stage, &kind);
        let app = stage.app().await;
        cycles(&stage, &app, 24 * 60).await;
        assert!((3..=6).contains(&creates(&stage)), "{word}: {} creates in a day", creates(&stage));
        let said = stage.needs_a_person();
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[tokio::test]
async fn creates_refused_alike_hold_back_the_rest_but_for_one_probe_a_wait() {
    const NEW: usize = 30;
    let stage = Stage::still();
    stage.world.subscriptions("s", NEW);
    refuse_creates(&stage, &Kind::ErrorUnder200("NO_LICENSE".into()));
    let app = stage.app().await;
    stage.cycle(&app).await;
    let first = creates(&stage);
    assert!((5..=8).contains(&first), "{first} creates in the first cycle");
    stage.pass(5 * MINUTE);
    cycles(&stage, &app, 2 * 60).await;
    let probes = creates(&stage) - first;
    assert!((2..=4).contains(&probes), "{probes} more in two hours");
    let said = stage.needs_a_person();
    assert_eq!(said.matches("held back").count(), 1, "{said}");
    assert!(said.contains("NO_LICENSE"), "{said}");
    stage.world.clear_faults();
    cycles(&stage, &app, 8 * 60).await;
    assert_eq!(stage.world.connectors().len(), NEW, "the probe that succeeds lets the others through");
}

#[tokio::test]
async fn one_bad_subscription_holds_back_nobody() {
    let stage = Stage::still().set("MAX_CREATES", "2");
    let bad = stage.world.subscription("bad");
    refuse_creates(&stage, &Kind::ErrorUnder200("INVALID_REQUEST".into()));
    let app = stage.app().await;
    cycles(&stage, &app, 24 * 60).await;
    stage.world.clear_faults();
    let refused = Kind::ErrorUnder200("INVALID_REQUEST".into());
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, refused).containing(bad.id()).always());
    stage.world.subscriptions("s", 6);
    cycles(&stage, &app, 60).await;
    assert_eq!(stage.world.connectors().len(), 6);
}

#[tokio::test]
async fn a_request_settles_when_the_creation_brake_lets_nothing_through() {
    let stage = Stage::still().set("MAX_CREATES", "0");
    stage.world.subscription("new");
    let app = stage.app().await;
    let request = RequestId::new(stage.now(), 1);
    let asked = Asked { all: true, ..Asked::default() };
    app.leave_request(app.tenant.id(), &request, &asked, "manual-sync", stage.now()).await.unwrap();
    stage.cycle(&app).await;
    assert!(stage.inbox().is_empty(), "{:?}", stage.inbox());
    let page = stage.json(&format!("requests/{request}.json")).unwrap();
    assert!(page["settled"].to_string().contains("1 withheld by the creation brake"), "{page}");
}

#[tokio::test]
async fn what_is_begun_can_end_before_the_cycle_does() {
    let stage = Stage::still().set("CYCLE_BUDGET", "15s").set("LEASE", "15s");
    stage.world.subscriptions("s", 20);
    // Two calls at a time: whoever waits for its turn begins late.
    stage.world.manners(|manners| manners.latency = Some(Duration::from_millis(1500)));
    let ran = stage.cycle(&stage.app().await).await;
    let counts = ran.report.counts();
    assert_eq!((counts.unclear, counts.failed), (0, 0), "{:?}", ran.report.outcomes);
    assert!(counts.done > 0 && counts.not_started > 0, "{counts:?}");
}
