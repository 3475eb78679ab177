//! The functions that speak the host's envelope.

use super::events::{self, Said};
use super::now;
use crate::app::App;
use crate::cycle::{self, Ended, Woken};
use crate::host::{Answer, Invocation, invocation_id};
use crate::model::{RequestId, TenantId, hex};
use crate::report::{Poison, chain};
use crate::retry::chance;
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, NoteName};
use crate::wakes::{Message, Note, WakeError};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use tracing::{Instrument, error, info, info_span, warn};

/// The span of one invocation: the host's id is in each of its log lines.
fn span(function: &'static str, headers: &HeaderMap) -> tracing::Span {
    info_span!("invocation", function, invocation.id = invocation_id(headers))
}

/// A timer's tick. Whatever its body holds, it says "now"; it is read all the same, because an answer before the end of a
/// chunked request closes the connection that the host is still writing to.
pub(super) async fn schedule(State(app): State<Arc<App>>, headers: HeaderMap, _body: Bytes) -> Answer {
    leave(&app, "schedule", vec![(NoteName::Timer, "schedule".to_owned())])
        .instrument(span("schedule", &headers))
        .await
}

/// Events about subscriptions.
pub(super) async fn subscription_event(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    events(&app, "subscription-event", &headers, &body, events::about_subscriptions).await
}

/// Events about secrets.
pub(super) async fn secret_event(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Answer {
    events(&app, "secret-event", &headers, &body, events::about_secrets).await
}

async fn events(
    app: &App,
    function: &'static str,
    headers: &HeaderMap,
    body: &Bytes,
    read: fn(&events::Event<'_>, TenantId) -> Said,
) -> Answer {
    let work = async {
        let payload = match Invocation::parse(headers, body) {
            Ok(invocation) => invocation.payload().unwrap_or(Value::Null),
            Err(why) => return record(app, function, body, &why).await,
        };
        let mut notes = BTreeSet::new();
        for event in events::all(&payload) {
            let Some(event) = event else {
                warn!("Left out what is no event of either schema");
                continue;
            };
            let kind = event.kind_for_log();
            let said = if event.is_from(&app.config.event_sources) {
                read(&event, app.config.policy.tenant)
            } else {
                Said::Nothing("an event of a source that EVENT_SOURCES does not name")
            };
            match said {
                Said::Subscription(id) => {
                    notes.insert((NoteName::Subscription(id), format!("{function}: {kind}")));
                }
                Said::Secret => {
                    notes.insert((NoteName::Secret, format!("{function}: {kind}")));
                }
                Said::Nothing(why) => info!(event.kind = kind, "Left out {why}: `{kind}`"),
            }
        }
        leave(app, function, notes.into_iter().collect()).await
    };
    work.instrument(span(function, headers)).await
}

/// Leaves notes; only unreachable storage is a failure.
async fn leave(app: &App, function: &str, notes: Vec<(NoteName, String)>) -> Answer {
    let now = now();
    let count = notes.len();
    for (name, by) in notes {
        match app.wakes.leave(app.config.policy.tenant, name.clone(), &Note::new(now, by), now).await {
            Ok(_) => info!(note = %name, "Left note `{name}`"),
            Err(error) => return failed(function, &error),
        }
    }
    Answer::Ok(format!("{count} notes left"))
}

fn failed(function: &str, error: &WakeError) -> Answer {
    let text = chain(error);
    error!(function, error = text, "Could not leave a note: {text}");
    Answer::Failed(text)
}

/// A bell from the queue: runs a cycle.
pub(super) async fn cycle(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Answer {
    let work = async {
        let bell = Invocation::parse(&headers, &body).and_then(|invocation| bell(&invocation));
        match bell {
            Ok(tenant) if tenant == app.config.policy.tenant => run(&app).await,
            Ok(tenant) => {
                record(&app, "cycle", &body, &format!("a bell of tenant {tenant}, which is not ours")).await
            }
            Err(why) => record(&app, "cycle", &body, &why).await,
        }
    };
    work.instrument(span("cycle", &headers)).await
}

/// The tenant of a bell.
pub(super) fn bell(invocation: &Invocation) -> Result<TenantId, String> {
    let payload = invocation.payload().ok_or("a message without content")?;
    serde_json::from_value::<Message>(payload)
        .map(|message| message.tenant)
        .map_err(|_| "a message that is no bell".into())
}

/// Runs a cycle for a bell; what serves without a host calls it too.
pub(super) async fn run(app: &App) -> Answer {
    match cycle::run(app, Woken::ByBell, now()).await {
        Ok(Ended::Ran(ran)) => Answer::Ok(ran.report.to_string()),
        Ok(Ended::Dropped { because, .. }) => Answer::Ok(format!("dropped: {because}")),
        Err(error) => {
            let text = chain(&error);
            error!(error = text, "A cycle could not write down its outcome: {text}");
            Answer::Failed(text)
        }
    }
}

/// A bell that failed too often, or a message that the host could not read. Always 200: a poison queue has no poison
/// queue.
pub(super) async fn cycle_poison(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Answer {
    let work = async {
        let count = Invocation::parse(&headers, &body).ok().and_then(|invocation| invocation.dequeue_count());
        error!(
            dequeue_count = count,
            "A bell could not be served, again and again; its notes lie and the timer rings next"
        );
        match record(&app, "cycle-poison", &body, "a bell that could not be served, again and again").await {
            Answer::Ok(text) | Answer::Failed(text) => Answer::Ok(text),
        }
    };
    work.instrument(span("cycle-poison", &headers)).await
}

/// Writes down what could not be served, without its content, and answers so that it does not come again.
async fn record(app: &App, function: &str, body: &Bytes, why: &str) -> Answer {
    let now = now();
    let poison = Poison {
        schema_version: SCHEMA_VERSION,
        at: now,
        function: function.to_owned(),
        why: why.to_owned(),
        size_bytes: body.len(),
        sha256: hex(&Sha256::digest(body)),
    };
    warn!(function, why, size_bytes = body.len(), "Could not use what `{function}` was given: {why}");
    let key = BlobKey::Poison(app.config.policy.tenant, RequestId::new(now, chance()));
    match app.store.write(&key, &poison, Condition::New).await {
        Ok(_) => Answer::Ok(format!("recorded: {why}")),
        Err(error) => Answer::Failed(chain(&error)),
    }
}
