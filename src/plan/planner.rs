//! The plan while it is being made: what was observed, sorted for the rules, and the steps so far.

use super::last_sync::{self, LastSync};
use super::{ClockDoubts, Cost, Kept, Plan, Policy, Step, Subject, Why, cover};
use crate::model::{Connector, ConnectorId, Observed, SubscriptionId, Unreadable, hex};
use crate::state::{SCHEMA_VERSION, TenantState};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

pub(super) struct Planner<'a> {
    pub(super) observed: &'a Observed,
    pub(super) state: &'a TenantState,
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
    pub(super) ours: BTreeMap<ConnectorId, &'a Connector>,
    /// Every connector, ours or not, by the subscription that it covers.
    by_subscription: BTreeMap<SubscriptionId, Vec<&'a Connector>>,
    /// The scopes that could not be read, sorted: the order in which they failed means nothing.
    pub(super) unreadable: Vec<Unreadable>,
    pub(super) steps: Vec<Step>,
    kept: Vec<Kept>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        observed: &'a Observed,
        state: &'a TenantState,
        policy: &'a Policy,
        now: Timestamp,
    ) -> Self {
        let ours =
            observed.connectors.iter().filter(|(_, c)| policy.is_ours(c)).map(|(id, c)| (*id, c)).collect();
        let mut by_subscription: BTreeMap<SubscriptionId, Vec<&Connector>> = BTreeMap::new();
        for connector in observed.connectors.values() {
            if let Some(subscription) = connector.covers() {
                by_subscription.entry(subscription).or_default().push(connector);
            }
        }
        let mut unreadable = observed.unreadable.clone();
        unreadable.sort_by(|a, b| (&a.scope, &a.why).cmp(&(&b.scope, &b.why)));
        let (steps, kept) = (Vec::new(), Vec::new());
        Self { observed, state, policy, now, ours, by_subscription, unreadable, steps, kept }
    }

    pub(super) fn keep(&mut self, subject: Subject, why: Why) {
        self.kept.push(Kept { subject, why });
    }

    /// The connectors, ours or not, that cover a subscription.
    fn connectors_of(&self, subscription: SubscriptionId) -> impl Iterator<Item = &'a Connector> {
        self.by_subscription.get(&subscription).into_iter().flatten().copied()
    }

    pub(super) fn ours_of(&self, subscription: SubscriptionId) -> impl Iterator<Item = &'a Connector> {
        self.connectors_of(subscription).filter(|c| self.ours.contains_key(&c.id))
    }

    pub(super) fn others_of(&self, subscription: SubscriptionId) -> impl Iterator<Item = &'a Connector> {
        self.connectors_of(subscription).filter(|c| !self.ours.contains_key(&c.id))
    }

    /// When a connector last synced.
    pub(super) fn last_sync(&self, connector: &Connector) -> LastSync {
        last_sync::of(self.observed, self.state, self.policy, connector)
    }

    /// Rule *only ours is changed*: why a subscription that another connector covers, well or badly, gets none of ours.
    pub(super) fn covered_by_other(&self, other: &Connector) -> Why {
        let (connector, member) = (other.id, other.is_member());
        match self.policy.health(other, self.last_sync(other), self.now) {
            Ok(()) => Why::CoveredByOther { connector, member },
            Err(health) => Why::NotCoveredByOther { connector, member, health },
        }
    }

    /// Names the connectors that look like ours and are not: they are never touched.
    pub(super) fn keep_lost_and_copied_marks(&mut self) {
        for connector in self.observed.connectors.values().filter(|c| !self.ours.contains_key(&c.id)) {
            let why = match connector.mark() {
                Some(mark) if connector.subscription.is_some_and(|own| own != mark.subscription) => {
                    Why::CopiedMark { marked: mark.subscription }
                }
                None if self.state.connectors.contains_key(&connector.id) => Why::LostMark,
                Some(_) | None => continue,
            };
            let subject = Subject::Connector { connector: connector.id, subscription: connector.covers() };
            self.kept.push(Kept { subject, why });
        }
    }

    /// Names the subscriptions that we and somebody else cover, and the connectors that may cover any.
    pub(super) fn keep_double_and_unknown_cover(&mut self) {
        for subscription in self.observed.subscriptions.values().filter(|s| s.state.is_in_use()) {
            let id = subscription.id;
            let (ours, other) = (
                self.ours_of(id).find(|c| !c.is_disabled()).map(|c| c.id),
                self.others_of(id).find(|c| !c.is_disabled()).map(|c| c.id),
            );
            if let (Some(ours), Some(other)) = (ours, other) {
                self.keep(Subject::Subscription { subscription: id }, Why::CoveredTwice { ours, other });
            }
        }
        for connector in self.observed.connectors.values().filter(|c| c.covers().is_none()) {
            let subject = Subject::Connector { connector: connector.id, subscription: None };
            self.keep(subject, Why::StatesNoSubscription);
        }
    }

    pub(super) fn finish(self) -> Plan {
        let mut lines: Vec<String> = self.steps.iter().map(|step| step.action.hashed_line()).collect();
        lines.sort();
        let hash = hex(&Sha256::digest(lines.join("\n").as_bytes()));
        Plan {
            schema_version: SCHEMA_VERSION,
            tenant: self.observed.tenant,
            mode: self.policy.mode,
            made: self.now,
            hash,
            coverage: cover::coverage(self.observed, self.state, self.policy, self.now),
            clock: ClockDoubts::of(self.observed),
            cost: Cost::of(&self.steps, self.policy),
            steps: self.steps,
            kept: self.kept,
            unreadable: self.unreadable,
            doubt: self.state.lists.doubt.clone(),
        }
    }
}
