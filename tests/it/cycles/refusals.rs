//! Refusals back off and are told; only limits of the account stop everything.

use super::MINUTE;
use crate::stage::Stage;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::outcome::ActionResult;
use world::{CallKind, Fault, Kind};

fn refuse_creates(stage: &Stage, kind: &Kind) {
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, kind.clone()).always());
}

fn creates(stage: &Stage) -> usize {
    stage.world.calls().iter().filter(|call| call.call == CallKind::ConnectorCreate).count()
}

async fn cycles(stage: &Stage, app: &App, minutes: u32) {
    for _ in 0..minutes / 5 {
        stage.tick(app).await;
        stage.serve_wake_ups(app).await;
        stage.pass(5 * MINUTE);
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
