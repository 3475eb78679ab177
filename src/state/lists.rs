//! What the lists of connectors showed: rule *absence is only a suspicion*.
//!
//! Qualys may answer with an empty or a shorter list under HTTP 200, for example when the scope of its user was cut. So a
//! connector that a list lacks is only missing. Its absence is proved when enough complete lists over enough time lack it,
//! and a list that lacks many connectors at once is doubtful: it proves nothing.

mod absence;
mod doubt;

pub use absence::{Absence, AbsenceRule};
pub use doubt::Doubt;

use super::{CREATE_SETTLES, backoff};
use crate::model::{Connector, ConnectorId, KnownConnector, SubscriptionId, after, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a connector that is gone is remembered, so that it is read by its id before its subscription gets another. By
/// then it would have been seen again; its subscription stays known as one that was covered.
const GONE_LASTS: Duration = Duration::from_hours(30 * 24);

/// What the lists of connectors showed, in the tenant's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ListMemory {
    /// The connectors of the account, ours or not, that were listed, and those that we made.
    pub connectors: BTreeMap<ConnectorId, Remembered>,
    /// The subscriptions that a connector once covered and that no listed connector covers.
    pub uncovered: BTreeMap<SubscriptionId, Uncovered>,
    /// The first lists of a tenant of which nothing was known before; none once enough of them were read.
    pub first: Option<Absence>,
    /// Why the newest list is doubtful; none when it is not.
    pub doubt: Option<Doubt>,
}

/// A connector as it was last listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Remembered {
    /// The subscription that it last stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionId>,
    /// The subscription of its mark, while it has stated none: a mark may have been copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked: Option<SubscriptionId>,
    /// Whether it last said that it belongs to a Qualys tenant connector; none if it never said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<bool>,
    /// It belongs to this tenant, not to another one of the account.
    pub of_tenant: bool,
    /// When we made it, until a list shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub made: Option<Timestamp>,
    /// The lists that lack it, if the newest does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Absence>,
    /// Its absence was proved by lists, or approved by a person.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// When it was last read by its id because lists show no subscription of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub asked: Option<Timestamp>,
}

/// A subscription that a connector once covered and that no listed connector covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Uncovered {
    /// The lists that show no connector of it.
    pub absence: Absence,
    /// A person approved that its connectors are gone.
    #[serde(default)]
    pub approved: bool,
    /// A connector that Qualys had for it when it was asked by ids and by the subscription.
    #[serde(default)]
    pub found: Option<Found>,
}

/// A connector that lists lack and Qualys has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Found {
    pub connector: ConnectorId,
    /// When it was last found.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// How often in a row.
    pub times: u32,
}

/// A complete list of connectors.
pub(super) struct List<'a> {
    pub(super) connectors: &'a BTreeMap<ConnectorId, Connector>,
    /// Those that were read by their ids, because the list states no subscription of them.
    pub(super) read_by_id: &'a BTreeSet<ConnectorId>,
    pub(super) is_of_tenant: &'a dyn Fn(&Connector) -> bool,
}

impl ListMemory {
    /// Takes in a complete list. `covered`: every subscription that some connector ever covered.
    pub(super) fn take_in(
        &mut self,
        list: &List<'_>,
        covered: &mut BTreeSet<SubscriptionId>,
        rule: AbsenceRule,
        now: Timestamp,
    ) {
        self.remember(list, now);
        self.doubt = Doubt::of(&self.connectors, list, self.doubt.as_ref(), now);
        let counts = self.doubt.is_none();
        for (id, one) in &mut self.connectors {
            let is_new = one.made.is_some_and(|made| elapsed(now, made) < CREATE_SETTLES);
            if list.connectors.contains_key(id) || is_new {
                continue;
            }
            let missing = Absence::counted(one.missing, counts, now);
            one.missing = Some(missing);
            one.gone |= missing.is_proved(rule, now);
        }
        let covered_now: BTreeSet<_> = list.connectors.values().filter_map(Connector::covers).collect();
        covered.extend(&covered_now);
        self.uncovered.retain(|id, _| !covered_now.contains(id));
        for id in covered.difference(&covered_now) {
            let entry = self.uncovered.entry(*id).or_insert_with(|| Uncovered::new(now));
            entry.absence = Absence::counted(Some(entry.absence), counts, now);
        }
        self.first = self
            .first
            .map(|first| Absence::counted(Some(first), counts, now))
            .filter(|first| !first.is_proved(rule, now));
        self.forget(&covered_now, now);
    }

    fn remember(&mut self, list: &List<'_>, now: Timestamp) {
        for connector in list.connectors.values() {
            let one = self.connectors.entry(connector.id).or_default();
            one.subscription = connector.subscription.or(one.subscription);
            one.marked =
                connector.mark().map(|mark| mark.subscription).filter(|_| one.subscription.is_none());
            one.member = connector.member.or(one.member);
            one.of_tenant = (list.is_of_tenant)(connector);
            (one.made, one.missing, one.gone) = (None, None, false);
            if list.read_by_id.contains(&connector.id) {
                one.asked = Some(now);
            }
        }
    }

    /// Forgets the connectors that are gone and of no use: their subscription has another, or they were gone for long.
    fn forget(&mut self, covered_now: &BTreeSet<SubscriptionId>, now: Timestamp) {
        self.connectors.retain(|_, one| {
            let has_other = one.covers().is_none_or(|id| covered_now.contains(&id));
            let is_old = one.missing.is_some_and(|missing| elapsed(now, missing.since) > GONE_LASTS);
            !(one.gone && (has_other || is_old))
        });
    }

    /// The connectors that are there, as far as lists tell: those that a doubtful list lacks, too.
    pub fn known(&self) -> BTreeMap<ConnectorId, KnownConnector> {
        let there = self.connectors.iter().filter(|(_, one)| !one.gone);
        let known =
            |one: &Remembered| KnownConnector { subscription: one.subscription, of_tenant: one.of_tenant };
        there.map(|(id, one)| (*id, known(one))).collect()
    }

    /// Takes in what a manifest knows, for a state that was lost.
    pub fn recall(&mut self, known: BTreeMap<ConnectorId, KnownConnector>) {
        for (id, KnownConnector { subscription, of_tenant }) in known {
            self.connectors.insert(id, Remembered { subscription, of_tenant, ..Remembered::default() });
        }
    }

    /// Records a connector that we made. Until a list shows it, it counts as listed for a while, and then as missing.
    pub(super) fn made(&mut self, id: ConnectorId, subscription: SubscriptionId, at: Timestamp) {
        let one = self.connectors.entry(id).or_default();
        (one.subscription, one.of_tenant, one.made) = (Some(subscription), true, Some(at));
        self.uncovered.remove(&subscription);
    }

    /// Records that Qualys, when asked, had a connector for a subscription although the list lacked it.
    pub(super) fn found(&mut self, id: ConnectorId, subscription: SubscriptionId, at: Timestamp) {
        let entry = self.uncovered.entry(subscription).or_insert_with(|| Uncovered::new(at));
        let times = entry.found.as_ref().map_or(0, |found| found.times).saturating_add(1);
        entry.found = Some(Found { connector: id, at, times });
        entry.approved = false;
    }

    /// The connector that was found for a subscription, while it is too early to ask again, and until when.
    pub fn found_lately(
        &self,
        subscription: SubscriptionId,
        now: Timestamp,
    ) -> Option<(ConnectorId, Timestamp)> {
        let found = self.uncovered.get(&subscription)?.found.as_ref()?;
        let until = after(found.at, backoff(found.times));
        (now < until).then_some((found.connector, until))
    }

    /// The connectors that last stated this subscription.
    pub fn of(&self, subscription: SubscriptionId) -> impl Iterator<Item = ConnectorId> {
        let of_it = move |one: &Remembered| one.covers() == Some(subscription);
        self.connectors.iter().filter(move |(_, one)| of_it(one)).map(|(id, _)| *id)
    }

    /// Takes the connectors of the doubt for gone, because a person approved it: it ends, and their subscriptions may get new
    /// connectors. Qualys is still asked before that.
    pub fn approve(&mut self) {
        let Some(doubt) = self.doubt.take() else { return };
        for id in &doubt.missing {
            let Some(one) = self.connectors.get_mut(id) else { continue };
            one.gone = true;
            let uncovered = one.covers().and_then(|id| self.uncovered.get_mut(&id));
            if let Some(uncovered) = uncovered {
                uncovered.approved = true;
            }
        }
    }
}

impl Remembered {
    /// The subscription that it covers, as far as anybody knows.
    fn covers(&self) -> Option<SubscriptionId> {
        self.subscription.or(self.marked)
    }
}

impl Uncovered {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { absence: Absence::new(now), approved: false, found: None }
    }

    /// Whether its connectors are missing for so long that Qualys may be asked, and a new one made.
    pub fn is_proved(&self, rule: AbsenceRule, now: Timestamp) -> bool {
        self.approved || self.absence.is_proved(rule, now)
    }
}

#[cfg(test)]
mod tests;
