//! Which connectors are disabled: rules *one connector per subscription* and *removals brake*.

use super::planner::Planner;
use super::{Action, Reason, Step, Subject, Unhealthy, Why, Withheld};
use crate::model::{Connector, ConnectorId, SubscriptionId};
use crate::state::DisableProof;

impl Planner<'_> {
    /// Of several enabled connectors of ours for one subscription the healthy one stays (of several healthy ones the lowest
    /// id), and the others are disabled. While none is healthy, none is disabled.
    pub(super) fn plan_removals(&mut self) {
        let mut removals = Vec::new();
        for connector in self.ours.clone().into_values().filter(|c| c.is_enabled()) {
            let Some(subscription) = connector.covers() else { continue };
            let subject = Subject::Connector { connector: connector.id, subscription: Some(subscription) };
            if let Some(stays) = self.stays_instead_of(connector, subscription) {
                if let Some(why) = self.why_not_disabled_yet(connector.id, stays) {
                    self.keep(subject, why);
                    continue;
                }
                let (connector, proof) = (connector.id, DisableProof::Twin { stays });
                removals
                    .push((Action::Disable { connector, subscription, proof }, Reason::Duplicate { stays }));
            } else if let Some(why) = self.why_no_twin_is_disabled(connector, subscription) {
                self.keep(subject, why);
            }
        }
        let withheld = self.removal_brake(removals.len());
        for (action, reason) in removals {
            self.steps.push(Step { action, reason, withheld: withheld.clone() });
        }
    }

    /// The connector of ours that covers the subscription from now on, when this one is to be disabled.
    pub(super) fn stays_instead_of(
        &self,
        connector: &Connector,
        subscription: SubscriptionId,
    ) -> Option<ConnectorId> {
        if !connector.is_enabled() || !states(connector, subscription) {
            return None;
        }
        let healthy = self.twins(subscription).filter(|twin| self.health_now(twin).is_ok());
        healthy.map(|twin| twin.id).min().filter(|stays| *stays != connector.id)
    }

    /// Rule *refusals back off*.
    fn why_not_disabled_yet(&self, connector: ConnectorId, stays: ConnectorId) -> Option<Why> {
        let refusals = self.state.disables_refused.get(&connector)?;
        let (until, error) = (refusals.wait(self.now)?, refusals.error().to_owned());
        Some(Why::DisableRefused { stays, failures: refusals.count, until, error })
    }

    /// Why an enabled connector of ours is left beside another one for the same subscription; none where it is alone, or is
    /// the one that stays.
    fn why_no_twin_is_disabled(&self, connector: &Connector, subscription: SubscriptionId) -> Option<Why> {
        let is_other = |other: &&Connector| other.id != connector.id;
        if !states(connector, subscription) {
            let enabled = self.ours_of(subscription).filter(|c| c.is_enabled()).filter(is_other);
            return enabled.map(|c| c.id).min().map(|of| Why::TwinNotStated { of });
        }
        let with = self.twins(subscription).filter(is_other).map(|twin| twin.id).min()?;
        let health = self.health_now(connector).err()?;
        Some(Why::TwinUnhealthy { with, health })
    }

    /// The enabled connectors of ours that state that they cover this subscription. A mark alone is no statement: somebody
    /// may have copied it to a connector of another subscription.
    fn twins(&self, subscription: SubscriptionId) -> impl Iterator<Item = &Connector> {
        self.ours_of(subscription).filter(move |c| c.is_enabled() && states(c, subscription))
    }

    fn health_now(&self, connector: &Connector) -> Result<(), Unhealthy> {
        let sync = self.state.connectors.get(&connector.id);
        if sync.is_some_and(|sync| sync.is_stuck(self.now)) {
            return Err(Unhealthy::Stuck);
        }
        self.policy.proves_cover(connector, self.last_sync(connector), self.now)
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
        let enabled = self.ours.values().filter(|c| c.is_enabled()).count();
        let (limit, recent) = (self.policy.removal_limit(enabled), self.state.removals.len());
        (recent + wanted > limit).then_some(Withheld::TooManyRemovals { wanted, recent, enabled, limit })
    }
}

fn states(connector: &Connector, subscription: SubscriptionId) -> bool {
    connector.subscription == Some(subscription)
}
