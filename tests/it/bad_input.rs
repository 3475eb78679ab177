//! Bad requests to the real binary, at its own port: each gets a clear answer, nothing is lost, the process lives, and it does
//! the main job afterwards.

mod heavy;
mod said_nothing;
mod sync;

use crate::stage::{Stage, names_in};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use world::events;
use world::host::Host;

const VENDING: &str = "/subscriptions/00000000-0000-0000-0000-00000000feed/resourceGroups/r/providers/Microsoft.EventGrid/topics/vending";
const FUNCTIONS: [&str; 5] = ["schedule", "subscription-event", "secret-event", "cycle", "cycle-poison"];
const MIB: usize = 1024 * 1024;

/// An answer.
struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {}", self.status, self.text))
    }

    /// The detail of a problem document with this status.
    fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        problem["detail"].as_str().unwrap().to_owned()
    }
}

struct Door {
    http: Client,
    url: String,
}

impl Door {
    fn of(host: &Host) -> Self {
        Self { http: Client::new(), url: format!("http://127.0.0.1:{}", host.handler_port()) }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &[u8])],
        body: impl Into<Vec<u8>>,
    ) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).body(body.into());
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request = request.header(name, HeaderValue::from_bytes(value).unwrap());
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Reply { status, headers, text: answer.text().await.unwrap() }
    }

    async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        self.ask(Method::POST, path, &[], body).await
    }
}

/// It is still the same process, and it does its work.
async fn still_works(stage: &Stage, host: &Host, pid: Option<u32>) {
    let new = stage.world.subscription("afterwards").with_machines(2);
    let event = events::vending(VENDING, &new, stage.now());
    assert_eq!(host.deliver("subscription-event", &[event]).await, 202);
    stage.wait_for_machines(&[(new.id().to_owned(), 2)]).await;
    stage.wait_for_empty_inbox().await;
    assert_eq!(host.handler_pid(), pid, "the same process all along");
    stage.assert_clean(host).await;
}

fn stage() -> Stage {
    let stage = Stage::new().set("EVENT_SOURCES", VENDING);
    stage.world.subscription("a");
    stage
}

fn deep(before: &str, after: &str) -> Vec<u8> {
    format!("{before}{}{}{after}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes()
}

#[tokio::test]
async fn every_function_answers_any_body_records_it_and_lives() {
    let stage = stage();
    let host = stage.host().await;
    let (pid, door) = (host.handler_pid(), Door::of(&host));
    let text =
        |inner: &[u8]| json!({ "Data": { "x": String::from_utf8_lossy(inner) } }).to_string().into_bytes();
    // A body, and why a function that needs an envelope cannot use it; none if it is an envelope.
    let bodies: [(Vec<u8>, Option<&str>); 11] = [
        (vec![], Some("not an invocation (Eof error")),
        (b"{\"Data\":".to_vec(), Some("not an invocation (Eof error")),
        (b"<Data/>".to_vec(), Some("not an invocation (Syntax error at line 1, column 1")),
        (b"{\"Data\":{\"x\":\"\xff\xfe\"}}".to_vec(), Some("not an invocation (Syntax error")),
        (deep("", ""), Some("not an invocation (Data error")),
        (deep("{\"Data\":{\"x\":", "}}"), None),
        (vec![b' '; 8 * MIB + 1], Some("a body of 8388609 bytes, which is more than the 8388608 allowed")),
        (vec![b'['; 20 * MIB], Some("a body of 20971520 bytes, which is more than the 8388608 allowed")),
        (vec![b' '; 8 * MIB], Some("not an invocation (Eof error")),
        (text(&deep("", "")), None),
        (json!({ "Data": { "x": "y".repeat(MIB) } }).to_string().into_bytes(), None),
    ];
    let mut poison = 0;
    for function in FUNCTIONS {
        for (body, why) in &bodies {
            let answer = door.post(&format!("/{function}"), body.clone()).await;
            assert_eq!(answer.status, 200, "{function}: {}", answer.text);
            let answer = answer.json();
            assert!(answer["Outputs"].is_object() && answer.get("ReturnValue").is_some(), "{answer}");
            let said = answer["Logs"][0].as_str().unwrap();
            let needs_it = function != "schedule";
            poison += usize::from(needs_it && (why.is_some() || function.starts_with("cycle")));
            match (function, why) {
                ("schedule", _) => assert_eq!(said, "inbox items left: 1"),
                ("cycle-poison", _) => assert!(said.starts_with("recorded: "), "{said}"),
                (_, Some(why)) => assert!(said.starts_with("recorded: ") && said.contains(why), "{said}"),
                ("cycle", None) => assert_eq!(said, "recorded: a message that is not a wake-up"),
                (_, None) => assert_eq!(said, "inbox items left: 0"),
            }
        }
    }
    let written = names_in(&stage.control("poison"));
    assert_eq!(written.len(), poison, "each one is recorded");
    let sizes: Vec<_> = written
        .iter()
        .map(|name| stage.json(&format!("poison/{name}")).unwrap()["size_bytes"].clone())
        .collect();
    assert!(sizes.contains(&json!(20 * MIB)));
    still_works(&stage, &host, pid).await;
}

#[tokio::test]
async fn methods_content_types_and_headers_that_nobody_should_send_do_no_harm() {
    let stage = stage();
    let host = stage.host().await;
    let (pid, door) = (host.handler_pid(), Door::of(&host));
    let odd: [&[(&str, &[u8])]; 6] = [
        &[("content-type", b"image/png")],
        &[("content-type", b";;=\xff")],
        &[("content-type", b"application/json"), ("content-type", b"text/plain")],
        &[("x-azure-functions-invocationid", b"\xff../../\"x")],
        &[("content-encoding", b"gzip"), ("accept", b"\xff")],
        &[("cookie", &[b'x'; 6000]), ("accept", b"text/html;q=nan,,")],
    ];
    for headers in odd {
        for function in FUNCTIONS {
            let answer = door.ask(Method::POST, &format!("/{function}"), headers, "{}").await;
            assert_eq!(answer.status, 200, "{function}: {}", answer.text);
            assert!(answer.json()["Outputs"].is_object());
        }
        assert_eq!(door.ask(Method::POST, "/api/sync", headers, "{\"plan_only\": true}").await.status, 202);
        for path in ["/api/status", "/api/plan"] {
            assert!(door.ask(Method::GET, path, headers, "").await.json()["tenants"].is_array());
        }
    }
    let functions = FUNCTIONS.map(|name| format!("/{name}"));
    let routes = functions.iter().map(|path| (path.as_str(), "POST"));
    let api = [
        ("/api/sync", "POST"),
        ("/api/requests/20261123T040500Z-1f2e3d4c", "GET,HEAD"),
        ("/api/status", "GET,HEAD"),
        ("/api/plan", "GET,HEAD"),
    ];
    for (path, allowed) in routes.chain(api) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            if allowed.contains(method) {
                continue;
            }
            let answer = door.ask(method.parse().unwrap(), path, &[], "{}").await;
            let method = allowed.split(',').next().unwrap();
            assert!(answer.problem(405).contains(&format!("Method not allowed: use {method}")));
            assert_eq!(answer.headers["allow"], allowed, "{method} {path}");
        }
    }
    for path in [
        "/api",
        "/api/",
        "/api/sync/",
        "//api/sync",
        "/API/SYNC",
        "/api/requests",
        "/api/requests/",
        "/admin",
        "/%00",
        "/%ff",
        "/..%2f",
    ] {
        for method in [Method::GET, Method::POST] {
            let said = door.ask(method, path, &[], "").await.problem(404);
            assert!(said.contains("try POST /api/sync, GET /api/requests/{id}"), "{path}: {said}");
        }
    }
    for id in ["%ff", "%00", "..%2Fstate", "20261123T040500Z-1f2e3d4c", &"x".repeat(4000)] {
        let said = door.ask(Method::GET, &format!("/api/requests/{id}"), &[], "").await.problem(404);
        assert!(
            said.contains("no such request; POST /api/sync answers with the address of each new one"),
            "{said}"
        );
    }
    still_works(&stage, &host, pid).await;
}
