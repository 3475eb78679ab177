//! What an outcome changes in the tenant's state.

use super::{ActionResult, Outcome};
use crate::model::{Connector, ConnectorId, SubscriptionId};
use crate::plan::Action;
use crate::state::{PendingRun, SyncState, TenantState};
use jiff::Timestamp;
use std::collections::BTreeMap;

impl Outcome {
    /// Records the outcome in the state. `connectors`: as they were observed before the action.
    pub fn record(&self, state: &mut TenantState, connectors: &BTreeMap<ConnectorId, Connector>) {
        let (at, result) = (self.at, &self.result);
        match &self.action {
            Action::Create { subscription, .. } => record_create(state, *subscription, result, at),
            Action::Run { connector, awaited, .. } => {
                record_run(state, (*connector, connectors.get(connector)), *awaited, result, at);
            }
            Action::Disable { .. } => record_removal(state, result, at),
        }
    }
}

impl Outcome {
    /// Records in a state that was lost what an outcome of long ago still means: what was covered, and removals. Syncs are
    /// seen in the list.
    pub fn recall(&self, state: &mut TenantState, now: Timestamp) {
        let at = self.at.min(now);
        match (&self.action, &self.result) {
            (
                Action::Create { subscription, .. },
                ActionResult::Done { id, .. } | ActionResult::AlreadyThere { id },
            ) => state.recall_cover(*subscription, *id, at, now),
            (Action::Create { subscription, .. }, ActionResult::Unclear { .. }) => {
                state.create_sent(*subscription, at);
            }
            (Action::Disable { .. }, result) => record_removal(state, result, at),
            (Action::Create { .. } | Action::Run { .. }, _) => {}
        }
    }
}

fn record_create(
    state: &mut TenantState,
    subscription: SubscriptionId,
    result: &ActionResult,
    at: Timestamp,
) {
    match result {
        ActionResult::Done { id, .. } => {
            state.refused.remove(&subscription);
            // A search may not list the new connector yet.
            state.create_answered(subscription, *id, at);
            state.connectors.entry(*id).or_insert(SyncState {
                subscription: Some(subscription),
                made: Some(at),
                queued_since: Some(at),
                awaited: true,
                ..SyncState::default()
            });
        }
        ActionResult::AlreadyThere { id } => {
            state.refused.remove(&subscription);
            state.connector_found(subscription, *id, at);
        }
        ActionResult::Failed { .. } => state.create_refused(subscription, at),
        ActionResult::Unclear { .. } => {
            state.refused.remove(&subscription);
            state.create_sent(subscription, at);
        }
        ActionResult::NotStarted { .. } => {}
    }
}

fn record_run(
    state: &mut TenantState,
    (id, before): (ConnectorId, Option<&Connector>),
    awaited: bool,
    result: &ActionResult,
    at: Timestamp,
) {
    let is_unclear = match result {
        ActionResult::NotStarted { .. } => return,
        ActionResult::Failed { .. } => {
            state.connectors.entry(id).or_default().run_refused(at);
            return;
        }
        ActionResult::Done { .. } | ActionResult::AlreadyThere { .. } => false,
        ActionResult::Unclear { .. } => true,
    };
    if let Some(before) = before {
        let sync = state.connectors.entry(id).or_default();
        sync.run_sent(PendingRun::new(before, at, is_unclear), awaited);
    }
}

fn record_removal(state: &mut TenantState, result: &ActionResult, at: Timestamp) {
    match result {
        // Rule *removals brake*: what may have been removed counts.
        ActionResult::Done { .. } | ActionResult::AlreadyThere { .. } | ActionResult::Unclear { .. } => {
            state.removals.push(at);
        }
        ActionResult::Failed { .. } | ActionResult::NotStarted { .. } => {}
    }
}
