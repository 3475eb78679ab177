//! The functions that speak the host's envelope.

use super::body::{BodyDigest, BodyError, FullBody};
use super::events::{self, EventSubject};
use super::rejected::Rejected;
use super::{LeaveError, message, now};
use crate::app::App;
use crate::host::{Answer, Invocation, invocation_id};
use crate::inbox::ItemContent;
use crate::model::TenantId;
use crate::report::chain;
use crate::store::ItemName;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tracing::{Instrument, error, info, info_span, warn};

/// A body is read even where it says nothing, and its errors are handled by the function.
type BodyResult = Result<FullBody, BodyError>;

/// The span of one invocation: the host's id is in each of its log lines.
fn span(function: &'static str, headers: &HeaderMap) -> tracing::Span {
    info_span!("invocation", function, invocation.id = invocation_id(headers))
}

/// A tick of the timer. Its body says nothing, but an answer before its end would close the connection while the host is
/// still writing to it.
pub(super) async fn schedule(State(app): State<Arc<App>>, headers: HeaderMap, _body: BodyResult) -> Answer {
    leave(&app, "schedule", vec![(ItemName::Timer, "schedule".to_owned())])
        .instrument(span("schedule", &headers))
        .await
}

pub(super) async fn subscription_event(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: BodyResult,
) -> Answer {
    events(&app, "subscription-event", &headers, body, events::about_subscriptions).await
}

pub(super) async fn secret_event(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: BodyResult,
) -> Answer {
    events(&app, "secret-event", &headers, body, events::about_secrets).await
}

async fn events(
    app: &App,
    function: &'static str,
    headers: &HeaderMap,
    body: BodyResult,
    read: fn(&events::Event<'_>, TenantId) -> EventSubject,
) -> Answer {
    let work = async {
        let payload = match invocation(headers, body) {
            Ok((invocation, _)) => invocation.payload().unwrap_or(Value::Null),
            Err(rejected) => return rejected.record(app, function).await,
        };
        let mut items = BTreeSet::new();
        for event in events::all(&payload) {
            let Some(event) = event else {
                warn!("Ignored an input that is not an event");
                continue;
            };
            let kind = event.kind_for_log();
            let subject = if event.is_from(&app.event_sources) {
                read(&event, app.tenant.id())
            } else {
                EventSubject::Ignored("EVENT_SOURCES does not name its source")
            };
            match subject {
                EventSubject::Subscription(id) => {
                    items.insert((ItemName::Subscription(id), format!("{function}: {kind}")));
                }
                EventSubject::Secret => {
                    items.insert((ItemName::Secret, format!("{function}: {kind}")));
                }
                EventSubject::Ignored(why) => {
                    info!(event.kind = kind, "Ignored an event of type `{kind}`: {why}");
                }
            }
        }
        leave(app, function, items.into_iter().collect()).await
    };
    work.instrument(span(function, headers)).await
}

/// Leaves inbox items. Only storage that cannot be reached is a failure.
async fn leave(app: &App, function: &str, items: Vec<(ItemName, String)>) -> Answer {
    let now = now();
    let count = items.len();
    for (name, by) in items {
        match app.leave(app.tenant.id(), name.clone(), &ItemContent::new(now, by), now).await {
            Ok(_) => info!(item = %name, "Left inbox item `{name}`"),
            Err(error) => return failed(function, &error),
        }
    }
    Answer::Ok(format!("inbox items left: {count}"))
}

fn failed(function: &str, error: &LeaveError) -> Answer {
    let text = chain(error);
    error!(function, "Could not leave an inbox item: {text}");
    Answer::Failed(text)
}

/// A message of the queue.
pub(super) async fn cycle(State(app): State<Arc<App>>, headers: HeaderMap, body: BodyResult) -> Answer {
    let work = async {
        match invocation(&headers, body) {
            Ok((invocation, body)) => {
                let text = invocation.payload().unwrap_or(Value::Null).to_string();
                message::serve(&app, &text, &body.0).await
            }
            Err(rejected) => rejected.record(&app, "cycle").await,
        }
    };
    work.instrument(span("cycle", &headers)).await
}

/// The invocation in a body, and the body.
fn invocation(headers: &HeaderMap, body: BodyResult) -> Result<(Invocation, FullBody), Rejected> {
    let body = body?;
    match Invocation::parse(headers, &body.0) {
        Ok(invocation) => Ok((invocation, body)),
        Err(why) => Err(Rejected { why, body: Some(BodyDigest::of(&body.0)) }),
    }
}

/// A message whose delivery failed too often. The answer is always 200: a poison queue has no poison queue.
pub(super) async fn cycle_poison(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: BodyResult,
) -> Answer {
    let work = async {
        let (count, body) = match invocation(&headers, body) {
            Ok((invocation, body)) => (invocation.dequeue_count(), Some(BodyDigest::of(&body.0))),
            Err(rejected) => (None, rejected.body),
        };
        error!(
            dequeue_count = count,
            "A wake-up failed every time it was delivered. Its inbox items stay, and the next tick of the timer takes them up"
        );
        let why = "a wake-up that failed every time it was delivered".to_owned();
        match (Rejected { why, body }).record(&app, "cycle-poison").await {
            Answer::Ok(text) | Answer::Failed(text) => Answer::Ok(text),
        }
    };
    work.instrument(span("cycle-poison", &headers)).await
}
