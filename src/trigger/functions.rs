//! The functions that speak the host's envelope.

use super::body::{BodyDigest, BodyError, FullBody};
use super::delivery::{Delivery, Wanted};
use super::events::{self, Event, EventSubject};
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
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::{Instrument, error, info, info_span};

/// Names of items in a log line.
const NAMES_SHOWN: usize = 5;

/// A body is read even where it says nothing, and its errors are handled by the function.
type BodyResult = Result<FullBody, BodyError>;

/// The span of one invocation: the host's id is in each of its log lines.
fn span(function: &'static str, headers: &HeaderMap) -> tracing::Span {
    info_span!("invocation", function, invocation.id = invocation_id(headers))
}

/// A tick of the timer. Its body says nothing, but an answer before its end would close the connection while the host is
/// still writing to it.
pub(super) async fn schedule(State(app): State<Arc<App>>, headers: HeaderMap, _body: BodyResult) -> Answer {
    leave(&app, "schedule", BTreeMap::from([(ItemName::Timer, "schedule".to_owned())]))
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
    about: fn(&Event, TenantId) -> EventSubject,
) -> Answer {
    let sources = app.event_sources.clone();
    let wanted = Wanted { function, tenant: app.tenant.id(), sources, about };
    let work = async {
        let delivery = match body {
            Ok(body) => body.decode(move |body| Delivery::read(body, &wanted)).await,
            Err(error) => Err(error.into()),
        };
        match delivery {
            Ok(delivery) => {
                delivery.ignored.log();
                leave(app, function, delivery.items).await
            }
            Err(rejected) => rejected.record(app, function).await,
        }
    };
    work.instrument(span(function, headers)).await
}

/// Leaves inbox items, each with who asks for it. Only storage that cannot be reached is a failure.
async fn leave(app: &App, function: &str, items: BTreeMap<ItemName, String>) -> Answer {
    let (now, count) = (now(), items.len());
    let shown = items.keys().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let items: Vec<_> = items.into_iter().map(|(name, by)| (name, ItemContent::new(now, by))).collect();
    if !items.is_empty()
        && let Err(error) = app.leave_all(app.tenant.id(), &items, now).await
    {
        return failed(function, &error);
    }
    match count {
        0 => {}
        1 => info!(items = count, "Left inbox item {shown}"),
        2..=NAMES_SHOWN => info!(items = count, "Left inbox items {shown}"),
        _ => info!(items = count, "Left {count} inbox items: {shown} and others"),
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
        match received(body).await {
            Ok(Message { text, .. }) => message::serve(&app, &text, text.as_bytes()).await,
            Err(rejected) => rejected.record(&app, "cycle").await,
        }
    };
    work.instrument(span("cycle", &headers)).await
}

/// A message of the queue, as the host delivered it.
struct Message {
    /// As it was in the queue. What a record says of it can be compared with the queue, and is the same in each delivery.
    text: String,
    dequeue_count: Option<i64>,
}

async fn received(body: BodyResult) -> Result<Message, Rejected> {
    let read = |body: &[u8]| {
        let invocation =
            Invocation::parse(body).map_err(|why| Rejected { why, body: Some(BodyDigest::of(body)) })?;
        let payload = invocation.payload().unwrap_or_default();
        let text = serde_json::from_str(&payload).unwrap_or_else(|_| payload.into_owned());
        Ok(Message { text, dequeue_count: invocation.dequeue_count() })
    };
    body?.decode(read).await
}

/// A message whose delivery failed too often. The answer is always 200: a poison queue has no poison queue.
pub(super) async fn cycle_poison(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: BodyResult,
) -> Answer {
    let work = async {
        let (count, body) = match received(body).await {
            Ok(Message { text, dequeue_count }) => (dequeue_count, Some(BodyDigest::of(text.as_bytes()))),
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
