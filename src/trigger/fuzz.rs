//! Requests from the Functions host, Event Grid and people, as anyone may have written them.

#![expect(clippy::unwrap_used, reason = "as in tests: a broken assumption must end the run")]

use super::api::SyncParameters;
use super::events::{self, EventSubject};
use crate::assertions::{assert_discreet, assert_survives, head};
use crate::host::{Invocation, invocation_id};
use crate::model::TenantId;
use crate::queue::WakeUp;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

fn tenant() -> TenantId {
    TenantId::new(Uuid::from_u128(1))
}

fn invocation(body: impl Into<Bytes>) -> Option<Invocation> {
    Invocation::parse(&HeaderMap::new(), &body.into()).ok()
}

/// An invocation. Its first bytes also serve as its id.
pub(crate) fn envelope(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    if let Ok(id) = HeaderValue::from_bytes(&bytes[..bytes.len().min(100)]) {
        headers.insert("x-azure-functions-invocationid", id);
    }
    let id = invocation_id(&headers);
    assert!(id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    let read = match Invocation::parse(&headers, &Bytes::copy_from_slice(bytes)) {
        Ok(read) => read,
        Err(why) => return assert_discreet(&why),
    };
    let _ = read.dequeue_count();
    let wake_up = |read: &Invocation| WakeUp::parse(&read.payload().unwrap_or(Value::Null).to_string());
    if let Ok(message) = wake_up(&read) {
        let sent = json!({ "Data": { "wakeUp": message } }).to_string();
        assert_eq!(wake_up(&invocation(sent).unwrap()), Ok(message));
    }
    let Some(payload) = read.payload().filter(|payload| !payload.is_string() && is_exact(payload)) else {
        return;
    };
    for data in [payload.clone(), payload.to_string().into()] {
        let wrapped = json!({ "Data": { "any": data } }).to_string();
        // The parser limits the depth, and an envelope adds to it.
        if let Some(again) = invocation(wrapped) {
            assert_eq!(again.payload(), Some(payload.clone()));
        }
    }
}

/// Whether it prints as it was read: a fraction may lose its last digit.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

pub(crate) fn event(bytes: &[u8]) {
    let wrapped = invocation(bytes.to_vec()).and_then(|invocation| invocation.payload());
    let Some(payload) = wrapped.or_else(|| serde_json::from_slice(bytes).ok()) else { return };
    let found = events::all(&payload);
    assert_eq!(found.len(), payload.as_array().map_or(1, Vec::len));
    for event in found.into_iter().flatten() {
        let kind = event.kind_for_log();
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        assert!(kind.len() <= 100 && kind.chars().all(named), "{kind}");
        assert!(!event.is_from(&[]));
        match events::about_subscriptions(&event, tenant()) {
            // The id is in the event; it was not made up.
            EventSubject::Subscription(id) => {
                assert!(payload.to_string().to_ascii_lowercase().contains(&id.to_string()), "{id}");
            }
            EventSubject::Ignored(why) => assert_discreet(&why),
            EventSubject::Secret => unreachable!("not asked for"),
        }
        match events::about_secrets(&event, tenant()) {
            EventSubject::Secret => {
                assert!(kind.to_ascii_lowercase().starts_with("microsoft.keyvault.secret"));
            }
            EventSubject::Ignored(why) => assert_discreet(&why),
            EventSubject::Subscription(_) => unreachable!("not asked for"),
        }
    }
}

pub(crate) fn request(bytes: &[u8]) {
    /// An error repeats the start of one id, and says what an id looks like.
    const LONGEST: usize = 400;
    let (query, body) = head(bytes);
    match SyncParameters::read(&query, body).and_then(|parameters| parameters.asked(tenant())) {
        Ok(asked) => {
            assert_survives(&asked);
            assert!(asked.subscriptions.len() <= 1000);
            assert!(asked.all || asked.snapshot || !asked.subscriptions.is_empty(), "it asks for nothing");
            assert!(!asked.all || asked.subscriptions.is_empty(), "it asks for all and also for some");
            let said = json!({ "subscription": asked.subscriptions, "snapshot": asked.snapshot,
                "plan_only": asked.plan_only, "tenant": tenant() });
            // The same parameters in a JSON body ask for the same.
            if !asked.all {
                let again = SyncParameters::read("", said.to_string().as_bytes())
                    .and_then(|parameters| parameters.asked(tenant()));
                assert_eq!(again.ok(), Some(asked));
            }
        }
        Err(problem) => {
            let shown = format!("{problem:?}");
            assert!(shown.len() <= LONGEST && shown.contains("status: 400"), "{shown}");
        }
    }
}
