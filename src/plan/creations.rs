//! Which connectors are made: rules *one connector per subscription*, *absence is only a suspicion* and *creation brake*.

use super::planner::Planner;
use super::{Action, Reason, Step, Subject, Why, Withheld};
use crate::model::{Connector, Direct, Mark, Subscription, SubscriptionId};
use crate::state::Absence;
use std::cmp::Reverse;

impl Planner<'_> {
    /// One connector for each subscription in use that no connector covers, up to a limit.
    pub(super) fn plan_creations(&mut self) {
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
            let unproved = self.absence_is_unproved(id);
            wanted += usize::from(unproved.is_none());
            let brake = (wanted > limit).then_some(Withheld::CreationBrake { limit });
            let had_one = self.state.covered.contains(&id);
            self.steps.push(Step {
                action: self.create(subscription),
                reason: if had_one { Reason::ConnectorMissing } else { Reason::NotCovered },
                withheld: unproved.or(brake),
            });
        }
    }

    /// Rule *absence is only a suspicion*: why it is not yet proved that a subscription has no connector.
    fn absence_is_unproved(&self, id: SubscriptionId) -> Option<Withheld> {
        let (lists, rule, now) = (&self.state.lists, self.policy.absence, self.now);
        if self.state.covered.contains(&id) {
            if let Some(doubt) = &lists.doubt {
                return Some(Withheld::ListDoubtful { missing: doubt.missing.len() });
            }
            let absence = match lists.uncovered.get(&id) {
                Some(uncovered) if uncovered.is_proved(rule, now) => return None,
                Some(uncovered) => uncovered.absence,
                None => Absence::new(now),
            };
            let (lists, wanted, until) = (absence.lists, rule.lists, absence.until(rule));
            return Some(Withheld::ConnectorMissing { since: absence.since, lists, wanted, until });
        }
        let first = lists.first?;
        Some(Withheld::FirstLists { lists: first.lists, wanted: rule.lists, until: first.until(rule) })
    }

    fn why_none_is_made(&self, subscription: &Subscription) -> Option<Why> {
        let id = subscription.id;
        if !subscription.state.is_in_use() {
            Some(Why::NotInUse { state: subscription.state.as_str().to_owned() })
        } else if let Some(other) = best_cover(self.others_of(id)) {
            Some(self.covered_by_other(other))
        } else if let Some((refusals, until)) = self.state.create_waits(id, self.now)
            && !self.requested_since(id, refusals.at)
        {
            let (failures, error) = (refusals.count, refusals.error().to_owned());
            Some(Why::CreateRefused { failures, until, error })
        } else if self.state.create_under_way(id, self.now) {
            Some(Why::CreateUnderWay)
        } else if let Some((by, until)) = self.state.lists.found_lately(id, self.now) {
            Some(Why::FoundUnlisted { connector: by, until })
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

    fn create(&self, subscription: &Subscription) -> Action {
        let id = subscription.id;
        let mark = Mark {
            deployment: self.policy.deployment.clone(),
            tenant: self.observed.tenant,
            subscription: id,
        };
        Action::Create {
            subscription: id,
            name: self.policy.connector_name(subscription),
            description: mark.sign(&self.policy.connector_description(subscription)),
            remembered: self.state.remembered_for(id),
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
    connectors.max_by_key(|c| (c.is_enabled(), c.last_sync, Reverse(c.id)))
}
