//! Bodies and requests, byte for byte, as in the host's source and in captured requests.

use super::super::delivery::Delivery;
use super::super::dispatch::chunks;
use super::super::envelope::{RetryContext, Sys};
use super::super::eventgrid::event_body;
use super::super::folder_queue::Message;
use super::super::functions::{Function, Trigger};
use super::super::queue::queue_body;
use super::super::schedule::Schedule;
use super::super::timer::{Status, timer_body, timer_info};
use super::App;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn sys(method: &str) -> Sys {
    Sys {
        method: method.into(),
        now: at("2026-03-01T02:15:00.1234567Z"),
        guid: "6f1c2a0e-4b1c-4c0f-9a57-0d9c3b7d1e11".into(),
    }
}

fn function(name: &str, binding: &str, trigger: Trigger) -> Function {
    Function {
        name: name.into(),
        binding: binding.into(),
        trigger,
        outputs: Vec::new(),
        response: None,
        retry: None,
        is_plain_http: false,
    }
}

fn text(body: &Bytes) -> &str {
    std::str::from_utf8(body).unwrap()
}

const SYS: &str =
    r#""UtcNow":"2026-03-01T02:15:00.1234567Z","RandGuid":"6f1c2a0e-4b1c-4c0f-9a57-0d9c3b7d1e11""#;

#[test]
fn a_timer_body_is_nested_and_its_next_is_the_occurrence_being_served() {
    let schedule = Schedule::parse("0 */15 * * * *").unwrap();
    let function =
        function("nightly", "timer", Trigger::Timer { schedule, run_on_startup: false, use_monitor: true });
    let ran = at("2026-03-01T02:00:00.0031142Z");
    let status = Status { last: Some(ran), next: at("2026-03-01T02:15:00Z"), updated: ran };
    let info = timer_info(true, Some(&status), false);
    let expected = format!(
        r#"{{"Data":{{"timer":{{"Schedule":{{"AdjustForDST":true}},"ScheduleStatus":{{"Last":"2026-03-01T02:00:00.0031142+00:00","Next":"2026-03-01T02:15:00+00:00","LastUpdated":"2026-03-01T02:00:00.0031142+00:00"}},"IsPastDue":false}}}},"Metadata":{{"sys":{{"MethodName":"nightly",{SYS}}}}}}}"#
    );
    assert_eq!(text(&timer_body(&function, info.clone(), &sys("nightly"), None)), expected);
    let first = RetryContext { count: 0, max: 3 };
    let with_retry = format!(
        r#"{},"RetryContext":{{"RetryCount":0,"MaxRetryCount":3,"Exception":null,"Instance":null,"State":{{}}}}}}}}"#,
        &expected[..expected.len() - 2]
    );
    assert_eq!(text(&timer_body(&function, info, &sys("nightly"), Some(first))), with_retry);
    let info = timer_info(false, None, false);
    let expected = format!(
        r#"{{"Data":{{"timer":{{"Schedule":{{"AdjustForDST":false}},"ScheduleStatus":null,"IsPastDue":false}}}},"Metadata":{{"sys":{{"MethodName":"nightly",{SYS}}}}}}}"#
    );
    assert_eq!(text(&timer_body(&function, info, &sys("nightly"), None)), expected);
    // As captured from a first run ever.
    let updated = at("2024-11-30T14:43:50.403838Z");
    let status = Status { last: None, next: at("2024-11-30T14:45:51Z"), updated };
    let expected = json!({
        "Schedule": {"AdjustForDST": true},
        "ScheduleStatus": {"Last": "0001-01-01T00:00:00", "Next": "2024-11-30T14:45:51+00:00", "LastUpdated": "2024-11-30T14:43:50.403838+00:00"},
        "IsPastDue": false,
    });
    assert_eq!(timer_info(true, Some(&status), false).to_string(), expected.to_string());
}

fn queue(message: &str, binary: bool) -> Value {
    let function = function("work", "item", Trigger::Queue { queue: "work".into(), binary });
    let message = Message {
        id: "0c9e3a9c3f5c4c399e7f8f3a1b6b2d10".into(),
        visible_at_ms: at("2026-03-01T02:25:01.5Z").as_millisecond(),
        dequeue_count: 1,
        text: message.into(),
        inserted: at("2026-03-01T02:15:00.25Z"),
    };
    serde_json::from_slice(&queue_body(&function, &Delivery::from(&message), &sys("work"))).unwrap()
}

#[test]
fn a_queue_body_has_two_layers_and_metadata_in_the_hosts_order() {
    let mut body = queue("hello", false);
    body["Metadata"]["PopReceipt"] = json!("\"r\"");
    let expected = format!(
        r#"{{"Data":{{"item":"\"hello\""}},"Metadata":{{"DequeueCount":"1","ExpirationTime":"2026-03-08T02:15:00+00:00","Id":"\"0c9e3a9c-3f5c-4c39-9e7f-8f3a1b6b2d10\"","InsertionTime":"2026-03-01T02:15:00+00:00","NextVisibleTime":"2026-03-01T02:25:01+00:00","PopReceipt":"\"r\"","sys":{{"MethodName":"work",{SYS}}}}}}}"#
    );
    assert_eq!(body.to_string(), expected);
    assert_eq!(queue("[1,2,3]", false)["Data"]["item"], "\"[1,2,3]\"");
    assert_eq!(queue("abc", true)["Data"]["item"], "YWJj");
}

#[test]
fn properties_of_a_json_message_are_promoted_and_shadow_the_queues_own() {
    let body = queue(r#"{"jobId":"j-1","page":2,"opts":{"full":true},"ids":[1,2],"none":null}"#, false);
    assert_eq!(
        body["Data"]["item"],
        r#""{\"jobId\":\"j-1\",\"page\":2,\"opts\":{\"full\":true},\"ids\":[1,2],\"none\":null}""#
    );
    let text = body["Metadata"].to_string();
    assert!(text.ends_with(r#""jobId":"\"j-1\"","page":"\"2\"","opts":{"full":true}}"#), "{text}");
    let body = queue(r#"{"id":"mine","dequeueCount":99}"#, false);
    assert_eq!(
        (&body["Metadata"]["Id"], &body["Metadata"]["DequeueCount"]),
        (&json!("\"mine\""), &json!("\"99\""))
    );
    assert_eq!(body["Metadata"].get("id"), None);
}

#[test]
fn an_event_is_nested_and_many_events_are_a_string() {
    let one = function("onEvent", "event", Trigger::EventGrid { many: false });
    let event =
        json!({"topic": "t", "data": {"api": "PutBlob"}, "eventTime": "2026-03-01T02:14:59.1234567Z"});
    let expected = format!(
        r#"{{"Data":{{"event":{event}}},"Metadata":{{"data":{{"api":"PutBlob"}},"sys":{{"MethodName":"onEvent",{SYS}}}}}}}"#
    );
    assert_eq!(text(&event_body(&one, &event, &sys("onEvent"), None)), expected);
    let many = function("onEvents", "events", Trigger::EventGrid { many: true });
    let body: Value =
        serde_json::from_slice(&event_body(&many, &json!([event, event]), &sys("onEvents"), None)).unwrap();
    assert_eq!(body["Data"]["events"], json!(format!("[{event},{event}]")));
    assert_eq!(body["Metadata"]["data"], r#"[{"api":"PutBlob"},{"api":"PutBlob"}]"#);
}

#[test]
fn a_body_is_sent_in_small_pieces_of_random_size() {
    let body = Bytes::from(vec![7; 20_000]);
    let parts = chunks(&body);
    assert!(parts.iter().all(|part| (1..=512).contains(&part.len())));
    assert!(parts.windows(2).any(|pair| pair[0].len() != pair[1].len()));
    assert_eq!(parts.concat(), body);
}

/// The request as it is on the wire, seen by a handler that is a bare socket.
#[tokio::test]
async fn an_invocation_has_the_hosts_headers_and_a_chunked_body() {
    let app = App::new();
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    app.host_json(|json| json["customHandler"]["description"]["arguments"] = json!(["1000"]));
    let options = super::HostOptions {
        executable: Some("/bin/sleep".into()),
        handler_port: Some(socket.local_addr().unwrap().port()),
        ..app.options()
    };
    let reader = async {
        let mut connections = 0;
        let mut requests = Vec::new();
        while requests.len() < 3 {
            let (mut stream, _) = socket.accept().await.unwrap();
            connections += 1;
            let mut seen = Vec::new();
            while requests.len() < 3 {
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).await.unwrap();
                seen.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&seen).into_owned();
                if text.ends_with("\r\n0\r\n\r\n") || text.starts_with("GET") && text.ends_with("\r\n\r\n") {
                    requests.push(text);
                    seen.clear();
                    let answer =
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
                    stream.write_all(answer).await.unwrap();
                }
                if count == 0 {
                    break;
                }
            }
        }
        (connections, requests)
    };
    let caller = async {
        let host = super::Host::start(options).await.unwrap();
        let body = json!({"Data": {"event": {"x": "y".repeat(3_000)}}, "Metadata": {}}).to_string();
        host.invoke_raw("event", body.as_bytes()).await.unwrap();
        host.invoke_raw("event", body.as_bytes()).await.unwrap();
        host.invocations()
    };
    let ((connections, requests), done) = tokio::join!(reader, caller);
    assert_eq!(connections, 1, "one connection is kept");
    assert!(requests[0].starts_with("GET / HTTP/1.1\r\n"));
    let (head, body) = requests[1].split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> = head.lines().map(str::to_lowercase).collect();
    lines.sort();
    let id = &done[0].id;
    let port = socket.local_addr().unwrap().port();
    let mut expected = vec![
        "accept: */*".to_owned(),
        "content-type: application/json; charset=utf-8".to_owned(),
        format!("host: 127.0.0.1:{port}"),
        "post /event http/1.1".to_owned(),
        "transfer-encoding: chunked".to_owned(),
        "user-agent: azure-functions-host/4.1054.250.26428".to_owned(),
        format!("x-azure-functions-invocationid: {id}"),
        "x-azure-functions-hostversion: 4.1054.250.26428".to_owned(),
    ];
    expected.sort();
    assert_eq!(lines, expected);
    assert!(head.starts_with("POST /event HTTP/1.1"), "the path keeps its case");
    assert!(body.lines().count() > 8, "several chunks");
    assert_ne!(done[0].id, done[1].id);
}
