//! `serve` without a Functions host: who reaches it, and what connections may cost.

use crate::stage::{Stage, until_closed};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn connections_that_say_nothing_stop_neither_http_nor_the_queue() {
    let stage = Stage::new().set("MODE", "observe");
    stage.world.subscription("a");
    let mut served = stage.serve(256).await;
    let mut silent = Vec::new();
    for number in 0..300 {
        let mut connection = TcpStream::connect(("127.0.0.1", served.port)).await.unwrap();
        // Some say nothing, some stop in the middle of a header.
        if number % 2 == 0 {
            connection.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ").await.unwrap();
        }
        silent.push(connection);
    }
    stage
        .wait("an answer beside the silent connections", async || served.answers().await.then_some(()))
        .await;
    let http = reqwest::Client::new();
    let asked = http.post(served.url("/api/sync?plan_only=true")).send().await.unwrap();
    assert_eq!(asked.status(), 202);
    let place = asked.headers()["location"].to_str().unwrap().to_owned();
    let done = async || {
        let answer = http.get(served.url(&place)).send().await.ok()?.text().await.ok()?;
        (serde_json::from_str::<Value>(&answer).ok()?["state"] == "done").then_some(())
    };
    stage.wait("the queue to be delivered and the request to be done", done).await;
    for connection in &mut silent {
        assert_eq!(until_closed(connection).await, "", "closed without an answer");
    }
    assert!(served.runs());
}
