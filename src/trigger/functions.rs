//! The functions that speak the host's envelope.

use super::body::{Digested, LIMIT, Unread, Whole};
use super::events::{self, EventSubject};
use super::now;
use crate::app::App;
use crate::cycle::{self, CycleResult, StartedBy};
use crate::host::{Answer, Invocation, invocation_id};
use crate::inbox::ItemContent;
use crate::model::{RequestId, TenantId};
use crate::queue::{WakeUp, WakeUpError};
use crate::report::{Poison, chain};
use crate::retry::chance;
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, ItemName};
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tracing::{Instrument, error, info, info_span, warn};

/// A function's body, or why there is none.
type Given = Result<Whole, Unread>;

/// The span of one invocation: the host's id is in each of its log lines.
fn span(function: &'static str, headers: &HeaderMap) -> tracing::Span {
    info_span!("invocation", function, invocation.id = invocation_id(headers))
}

/// A timer's tick. Whatever its body holds, it says "now"; it is read all the same, because an answer before the end of a
/// chunked request closes the connection that the host is still writing to.
pub(super) async fn schedule(State(app): State<Arc<App>>, headers: HeaderMap, _body: Given) -> Answer {
    leave(&app, "schedule", vec![(ItemName::Timer, "schedule".to_owned())])
        .instrument(span("schedule", &headers))
        .await
}

/// Events about subscriptions.
pub(super) async fn subscription_event(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Given,
) -> Answer {
    events(&app, "subscription-event", &headers, body, events::about_subscriptions).await
}

/// Events about secrets.
pub(super) async fn secret_event(State(app): State<Arc<App>>, headers: HeaderMap, body: Given) -> Answer {
    events(&app, "secret-event", &headers, body, events::about_secrets).await
}

async fn events(
    app: &App,
    function: &'static str,
    headers: &HeaderMap,
    body: Given,
    read: fn(&events::Event<'_>, TenantId) -> EventSubject,
) -> Answer {
    let work = async {
        let payload = match invocation(headers, body) {
            Ok((invocation, _)) => invocation.payload().unwrap_or(Value::Null),
            Err(unusable) => return unusable.record(app, function).await,
        };
        let mut items = BTreeSet::new();
        for event in events::all(&payload) {
            let Some(event) = event else {
                warn!("Left out what is no event of either schema");
                continue;
            };
            let kind = event.kind_for_log();
            let said = if event.is_from(&app.event_sources) {
                read(&event, app.tenant.id())
            } else {
                EventSubject::Nothing("an event of a source that EVENT_SOURCES does not name")
            };
            match said {
                EventSubject::Subscription(id) => {
                    items.insert((ItemName::Subscription(id), format!("{function}: {kind}")));
                }
                EventSubject::Secret => {
                    items.insert((ItemName::Secret, format!("{function}: {kind}")));
                }
                EventSubject::Nothing(why) => info!(event.kind = kind, "Left out {why}: `{kind}`"),
            }
        }
        leave(app, function, items.into_iter().collect()).await
    };
    work.instrument(span(function, headers)).await
}

/// Leaves inbox items; only unreachable storage is a failure.
async fn leave(app: &App, function: &str, items: Vec<(ItemName, String)>) -> Answer {
    let now = now();
    let count = items.len();
    for (name, by) in items {
        match app.leave(app.tenant.id(), name.clone(), &ItemContent::new(now, by), now).await {
            Ok(_) => info!(item = %name, "Left item `{name}`"),
            Err(error) => return failed(function, &error),
        }
    }
    Answer::Ok(format!("{count} inbox items left"))
}

fn failed(function: &str, error: &WakeUpError) -> Answer {
    let text = chain(error);
    error!(function, error = text, "Could not leave an inbox item: {text}");
    Answer::Failed(text)
}

/// A wake-up from the queue: runs a cycle.
pub(super) async fn cycle(State(app): State<Arc<App>>, headers: HeaderMap, body: Given) -> Answer {
    let work = async {
        let (invocation, body) = match invocation(&headers, body) {
            Ok(given) => given,
            Err(unusable) => return unusable.record(&app, "cycle").await,
        };
        let why = match wake_up(&invocation) {
            Ok(tenant) if tenant == app.tenant.id() => return run(&app).await,
            Ok(tenant) => format!("a wake-up of tenant {tenant}, which is not ours"),
            Err(why) => why,
        };
        Unusable { why, body: Some(Digested::of(&body.0)) }.record(&app, "cycle").await
    };
    work.instrument(span("cycle", &headers)).await
}

/// The invocation in a body, and the body.
fn invocation(headers: &HeaderMap, body: Given) -> Result<(Invocation, Whole), Unusable> {
    match body {
        Ok(body) => match Invocation::parse(headers, &body.0) {
            Ok(invocation) => Ok((invocation, body)),
            Err(why) => Err(Unusable { why, body: Some(Digested::of(&body.0)) }),
        },
        Err(Unread::TooLarge(body)) => {
            let why = format!("{} bytes, of which at most {LIMIT} are read", body.size_bytes);
            Err(Unusable { why, body: Some(body) })
        }
        Err(Unread::Cut) => Err(Unusable { why: "a body that ended too early".to_owned(), body: None }),
    }
}

/// The tenant of a wake-up.
pub(super) fn wake_up(invocation: &Invocation) -> Result<TenantId, String> {
    let payload = invocation.payload().ok_or("a message without content")?;
    serde_json::from_value::<WakeUp>(payload)
        .map(|message| message.tenant)
        .map_err(|_| "a message that is no wake-up".into())
}

/// Runs a cycle for a wake-up; what serves without a host calls it too.
pub(super) async fn run(app: &App) -> Answer {
    match cycle::run(&app.tenant, StartedBy::WakeUp, now()).await {
        Ok(CycleResult::Ran(ran)) => Answer::Ok(ran.report.to_string()),
        Ok(CycleResult::Dropped(closed)) => Answer::Ok(format!("dropped: {closed}")),
        Err(error) => {
            let text = chain(&error);
            error!(error = text, "A cycle could not write down its outcome: {text}");
            Answer::Failed(text)
        }
    }
}

/// A wake-up that failed too often, or a message that the host could not read. Always 200: a poison queue has no poison
/// queue.
pub(super) async fn cycle_poison(State(app): State<Arc<App>>, headers: HeaderMap, body: Given) -> Answer {
    let work = async {
        let (count, body) = match invocation(&headers, body) {
            Ok((invocation, body)) => (invocation.dequeue_count(), Some(Digested::of(&body.0))),
            Err(unusable) => (None, unusable.body),
        };
        error!(
            dequeue_count = count,
            "A wake-up could not be served, again and again; its inbox items stay, and the next timer tick goes on"
        );
        let why = "a wake-up that could not be served, again and again".to_owned();
        match (Unusable { why, body }).record(&app, "cycle-poison").await {
            Answer::Ok(text) | Answer::Failed(text) => Answer::Ok(text),
        }
    };
    work.instrument(span("cycle-poison", &headers)).await
}

/// What a function was given and cannot serve.
struct Unusable {
    why: String,
    /// None where its sender went away: then it was not all there, and comes again.
    body: Option<Digested>,
}

impl Unusable {
    /// Writes down what could not be served, without its content, and answers so that it does not come again.
    async fn record(self, app: &App, function: &str) -> Answer {
        let Self { why, body } = self;
        let Some(Digested { size_bytes, sha256 }) = body else {
            warn!(function, "`{function}` was given {why}");
            return Answer::Failed(why);
        };
        let now = now();
        warn!(function, why, size_bytes, "Could not use what `{function}` was given: {why}");
        let poison = Poison {
            schema_version: SCHEMA_VERSION,
            at: now,
            function: function.to_owned(),
            why: why.clone(),
            size_bytes,
            sha256,
        };
        let key = BlobKey::Poison(app.tenant.id(), RequestId::new(now, chance()));
        match app.tenant.store.write(&key, &poison, Condition::New).await {
            Ok(_) => Answer::Ok(format!("recorded: {why}")),
            Err(error) => Answer::Failed(chain(&error)),
        }
    }
}
