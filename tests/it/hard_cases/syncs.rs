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

#[tokio::test]
async fn a_refused_run_leaves_the_first_sync_awaited_and_its_machines_get_into_the_newest_snapshot() {
    let stage = Stage::still();
    // Qualys has begun the first sync when it refuses the run, and does not show it yet.
    stage.world.manners(|m| m.auto_start = Some(jiff::SignedDuration::from_mins(4)));
    stage.world.subscription("a").with_machines(60);
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorRun, Kind::ErrorUnder200("INVALID_REQUEST".into())));
    stage.cycle(&app).await;
    for _ in 0..90 {
        stage.pass(MINUTE);
        stage.serve_wake_ups(&app).await;
    }
    let runs = stage.world.calls().iter().filter(|c| c.call == CallKind::ConnectorRun).count();
    assert_eq!((runs, stage.latest().unwrap().rows.len()), (1, 60));
    let ran = stage.cycle(&app).await;
    assert_eq!(ran.report.needs_a_person(), Vec::<String>::new());
}

#[tokio::test]
async fn a_refused_run_of_a_queued_connector_does_not_wake_up_for_ever() {
    let stage = Stage::still();
    stage.world.manners(|m| m.auto_start = None);
    stage.world.subscription("a");
    let app = stage.app().await;
    stage
        .world
        .fault(Fault::new(CallKind::ConnectorRun, Kind::ErrorUnder200("INVALID_REQUEST".into())).always());
    stage.cycle(&app).await;
    let mut ran = 0;
    for minute in 1..24 * 60 {
        stage.pass(MINUTE);
        if minute % 120 == 30 {
            stage.tick(&app).await;
        }
        ran += stage.serve_wake_ups(&app).await;
    }
    // The first hour is followed up; after that a cycle runs only when the timer fires.
    assert!(ran <= 32 + 12, "{ran} cycles in a day with twelve ticks");
}

#[tokio::test]
async fn a_run_refused_with_a_code_that_no_document_lists_waits_longer_each_time_and_is_named() {
    let stage = Stage::still();
    let subscription = stage.world.subscription("a").id().to_owned();
    stage.ours(&subscription, 12 * 60 * MINUTE);
    let app = stage.app().await;
    stage
        .world
        .fault(Fault::new(CallKind::ConnectorRun, Kind::ErrorUnder200("SOMETHING_NEW".into())).always());
    let mut last = None;
    for _ in 0..24 * 4 {
        last = Some(stage.cycle(&app).await);
        stage.pass(15 * MINUTE);
    }
    let runs = stage.world.calls().iter().filter(|c| c.call == CallKind::ConnectorRun).count();
    assert!(runs <= 4, "{runs} runs sent in a day");
    let said = last.unwrap().report.needs_a_person().join("\n");
    assert!(said.contains("SOMETHING_NEW (A fault of the world.) (4 in a row)"), "{said}");
}

#[tokio::test]
async fn a_run_that_is_refused_since_a_sync_is_in_progress_joins_it() {
    let stage = Stage::still();
    let subscription = stage.world.subscription("a").id().to_owned();
    let id = stage.ours(&subscription, 12 * 60 * MINUTE);
    stage.world.manners(|m| {
        m.run_while_running = world::OnRunning::Refuse;
        (m.run_lag, m.sync_duration) = (jiff::SignedDuration::ZERO, jiff::SignedDuration::from_mins(6));
    });
    let app = stage.app().await;
    // It starts after we looked, before our run.
    let world = stage.world.clone();
    stage.world.on_answer_to(CallKind::ConnectorSearch, "", 1, move |_| {
        world.manners(|m| m.own_schedule = true);
    });
    let ran = stage.cycle(&app).await;
    assert_eq!((ran.report.counts().done, ran.report.counts().failed), (1, 0), "{:?}", ran.report.outcomes);
    for _ in 0..3 {
        stage.pass(15 * MINUTE);
        stage.cycle(&app).await;
    }
    assert_eq!(stage.world.connectors().iter().find(|c| c.id == id).unwrap().syncs, 1);
}
