//! Syncs are started when they are due, and not again and again.

use super::MINUTE;
use crate::stage::Stage;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::store::ItemName;
use world::{CallKind, Fault, Kind};

#[tokio::test]
async fn a_lost_run_of_a_queued_connector_is_sent_again() {
    let stage = Stage::still();
    stage.world.manners(|m| m.auto_start = None);
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorRun, Kind::ResetBefore));
    for _ in 0..24 * 4 {
        stage.cycle(&app).await;
        stage.pass(15 * MINUTE);
    }
    let c = &stage.world.connectors_of(&new)[0];
    assert!(c.syncs >= 1, "never synced in 24 h");
}

/// A day without any trigger: only what the cycles book themselves.
async fn wakes_up_seldom(app: &App, stage: &Stage) {
    let mut ran = 0;
    for _ in 0..24 * 60 {
        stage.pass(MINUTE);
        ran += stage.serve_wake_ups(app).await;
    }
    assert!(ran < 30, "{ran} cycles in a day without any trigger");
}

#[tokio::test]
async fn a_queued_connector_that_a_person_disabled_does_not_wake_up_for_ever() {
    let stage = Stage::still();
    stage.world.manners(|m| m.auto_start = None);
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    stage.cycle(&app).await;
    let id = stage.world.connectors_of(&new)[0].id;
    stage.world.edit_connector(id, |c| c.disabled = true);
    wakes_up_seldom(&app, &stage).await;
}

#[tokio::test]
async fn a_queued_connector_whose_subscription_is_disabled_does_not_wake_up_for_ever() {
    let stage = Stage::still();
    stage.world.manners(|m| m.auto_start = None);
    let new = stage.world.subscription("new");
    stage.world.subscription("other");
    let app = stage.app().await;
    stage.cycle(&app).await;
    stage.world.edit_subscription(&new, |s| s.state = world::SubscriptionState::Disabled);
    wakes_up_seldom(&app, &stage).await;
}

#[tokio::test]
async fn a_requested_run_whose_answer_was_lost_is_repeated() {
    let stage = Stage::still();
    let sub = stage.world.subscription("a");
    let app = stage.app().await;
    for _ in 0..8 {
        stage.cycle(&app).await;
        stage.pass(3 * MINUTE);
    }
    stage.pass(10 * MINUTE);
    while stage.serve_wake_ups(&app).await > 0 {
        stage.pass(3 * MINUTE);
    }
    let before = stage.world.connectors_of(&sub)[0].syncs;
    let now = stage.now();
    let id = "20261123T050000Z-00000001".parse().unwrap();
    let asked = qualys_azure_inventory::model::Asked { all: true, ..Default::default() };
    app.leave_request(app.tenant.id(), &id, &asked, "test", now).await.unwrap();
    stage.world.fault(Fault::new(CallKind::ConnectorRun, Kind::ResetBefore));
    let mut ran = 0;
    for _ in 0..180 {
        ran += stage.serve_wake_ups(&app).await;
        stage.pass(MINUTE);
    }
    let after = stage.world.connectors_of(&sub)[0].syncs;
    assert!(after > before && ran < 30 && stage.inbox().is_empty());
}

#[tokio::test]
async fn a_refused_run_is_not_sent_every_two_minutes() {
    let stage = Stage::still();
    stage.world.manners(|m| m.auto_start = None);
    stage.world.subscription("a");
    let app = stage.app().await;
    stage
        .world
        .fault(Fault::new(CallKind::ConnectorRun, Kind::ErrorUnder200("INVALID_REQUEST".into())).always());
    stage.cycle(&app).await;
    for _ in 0..24 * 60 {
        stage.pass(MINUTE);
        stage.serve_wake_ups(&app).await;
    }
    let runs = stage.world.calls().iter().filter(|c| c.call == CallKind::ConnectorRun).count();
    assert!(runs <= 4, "{runs} runs sent in a day");
}

#[tokio::test]
async fn the_state_of_a_connector_that_is_missing_from_one_answer_is_kept() {
    let stage = Stage::still();
    let sub = stage.world.subscription("a").app_has_reader(false);
    let app = stage.app().await;
    // Found only later, so the state does not say when it was made.
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::ResetAfter));
    stage.world.fault(Fault::new(CallKind::ConnectorSearch, Kind::Status(500)).after(1).times(4));
    stage.cycle(&app).await;
    for i in 0..24 * 4 {
        if i % 4 == 3 {
            stage.world.fault(Fault::new(CallKind::ConnectorSearch, Kind::DropRow).times(1));
        }
        stage.cycle(&app).await;
        stage.pass(15 * MINUTE);
    }
    let c = &stage.world.connectors_of(&sub)[0];
    assert!(c.runs <= 4, "{} runs in a day of a failing connector", c.runs);
}

#[tokio::test]
async fn a_subscription_in_the_inbox_is_followed_up_while_the_list_lags() {
    let stage = Stage::still();
    stage.world.manners(|m| m.auto_start = None);
    stage.world.arm_manners(|m| m.list_lag = jiff::SignedDuration::from_mins(30));
    stage.world.subscription("old");
    stage.pass(40 * MINUTE);
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    let now = stage.now();
    app.leave(
        app.tenant.id(),
        ItemName::Subscription(new.id().parse().unwrap()),
        &ItemContent::new(now, "e"),
        now,
    )
    .await
    .unwrap();
    let mut minutes = 0;
    let mut ran = 0;
    for _ in 0..60 {
        ran += stage.serve_wake_ups(&app).await;
        if stage.world.connectors_of(&new).first().is_some_and(|c| c.runs > 0) {
            break;
        }
        stage.pass(MINUTE);
        minutes += 1;
    }
    assert!(
        minutes <= 6,
        "first run after {minutes} minutes and {ran} cycles; inbox items {:?}",
        stage.inbox()
    );
}

#[tokio::test]
async fn a_request_is_settled_by_a_sync_that_qualys_dates_into_the_same_second() {
    let stage = Stage::still();
    stage.world.subscription("new");
    let app = stage.app().await;
    let asked = qualys_azure_inventory::model::Asked { all: true, ..Default::default() };
    let id = "20261123T040000Z-00000001".parse().unwrap();
    app.leave_request(app.tenant.id(), &id, &asked, "test", stage.now()).await.unwrap();
    for _ in 0..30 {
        stage.serve_wake_ups(&app).await;
        stage.pass(MINUTE);
    }
    assert!(stage.inbox().is_empty(), "half an hour later");
}
