//! Timers: by hand, and with the shortened schedule.

use super::super::{Host, HostOptions, Outcome, TimerKind, Timers};
use super::{App, until};
use serde_json::{Value, json};
use std::time::Duration;

fn info(done: &super::super::Invocation) -> Value {
    let Outcome::Succeeded { return_value, .. } = &done.outcome else { panic!("{done:?}") };
    let body: Value = serde_json::from_str(return_value["body"].as_str().unwrap()).unwrap();
    body["Data"]["timer"].clone()
}

#[tokio::test]
async fn each_kind_of_run_has_its_own_status() {
    let host = App::new().start().await;
    let on_time = info(&host.fire_timer("tick", TimerKind::OnTime).await);
    assert_eq!(on_time["Schedule"], json!({"AdjustForDST": true}));
    assert_eq!(on_time["IsPastDue"], false);
    assert!(on_time["ScheduleStatus"]["Next"].as_str().unwrap().ends_with("+00:00"));
    let past_due = info(&host.fire_timer("tick", TimerKind::PastDue).await);
    assert_eq!(past_due["IsPastDue"], true);
    let first = info(&host.fire_timer("tick", TimerKind::First).await);
    assert_eq!(first["ScheduleStatus"]["Last"], "0001-01-01T00:00:00");
    assert_eq!(info(&host.fire_timer("tick", TimerKind::NoMonitor).await)["ScheduleStatus"], Value::Null);
}

#[tokio::test]
async fn a_timer_on_the_shortened_clock_catches_up_once_in_the_next_host() {
    let app = App::new();
    let status = super::Dir::new();
    let options = HostOptions {
        timers: Timers::Every(Duration::from_millis(150)),
        status_dir: Some(status.path().to_owned()),
        ..app.options()
    };
    let host = Host::start(options.clone()).await.unwrap();
    until("two runs", || host.invocations().len() >= 2).await;
    assert_eq!(info(&host.invocations()[1])["IsPastDue"], false);
    host.stop().await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let host = Host::start(options).await.unwrap();
    until("two runs", || host.invocations().len() >= 2).await;
    let runs: Vec<Value> =
        host.invocations().iter().take(2).map(|done| info(done)["IsPastDue"].clone()).collect();
    assert_eq!(runs, [json!(true), json!(false)]);
}

#[tokio::test]
async fn a_retry_policy_makes_new_attempts_with_a_context() {
    let app = App::new();
    let binding = json!({"type": "eventGridTrigger", "direction": "in", "name": "event"});
    let retry = json!({"strategy": "fixedDelay", "maxRetryCount": 2, "delayInterval": "00:00:10"});
    app.dir.write("event/function.json", &json!({"bindings": [binding], "retry": retry}).to_string());
    let host = Host::start(HostOptions { retry_delay: Some(Duration::ZERO), ..app.options() }).await.unwrap();
    assert_eq!(host.deliver("event", &[json!({"data": {"wish": "fail"}})]).await, 500);
    let attempts: Vec<u32> = host.invocations().iter().map(|done| done.attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
}
