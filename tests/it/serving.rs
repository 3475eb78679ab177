//! `serve` without a Functions host: who reaches it, and what connections may cost.

use crate::stage::{Stage, until_closed};
use reqwest::{Client, Method};
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

/// The status and the content type of an answer.
async fn status(url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = Client::new().request(Method::GET, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), kind)
}

#[tokio::test]
async fn on_this_machine_only_its_own_names_are_answered_and_no_web_page() {
    let stage = Stage::new().set("MODE", "paused");
    let served = stage.serve(256).await;
    let problem = |status| (status, "application/problem+json".to_owned());
    for path in ["/", "/api/status", "/api/plan", "/nowhere"] {
        let url = served.url(path);
        for host in ["rebound.example", "rebound.example:7071", "127.0.0.1.rebound.example", "10.0.0.1"] {
            assert_eq!(status(&url, &[("host", host)]).await, problem(421), "{host} {path}");
        }
        for origin in ["http://127.0.0.1:7071", "https://page.example", "null"] {
            assert_eq!(status(&url, &[("origin", origin)]).await, problem(403), "{origin} {path}");
        }
    }
    for host in ["localhost", "LOCALHOST:1", "[::1]:7071", "127.0.0.1"] {
        assert_eq!(status(&served.url("/api/status"), &[("host", host)]).await.0, 200, "{host}");
    }
    let mut old = TcpStream::connect(("127.0.0.1", served.port)).await.unwrap();
    old.write_all(b"GET /api/status HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut old).await.starts_with("HTTP/1.0 421"), "no name is no name of this machine");
}

#[tokio::test]
async fn under_the_host_any_name_is_answered_and_no_web_page() {
    let stage = Stage::new().set("MODE", "paused");
    let host = stage.host().await;
    let url = format!("http://127.0.0.1:{}/api/status", host.handler_port());
    assert_eq!(status(&url, &[("host", "app.azurewebsites.net")]).await.0, 200);
    let page = [("host", "app.azurewebsites.net"), ("origin", "https://portal.azure.com")];
    assert_eq!(status(&url, &page).await, (403, "application/problem+json".to_owned()));
}

#[tokio::test]
async fn the_scheme_of_the_token_may_have_any_case_and_a_page_needs_more_than_a_token() {
    let stage = Stage::new().set("MODE", "paused").set("API_TOKEN", "t0ken-of-the-api");
    // With a token any name may be used: it is what callers from other machines call it.
    let served = stage.serve_on("0.0.0.0", 256).await;
    let url = served.url("/api/status");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let token = format!("{scheme} t0ken-of-the-api");
        let headers = [("authorization", token.as_str()), ("host", "inventory.example")];
        assert_eq!(status(&url, &headers).await.0, 200, "{scheme}");
        let page = [("authorization", token.as_str()), ("origin", "https://page.example")];
        assert_eq!(status(&url, &page).await.0, 403, "{scheme}");
    }
    for wrong in
        ["Basic t0ken-of-the-api", "t0ken-of-the-api", "Bearer t0ken", "Bearer", "Bearer t0ken-of-the-api x"]
    {
        assert_eq!(status(&url, &[("authorization", wrong)]).await.0, 401, "{wrong}");
    }
}
