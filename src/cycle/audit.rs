//! The audit: what a cycle is about to write to Qualys, put down before its first write; and what became of it.
//!
//! An intent without an outcome is a killed cycle: its writes count as ours, and its creates are not repeated for a while.

use super::CycleError;
use crate::app::App;
use crate::model::{ConnectorId, CycleId};
use crate::plan::{Action, Step};
use crate::report::Outcome;
use crate::state::{SCHEMA_VERSION, TenantState};
use crate::store::{BlobKey, Condition};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of an intent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Intent {
    schema_version: u32,
    at: Timestamp,
    #[serde(flatten)]
    step: Step,
    /// The connector before; none for a create.
    before: Option<Before>,
}

/// What of a connector the actions may change, and what tells one state of it from another.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) name: String,
    pub(super) disabled: bool,
    pub(super) state: String,
    pub(super) last_sync: Option<Timestamp>,
}

/// Puts down what the cycle is about to do.
pub(super) async fn intend(
    app: &App,
    cycle: &CycleId,
    steps: impl Iterator<Item = &Step>,
    before: impl Fn(&Action) -> Option<Before>,
    now: Timestamp,
) -> Result<(), CycleError> {
    let lines = steps.map(|step| Intent {
        schema_version: SCHEMA_VERSION,
        at: now,
        before: before(&step.action),
        step: step.clone(),
    });
    let key = BlobKey::Intent(app.config.policy.tenant, cycle.clone());
    app.store.put(&key, json_lines(lines), Condition::New).await?;
    Ok(())
}

/// Puts down what became of it.
pub(super) async fn conclude(app: &App, cycle: &CycleId, outcomes: &[Outcome]) -> Result<(), CycleError> {
    let key = BlobKey::Audit(app.config.policy.tenant, cycle.clone());
    app.store.put(&key, json_lines(outcomes.iter()), Condition::New).await?;
    Ok(())
}

/// What a killed cycle may have done goes into our memory. Gives how many writes that were.
pub(super) async fn recover(
    app: &App,
    cycle: &CycleId,
    state: &mut TenantState,
    now: Timestamp,
) -> Result<usize, CycleError> {
    let tenant = app.config.policy.tenant;
    let Some(intent) = app.store.get(&BlobKey::Intent(tenant, cycle.clone())).await? else { return Ok(0) };
    if app.store.get(&BlobKey::Audit(tenant, cycle.clone())).await?.is_some() {
        return Ok(0);
    }
    let intents = intents(&intent.bytes);
    for Intent { at, step, before, .. } in &intents {
        match &step.action {
            // It was written down before the first write, and the last may have been minutes later: now is the safe guess.
            Action::Create { subscription, .. } => {
                state.create_sent(*subscription, now);
            }
            Action::Run { connector, awaited, .. } => {
                remember_run(state, *connector, (*at, now), *awaited, before.as_ref());
            }
            Action::Disable { .. } => state.removals.push(now),
        }
    }
    Ok(intents.len())
}

/// The lines of an intent.
pub(super) fn intents(bytes: &[u8]) -> Vec<Intent> {
    // The blob is written whole, so a line that cannot be read is of another version: nothing is known of it.
    String::from_utf8_lossy(bytes).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn remember_run(
    state: &mut TenantState,
    id: ConnectorId,
    (meant, now): (Timestamp, Timestamp),
    awaited: bool,
    before: Option<&Before>,
) {
    let memory = state.connectors.entry(id).or_default();
    // The killed cycle came as far as remembering it.
    if memory.last_run() >= Some(meant) {
        return;
    }
    let (shown, last_sync) =
        before.map_or((String::new(), None), |before| (before.state.clone(), before.last_sync));
    memory.run_sent(
        crate::state::PendingRun {
            at: now,
            last_sync,
            state: shown,
            error_digest: None,
            seen_in_progress: false,
            unclear: true,
        },
        awaited,
    );
}

fn json_lines(lines: impl Iterator<Item = impl Serialize>) -> Bytes {
    lines
        .fold(Vec::new(), |mut text, line| {
            // Our own shapes always become JSON.
            text.extend(serde_json::to_vec(&line).unwrap_or_default());
            text.push(b'\n');
            text
        })
        .into()
}
