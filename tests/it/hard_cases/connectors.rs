//! Each connector is made once, whatever answer is lost.

use super::MINUTE;
use crate::stage::{Hold, Stage};
use qualys_azure_inventory::cycle::{self, StartedBy};
use world::{CallKind, Fault, Kind};

#[tokio::test]
async fn an_answer_without_a_count_is_not_an_empty_list() {
    let stage = Stage::still();
    let covered = stage.world.subscriptions("s", 3);
    for s in &covered {
        stage.world.connector(s);
    }
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorSearch, Kind::ErrorUnder200("SUCCESS".into())).times(1));
    stage.cycle(&app).await;
    for s in &covered {
        assert_eq!(stage.world.connectors_of(s).len(), 1, "doubled");
    }
}

#[tokio::test]
async fn a_connector_we_made_that_search_shows_late_is_not_doubled() {
    let stage = Stage::still();
    stage.world.manners(|m| m.search_lag = jiff::SignedDuration::from_mins(60));
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    for _ in 0..5 {
        stage.cycle(&app).await;
        stage.pass(15 * MINUTE);
    }
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
}

#[tokio::test]
async fn a_refused_create_does_not_starve_the_others() {
    let stage = Stage::still().set("MAX_CREATES", "1");
    let mut subs = stage.world.subscriptions("s", 3);
    subs.sort_by_key(|s| s.id().to_owned());
    let app = stage.app().await;
    stage.world.fault(
        Fault::new(CallKind::ConnectorCreate, Kind::ErrorUnder200("INVALID_REQUEST".into()))
            .containing(subs[0].id())
            .always(),
    );
    stage.tick(&app).await;
    for _ in 0..24 * 60 {
        stage.serve_wake_ups(&app).await;
        stage.pass(MINUTE);
    }
    let creates = stage.world.calls().iter().filter(|c| c.call == CallKind::ConnectorCreate).count();
    assert_eq!(stage.world.connectors().len(), 2);
    assert!(creates < 15, "{creates} creates in a day");
}

#[tokio::test]
async fn an_unclear_create_is_followed_up_without_a_timer() {
    let stage = Stage::still();
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::ResetBefore));
    stage.tick(&app).await;
    for _ in 0..24 * 60 {
        stage.serve_wake_ups(&app).await;
        stage.pass(MINUTE);
    }
    assert_eq!(stage.world.connectors_of(&new).len(), 1, "a day later");
}

#[tokio::test]
async fn a_create_without_calls_left_books_the_windows_end() {
    let stage = Stage::still().set("QUALYS_CALLS_PER_HOUR", "10");
    stage.world.subscriptions("s", 8);
    let app = stage.app().await;
    stage.tick(&app).await;
    for _ in 0..3 * 60 {
        stage.serve_wake_ups(&app).await;
        stage.pass(MINUTE);
    }
    assert_eq!(stage.world.connectors().len(), 8, "three hours later");
}

#[tokio::test]
async fn a_create_late_in_a_killed_cycle_is_given_its_ten_minutes() {
    let stage = Stage::still();
    stage.world.manners(|m| m.search_lag = jiff::SignedDuration::from_mins(5));
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    let (desk, now) = (stage.app().await, stage.now());
    // The cycle makes the create after seven minutes, and is killed before its answer arrives.
    let (world, hold) = (stage.world.clone(), Hold::new());
    stage.world.on_answer_to(CallKind::ConnectorSearch, "", 1, move |_| {
        world.advance(jiff::SignedDuration::from_mins(7));
    });
    stage.world.on_answer_to(CallKind::ConnectorCreate, "", 1, hold.hook());
    let killed = tokio::spawn(async move {
        let _ = cycle::run(&desk.tenant, StartedBy::Command { plan_only: false }, now).await;
    });
    hold.wait().await;
    killed.abort();
    let _ = killed.await;
    hold.release();
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
    // Its message comes back, and is served 3.5 minutes after the create.
    stage.pass(3 * MINUTE + MINUTE / 2);
    stage.cycle(&app).await;
    assert_eq!(stage.world.connectors_of(&new).len(), 1, "doubled 3.5 minutes after a create");
}

#[tokio::test]
async fn a_write_is_not_repeated_after_the_lease_was_lost() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::Conflict409 { code: 1965, wait: Some(3) }));
    let lease = stage.account("lease");
    stage.world.on_answer_to(CallKind::ConnectorCreate, "", 1, move |_| std::fs::remove_file(lease).unwrap());
    stage.cycle(&app).await;
    assert!(stage.world.connectors().is_empty(), "created without the lease");
}
