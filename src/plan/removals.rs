//! Which connectors are disabled: rules *one connector per subscription* and *removals brake*.

use super::planner::Planner;
use super::{Action, Reason, Step, Withheld};
use crate::model::{Connector, ConnectorId, SubscriptionId};

impl Planner<'_> {
    /// Of two enabled connectors of ours for one subscription, the newer is disabled.
    pub(super) fn plan_removals(&mut self) {
        let mut removals = Vec::new();
        for connector in self.ours.values() {
            let Some(subscription) = connector.covers() else { continue };
            if let Some(older) = self.older_twin(connector, subscription) {
                let action = Action::Disable { connector: connector.id, subscription };
                removals.push((action, Reason::Duplicate { older }));
            }
        }
        let withheld = self.removal_brake(removals.len());
        for (action, reason) in removals {
            self.steps.push(Step { action, reason, withheld: withheld.clone() });
        }
    }

    /// An older enabled connector of ours for the same subscription; the oldest if there are several.
    pub(super) fn older_twin(
        &self,
        connector: &Connector,
        subscription: SubscriptionId,
    ) -> Option<ConnectorId> {
        if connector.disabled {
            return None;
        }
        self.ours_of(subscription).filter(|c| !c.disabled && c.id < connector.id).map(|c| c.id).min()
    }

    /// Why the removals are withheld: all of them or none.
    fn removal_brake(&self, wanted: usize) -> Option<Withheld> {
        if let Some(unreadable) = self.unreadable.first() {
            return Some(Withheld::ScopeUnreadable { scope: unreadable.scope.clone() });
        }
        // Rule *absence is only a suspicion*.
        if let Some(doubt) = &self.state.lists.doubt {
            return Some(Withheld::ListDoubtful { missing: doubt.missing.len() });
        }
        let enabled = self.ours.values().filter(|c| !c.disabled).count();
        let (limit, recent) = (self.policy.removal_limit(enabled), self.state.removals.len());
        (recent + wanted > limit).then_some(Withheld::TooManyRemovals { wanted, recent, enabled, limit })
    }
}
