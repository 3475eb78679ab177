//! Whole cycles in this process, with the world's clock standing still: rules that need hours.

mod answers;
mod floods;
mod limits;

mod refusals;
mod removals;
mod scope;
mod unstated;

use crate::stage::Stage;
use qualys_azure_inventory::app::App;
use serde_json::Value;
use std::time::Duration;
use world::Service;

const MINUTE: Duration = Duration::from_mins(1);

/// Cycles three minutes apart until one does nothing.
async fn until_quiet(stage: &Stage, app: &App) {
    for _ in 0..20 {
        let ran = stage.cycle(app).await;
        assert!(ran.report.problems.is_empty(), "{:?}", ran.report.problems);
        stage.pass(3 * MINUTE);
        if ran.report.outcomes.is_empty() && ran.report.snapshot.is_none() && !stage.world.syncing() {
            return;
        }
    }
    panic!("it does not come to rest");
}

#[tokio::test]
async fn a_second_cycle_with_nothing_new_does_nothing() {
    let stage = Stage::still();
    stage.world.subscriptions("s", 30);
    let app = stage.app().await;
    until_quiet(&stage, &app).await;
    assert_eq!(stage.world.connectors().len(), 30);
    stage.world.clear_calls();
    let ran = stage.cycle(&app).await;
    assert!(ran.report.outcomes.is_empty() && ran.report.snapshot.is_none());
    let calls = stage.world.calls().into_iter().filter(|call| call.service == Service::Qualys).count();
    assert!(calls <= 5, "{calls} calls");
    assert_eq!(ran.report.coverage.unwrap().covered, 30);
}

#[tokio::test]
async fn a_newer_schema_version_is_never_written_over() {
    let stage = Stage::still();
    stage.world.subscription("new");
    let app = stage.app().await;
    let newer = "{\"schema_version\": 99, \"future\": true}";
    std::fs::create_dir_all(stage.control("")).unwrap();
    std::fs::write(stage.control("state.json"), newer).unwrap();
    let ran = stage.cycle(&app).await;
    assert!(ran.report.problems[0].error.contains("schema version 99"), "{:?}", ran.report.problems);
    assert_eq!(std::fs::read_to_string(stage.control("state.json")).unwrap(), newer);
    assert!(stage.world.calls().iter().all(|call| call.service != Service::Qualys));
}

#[tokio::test]
async fn the_audit_says_what_was_intended_and_what_became_of_it() {
    let stage = Stage::still();
    stage.world.subscription("new");
    let ran = stage.cycle(&stage.app().await).await;
    let folder =
        stage.folder.path().join("store/inventory").join(format!("tenant={}", stage.settings["TENANT_ID"]));
    let folder = folder.join("audit/2026-11-23");
    let read = |name: String| -> Value {
        serde_json::from_str(std::fs::read_to_string(folder.join(name)).unwrap().trim()).unwrap()
    };
    let intent = read(format!("{}.intent.jsonl", ran.report.cycle));
    assert_eq!((&intent["action"], &intent["reason"]), (&"create".into(), &"no connector covers it".into()));
    let outcome = read(format!("{}.jsonl", ran.report.cycle));
    assert_eq!((&outcome["action"], &outcome["result"]), (&"create".into(), &"done".into()));
}
