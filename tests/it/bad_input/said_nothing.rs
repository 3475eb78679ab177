//! Events that say nothing about our subscriptions.

use super::{Door, VENDING, stage, still_works};
use serde_json::{Value, json};
use world::events;

#[tokio::test]
async fn events_that_say_nothing_to_us_are_logged_by_type_and_leave_no_item() {
    let stage = stage();
    let host = stage.host().await;
    let (pid, door) = (host.handler_pid(), Door::of(&host));
    let id = "aaaaaaaa-0000-0000-0000-000000000001";
    let cloud = |kind: &str, source: Value, data: Value| json!({ "specversion": "1.0", "id": "1", "type": kind, "source": source, "data": data });
    let cases = [
        (
            "Ignored an event of type `com.one.subscription.created`: it names no subscription",
            cloud("com.one.subscription.created", json!(VENDING), json!({})),
        ),
        (
            "Ignored an event of type `com.two.subscription.moved`: it names no subscription",
            cloud("com.two.subscription.moved", json!(VENDING), json!({ "subscriptionId": [id] })),
        ),
        (
            "Ignored an event of type `com.three.subscription.moved`: it names no subscription",
            cloud("com.three.subscription.moved", json!(VENDING), json!({ "subscriptionId": "not-a-guid" })),
        ),
        (
            "Ignored an event of type `com.four.subscription.created`: EVENT_SOURCES does not name its source",
            cloud(
                "com.four.subscription.created",
                json!(format!("{VENDING}2")),
                json!({ "subscriptionId": id }),
            ),
        ),
        (
            "Ignored an event of type `com.five.subscription.created`: EVENT_SOURCES does not name its source",
            cloud("com.five.subscription.created", json!(""), json!({ "subscriptionId": id })),
        ),
        (
            "Ignored an event of type `xscripte-mailcontoso.example31m`: its type is not about subscriptions",
            cloud(
                "x<script> e-mail@contoso.example\u{1b}[31m\n",
                json!(VENDING),
                json!({ "subscriptionId": id }),
            ),
        ),
        (
            "Ignored an input that is not an event",
            cloud("com.six.subscription.created", json!(7), json!(null)),
        ),
        ("Ignored an input that is not an event", json!(null)),
    ];
    for (_, event) in &cases {
        let body = json!({ "Data": { "event": event.to_string() } }).to_string();
        let answer = door.post("/subscription-event", body).await;
        assert_eq!(
            (answer.status, answer.json()["Logs"][0].as_str()),
            (200, Some("inbox items left: 0")),
            "{event}"
        );
    }
    // All in one delivery, with one that counts: that one is not lost.
    let batch: Vec<Value> = cases
        .iter()
        .map(|(_, event)| event.clone())
        .chain([events::vending(VENDING, id, stage.now())])
        .collect();
    let answer = door.post("/subscription-event", json!({ "Data": { "events": batch } }).to_string()).await;
    assert_eq!(answer.json()["Logs"][0], "inbox items left: 1");
    for (line, _) in &cases {
        stage.wait_for_line(&host, line).await;
    }
    stage.wait_for_line(&host, "Ignored 8 events: 1 of type `com.five.subscription.created`").await;
    let shown = |word: &str| host.lines().iter().any(|line| line.text.contains(word));
    assert!(!shown("not-a-guid") && !shown("@contoso"), "only types are logged");
    stage
        .wait("the item's subscription to be looked for", async || {
            (!stage.reports().is_empty()).then_some(())
        })
        .await;
    let left = stage.inbox();
    assert_eq!(left, [format!("subscription={id}")], "it stays while ARM does not show the subscription");
    std::fs::remove_file(stage.control("inbox").join(&left[0])).unwrap();
    still_works(&stage, &host, pid).await;
}
