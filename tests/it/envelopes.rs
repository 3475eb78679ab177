//! Every invocation that the host may send is decoded, and gets the right answer from the real binary.

use crate::stage::{LIMIT, Stage, names_in};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/functions");
    let names = names_in(&folder).into_iter().filter(|name| name.ends_with(".request.json"));
    names.map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect()
}

#[tokio::test]
async fn every_invocation_is_answered_whatever_its_binding_is_called() {
    let stage = Stage::new();
    stage.world.subscription("a");
    let host = stage.host().await;
    let fixtures = fixtures();
    assert!(fixtures.len() >= 15);
    let mut messages = 0;
    for (name, body) in fixtures {
        messages += usize::from(name.starts_with("queue"));
        let (kind, _) = name.split_once('-').unwrap();
        let (function, wanted) = match kind {
            "timer" => ("schedule", "inbox items left: 1"),
            "eventgrid" => ("subscription-event", "inbox items left: 0"),
            "queue" => ("cycle", "recorded: a message that is not a wake-up"),
            // The host forwards HTTP instead. A test beside the decoder shows that this form is decoded, too.
            "http" => continue,
            _ => panic!("{name}"),
        };
        let answer = host.invoke_raw(function, &body).await.unwrap();
        assert_eq!(answer.status, 200, "{name}");
        let body: Value = answer.json().unwrap();
        assert_eq!(body["Logs"], json!([wanted]), "{name}");
        assert!(body.get("Outputs").is_some() && body.get("ReturnValue").is_some());
    }
    assert_eq!(
        names_in(&stage.control("poison")).len(),
        messages,
        "each message that is not a wake-up is recorded"
    );
    stage.assert_clean(&host).await;
}

#[tokio::test]
async fn whatever_arrives_on_any_route_there_is_an_answer_and_the_process_lives() {
    let stage = Stage::new();
    stage.world.subscription("a");
    let host = stage.host().await;
    let pid = host.handler_pid();
    let deep = format!("{{\"Data\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    let bodies: [&[u8]; 8] = [
        b"",
        b"null",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b"{\"Data\":null}",
        b"{\"Data\":{\"x\":\"\\\"not json\"},\"Metadata\":7}",
        deep.as_bytes(),
    ];
    for function in ["schedule", "subscription-event", "secret-event", "cycle", "cycle-poison"] {
        for body in bodies {
            let answer = host.invoke_raw(function, body).await.unwrap();
            assert_eq!(
                answer.status,
                200,
                "{function}: {}",
                String::from_utf8_lossy(&body[..body.len().min(40)])
            );
            assert!(answer.json().unwrap().is_object());
        }
    }
    let http = reqwest::Client::new();
    let sync = format!("{}/api/sync", host.url());
    for (query, body, detail) in [
        ("?subscription=x", "", "`subscription`: `x` is not a subscription id"),
        ("?subscripton=1", "", "unknown parameter; the parameters are"),
        ("?tenant=11111111-2222-3333-4444-555555555555", "", "not a directory that this deployment watches"),
        ("?snapshot=maybe", "", "`snapshot` must be true or false"),
        ("", "{\"snapshot\":", "the body is not JSON (line 1, column 12)"),
        ("", "[]", "not a JSON object"),
        ("", "{\"plan_only\":\"yes\"}", "`plan_only` has a value of the wrong type"),
        ("", "{\"subscription\":[1]}", "`subscription` must be a string or a list of strings"),
        ("", "{\"x\":1}", "unknown parameter; the parameters are"),
    ] {
        let answer = http.post(format!("{sync}{query}")).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{query}{body}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
    }
    for id in ["x", "20261123T040500Z-1f2e3d4c", "..%2F..%2Fstate"] {
        assert_eq!(
            http.get(format!("{}/api/requests/{id}", host.url())).send().await.unwrap().status(),
            404,
            "{id}"
        );
    }
    assert_eq!(host.handler_pid(), pid, "the same process all along");
    host.assert_no_secret(&stage.world.secrets());
}

#[tokio::test]
async fn a_manual_sync_takes_repeated_subscriptions_as_the_host_joins_them() {
    let stage = Stage::new();
    let (a, b) = (stage.world.subscription("a"), stage.world.subscription("b"));
    let host = stage.host().await;
    let url =
        format!("{}/api/sync?subscription={}&subscription={}&snapshot&code=key", host.url(), a.id(), b.id());
    let answer = reqwest::Client::new().post(url).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(
        body["asked"],
        json!({ "all": false, "subscriptions": [a.id(), b.id()], "snapshot": true, "plan_only": false })
    );
}

#[tokio::test]
async fn a_request_that_comes_in_slow_pieces_is_answered_and_the_connection_lives() {
    use tokio::io::AsyncWriteExt;
    let stage = Stage::new();
    stage.world.subscription("a");
    let host = stage.host().await;
    let mut connection = TcpStream::connect(("127.0.0.1", host.handler_port())).await.unwrap();
    for function in ["schedule", "subscription-event", "secret-event", "cycle", "cycle-poison", "schedule"] {
        let head = format!("POST /{function} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in [head.as_str(), "8\r\n{\"Data\":\r\n", "3\r\n{}}\r\n", "0\r\n\r\n"] {
            connection.write_all(piece.as_bytes()).await.unwrap();
            // A pause, so that each piece travels alone.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        let answer = tokio::time::timeout(LIMIT, whole_answer(&mut connection)).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && !answer.to_lowercase().contains("connection: close"),
            "{answer}"
        );
    }
}

/// An answer to its last byte, by its `Content-Length`; it may arrive in several pieces.
async fn whole_answer(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
            if body.len() >= length.trim().parse().unwrap() {
                return text;
            }
        }
        assert_ne!(connection.read_buf(&mut bytes).await.unwrap(), 0, "closed after: {text}");
    }
}
