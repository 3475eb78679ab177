//! HTTP functions: forwarded and in envelopes.

use super::super::{ChunkedBody, Host, HostOptions, process::client};
use super::App;
use serde_json::{Value, json};

fn app() -> App {
    let app = App::new();
    app.function(
        "jobs",
        &[
            json!({"type": "httpTrigger", "direction": "in", "name": "req", "methods": ["get", "post"], "route": "jobs/{id?}"}),
            json!({"type": "http", "direction": "out", "name": "res"}),
        ],
    );
    app
}

fn header<'a>(seen: &'a Value, name: &str) -> Option<&'a str> {
    seen["headers"].as_array()?.iter().find(|pair| pair[0] == name)?[1].as_str()
}

#[tokio::test]
async fn a_forwarded_request_keeps_its_path_and_joins_repeated_query_keys() {
    let host = app().start().await;
    let url = format!("{}/api/jobs/4%202?a=1&a=2&b=%2F", host.url());
    let request =
        client(None).post(&url).header("user-agent", "test/1").header("content-encoding", "x").body("hello");
    let seen: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((&seen["method"], &seen["uri"]), (&json!("POST"), &json!("/api/jobs/4%202?a=1,2&b=%2F")));
    assert_eq!(seen["body"], "hello");
    assert_eq!(header(&seen, "content-length"), Some("5"));
    assert_eq!(header(&seen, "content-encoding"), None);
    assert_eq!(header(&seen, "user-agent"), Some("test/1 Azure-Functions-Host/4.1054.250.26428"));
    assert_eq!(header(&seen, "host"), Some(host.url().trim_start_matches("http://")));
    let done = host.invocations();
    assert_eq!(header(&seen, "x-azure-functions-invocationid"), Some(done[0].id.as_str()));
    host.assert_clean();
}

#[tokio::test]
async fn whatever_the_handler_answers_is_passed_on_and_counts_as_a_success() {
    let host = app().start().await;
    let answer = client(None).get(format!("{}/api/jobs/teapot", host.url())).send().await.unwrap();
    assert_eq!(answer.status(), 418);
    assert!(host.invocations()[0].succeeded());
}

#[tokio::test]
async fn other_routes_and_methods_never_reach_the_handler() {
    let host = app().start().await;
    for (method, path, status) in [
        ("PUT", "/api/jobs", 404),
        ("GET", "/jobs", 404),
        ("GET", "/api/other", 404),
        ("GET", "/api/jobs", 200),
    ] {
        let url = format!("{}{path}", host.url());
        let answer = client(None).request(method.parse().unwrap(), url).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
    }
    assert_eq!(host.invocations().len(), 1);
}

#[tokio::test]
async fn a_body_without_a_length_is_lost() {
    let app = app();
    let chunked = || reqwest::Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>("hello")]));
    let host = app.start().await;
    let url = format!("{}/api/jobs", host.url());
    let seen: Value = client(None).post(&url).body(chunked()).send().await.unwrap().json().await.unwrap();
    assert_eq!(seen["body"], "");
    let host = Host::start(HostOptions { chunked: ChunkedBody::Refused, ..app.options() }).await.unwrap();
    let url = format!("{}/api/jobs", host.url());
    assert_eq!(client(None).post(&url).body(chunked()).send().await.unwrap().status(), 500);
}

#[tokio::test]
async fn without_forwarding_a_request_comes_in_an_envelope() {
    let app = app();
    app.host_json(|json| json["customHandler"]["enableForwardingHttpRequest"] = json!(false));
    let host = app.start().await;
    let url = format!("{}/api/jobs/42?tag=a&tag=b", host.url());
    let answer = client(None).post(&url).body("hello").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let done = host.invocations();
    let seen = &done[0].answer.as_ref().unwrap().json().unwrap()["ReturnValue"];
    assert_eq!(seen["uri"], "/jobs");
    let envelope: Value = serde_json::from_str(seen["body"].as_str().unwrap()).unwrap();
    let request = &envelope["Data"]["req"];
    assert_eq!(request["Body"], "hello");
    assert_eq!(request["Params"], json!({"id": "42"}));
    assert_eq!(request["Query"], json!({"tag": "a,b"}));
    assert_eq!(request["Url"], url);
    assert_eq!(envelope["Metadata"]["tag"], "\"a,b\"");
}
