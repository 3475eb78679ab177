//! The state that a tenant and an account keep between cycles.
//!
//! Guarantees: plain data with a `schema_version`. Losing it costs waiting and never causes a wrong write: everything here
//! only *delays* or *brakes* what the observation alone would ask for.

mod account;
mod approval;
mod dated;
mod disabled;
mod failing;
mod lists;
mod pending_run;
mod refusals;
mod snapshot;
mod sync;

pub use account::{AccountState, BookedCalls, Breaker, Endpoint, LONGEST_PAUSE, Used, without_reserve};
pub use approval::Approval;
pub use disabled::{DisableProof, DisabledByUs};
pub use failing::{Failing, NotAccepted, SyncFailure};
pub use lists::{Absence, AbsenceRule, Doubt, Found, ListMemory, Remembered, Uncovered};
pub use pending_run::PendingRun;
pub use refusals::{Refusal, Refusals, RefusedAlike};
pub use snapshot::{LastSnapshot, Progress, SnapshotDoubt};
pub use sync::{SyncEnd, SyncState};

use crate::model::{Connector, ConnectorId, CycleId, Observed, SubscriptionId, Turn, after, elapsed};
use jiff::Timestamp;
use lists::List;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The version of every stored shape of this binary; a blob with a newer version is never overwritten.
pub const SCHEMA_VERSION: u32 = 1;

/// How long a create is not repeated: a new connector may be missing from a search for a while, and a second create would
/// make a duplicate. Ten minutes is a precaution; no source states the lag.
pub const CREATE_SETTLES: Duration = Duration::from_mins(10);

/// The first wait after a failed sync or a refused write; it doubles up to [`LONGEST_WAIT`]. The usual causes (a wrong
/// secret, a missing role, a setting that Qualys does not accept) are corrected by people, so faster tries would only
/// use calls up.
const FIRST_WAIT: Duration = Duration::from_mins(15);
const LONGEST_WAIT: Duration = Duration::from_hours(6);

/// Rule *refusals back off*: how long to wait after this many failures in a row.
pub fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

/// How long the state keeps a connector with our mark that answers no longer show.
const MISSING_LASTS: Duration = Duration::from_hours(24);

/// How long a subscription counts as new. It lands in the root management group, whoever creates it moves it, and the tree
/// lags by up to 30 minutes (<https://learn.microsoft.com/azure/governance/management-groups/overview>).
const NEW_LASTS: Duration = Duration::from_mins(30);

/// Removals are counted over one day.
pub const REMOVAL_WINDOW: Duration = Duration::from_hours(24);

/// The state of one tenant: `control/tenant=<directory id>/state.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TenantState {
    pub schema_version: u32,
    pub last_cycle: Option<LastCycle>,
    /// The inbox items that the latest cycle listed: name and `ETag`.
    #[serde(default)]
    pub listed: BTreeMap<String, String>,
    /// When the latest create for a subscription was sent, if it was accepted or its outcome is not known. Kept until
    /// the connector must be listed.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<SubscriptionId, String>"))]
    pub creates: BTreeMap<SubscriptionId, Timestamp>,
    /// Creates that Qualys refused, or that stayed unclear.
    #[serde(default)]
    pub refused: BTreeMap<SubscriptionId, Refusals>,
    /// The latest creates, if Qualys refused them all alike.
    #[serde(default)]
    pub refused_alike: Option<RefusedAlike>,
    /// Disables that Qualys refused, that stayed unclear, or that we stopped just before the write.
    #[serde(default)]
    pub disables_refused: BTreeMap<ConnectorId, Refusals>,
    /// Every subscription that was ever observed in scope. Its rows belong to this tenant even while it cannot be seen, until ARM
    /// reports it under another directory.
    #[serde(default)]
    pub observed: BTreeSet<SubscriptionId>,
    /// When a subscription was first observed in scope, while it counts as new.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<SubscriptionId, String>"))]
    pub first_seen: BTreeMap<SubscriptionId, Timestamp>,
    /// Subscriptions whose rows were this tenant's until ARM reported them under another directory.
    #[serde(default)]
    pub moved_away: BTreeSet<SubscriptionId>,
    /// Every subscription that some connector ever covered. A connector that is missing from one list is not gone, so such a
    /// subscription gets a new one only on proof.
    #[serde(default)]
    pub covered: BTreeSet<SubscriptionId>,
    /// What the lists of connectors showed.
    #[serde(default)]
    pub lists: ListMemory,
    /// Our connectors.
    #[serde(default)]
    pub connectors: BTreeMap<ConnectorId, SyncState>,
    /// Connectors that we disabled, or were about to disable. Others that are disabled are left so.
    #[serde(default)]
    pub disabled: BTreeMap<ConnectorId, DisabledByUs>,
    /// When we disabled or deleted connectors in the last 24 hours, newest last.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub removals: Vec<Timestamp>,
    /// When a first or requested sync was last seen to succeed.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub awaited_end: Option<Timestamp>,
    /// The newest snapshot that was begun.
    pub last_snapshot: Option<LastSnapshot>,
    /// Whose turn it is to be read one by one, when more subscriptions wait than a cycle may read so.
    #[serde(default)]
    pub turn: Turn,
}

/// The latest cycle of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LastCycle {
    pub id: CycleId,
    #[cfg_attr(test, schemars(with = "String"))]
    pub began: Timestamp,
    /// When its outcome was written down. None while it runs, and from then on if it was killed.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub ended: Option<Timestamp>,
}

impl TenantState {
    /// The state of a tenant of which nothing is known: no connector is made before its first lists agree.
    pub fn unknown(now: Timestamp) -> Self {
        let lists = ListMemory { first: Some(Absence::new(now)), ..ListMemory::default() };
        Self { lists, ..Self::default() }
    }

    /// Takes in what a cycle observed: the subscriptions in scope, the list of connectors, and our connectors. `began`: when
    /// the cycle did, so that lists of cycles an hour apart span an hour.
    pub fn take_in(
        &mut self,
        observed: &Observed,
        is_ours: impl Fn(&Connector) -> bool,
        rule: AbsenceRule,
        began: Timestamp,
        now: Timestamp,
    ) {
        let new = observed.subscriptions.keys().filter(|id| !self.observed.contains(id));
        self.first_seen.extend(new.map(|id| (*id, now)));
        self.first_seen.retain(|_, at| elapsed(now, *at) < NEW_LASTS);
        self.observed.extend(observed.subscriptions.keys());
        self.move_away(observed, &is_ours);
        let is_of_tenant = |connector: &Connector| {
            is_ours(connector)
                || connector.directory == Some(observed.tenant)
                || connector.covers().is_some_and(|id| self.observed.contains(&id))
        };
        let (connectors, read_by_id) = (&observed.connectors, &observed.read_by_id);
        let list = List { connectors, read_by_id, is_of_tenant: &is_of_tenant };
        self.lists.take_in(&list, &mut self.covered, rule, began);
        let connectors = observed.connectors.values();
        self.turn = observed.turn.clone();
        self.update_from(connectors.filter(|connector| is_ours(connector)), now);
    }

    /// Takes in which subscriptions of this tenant are now another directory's. Only ARM's word counts, never that one is missing.
    fn move_away(&mut self, observed: &Observed, is_ours: impl Fn(&Connector) -> bool) {
        let is_of_tenant = |c: &&Connector| c.directory == Some(observed.tenant) || is_ours(c);
        let of_connectors = observed.connectors.values().filter(is_of_tenant).filter_map(Connector::covers);
        let of_tenant: BTreeSet<_> = self.observed.iter().copied().chain(of_connectors).collect();
        self.moved_away.extend(observed.elsewhere.intersection(&of_tenant));
        // The directory that observes it now wins.
        self.moved_away.retain(|id| !observed.subscriptions.contains_key(id));
        self.observed.retain(|id| !self.moved_away.contains(id));
    }

    /// Until when a subscription counts as new; none when it does not.
    pub fn new_until(&self, subscription: SubscriptionId, now: Timestamp) -> Option<Timestamp> {
        let until = after(*self.first_seen.get(&subscription)?, NEW_LASTS);
        (now < until).then_some(until)
    }

    /// Updates the state from the connectors with our mark that a cycle observed, and drops what is over.
    pub fn update_from<'a>(&mut self, ours: impl Iterator<Item = &'a Connector>, now: Timestamp) {
        let mut known = std::mem::take(&mut self.connectors);
        for connector in ours {
            disabled::update(&mut self.disabled, connector, now);
            let mut sync = known.remove(&connector.id).unwrap_or_default();
            sync.subscription = connector.covers();
            if sync.update_from(connector, now) {
                self.awaited_end = Some(now);
            }
            self.connectors.insert(connector.id, sync);
        }
        // A connector that an answer lacks is not gone. One that we made stays in the state for good: it is read by its id
        // before another is made, and named when it has lost our mark.
        for (id, mut sync) in known {
            let shown_lately = sync.seen.or(sync.made).is_some_and(|at| elapsed(now, at) < MISSING_LASTS);
            let is_new = sync.made.is_some_and(|made| elapsed(now, made) < CREATE_SETTLES);
            sync.awaited &= is_new;
            if shown_lately || sync.made.is_some() {
                self.connectors.insert(id, sync);
            }
        }
        disabled::forget_gone(&mut self.disabled, now);
        self.removals.retain(|at| elapsed(now, *at) < REMOVAL_WINDOW);
        self.creates.retain(|_, at| elapsed(now, *at) < CREATE_SETTLES);
        self.refused.retain(|_, refusals| !refusals.is_forgotten(now));
        self.disables_refused.retain(|_, refusals| !refusals.is_forgotten(now));
    }

    /// Whether a create for this subscription was sent so recently that its connector may not be listed yet.
    pub fn create_under_way(&self, subscription: SubscriptionId, now: Timestamp) -> bool {
        self.creates.get(&subscription).is_some_and(|at| elapsed(now, *at) < CREATE_SETTLES)
    }

    /// Records a create that may have made a connector.
    pub fn create_sent(&mut self, subscription: SubscriptionId, at: Timestamp) {
        self.creates.insert(subscription, at);
    }

    /// Records a create that made a connector. It covers the subscription even if no list ever shows it.
    pub fn create_answered(&mut self, subscription: SubscriptionId, id: ConnectorId, at: Timestamp) {
        self.creates.insert(subscription, at);
        self.covered.insert(subscription);
        self.lists.made(id, subscription, at);
    }

    /// Records in a state that was lost a connector that covered a subscription `at` some time. One that the newest manifest
    /// knows is known already. One that was there before that manifest, of this time, is gone since, so no list lacks it;
    /// but it is read by its id before another is made.
    pub fn recall_cover(
        &mut self,
        subscription: SubscriptionId,
        id: ConnectorId,
        at: Timestamp,
        manifest: Option<Timestamp>,
    ) {
        self.covered.insert(subscription);
        // If it is that new, a list may not show it yet.
        self.creates.insert(subscription, at);
        let gone = manifest.is_some_and(|manifest| at < manifest);
        self.lists.connectors.entry(id).or_insert(Remembered {
            subscription: Some(subscription),
            of_tenant: true,
            missing: gone.then(|| Absence::new(at)),
            gone,
            ..Remembered::default()
        });
    }

    /// Records that Qualys, when asked, had a connector for a subscription although the list lacked it.
    pub fn connector_found(&mut self, subscription: SubscriptionId, id: ConnectorId, at: Timestamp) {
        self.covered.insert(subscription);
        self.lists.found(id, subscription, at);
    }

    /// The connectors that covered this subscription, as far as the state has them: those that last stated it, and the newest
    /// that we made for it.
    pub fn remembered_for(&self, subscription: SubscriptionId) -> BTreeSet<ConnectorId> {
        let made = |sync: &SyncState| sync.made.is_some() && sync.subscription == Some(subscription);
        let newest = self.connectors.iter().rev().find(|(_, sync)| made(sync)).map(|(id, _)| *id);
        self.lists.of(subscription).chain(newest).collect()
    }

    /// The refused creates for this subscription and when the next is due; none when it is due now.
    pub fn create_waits(
        &self,
        subscription: SubscriptionId,
        now: Timestamp,
    ) -> Option<(&Refusals, Timestamp)> {
        let refusals = self.refused.get(&subscription)?;
        Some((refusals, refusals.wait(now)?))
    }

    /// Records that Qualys refused to create a connector for this subscription, or that it is not clear whether it did.
    pub fn create_refused(&mut self, subscription: SubscriptionId, refusal: Refusal, at: Timestamp) {
        if let Some(code) = &refusal.code {
            let before = self.refused_alike.take();
            let alike = RefusedAlike::another(before, subscription, code, &refusal.error, at);
            self.refused_alike = Some(alike);
        }
        let before = self.refused.remove(&subscription);
        self.refused.insert(subscription, Refusals::another(before, refusal, at));
    }

    /// Records that a connector could not be disabled, or that it is not clear whether it was.
    pub fn disable_refused(&mut self, connector: ConnectorId, refusal: Refusal, at: Timestamp) {
        let before = self.disables_refused.remove(&connector);
        self.disables_refused.insert(connector, Refusals::another(before, refusal, at));
    }

    /// Whether a first or requested sync of one of these subscriptions has not ended yet; not one that takes over an hour.
    pub fn awaits_sync(&self, of: impl Fn(SubscriptionId) -> bool, now: Timestamp) -> bool {
        let counts = |sync: &&SyncState| sync.subscription.is_some_and(&of);
        self.connectors.values().filter(counts).any(|sync| sync.is_awaited(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Correction;
    use serde_json::{Value, json};

    const NOW: &str = "2026-11-23T04:05:00Z";

    /// The places of times after now.
    fn after_now(value: &Value, place: &str) -> Vec<String> {
        let now: Timestamp = NOW.parse().unwrap();
        match value {
            Value::String(text) => {
                let is_later = text.parse::<Timestamp>().is_ok_and(|time| time > now);
                is_later.then(|| place.to_owned()).into_iter().collect()
            }
            Value::Array(items) => items.iter().flat_map(|item| after_now(item, place)).collect(),
            Value::Object(members) => {
                members.iter().flat_map(|(name, value)| after_now(value, name)).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => vec![],
        }
    }

    #[test]
    fn of_a_state_that_a_clock_wrote_which_was_ahead_no_time_of_ours_stays_after_now() {
        const LATER: &str = "2026-11-26T04:05:00Z";
        let subscription = "11111111-2222-3333-4444-555555555555";
        let run = json!({ "at": LATER, "last_sync": LATER, "state": "", "error_digest": null, "seen_in_progress": false,
            "unclear": false });
        let sync = json!({ "made": LATER, "seen": LATER, "refused": LATER, "queued_since": LATER, "in_progress_since": LATER,
            "pending_run": run, "runs": ["2026-11-23T04:00:00Z", LATER], "failed": LATER,
            "ended": { "at": LATER, "run": LATER, "well": true }, "last_sync": LATER });
        let stored = json!({ "schema_version": 1, "creates": { subscription: LATER },
            "last_cycle": { "id": "20261126T040500Z-1f2e3d4c", "began": LATER, "ended": LATER },
            "refused": { subscription: { "count": 1, "at": LATER, "tries": [LATER] } }, "connectors": { "7": sync },
            "refused_alike": { "code": "NO_LICENSE", "error": "", "subscriptions": [], "waits": 1, "at": LATER },
            "removals": [LATER], "awaited_end": LATER,
            "last_snapshot": { "id": "20261126T040500Z-1f2e3d4c", "began": LATER, "complete": true } });
        let mut state: TenantState = serde_json::from_value(stored).unwrap();
        let id = subscription.parse().unwrap();
        let now = NOW.parse().unwrap();
        assert_eq!(Correction::of(&mut state, now), Some(Duration::from_hours(3 * 24)));
        let left = after_now(&serde_json::to_value(&state).unwrap(), "");
        assert!(left.iter().all(|place| place == "last_sync"), "{left:?}; `last_sync` is of Qualys's clock");
        assert_eq!(state.last_snapshot, None, "it proves nothing, and one is due");
        let sync = &state.connectors[&ConnectorId(7)];
        assert_eq!(sync.ended, None);
        let times: Vec<_> = sync.runs.iter().map(ToString::to_string).collect();
        assert_eq!(
            times,
            ["2026-11-23T03:35:00Z", "2026-11-23T04:00:00Z"],
            "both count among those of the day"
        );
        let waits =
            [state.refused_alike.as_ref().and_then(RefusedAlike::until), state.refused[&id].wait(now)];
        assert_eq!(waits, [Some(after(now, FIRST_WAIT)); 2], "as if they had been refused now");
        assert_eq!(Correction::of(&mut state, now), None);
    }
}
