//! What an outcome changes in the tenant's state.

use super::{ActionResult, Outcome};
use crate::model::{Connector, ConnectorId, SubscriptionId};
use crate::plan::Action;
use crate::state::{DisabledByUs, PendingRun, SyncState, TenantState};
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
            Action::Disable { connector, subscription, proof } => {
                let record = DisabledByUs::new(*subscription, at, proof.clone());
                record_disable(state, *connector, record, result);
            }
        }
    }

    /// Records in a state that was lost what an outcome of long ago still means: what was covered, and removals. Syncs are
    /// seen in the list. `manifest`: the time of the newest complete one, whose connectors the state has.
    pub fn recall(&self, state: &mut TenantState, manifest: Option<Timestamp>, now: Timestamp) {
        let at = self.at.min(now);
        match (&self.action, &self.result) {
            (
                Action::Create { subscription, .. },
                ActionResult::Done { id, .. } | ActionResult::AlreadyThere { id },
            ) => state.recall_cover(*subscription, *id, at, manifest),
            (Action::Create { subscription, .. }, ActionResult::Unclear { .. }) => {
                state.create_sent(*subscription, at);
            }
            (Action::Disable { connector, subscription, proof }, result) => {
                record_disable(
                    state,
                    *connector,
                    DisabledByUs::new(*subscription, at, proof.clone()),
                    result,
                );
            }
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
    if let Some(refusal) = result.refusal() {
        state.create_refused(subscription, refusal, at);
    }
    match result {
        ActionResult::Done { id, .. } => {
            state.refused.remove(&subscription);
            state.refused_alike = None;
            // A search may not list the new connector yet.
            state.create_answered(subscription, *id, at);
            state.connectors.entry(*id).or_insert(SyncState {
                subscription: Some(subscription),
                made: Some(at),
                queued_since: Some(at),
                awaited: true,
                awaited_since: Some(at),
                ..SyncState::default()
            });
        }
        ActionResult::AlreadyThere { id } => {
            state.refused.remove(&subscription);
            state.connector_found(subscription, *id, at);
        }
        ActionResult::Unclear { .. } => state.create_sent(subscription, at),
        ActionResult::Failed { .. } | ActionResult::Stopped { .. } | ActionResult::NotStarted { .. } => {}
    }
}

fn record_run(
    state: &mut TenantState,
    (id, before): (ConnectorId, Option<&Connector>),
    awaited: bool,
    result: &ActionResult,
    at: Timestamp,
) {
    let unclear = match result {
        ActionResult::Stopped { .. } | ActionResult::NotStarted { .. } => return,
        ActionResult::Failed { code, error } => {
            let sync = state.connectors.entry(id).or_default();
            sync.run_refused(at, code.clone(), error.clone());
            return;
        }
        ActionResult::Done { .. } | ActionResult::AlreadyThere { .. } => None,
        ActionResult::Unclear { code, error } => Some((code, error)),
    };
    if let Some(before) = before {
        let sync = state.connectors.entry(id).or_default();
        let mut run = PendingRun::new(before, at, unclear.is_some());
        // The observation is in the state already, without what an old answer says.
        run.last_sync = sync.last_sync.or(run.last_sync);
        sync.run_sent(run, awaited);
        if let Some((code, error)) = unclear {
            sync.run_unclear(at, code.clone(), error.clone());
        }
    }
}

fn record_disable(
    state: &mut TenantState,
    connector: ConnectorId,
    record: DisabledByUs,
    result: &ActionResult,
) {
    match result.refusal() {
        Some(refusal) => state.disable_refused(connector, refusal, record.at),
        None if result.connector().is_some() => drop(state.disables_refused.remove(&connector)),
        None => {}
    }
    match result {
        // Rule *removals brake*: what may have been removed counts.
        ActionResult::Done { .. } | ActionResult::Unclear { .. } => {
            state.removals.push(record.at);
            state.disabled.insert(connector, record);
        }
        // Somebody else disabled it.
        ActionResult::AlreadyThere { .. }
        | ActionResult::Failed { .. }
        | ActionResult::Stopped { .. }
        | ActionResult::NotStarted { .. } => {}
    }
}
