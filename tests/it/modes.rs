//! Modes: `observe` shows everything and writes nothing to Qualys, `paused` calls nobody; a request may ask for a plan alone.

use crate::stage::Stage;
use qualys_azure_inventory::cycle::{self, CycleResult, StartedBy};
use world::Service;
use world::host::TimerKind;

#[tokio::test]
async fn observe_sends_no_write_to_qualys_shows_the_whole_plan_and_takes_snapshots() {
    let stage = Stage::new().set("MODE", "observe");
    let world = &stage.world;
    world.subscription("new");
    let covered = world.subscription("covered");
    world.connector(&covered);
    world.machines_with_hosts(&covered, 3);
    let host = stage.host().await;
    host.fire_timer("schedule", TimerKind::OnTime).await;
    let snapshot = stage.wait_for_machines(&[(covered.id().to_owned(), 3)]).await;
    assert_eq!(snapshot.rows.len(), 3);
    let plan =
        reqwest::get(format!("{}/api/plan?format=text", host.url())).await.unwrap().text().await.unwrap();
    assert!(plan.contains("observe: nothing is written to Qualys"), "{plan}");
    assert!(plan.contains("+ create connector `new ("), "{plan}");
    let answer = reqwest::Client::new().post(format!("{}/api/sync", host.url())).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    stage.wait_for_empty_inbox().await;
    host.quiet().await;
    assert!(world.qualys_writes().is_empty(), "{:?}", world.qualys_writes());
    stage.assert_clean(&host).await;
}

#[tokio::test]
async fn paused_makes_no_call_to_qualys_and_inbox_items_stay() {
    let stage = Stage::new().set("MODE", "paused");
    stage.world.subscription("new");
    let host = stage.host().await;
    host.fire_timer("schedule", TimerKind::OnTime).await;
    stage.wait("a status", async || stage.json("status.json")).await;
    host.quiet().await;
    assert!(stage.world.calls().iter().all(|call| call.service != Service::Qualys));
    assert_eq!(stage.inbox(), ["timer"]);
    stage.assert_clean(&host).await;
}

#[tokio::test]
async fn a_plan_only_request_plans_and_writes_nothing() {
    let stage = Stage::new();
    stage.world.subscription("new");
    let host = stage.host().await;
    let answer =
        reqwest::Client::new().post(format!("{}/api/sync?plan_only=true", host.url())).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    stage.wait_for_empty_inbox().await;
    host.quiet().await;
    assert!(stage.world.qualys_writes().is_empty() && stage.latest().is_none());
    let report = &stage.reports()[0];
    assert!(report["inbox"][0]["settled"].as_str().unwrap().starts_with("planned: "), "{report}");
    assert_eq!(report["planned"]["creates"], 1);
}

#[tokio::test]
async fn the_plan_command_writes_nothing_but_the_accounts_call_window() {
    let stage = Stage::new();
    stage.world.subscription("new");
    let app = stage.app().await;
    let CycleResult::Ran(ran) =
        cycle::run(&app.tenant, StartedBy::Command { plan_only: true }, stage.now()).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(ran.plan.unwrap().cost.creates, 1);
    assert!(stage.world.qualys_writes().is_empty());
    assert!(!stage.control("").exists(), "nothing was written for the tenant");
}

#[tokio::test]
async fn a_held_account_is_named_with_exit_code_3() {
    let stage = Stage::new();
    let app = stage.app().await;
    let _lease = stage.hold(&app).await;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"))
        .arg("cycle")
        .env_clear()
        .envs(&stage.settings)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(printed.contains("cycle 20261123T040500Z-1f2e3d4c of tenant"), "{printed}");
}

#[test]
fn missing_settings_are_all_named_with_exit_code_2() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"))
        .arg("serve")
        .env_clear()
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in ["TENANT_ID", "CONNECTOR_APP_ID", "SECRETS", "QUALYS_PLATFORM", "STORAGE", "QUEUE"] {
        assert!(printed.contains(name), "{printed}");
    }
}
