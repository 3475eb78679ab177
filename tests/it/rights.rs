//! A Qualys user without a right, or an account without a module: it is named with what to do, and the rest goes on.

use crate::stage::Stage;
use qualys_azure_inventory::app::App;
use std::time::Duration;
use world::{CallKind, Fault, Kind};

const QUARTER: Duration = Duration::from_mins(15);

/// The forms in which Qualys says that something is not allowed.
fn refusals() -> [Kind; 4] {
    let code = |code: &str| Kind::ErrorUnder200(code.to_owned());
    [code("UNAUTHORIZED"), code("INSUFFICIENT_PERMISSION"), code("FORBIDDEN"), Kind::Status(403)]
}

/// A tenant with a healthy connector and a complete snapshot that is a day old.
async fn settled() -> (Stage, App) {
    let stage = Stage::new().set("SNAPSHOT_EVERY", "1h");
    stage.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
    stage.world.subscription("old").with_machines(2);
    let app = stage.app().await;
    for _ in 0..4 {
        stage.cycle(&app).await;
        stage.pass(QUARTER);
    }
    assert!(stage.latest().is_some());
    stage.pass(Duration::from_hours(24));
    (stage, app)
}

const ADVICE: &str = "give the Qualys user the Manager role with full scope and API access, and check the licensed modules and allowed addresses";

#[tokio::test]
async fn without_the_right_to_read_machines_connectors_are_kept_and_the_newest_snapshot_stays() {
    for call in [CallKind::HostSearch, CallKind::HostCount] {
        for refusal in refusals() {
            let (stage, app) = settled().await;
            let latest = std::fs::read(stage.control("latest.json")).unwrap();
            stage.world.fault(Fault::new(call, refusal.clone()).always());
            stage.world.clear_calls();
            let new = stage.world.subscription("new").with_machines(1);
            for _ in 0..8 {
                stage.cycle(&app).await;
                stage.pass(QUARTER);
            }
            let said = stage.needs_a_person();
            assert!(said.contains("Qualys forbids the host") && said.contains(ADVICE), "{refusal:?}: {said}");
            assert_eq!(stage.world.connectors_of(&new)[0].state, "FINISHED_SUCCESS", "{refusal:?}");
            assert!(
                stage
                    .world
                    .connectors()
                    .iter()
                    .all(|c| c.last_sync > Some(stage.now() - jiff::SignedDuration::from_hours(5)))
            );
            assert_eq!(std::fs::read(stage.control("latest.json")).unwrap(), latest, "{refusal:?}");
            let asked = stage.world.calls().iter().filter(|c| c.call == call).count();
            assert!(asked <= 8, "{refusal:?}: {asked} calls in eight cycles");
            // The right is given back.
            stage.world.clear_faults();
            stage.cycle(&app).await;
            assert_eq!((stage.latest().unwrap().rows.len(), stage.needs_a_person().as_str()), (3, "[]"));
        }
    }
}

#[tokio::test]
async fn without_the_right_to_read_connectors_nothing_is_planned_and_it_is_named() {
    for refusal in refusals() {
        let (stage, app) = settled().await;
        let latest = std::fs::read(stage.control("latest.json")).unwrap();
        stage.world.fault(Fault::new(CallKind::ConnectorSearch, refusal.clone()).always());
        stage.world.clear_calls();
        stage.world.subscription("new");
        for _ in 0..4 {
            let ran = stage.cycle(&app).await;
            assert!(ran.plan.is_none());
            stage.pass(QUARTER);
        }
        let said = stage.needs_a_person();
        assert!(said.contains("Qualys forbids the connector search") && said.contains(ADVICE), "{said}");
        assert!(stage.world.qualys_writes().is_empty() && stage.world.connectors().len() == 1);
        assert_eq!(std::fs::read(stage.control("latest.json")).unwrap(), latest);
    }
}

#[tokio::test]
async fn without_the_right_to_make_connectors_it_is_named_and_seldom_tried() {
    for refusal in refusals() {
        let (stage, app) = settled().await;
        stage.world.fault(Fault::new(CallKind::ConnectorCreate, refusal.clone()).always());
        stage.world.clear_calls();
        stage.world.subscription("new").with_machines(1);
        for _ in 0..12 {
            stage.cycle(&app).await;
            let said = stage.needs_a_person();
            assert!(
                said.contains("Qualys forbids the connector create") || said.contains("refused"),
                "{said}"
            );
            stage.pass(QUARTER);
        }
        let tried = stage.world.calls().iter().filter(|c| c.call == CallKind::ConnectorCreate).count();
        assert!((2..=4).contains(&tried), "{refusal:?}: {tried} creates in three hours");
        assert_eq!(stage.latest().unwrap().rows.len(), 2, "snapshots go on");
    }
}
