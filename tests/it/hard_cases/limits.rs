//! A wait that Qualys asks for is obeyed, unless it cannot be meant.

use crate::stage::Stage;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use world::{Call, CallKind, Fault, Kind};

#[tokio::test]
async fn an_absurd_wait_does_not_pause_for_centuries() {
    let stage = Stage::still();
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
    let stage = Stage::still();
    stage.world.subscription("a");
    let mut rate = world::Rate::new(0, jiff::SignedDuration::from_hours(1));
    rate.headers = true;
    stage.world.manners(|m| m.rate = Some(rate));
    stage.cycle(&stage.app().await).await;
}

/// With one call at a time no other is on its way when Qualys asks for the wait.
fn one_call_at_a_time(wait: Duration) -> Stage {
    let stage = Stage::still().set("QUALYS_CONCURRENCY", "1");
    stage.world.subscriptions("s", 12);
    let wait = Kind::Conflict409 { code: 1965, wait: Some(wait.as_secs()) };
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, wait));
    stage
}

#[tokio::test]
async fn a_short_wait_that_was_asked_for_is_kept_by_all_calls() {
    const WAIT: Duration = Duration::from_secs(4);
    let stage = one_call_at_a_time(WAIT);
    let answers = Arc::new(Mutex::new(Vec::new()));
    for n in 1..=2 {
        let answers = Arc::clone(&answers);
        let answered = move |_: &Call| answers.lock().unwrap().push(Instant::now());
        stage.world.on_answer_to(CallKind::ConnectorCreate, "", n, answered);
    }
    stage.cycle(&stage.app().await).await;
    let answers = answers.lock().unwrap().clone();
    let [asked, next] = answers[..] else { panic!("{} creates", answers.len()) };
    let between = next - asked;
    assert!(between >= WAIT, "a create {between:?} after the wait was asked for");
}

#[tokio::test]
async fn after_a_long_wait_was_asked_for_the_cycle_creates_nothing() {
    let stage = one_call_at_a_time(Duration::from_mins(10));
    stage.cycle(&stage.app().await).await;
    assert!(stage.world.connectors().is_empty());
}
