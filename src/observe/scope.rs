//! Which of the subscriptions that were read are in scope: pure.
//!
//! Guarantees: a subscription is in scope as soon as one list has it; it is out of scope only when the settings, its
//! directory, or a complete reading of the tree say so.

use super::Targets;
use crate::model::{
    Direct, OutOfScope, ReadFailure, Scope, Subscription, SubscriptionId, TenantId, Unreadable, elapsed,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The management-group tree lags by up to 30 minutes. After twice that time, a complete reading that lacks the
/// subscription puts it out of scope.
const TREE_SETTLES: Duration = Duration::from_hours(1);

/// What a scope says, or why it could not be read completely.
pub(super) type Read<T> = Result<T, Unreadable>;

/// What the lists say, put together.
pub(super) struct Lists {
    /// The subscriptions that the identity sees, in any directory.
    listed: BTreeMap<SubscriptionId, Subscription>,
    /// Those that the settings or a management group put in scope.
    wanted: BTreeSet<SubscriptionId>,
    /// Those that a management group of `SCOPE` shows, the root group apart: every new subscription lands there first.
    placed: BTreeSet<SubscriptionId>,
    /// Those that the settings or a management group take out of it.
    excluded: BTreeSet<SubscriptionId>,
    /// Every management group of `SCOPE` was read completely.
    groups_whole: bool,
    /// A management group of `EXCLUDE` could not be read.
    exclusion_unknown: bool,
    unreadable: Vec<Unreadable>,
}

/// The Azure side of what a cycle observed.
pub(super) struct Sorted {
    pub(super) found: BTreeMap<SubscriptionId, Subscription>,
    pub(super) unreadable: Vec<Unreadable>,
    pub(super) exclusion_unknown: bool,
    pub(super) direct: BTreeMap<SubscriptionId, Direct>,
    pub(super) unlisted: BTreeSet<SubscriptionId>,
    pub(super) unplaced: BTreeSet<SubscriptionId>,
    pub(super) elsewhere: BTreeSet<SubscriptionId>,
}

impl Lists {
    /// Puts the lists together. Where lists disagree, their union is used.
    pub(super) fn new(
        targets: &Targets<'_>,
        listed: Read<Vec<Subscription>>,
        inside: Vec<Read<BTreeSet<SubscriptionId>>>,
        outside: Vec<Read<BTreeSet<SubscriptionId>>>,
    ) -> Self {
        let Scope { subscriptions, .. } = targets.scope;
        let mut unreadable = Vec::new();
        // The root group has the id of its directory (https://learn.microsoft.com/azure/governance/management-groups/overview).
        let is_root = |group: &str| group.eq_ignore_ascii_case(&targets.tenant.to_string());
        let groups = targets.scope.groups.iter().zip(&inside).filter(|(group, _)| !is_root(group));
        let placed = groups.filter_map(|(_, below)| below.as_ref().ok()).flatten().copied().collect();
        let (mut wanted, groups_whole) = union(subscriptions, inside, &mut unreadable);
        let (excluded, exclusion_known) = union(&targets.exclude.subscriptions, outside, &mut unreadable);
        let listed = listed.unwrap_or_else(|scope| {
            unreadable.push(scope);
            Vec::new()
        });
        if targets.scope.is_everything() {
            wanted.extend(listed.iter().filter(|s| s.tenant == targets.tenant).map(|s| s.id));
        }
        let listed = listed.into_iter().map(|subscription| (subscription.id, subscription)).collect();
        Self {
            listed,
            wanted,
            placed,
            excluded,
            groups_whole,
            exclusion_unknown: !exclusion_known,
            unreadable,
        }
    }

    /// Those in scope or in the inbox that no list describes: they are read one by one.
    pub(super) fn unknown(&self, targets: &Targets<'_>) -> BTreeSet<SubscriptionId> {
        let is_unknown = |id: &SubscriptionId| !self.listed.contains_key(id) && !self.excluded.contains(id);
        self.looked_at(targets).into_iter().filter(is_unknown).collect()
    }

    /// Whether a management group of `EXCLUDE` may yet take it out of scope. One that `SCOPE` names itself is meant.
    fn is_unplaced(&self, targets: &Targets<'_>, id: SubscriptionId) -> bool {
        let Scope { groups, subscriptions } = targets.scope;
        let by_groups = targets.scope.is_everything() || !groups.is_empty();
        by_groups
            && !targets.exclude.groups.is_empty()
            && !subscriptions.contains(&id)
            && !self.placed.contains(&id)
    }

    /// If all that is seen belongs to other directories, `TENANT_ID` is probably wrong: the one that is seen is named.
    fn other_directory(&self, targets: &Targets<'_>, looked_at: &[Subscription]) -> Option<Unreadable> {
        let listed: Vec<_> = self.listed.values().cloned().collect();
        let seen = if targets.scope.is_everything() { &listed } else { looked_at };
        let why = format!(
            "ARM shows no subscription of directory {}, but {}: correct TENANT_ID, or give the identity the role Reader there",
            targets.tenant,
            elsewhere(targets.tenant, seen)?
        );
        Some(Unreadable { scope: super::LIST.to_owned(), why })
    }

    fn looked_at(&self, targets: &Targets<'_>) -> BTreeSet<SubscriptionId> {
        self.wanted.iter().chain(targets.in_inbox.keys()).copied().collect()
    }
}

/// What is known when nothing at all could be read.
pub(super) fn nothing_read(targets: &Targets<'_>, why: Unreadable) -> Sorted {
    Sorted {
        found: BTreeMap::new(),
        unreadable: vec![why],
        exclusion_unknown: !targets.exclude.groups.is_empty(),
        direct: BTreeMap::new(),
        unlisted: BTreeSet::new(),
        unplaced: BTreeSet::new(),
        elsewhere: BTreeSet::new(),
    }
}

/// How many subscriptions of which other directory there are; the directory with the most is named. None if there are none.
pub(crate) fn elsewhere(tenant: TenantId, all: &[Subscription]) -> Option<String> {
    let mut counts: BTreeMap<TenantId, usize> = BTreeMap::new();
    for other in all.iter().map(|one| one.tenant).filter(|other| *other != tenant) {
        *counts.entry(other).or_default() += 1;
    }
    let (other, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    Some(format!("{count} of directory {other}"))
}

/// The subscriptions named by the settings and by groups, and whether every group could be read.
fn union(
    named: &BTreeSet<SubscriptionId>,
    groups: Vec<Read<BTreeSet<SubscriptionId>>>,
    unreadable: &mut Vec<Unreadable>,
) -> (BTreeSet<SubscriptionId>, bool) {
    let mut all = named.clone();
    let mut whole = true;
    for group in groups {
        match group {
            Ok(below) => all.extend(below),
            Err(scope) => {
                whole = false;
                unreadable.push(scope);
            }
        }
    }
    (all, whole)
}

/// Decides about each subscription that is in scope or in the inbox. `read` has those of [`Lists::unknown`] that were read.
pub(super) fn sort(
    targets: &Targets<'_>,
    lists: Lists,
    mut read: BTreeMap<SubscriptionId, Result<Subscription, Direct>>,
) -> Sorted {
    let (mut found, mut direct) = (BTreeMap::new(), BTreeMap::new());
    let (mut unlisted, mut unplaced) = (BTreeSet::new(), BTreeSet::new());
    let shown = lists.listed.values().chain(read.values().filter_map(|read| read.as_ref().ok()));
    let elsewhere =
        shown.filter(|subscription| subscription.tenant != targets.tenant).map(|s| s.id).collect();
    let (mut named, mut known_ones) = (Vec::new(), Vec::new());
    for id in lists.looked_at(targets) {
        let known = match lists.listed.get(&id) {
            Some(subscription) => Ok(subscription.clone()),
            None => read.remove(&id).unwrap_or(Err(Direct::Failed(ReadFailure::TooMany))),
        };
        known_ones.extend(known.clone().ok());
        let (verdict, subscription) = verdict(targets, &lists, id, known);
        if let Some(why) = why_unreadable(&verdict).filter(|_| targets.scope.subscriptions.contains(&id)) {
            named.push(Unreadable { scope: Unreadable::subscription(id), why });
        }
        if let Some(subscription) = subscription {
            if !lists.listed.contains_key(&id) && !lists.wanted.contains(&id) {
                unlisted.insert(id);
            }
            if lists.is_unplaced(targets, id) {
                unplaced.insert(id);
            }
            found.insert(id, subscription);
        }
        // What a list decides is not reported one by one, unless an inbox item asks for it.
        let is_said =
            targets.in_inbox.contains_key(&id) || !matches!(verdict, Direct::InScope | Direct::OutOfScope(_));
        if is_said {
            direct.insert(id, verdict);
        }
    }
    let other_directory = found.is_empty().then(|| lists.other_directory(targets, &known_ones)).flatten();
    let Lists { mut unreadable, exclusion_unknown, .. } = lists;
    unreadable.extend(named);
    unreadable.extend(other_directory);
    Sorted { found, unreadable, exclusion_unknown, direct, unlisted, unplaced, elsewhere }
}

/// Why a subscription that the settings name could not be read: then what they want watched was not read completely. None
/// when it is known whether it is in scope.
fn why_unreadable(verdict: &Direct) -> Option<String> {
    match verdict {
        Direct::AccessLost => Some(format!(
            "{}: give the identity the role Reader on it, or take it out of SCOPE",
            Direct::ACCESS_LOST
        )),
        Direct::Failed(why) => Some(why.to_string()),
        Direct::InScope | Direct::OutOfScope(_) | Direct::NotInTreeYet => None,
    }
}

/// Whether a subscription is in scope; if so, with what is known of it.
fn verdict(
    targets: &Targets<'_>,
    lists: &Lists,
    id: SubscriptionId,
    known: Result<Subscription, Direct>,
) -> (Direct, Option<Subscription>) {
    let out = |why: OutOfScope| (Direct::OutOfScope(why), None);
    if lists.excluded.contains(&id) {
        return out(OutOfScope::Excluded);
    }
    let subscription = match known {
        Ok(subscription) => subscription,
        Err(verdict) => return (verdict, None),
    };
    if subscription.tenant != targets.tenant {
        return out(OutOfScope::OtherDirectory { directory: subscription.tenant });
    }
    if lists.wanted.contains(&id) || targets.scope.is_everything() {
        return (Direct::InScope, Some(subscription));
    }
    if targets.scope.groups.is_empty() {
        return out(OutOfScope::NotNamed);
    }
    let left = targets.in_inbox.get(&id).copied();
    if lists.groups_whole && left.is_some_and(|left| elapsed(targets.now, left) >= TREE_SETTLES) {
        return out(OutOfScope::NotInGroups);
    }
    (Direct::NotInTreeYet, None)
}

#[cfg(test)]
mod tests;
