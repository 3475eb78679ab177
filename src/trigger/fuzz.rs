//! Requests from the Functions host, Event Grid and people, as anyone may have written them.

#![expect(clippy::unwrap_used, reason = "as in tests: a broken assumption must end the run")]

use super::events::{self, EventSubject, MOST_EVENTS};
use super::parameters::SyncParameters;
use crate::assertions::{assert_discreet, assert_survives, head};
use crate::host::{Invocation, invocation_id};
use crate::model::TenantId;
use crate::queue::WakeUp;
use axum::http::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use uuid::Uuid;

fn tenant() -> TenantId {
    TenantId::new(Uuid::from_u128(1))
}

fn payload(body: &[u8]) -> Option<Cow<'_, str>> {
    Invocation::parse(body).ok()?.payload()
}

/// An invocation. Its first bytes also serve as its id.
pub(crate) fn envelope(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    if let Ok(id) = HeaderValue::from_bytes(&bytes[..bytes.len().min(100)]) {
        headers.insert("x-azure-functions-invocationid", id);
    }
    let id = invocation_id(&headers);
    assert!(id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    let read = match Invocation::parse(bytes) {
        Ok(read) => read,
        Err(why) => return assert_discreet(&why),
    };
    let _ = read.dequeue_count();
    let json = read.payload().unwrap_or_default();
    if let Ok(message) = WakeUp::parse(&json) {
        let sent = json!({ "Data": { "wakeUp": message } }).to_string();
        assert_eq!(WakeUp::parse(&payload(sent.as_bytes()).unwrap()), Ok(message));
    }
    let Ok(value) = serde_json::from_str::<Value>(&json) else { return };
    if value.is_string() || !is_exact(&value) {
        return;
    }
    for data in [value.clone(), value.to_string().into()] {
        let wrapped = json!({ "Data": { "any": data } }).to_string();
        let again = payload(wrapped.as_bytes()).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), value);
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
    let json = payload(bytes).or_else(|| Some(std::str::from_utf8(bytes).ok()?.trim().into()));
    let Some(json) = json else { return };
    let mut found = Vec::new();
    let read = events::read(&json, &mut |event| found.push(event));
    assert!(found.len() <= MOST_EVENTS);
    if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(&json) {
        assert_eq!((read.is_ok(), found.len()), (list.len() <= MOST_EVENTS, list.len().min(MOST_EVENTS)));
    }
    for event in found.into_iter().flatten() {
        let kind = event.kind_for_log();
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        assert!(kind.len() <= 100 && kind.chars().all(named), "{kind}");
        assert!(!event.is_from(&[]));
        match events::about_subscriptions(&event, tenant()) {
            // The id is in the event; it was not made up.
            EventSubject::Subscription(id) => {
                let id = id.to_string();
                let text =
                    serde_json::from_str::<Value>(&json).map_or_else(|_| json.to_string(), |v| v.to_string());
                assert!(text.to_ascii_lowercase().contains(&id), "{id}");
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
