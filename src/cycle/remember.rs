//! What an outcome changes in the state.

use crate::model::{Connector, ConnectorId};
use crate::plan::Action;
use crate::report::{Done, Outcome};
use crate::state::{PendingRun, SyncState, TenantState};
use std::collections::BTreeMap;

/// Takes an outcome into the memory.
pub(super) fn remember(
    state: &mut TenantState,
    outcome: &Outcome,
    connectors: &BTreeMap<ConnectorId, Connector>,
) {
    let at = outcome.at;
    let unclear = matches!(outcome.result, Done::Unknown { .. });
    match (&outcome.action, &outcome.result) {
        (_, Done::NotStarted { .. }) | (Action::Disable { .. }, Done::Failed { .. }) => {}
        (Action::Create { subscription, .. }, Done::There { .. }) => {
            state.refused.remove(subscription);
        }
        (Action::Create { subscription, .. }, Done::Failed { .. }) => state.create_refused(*subscription, at),
        (Action::Create { subscription, .. }, result) => {
            // Also a create that succeeded: a search may not list the new connector yet.
            state.create_unclear(*subscription, at);
            state.covered.insert(*subscription);
            state.refused.remove(subscription);
            if let Done::Done { id, .. } = result {
                let sync = SyncState {
                    subscription: Some(*subscription),
                    made: Some(at),
                    queued_since: Some(at),
                    awaited: true,
                    ..SyncState::default()
                };
                state.connectors.entry(*id).or_insert(sync);
            }
        }
        (Action::Run { connector, .. }, Done::Failed { .. }) => {
            state.connectors.entry(*connector).or_default().run_refused(at);
        }
        (Action::Run { connector, awaited, .. }, _) => {
            if let Some(before) = connectors.get(connector) {
                let sync = state.connectors.entry(*connector).or_default();
                sync.ran(PendingRun::new(before, at, unclear), *awaited);
            }
        }
        (Action::Disable { .. }, _) => state.removals.push(at),
    }
}
