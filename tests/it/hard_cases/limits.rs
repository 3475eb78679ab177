//! What Qualys says about waiting is obeyed, as far as it can be meant.

use super::still;
use qualys_azure_inventory::cycle::{self, StartedBy};
use std::time::Duration;
use world::{CallKind, Fault, Kind};

#[tokio::test]
async fn an_absurd_wait_does_not_pause_for_centuries() {
    let stage = still();
    stage.world.subscription("a");
    let app = stage.app().await;
    stage.world.fault(Fault::new(
        CallKind::ConnectorSearch,
        Kind::Conflict409 { code: 1965, wait: Some(99_999_999_999) },
    ));
    stage.cycle(&app).await;
    let status = stage.json("status.json").unwrap();
    assert!(status["needs_a_person"].to_string().contains("Qualys asked to wait until"), "{status}");
    assert!(status["last_good"].is_null());
    stage.pass(Duration::from_hours(24 * 30));
    let ran = stage.cycle(&app).await;
    assert!(ran.report.calls.total > 0, "a month later still paused");
}

#[tokio::test]
async fn a_limit_of_zero_in_the_headers_does_no_harm() {
    let stage = still();
    stage.world.subscription("a");
    let mut rate = world::Rate::new(0, jiff::SignedDuration::from_hours(1));
    rate.headers = true;
    stage.world.manners(|m| m.rate = Some(rate));
    stage.cycle(&stage.app().await).await;
}

#[tokio::test]
async fn a_wait_that_was_asked_for_is_kept_by_all_calls() {
    let stage = still();
    stage.world.subscriptions("s", 12);
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::Conflict409 { code: 1965, wait: Some(6) }));
    let now = stage.now();
    let task = tokio::spawn(async move {
        cycle::run(&app.tenant, StartedBy::Command { plan_only: false }, now).await.map(|_| ())
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    let made = stage.world.connectors().len();
    task.await.unwrap().unwrap();
    assert!(made <= 1, "{made} creates within a wait of six seconds; one was on its way already");
}
