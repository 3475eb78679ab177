//! The queue listener on folder queues.

use super::super::{FolderQueue, Host, HostOptions};
use super::{App, until};
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_message_is_served_once_and_removed() {
    let app = App::new();
    let host = app.start().await;
    let queue = host.queue("work");
    for text in ["one", "{\"tenant\":\"a\"}", "three"] {
        queue.send(text, Duration::ZERO).unwrap();
    }
    until("an empty queue", || queue.messages().unwrap().is_empty()).await;
    assert_eq!(host.invocations().len(), 3);
    host.assert_clean();
}

#[tokio::test]
async fn a_failed_message_comes_back_and_then_goes_to_the_poison_queue() {
    let app = App::new();
    app.function("poison", &[json!({"type": "queueTrigger", "name": "item", "queueName": "work-poison"})]);
    app.host_json(|json| json["extensions"]["queues"]["visibilityTimeout"] = json!("00:00:00.2"));
    let host = app.start().await;
    host.queue("work").send("fail", Duration::ZERO).unwrap();
    until("poison", || host.invocations().iter().any(|done| done.function == "poison")).await;
    let attempts: Vec<_> = host
        .invocations()
        .iter()
        .filter(|done| done.function == "work")
        .map(|done| (done.attempt, done.started))
        .collect();
    assert_eq!(attempts.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), [1, 2]);
    assert!(attempts[1].1.duration_since(attempts[0].1).as_millis() >= 200);
    assert!(host.queue("work").messages().unwrap().is_empty());
    // It fails there too, and a poison queue has no poison queue, so the message comes back for ever.
    until("again", || host.invocations().iter().filter(|done| done.function == "poison").count() >= 4).await;
    assert!(!app.queues.path().join("work-poison-poison").exists());
}

#[tokio::test]
async fn a_message_received_too_often_is_poisoned_without_an_invocation() {
    let app = App::new();
    app.queues.write("work/0000000000001_ab_2.msg", "ends the process every time");
    let host = app.start().await;
    let poison = FolderQueue::new(app.queues.path(), "work-poison");
    until("poison", || !poison.messages().unwrap().is_empty()).await;
    assert_eq!(poison.messages().unwrap()[0].dequeue_count, 0);
    assert!(host.invocations().is_empty());
}

#[tokio::test]
async fn a_killed_handlers_message_comes_back_after_the_visibility_timeout() {
    let app = App::new();
    let host = app.start().await;
    host.queue("work").send("exit:1", Duration::ZERO).unwrap();
    until("poison", || app.queues.path().join("work-poison").exists()).await;
    assert_eq!(host.invocations().len(), 2);
    host.ready().await.unwrap();
}

#[tokio::test]
async fn a_dropped_hosts_message_comes_back_when_its_invisibility_runs_out() {
    let app = App::new();
    let invisibility = Duration::from_millis(1_500);
    let options = HostOptions { invisibility, ..app.options() };
    let host = Host::start(options.clone()).await.unwrap();
    let sent = Timestamp::now();
    host.queue("work").send("sleep:300", Duration::ZERO).unwrap();
    until("a start", || !host.open_invocations().is_empty()).await;
    drop(host);
    let second = Host::start(options).await.unwrap();
    until("the second delivery", || second.invocations().len() == 1).await;
    let delivery = second.invocations().remove(0);
    assert_eq!(delivery.attempt, 2);
    assert!(delivery.started.duration_since(sent).unsigned_abs() >= invisibility);
}

#[tokio::test]
async fn a_long_run_keeps_its_message_hidden() {
    let app = App::new();
    // Renewed after one second; the other host would take it after two.
    let options = HostOptions { invisibility: Duration::from_secs(2), ..app.options() };
    let (one, two) = tokio::join!(Host::start(options.clone()), Host::start(options));
    let (one, two) = (one.unwrap(), two.unwrap());
    one.queue("work").send("sleep:2500", Duration::ZERO).unwrap();
    until("the end", || one.queue("work").messages().unwrap().is_empty()).await;
    assert_eq!(one.invocations().len() + two.invocations().len(), 1);
}

#[tokio::test]
async fn two_hosts_share_a_queue_without_a_double_delivery() {
    let app = App::new();
    let (one, two) = tokio::join!(app.start(), app.start());
    let queue = one.queue("work");
    for at in 0..40 {
        queue.send(&format!("m{at}"), Duration::ZERO).unwrap();
    }
    until("an empty queue", || queue.messages().unwrap().is_empty()).await;
    assert_eq!(one.invocations().len() + two.invocations().len(), 40);
    assert!(!one.invocations().is_empty() && !two.invocations().is_empty());
}

#[tokio::test]
async fn a_queue_output_becomes_messages() {
    let app = App::new();
    app.function(
        "work",
        &[
            json!({"type": "queueTrigger", "direction": "in", "name": "item", "queueName": "work"}),
            json!({"type": "queue", "direction": "out", "name": "next", "queueName": "next"}),
        ],
    );
    let host = app.start().await;
    host.queue("work").send("out", Duration::ZERO).unwrap();
    until("two messages", || host.queue("next").messages().unwrap().len() == 2).await;
    let mut texts: Vec<_> =
        host.queue("next").messages().unwrap().into_iter().map(|message| message.text).collect();
    texts.sort();
    assert_eq!(texts, ["plain text", "{\"a\":1}"]);
}

#[tokio::test]
async fn strange_files_are_reported_once() {
    let app = App::new();
    app.queues.write("work/notes.txt", "x");
    let host = app.start().await;
    let reports = || host.lines().iter().filter(|line| line.text.contains("notes.txt")).count();
    until("a report", || reports() > 0).await;
    // Several more looks at the queue.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(reports(), 1);
}
