//! The plan: pure. `Observed` × `Policy` × `now` → [`Plan`], or a refusal.
//!
//! Guarantees: no I/O, no clock, no `async`; the same input gives the same plan and the same print. A plan only ever
//! changes connectors that carry our mark; removals stand last and are braked as a whole.

mod cover;
mod policy;
mod print;
mod step;
mod syncs;
mod why;

#[cfg(test)]
mod tests;

pub use cover::{Coverage, Gap};
pub use policy::{Mode, Policy};
pub use step::{Action, Cost, Plan, Step};
pub use why::{Kept, Subject, Why};

use crate::model::{
    Connector, ConnectorId, Direct, Mark, Observed, Subscription, SubscriptionId, Unreadable, hex,
};
use crate::state::{SCHEMA_VERSION, TenantState};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Why no plan may be made at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing was observed where something must be.
    #[error(
        "no subscription was observed in scope ({unreadable} scopes unreadable, {connectors} connectors of ours): nothing is planned. \
         Check that the identity has Reader on the management groups and subscriptions of SCOPE"
    )]
    NoSubscriptions {
        /// Scopes that could not be read.
        unreadable: usize,
        /// Connectors that carry our mark.
        connectors: usize,
    },
}

/// Plans what to do about what was observed.
///
/// # Errors
/// [`Refused::NoSubscriptions`] when no subscription was observed: that looks like a mass removal and is more often a
/// lost role.
pub fn plan(seen: &Observed, state: &TenantState, policy: &Policy, now: Timestamp) -> Result<Plan, Refused> {
    let ours: BTreeMap<ConnectorId, &Connector> =
        seen.connectors.iter().filter(|(_, c)| policy.is_ours(c)).map(|(id, c)| (*id, c)).collect();
    if seen.subscriptions.is_empty() {
        return Err(Refused::NoSubscriptions { unreadable: seen.unreadable.len(), connectors: ours.len() });
    }
    let mut covering: BTreeMap<SubscriptionId, Vec<&Connector>> = BTreeMap::new();
    for connector in seen.connectors.values() {
        if let Some(subscription) = connector.covers() {
            covering.entry(subscription).or_default().push(connector);
        }
    }
    // The order in which readings failed says nothing.
    let mut unreadable = seen.unreadable.clone();
    unreadable.sort_by(|a, b| (&a.scope, &a.why).cmp(&(&b.scope, &b.why)));
    let (steps, kept) = (Vec::new(), Vec::new());
    let mut planner = Planner { seen, state, policy, now, ours, covering, unreadable, steps, kept };
    planner.creations();
    planner.syncs();
    planner.duplicates();
    planner.oddities();
    Ok(planner.finish())
}

struct Planner<'a> {
    seen: &'a Observed,
    state: &'a TenantState,
    policy: &'a Policy,
    now: Timestamp,
    ours: BTreeMap<ConnectorId, &'a Connector>,
    /// Every connector by the subscription it covers.
    covering: BTreeMap<SubscriptionId, Vec<&'a Connector>>,
    /// The scopes that could not be read, in order.
    unreadable: Vec<Unreadable>,
    steps: Vec<Step>,
    kept: Vec<Kept>,
}

impl<'a> Planner<'a> {
    fn step(&mut self, action: Action, reason: impl Into<String>) {
        self.steps.push(Step { action, reason: reason.into(), withheld: None });
    }

    fn keep(&mut self, subject: Subject, why: Why) {
        self.kept.push(Kept { subject, why });
    }

    fn covering(&self, subscription: SubscriptionId) -> impl Iterator<Item = &'a Connector> {
        self.covering.get(&subscription).into_iter().flatten().copied()
    }

    fn ours_of(&self, subscription: SubscriptionId) -> impl Iterator<Item = &'a Connector> {
        self.covering(subscription).filter(|c| self.ours.contains_key(&c.id))
    }

    fn others_of(&self, subscription: SubscriptionId) -> impl Iterator<Item = &'a Connector> {
        self.covering(subscription).filter(|c| !self.ours.contains_key(&c.id))
    }

    /// Rules 1 and 8: one connector for each subscription in use that no connector covers, a limited number a cycle.
    fn creations(&mut self) {
        // A connector that does not say which subscription it covers may cover any: then Qualys is asked before a create.
        let unattributed = self.seen.connectors.values().any(|c| c.covers().is_none());
        let mut made = 0;
        for subscription in self.seen.subscriptions.values() {
            let id = subscription.id;
            if self.ours_of(id).next().is_some() {
                continue;
            }
            let why = if !subscription.state.is_in_use() {
                Why::NotInUse { state: subscription.state.as_str().to_owned() }
            } else if let Some(other) = best(self.others_of(id)) {
                self.policy.foreign_cover(other, self.now)
            } else if self.state.create_under_way(id, self.now) {
                Why::CreateUnderWay
            } else if let Some((failures, until)) = self.state.create_waits(id, self.now) {
                Why::CreateRefused { failures, until }
            } else if self.seen.exclusion_unknown {
                Why::ExclusionUnknown
            } else {
                let had_one = self.state.covered.contains(&id);
                let known = self.state.made_for(id);
                let action = self.create(subscription, unattributed || had_one, known);
                self.step(action, if had_one { "its connector is gone" } else { "no connector covers it" });
                made += 1;
                if made > self.policy.max_creates
                    && let Some(step) = self.steps.last_mut()
                {
                    step.withheld =
                        Some(format!("creation brake: at most {} a cycle", self.policy.max_creates));
                }
                continue;
            };
            self.keep(Subject::Subscription { subscription: id }, why);
        }
        for (id, direct) in &self.seen.direct {
            let why = match direct {
                Direct::InScope => continue,
                Direct::OutOfScope(why) => Why::OutOfScope { why: why.clone() },
                Direct::NotInTreeYet => Why::NotInTreeYet,
                Direct::AccessLost => Why::AccessLost,
                Direct::Failed(why) => Why::ReadFailed { why: why.clone() },
            };
            self.keep(Subject::Subscription { subscription: *id }, why);
        }
    }

    fn create(&self, subscription: &Subscription, look_first: bool, known: Option<ConnectorId>) -> Action {
        let mark = Mark {
            deployment: self.policy.deployment.clone(),
            tenant: self.seen.tenant,
            subscription: subscription.id,
        };
        Action::Create {
            subscription: subscription.id,
            name: self.policy.connector_name(subscription),
            description: mark.sign(&self.policy.connector_description(subscription)),
            look_first,
            known,
        }
    }

    /// Rule 6: which of our connectors run.
    fn syncs(&mut self) {
        for connector in self.ours.clone().into_values() {
            let Some(subscription) = connector.covers() else { continue };
            let subject = Subject::Connector { connector: connector.id, subscription: Some(subscription) };
            match self.seen.subscriptions.get(&subscription) {
                // Rule 3 and rule 5 come with the lifecycle; until then absence and state change nothing.
                None => {
                    self.keep(subject, Why::SubscriptionNotSeen);
                    continue;
                }
                Some(found) if !found.state.is_in_use() => {
                    self.keep(subject, Why::NotInUse { state: found.state.as_str().to_owned() });
                    continue;
                }
                Some(_) => {}
            }
            if self.older_twin(connector, subscription).is_some() {
                continue;
            }
            let twin = self.ours_of(subscription).find(|c| !c.disabled && c.id != connector.id);
            if let Some(twin) = twin.filter(|_| connector.disabled) {
                self.keep(subject, Why::DisabledTwin { of: twin.id });
                continue;
            }
            let requested =
                self.seen.requests.iter().filter(|r| r.asked.wants(subscription)).map(|r| r.at).max();
            let sync = self.state.connectors.get(&connector.id);
            match syncs::decide(connector, sync, requested, self.policy, self.now) {
                syncs::Sync::Run { awaited, reason } => {
                    self.step(Action::Run { connector: connector.id, subscription, awaited }, reason);
                }
                syncs::Sync::Keep(why) => self.keep(subject, why),
            }
        }
    }

    /// The older enabled connector of ours for the same subscription.
    fn older_twin(&self, connector: &Connector, subscription: SubscriptionId) -> Option<ConnectorId> {
        if connector.disabled {
            return None;
        }
        self.ours_of(subscription).filter(|c| !c.disabled && c.id < connector.id).map(|c| c.id).min()
    }

    /// Rule 2: of two enabled connectors of ours the older stays; and rule 4: removals are braked as a whole.
    fn duplicates(&mut self) {
        let mut removals = Vec::new();
        for connector in self.ours.values() {
            let Some(subscription) = connector.covers() else { continue };
            if let Some(older) = self.older_twin(connector, subscription) {
                let action = Action::Disable { connector: connector.id, subscription };
                removals.push((action, format!("connector {older} of ours, which is older, covers it too")));
            }
        }
        let enabled = self.ours.values().filter(|c| !c.disabled).count();
        let limit = self.policy.removal_limit(enabled);
        let recent = self.state.removals.len();
        let withheld = if let Some(unreadable) = self.unreadable.first() {
            Some(format!("no removal while a scope is unreadable: {}", unreadable.scope))
        } else if recent + removals.len() > limit {
            Some(format!(
                "too many removals: {} wanted and {recent} done in 24 hours, {enabled} connectors of ours are enabled, the limit is {limit}",
                removals.len()
            ))
        } else {
            None
        };
        for (action, reason) in removals {
            self.steps.push(Step { action, reason, withheld: withheld.clone() });
        }
    }

    /// Connectors that look like ours and are not: named, never touched.
    fn oddities(&mut self) {
        for connector in self.seen.connectors.values().filter(|c| !self.ours.contains_key(&c.id)) {
            let why = match connector.mark() {
                Some(mark) if connector.subscription.is_some_and(|own| own != mark.subscription) => {
                    Why::CopiedMark { marked: mark.subscription }
                }
                None if self.state.connectors.contains_key(&connector.id) => Why::LostMark,
                _ => continue,
            };
            let subject = Subject::Connector { connector: connector.id, subscription: connector.covers() };
            self.kept.push(Kept { subject, why });
        }
    }

    fn finish(self) -> Plan {
        let mut essences: Vec<String> = self.steps.iter().map(|step| step.action.essence()).collect();
        essences.sort();
        let hash = hex(&Sha256::digest(essences.join("\n").as_bytes()));
        Plan {
            schema_version: SCHEMA_VERSION,
            tenant: self.seen.tenant,
            mode: self.policy.mode,
            made: self.now,
            hash,
            coverage: cover::coverage(self.seen, self.state, self.policy, self.now),
            cost: self.cost(),
            steps: self.steps,
            kept: self.kept,
            unreadable: self.unreadable,
        }
    }

    fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for step in &self.steps {
            if step.withheld.is_some() {
                cost.withheld += 1;
                continue;
            }
            match step.action {
                Action::Create { look_first, known, .. } => {
                    cost.creates += 1;
                    cost.calls += 1 + usize::from(look_first) + usize::from(known.is_some());
                }
                Action::Run { .. } => cost.runs += 1,
                Action::Disable { .. } => cost.removals += 1,
            }
        }
        // Each new connector may need a run of its own, in a later cycle.
        cost.calls += cost.creates + cost.runs + cost.removals;
        let busiest = (cost.creates + cost.runs).max(cost.removals);
        cost.hours = busiest / self.policy.calls_per_hour.max(1) as usize;
        if cost.creates > 0 {
            cost.switches_on = self.policy.apps.iter().chain(&self.policy.modules).cloned().collect();
        }
        cost
    }
}

/// Of several connectors that others made for one subscription, the one that says most: enabled before disabled, then
/// the one that synced last.
fn best<'a>(others: impl Iterator<Item = &'a Connector>) -> Option<&'a Connector> {
    others.max_by_key(|c| (!c.disabled, c.last_sync, std::cmp::Reverse(c.id)))
}
