//! Which connectors are made: rules *one connector per subscription* and *creation brake*.

use super::planner::Planner;
use super::{Action, Reason, Step, Subject, Why, Withheld};
use crate::model::{Connector, Direct, Mark, Subscription};
use std::cmp::Reverse;

impl Planner<'_> {
    /// One connector for each subscription in use that no connector covers, up to a limit.
    pub(super) fn plan_creations(&mut self) {
        // A connector that does not say which subscription it covers may cover any of them, so Qualys is asked before a create.
        let some_cover_is_unknown = self.observed.connectors.values().any(|c| c.covers().is_none());
        let limit = self.policy.max_creates;
        let mut wanted = 0;
        for subscription in self.observed.subscriptions.values() {
            let id = subscription.id;
            if self.ours_of(id).next().is_some() {
                continue;
            }
            if let Some(why) = self.why_none_is_made(subscription) {
                self.keep(Subject::Subscription { subscription: id }, why);
                continue;
            }
            wanted += 1;
            let had_one = self.state.covered.contains(&id);
            self.steps.push(Step {
                action: self.create(subscription, some_cover_is_unknown || had_one),
                reason: if had_one { Reason::ConnectorMissing } else { Reason::NotCovered },
                withheld: (wanted > limit).then_some(Withheld::CreationBrake { limit }),
            });
        }
    }

    fn why_none_is_made(&self, subscription: &Subscription) -> Option<Why> {
        let id = subscription.id;
        if !subscription.state.is_in_use() {
            Some(Why::NotInUse { state: subscription.state.as_str().to_owned() })
        } else if let Some(other) = best_cover(self.others_of(id)) {
            Some(self.policy.covered_by_other(other, self.now))
        } else if self.state.create_under_way(id, self.now) {
            Some(Why::CreateUnderWay)
        } else if let Some((failures, until)) = self.state.create_waits(id, self.now) {
            Some(Why::CreateRefused { failures, until })
        } else if self.observed.exclusion_unknown {
            Some(Why::ExclusionUnknown)
        } else if let Some(until) = self.state.new_until(id, self.now)
            && self.observed.unplaced.contains(&id)
        {
            Some(Why::NotPlacedYet { until })
        } else {
            None
        }
    }

    fn create(&self, subscription: &Subscription, look_first: bool) -> Action {
        let mark = Mark {
            deployment: self.policy.deployment.clone(),
            tenant: self.observed.tenant,
            subscription: subscription.id,
        };
        Action::Create {
            subscription: subscription.id,
            name: self.policy.connector_name(subscription),
            description: mark.sign(&self.policy.connector_description(subscription)),
            look_first,
            known: self.state.made_for(subscription.id),
        }
    }

    /// Names the subscriptions that were read one by one and are not in scope, or not known to be.
    pub(super) fn keep_direct_readings(&mut self) {
        for (id, direct) in &self.observed.direct {
            let why = match direct {
                Direct::InScope => continue,
                Direct::OutOfScope(because) => Why::OutOfScope { because: because.clone() },
                Direct::NotInTreeYet => Why::NotInTreeYet,
                Direct::AccessLost => Why::AccessLost,
                Direct::Failed(because) => Why::ReadFailed { because: because.clone() },
            };
            self.keep(Subject::Subscription { subscription: *id }, why);
        }
    }
}

/// The connector most likely to cover the subscription: enabled before disabled, then the latest sync, then the lowest id.
fn best_cover<'a>(connectors: impl Iterator<Item = &'a Connector>) -> Option<&'a Connector> {
    connectors.max_by_key(|c| (!c.disabled, c.last_sync, Reverse(c.id)))
}
