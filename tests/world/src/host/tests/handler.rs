//! The handler that the tests start. The trigger's value tells it what to do.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Arguments that make this test executable the handler.
pub(super) fn arguments() -> Vec<String> {
    let path = module_path!().split_once("::").unwrap().1;
    vec![format!("{path}::a_host_starts_this_test_as_its_handler"), "--exact".into(), "--nocapture".into()]
}

#[tokio::test]
async fn a_host_starts_this_test_as_its_handler() {
    let Ok(port) = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT") else { return };
    let play = std::env::var("PLAY").unwrap_or_default();
    match play.as_str() {
        "crash" => {
            eprintln!("cannot start: no configuration");
            std::process::exit(3);
        }
        "deaf" => tokio::time::sleep(Duration::from_mins(1)).await,
        _ => {}
    }
    let address = if play == "everywhere" { "0.0.0.0" } else { "127.0.0.1" };
    let Ok(listener) = tokio::net::TcpListener::bind(format!("{address}:{port}")).await else {
        eprintln!("port {port} is taken");
        std::process::exit(4);
    };
    println!("listening");
    axum::serve(listener, axum::Router::new().fallback(answer)).await.unwrap();
}

async fn answer(request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let headers: Vec<Value> =
        parts.headers.iter().map(|(name, value)| json!([name.as_str(), value.to_str().unwrap()])).collect();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_else(|_| Bytes::new());
    if parts.uri.path() == "/" {
        return reply(StatusCode::NOT_FOUND, "text/plain", "");
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    let seen = json!({"method": parts.method.as_str(), "uri": parts.uri.to_string(), "headers": headers, "body": text});
    if parts.uri.path().starts_with("/api/") {
        let status = if parts.uri.path().contains("teapot") { 418 } else { 200 };
        return reply(StatusCode::from_u16(status).unwrap(), "application/json", &seen.to_string());
    }
    let envelope: Value = serde_json::from_slice(&body).unwrap();
    let value = envelope["Data"].as_object().unwrap().values().next().unwrap().clone();
    let wish = match &value {
        Value::String(text) => serde_json::from_str::<String>(text).unwrap_or_default(),
        value => value["data"]["wish"].as_str().unwrap_or_default().to_owned(),
    };
    let (wish, number) = wish.split_once(':').unwrap_or((&wish, "0"));
    match wish {
        "fail" => reply(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "{}"),
        "null" => reply(StatusCode::OK, "application/json", "null"),
        "empty" => reply(StatusCode::NO_CONTENT, "application/json", ""),
        "plain" => reply(StatusCode::OK, "text/plain", "{}"),
        "exit" => std::process::exit(number.parse().unwrap()),
        "out" => ok(&json!({"Outputs": {"next": ["{\"a\":1}", "plain text"]}, "ReturnValue": null})),
        _ => {
            if wish == "stderr" {
                eprintln!("something is wrong");
            }
            tokio::time::sleep(Duration::from_millis(if wish == "sleep" {
                number.parse().unwrap()
            } else {
                0
            }))
            .await;
            ok(&json!({"Outputs": {}, "Logs": ["seen"], "ReturnValue": seen}))
        }
    }
}

fn ok(value: &Value) -> Response<Body> {
    reply(StatusCode::OK, "application/json", &value.to_string())
}

fn reply(status: StatusCode, content_type: &str, body: &str) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(Body::from(body.to_owned()))
        .unwrap()
}
