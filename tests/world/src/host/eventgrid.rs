//! Event Grid: the host's webhook, and Event Grid's side, which delivers and repeats deliveries.

use super::envelope::{Metadata, RetryContext, Sys, body, encode, reformat_dates};
use super::functions::{Function, Trigger};
use super::shared::Shared;
use axum::http::StatusCode;
use bytes::Bytes;
use futures::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn event_body(
    function: &Function,
    event: &Value,
    sys: &Sys,
    retry: Option<RetryContext>,
) -> Bytes {
    let mut event = event.clone();
    reformat_dates(&mut event);
    let data = match &event {
        Value::Array(events) => {
            Some(Value::Array(events.iter().map(|event| event["data"].clone()).collect()))
        }
        event => event.get("data").filter(|data| !data.is_null()).cloned(),
    };
    let mut metadata = Metadata::default();
    if let Some(data) = data {
        metadata.set("data", encode(&data));
    }
    metadata.sys(sys);
    metadata.retry(&function.name, retry);
    body(&function.binding, encode(&event), metadata)
}

impl Shared {
    /// The webhook's status and body.
    pub(super) async fn webhook(
        self: &Arc<Self>,
        function: Option<&str>,
        kind: Option<&str>,
        body: &[u8],
    ) -> (StatusCode, String) {
        let found = function
            .and_then(|name| self.functions.good.values().find(|f| f.name.eq_ignore_ascii_case(name)));
        let Some((function, Trigger::EventGrid { many })) =
            found.map(|function| (function, &function.trigger))
        else {
            return (
                StatusCode::NOT_FOUND,
                format!("cannot find function: '{}'", function.unwrap_or_default()),
            );
        };
        match kind {
            Some(kind) if kind.eq_ignore_ascii_case("Unsubscribe") => (StatusCode::ACCEPTED, String::new()),
            Some(kind) if kind.eq_ignore_ascii_case("SubscriptionValidation") => validation(body),
            Some(kind) if kind.eq_ignore_ascii_case("Notification") => {
                let Some(events) = events(body) else { return (StatusCode::BAD_REQUEST, String::new()) };
                let (shared, function, many) = (Arc::clone(self), function.clone(), *many);
                // If the caller stops waiting, the invocations go on. That is how duplicates arise.
                let done = self.detached(async move { shared.notify(&function, events, many).await }).await;
                done.unwrap_or((StatusCode::SERVICE_UNAVAILABLE, String::new()))
            }
            _ => (StatusCode::BAD_REQUEST, String::new()),
        }
    }

    async fn notify(
        self: &Arc<Self>,
        function: &Function,
        events: Vec<Value>,
        many: bool,
    ) -> (StatusCode, String) {
        let values = if many { vec![Value::Array(events)] } else { events };
        let calls = values.iter().map(|value| {
            self.invoke_with_retry(function, 1, move |sys, retry| event_body(function, value, sys, retry))
        });
        if join_all(calls).await.iter().all(super::record::Invocation::succeeded) {
            (StatusCode::ACCEPTED, String::new())
        } else {
            let text = format!("Exception while executing function: Functions.{}", function.name);
            (StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

/// An array of events, or a single one.
fn events(body: &[u8]) -> Option<Vec<Value>> {
    match serde_json::from_slice(body).ok()? {
        Value::Array(events) => Some(events),
        event @ Value::Object(_) => Some(vec![event]),
        _ => None,
    }
}

fn validation(body: &[u8]) -> (StatusCode, String) {
    let code =
        events(body).and_then(|events| Some(events.first()?["data"]["validationCode"].as_str()?.to_owned()));
    match code {
        Some(code) => (StatusCode::OK, json!({"validationResponse": code}).to_string()),
        None => (StatusCode::BAD_REQUEST, String::new()),
    }
}
