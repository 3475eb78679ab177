//! The Event Grid endpoint and the admin endpoints.

use super::super::{Host, HostOptions, Invocation, process::client};
use super::{App, until};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::Duration;

fn event(wish: &str) -> Value {
    json!({"id": "1", "eventType": "x", "data": {"wish": wish}})
}

#[tokio::test]
async fn a_delivery_is_accepted_when_all_its_events_were() {
    let app = App::new();
    let host = app.start().await;
    assert_eq!(host.deliver("event", &[event("sleep:300"), event("sleep:300")]).await, 202);
    let done = host.invocations();
    assert_eq!(done.len(), 2);
    let end = |run: &Invocation| run.started + SignedDuration::try_from(run.took).unwrap();
    assert!(done[0].started < end(&done[1]) && done[1].started < end(&done[0]), "in parallel");
    assert_eq!(host.deliver("event", &[event("fine"), event("fail")]).await, 500);
    assert_eq!(host.deliver("nobody", &[event("fine")]).await, 404);
    assert_eq!(host.deliver("tick", &[event("fine")]).await, 404);
    assert_eq!(host.redeliver("event", &[event("fail")], 3, Duration::ZERO).await, [500, 500, 500]);
    assert_eq!(host.redeliver("event", &[event("fine")], 3, Duration::ZERO).await, [202]);
    host.assert_clean();
}

#[tokio::test]
async fn event_grid_gives_up_waiting_while_the_first_run_goes_on() {
    let app = App::new();
    let limit = Duration::from_millis(100);
    let options = HostOptions { eventgrid_limit: limit, ..app.options() };
    let host = Host::start(options).await.unwrap();
    assert_eq!(host.deliver("event", &[event("sleep:400")]).await, 504);
    until("the end of the run", || host.invocations().len() == 1).await;
    let run = host.invocations().remove(0);
    assert!(run.succeeded() && run.took > limit, "{run:?}");
}

#[tokio::test]
async fn the_webhook_validates_and_refuses_what_is_no_notification() {
    let app = App::new();
    let host = app.start().await;
    let url = format!("{}/runtime/webhooks/EventGrid?functionName=event", host.url());
    let post = |kind: Option<&'static str>, body: Value| {
        let request = client(None).post(&url).json(&body);
        kind.map_or(request.try_clone().unwrap(), |kind| request.header("aeg-event-type", kind)).send()
    };
    let validation = json!([{"data": {"validationCode": "512d"}}]);
    let answer = post(Some("SubscriptionValidation"), validation).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), r#"{"validationResponse":"512d"}"#);
    assert_eq!(post(None, json!([event("fine")])).await.unwrap().status(), 400);
    assert_eq!(post(Some("Unknown"), json!([])).await.unwrap().status(), 400);
    assert_eq!(post(Some("Unsubscribe"), json!([])).await.unwrap().status(), 202);
    assert_eq!(post(Some("Notification"), event("fine")).await.unwrap().status(), 202);
    assert_eq!(host.invocations().len(), 1);
}

#[tokio::test]
async fn the_admin_endpoint_answers_before_the_function_ran() {
    let app = App::new();
    let host = app.start().await;
    let post = |name: &str, body: &'static str| {
        client(None).post(format!("{}/admin/functions/{name}", host.url())).body(body).send()
    };
    assert_eq!(post("tick", r#"{"input":null}"#).await.unwrap().status(), 202);
    assert_eq!(post("work", r#"{"input":"hello"}"#).await.unwrap().status(), 202);
    assert_eq!(post("event", r#"{"input":"{\"id\":\"1\"}"}"#).await.unwrap().status(), 202);
    assert_eq!(post("nobody", "{}").await.unwrap().status(), 404);
    assert_eq!(post("tick", "").await.unwrap().status(), 400);
    until("three runs", || host.invocations().len() == 3).await;
    assert!(host.invocations().iter().all(Invocation::succeeded));
    let status = client(None).get(format!("{}/admin/host/status", host.url())).send().await.unwrap();
    assert_eq!(status.json::<Value>().await.unwrap()["state"], "Running");
}

#[tokio::test]
async fn with_a_key_the_endpoints_ask_for_it() {
    let app = App::new();
    let options = HostOptions { function_key: Some("k&y".into()), ..app.options() };
    let host = Host::start(options).await.unwrap();
    assert_eq!(host.deliver("event", &[event("fine")]).await, 202);
    let url = format!("{}/admin/host/status", host.url());
    assert_eq!(client(None).get(&url).send().await.unwrap().status(), 401);
    assert_eq!(client(None).get(&url).header("x-functions-key", "k&y").send().await.unwrap().status(), 200);
}
