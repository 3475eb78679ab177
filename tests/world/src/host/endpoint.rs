//! The host's own listener: `/api/*`, the Event Grid webhook and the admin endpoints.

use super::delivery::Delivery;
use super::envelope::Sys;
use super::folder_queue::Message;
use super::functions::{Function, Trigger};
use super::http::{Incoming, Reply};
use super::queue::queue_body;
use super::shared::{Phase, Shared};
use super::timer::{TimerKind, info_of};
use super::{eventgrid, process, query};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// The default of `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`.
const BODY_LIMIT: usize = 104_857_600;

pub(super) async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let reply = if shared.is_stopping() {
        Reply::empty(StatusCode::SERVICE_UNAVAILABLE)
    } else {
        match to_bytes(body, BODY_LIMIT).await {
            Ok(body) => {
                let incoming =
                    Incoming { method: parts.method, uri: parts.uri, headers: parts.headers, body };
                answer(&shared, incoming).await
            }
            Err(_) => Reply::empty(StatusCode::PAYLOAD_TOO_LARGE),
        }
    };
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = reply.status;
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn json_reply(status: StatusCode, value: &Value) -> Reply {
    Reply {
        status,
        headers: vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())],
        body: Bytes::from(value.to_string()),
    }
}

async fn answer(shared: &Arc<Shared>, incoming: Incoming) -> Reply {
    let path = incoming.uri.path().to_owned();
    let keyed = has_key(shared, &incoming);
    if path.eq_ignore_ascii_case("/runtime/webhooks/EventGrid") {
        if !keyed {
            return Reply::empty(StatusCode::UNAUTHORIZED);
        }
        return webhook(shared, &incoming).await;
    }
    if let Some(admin) = path.strip_prefix("/admin/") {
        if !keyed {
            return Reply::empty(StatusCode::UNAUTHORIZED);
        }
        return admin_reply(shared, admin, &incoming).await;
    }
    let Some((function, params)) = shared.route(&incoming.method, &path) else {
        let home = path == "/" && incoming.method == Method::GET;
        return Reply::empty(if home { StatusCode::OK } else { StatusCode::NOT_FOUND });
    };
    if !keyed && !matches!(function.trigger, Trigger::Http { anonymous: true, .. }) {
        return Reply::empty(StatusCode::UNAUTHORIZED);
    }
    let running = Arc::clone(shared);
    let done = shared.detached(async move { running.serve_http(&function, &params, &incoming).await }).await;
    done.unwrap_or_else(|| Reply::empty(StatusCode::SERVICE_UNAVAILABLE))
}

fn has_key(shared: &Shared, incoming: &Incoming) -> bool {
    let Some(key) = &shared.options.function_key else { return true };
    let given = query_value(incoming, "code");
    header(&incoming.headers, "x-functions-key") == Some(key) || given.as_ref() == Some(key)
}

fn query_value(incoming: &Incoming, name: &str) -> Option<String> {
    let pairs = query::parse(incoming.uri.query().unwrap_or_default());
    pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

async fn webhook(shared: &Arc<Shared>, incoming: &Incoming) -> Reply {
    let name = query_value(incoming, "functionName");
    let kind = header(&incoming.headers, "aeg-event-type");
    let (status, text) = shared.webhook(name.as_deref(), kind, &incoming.body).await;
    Reply { status, headers: Vec::new(), body: Bytes::from(text) }
}

async fn admin_reply(shared: &Arc<Shared>, path: &str, incoming: &Incoming) -> Reply {
    let post = incoming.method == Method::POST;
    match path {
        "host/status" => {
            let state = match &*shared.phase.borrow() {
                Phase::Stopped { .. } => "Error",
                _ => "Running",
            };
            json_reply(
                StatusCode::OK,
                &json!({"id": "world", "state": state, "version": process::HOST_VERSION}),
            )
        }
        "host/ping" => {
            shared.ping().await;
            Reply::empty(StatusCode::OK)
        }
        "functions" => {
            let names: Vec<Value> = shared.functions.good.keys().map(|name| json!({"name": name})).collect();
            json_reply(StatusCode::OK, &Value::Array(names))
        }
        _ => match path.strip_prefix("functions/").and_then(|name| find(shared, name)) {
            Some(function) if post => run_by_hand(shared, function, &incoming.body),
            Some(function) => json_reply(StatusCode::OK, &json!({"name": function.name})),
            None => Reply::empty(StatusCode::NOT_FOUND),
        },
    }
}

fn find(shared: &Shared, name: &str) -> Option<Function> {
    shared.functions.good.values().find(|function| function.name.eq_ignore_ascii_case(name)).cloned()
}

/// Bypasses the listener, so a timer that is run by hand can overlap a scheduled run. The result is only in the logs.
fn run_by_hand(shared: &Arc<Shared>, function: Function, body: &[u8]) -> Reply {
    let Ok(Value::Object(given)) = serde_json::from_slice(body) else {
        return Reply::empty(StatusCode::BAD_REQUEST);
    };
    let input = match given.get("input") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let running = Arc::clone(shared);
    shared.spawn(async move {
        match &function.trigger {
            Trigger::Timer { use_monitor, .. } => {
                // The stored status: for a run by hand `Next` is the upcoming occurrence.
                let kind = if *use_monitor { TimerKind::First } else { TimerKind::NoMonitor };
                running.run_timer(&function, info_of(&function, kind, Timestamp::now())).await;
            }
            Trigger::Queue { .. } => {
                let now = Timestamp::now();
                let message = Message {
                    id: uuid::Uuid::new_v4().simple().to_string(),
                    visible_at_ms: now.as_millisecond(),
                    dequeue_count: 1,
                    text: input,
                    inserted: now,
                };
                running
                    .invoke(
                        &function,
                        queue_body(&function, &Delivery::from(&message), &Sys::now(&function.name)),
                        1,
                    )
                    .await;
            }
            Trigger::EventGrid { .. } => {
                let event = serde_json::from_str(&input).unwrap_or(Value::String(input));
                let body = eventgrid::event_body(&function, &event, &Sys::now(&function.name), None);
                running.invoke(&function, body, 1).await;
            }
            Trigger::Http { .. } => {
                let uri =
                    format!("/{}/{}", running.config.route_prefix, function.name).parse().unwrap_or_default();
                let incoming = Incoming {
                    method: Method::POST,
                    uri,
                    headers: HeaderMap::new(),
                    body: Bytes::from(input),
                };
                running.serve_http(&function, &serde_json::Map::new(), &incoming).await;
            }
        }
    });
    Reply::empty(StatusCode::ACCEPTED)
}
