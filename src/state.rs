//! The state that a tenant and an account keep between cycles.
//!
//! Guarantees: plain data with a `schema_version`. Losing it costs waiting and never causes a wrong write: everything here
//! only *delays* or *brakes* what the observation alone would ask for.

mod account;
mod pending_run;
mod sync;

pub use account::{AccountState, BookedCalls, Breaker, Endpoint, LONGEST_PAUSE, Used, without_reserve};
pub use pending_run::PendingRun;
pub use sync::{SyncEnd, SyncState};

use crate::model::{
    Connector, ConnectorId, Correction, CycleId, Dated, Observed, SnapshotId, SubscriptionId, after, elapsed,
};
use jiff::Timestamp;
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
    /// Creates that Qualys refused.
    #[serde(default)]
    pub refused: BTreeMap<SubscriptionId, Refusals>,
    /// Every subscription that was ever observed in scope. Its rows belong to this tenant even while it cannot be seen.
    #[serde(default)]
    pub observed: BTreeSet<SubscriptionId>,
    /// Every subscription that some connector ever covered. A connector that is missing from one answer is not gone, so Qualys
    /// is asked for the subscription's connectors before a new one is made.
    #[serde(default)]
    pub covered: BTreeSet<SubscriptionId>,
    /// Our connectors.
    #[serde(default)]
    pub connectors: BTreeMap<ConnectorId, SyncState>,
    /// When we disabled or deleted connectors in the last 24 hours, newest last.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub removals: Vec<Timestamp>,
    /// When a first or requested sync was last seen to succeed.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub awaited_end: Option<Timestamp>,
    /// The newest snapshot that was begun.
    pub last_snapshot: Option<LastSnapshot>,
}

/// Refusals in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refusals {
    pub count: u32,
    /// When the last of them came.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
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

/// The newest snapshot that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LastSnapshot {
    pub id: SnapshotId,
    /// When its reading began.
    #[cfg_attr(test, schemars(with = "String"))]
    pub began: Timestamp,
    /// Whether it was proved and published; `false` also while it is being read.
    pub complete: bool,
}

impl Dated for TenantState {
    fn correct(&mut self, correction: &mut Correction) {
        let Self {
            schema_version: _,
            last_cycle,
            listed: _,
            creates,
            refused,
            observed: _,
            covered: _,
            connectors,
            removals,
            awaited_end,
            last_snapshot,
        } = self;
        if let Some(LastCycle { id: _, began, ended }) = last_cycle {
            correction.past(ended.iter_mut().chain([began]));
        }
        correction.past(creates.values_mut());
        correction.past(refused.values_mut().map(|Refusals { count: _, at }| at));
        for sync in connectors.values_mut() {
            sync.correct(correction);
        }
        correction.past(removals);
        correction.past(awaited_end);
        // A snapshot from the future would settle every request, and none would be due. Without it, one is due.
        let from_the_future =
            |LastSnapshot { id: _, began, complete: _ }: &mut LastSnapshot| correction.is_ahead(*began);
        last_snapshot.take_if(from_the_future);
    }
}

impl TenantState {
    /// Takes in what a cycle observed: the subscriptions in scope, those that some connector covers, and our connectors.
    pub fn take_in(&mut self, observed: &Observed, is_ours: impl Fn(&Connector) -> bool, now: Timestamp) {
        let in_scope = |id: &SubscriptionId| observed.subscriptions.contains_key(id);
        let connectors = observed.connectors.values();
        self.observed.extend(observed.subscriptions.keys());
        self.covered.extend(connectors.clone().filter_map(Connector::covers).filter(in_scope));
        self.update_from(connectors.filter(|connector| is_ours(connector)), now);
    }

    /// Updates the state from the connectors with our mark that a cycle observed, and drops what is over.
    pub fn update_from<'a>(&mut self, ours: impl Iterator<Item = &'a Connector>, now: Timestamp) {
        let mut known = std::mem::take(&mut self.connectors);
        for connector in ours {
            let mut sync = known.remove(&connector.id).unwrap_or_default();
            sync.subscription = connector.covers();
            sync.seen = Some(now);
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
        self.removals.retain(|at| elapsed(now, *at) < REMOVAL_WINDOW);
        self.creates.retain(|_, at| elapsed(now, *at) < CREATE_SETTLES);
    }

    /// Whether a create for this subscription was sent so recently that its connector may not be listed yet.
    pub fn create_under_way(&self, subscription: SubscriptionId, now: Timestamp) -> bool {
        self.creates.get(&subscription).is_some_and(|at| elapsed(now, *at) < CREATE_SETTLES)
    }

    /// Records a create that made a connector, or may have made one.
    pub fn create_sent(&mut self, subscription: SubscriptionId, at: Timestamp) {
        self.creates.insert(subscription, at);
        self.covered.insert(subscription);
    }

    /// The newest connector that we made for this subscription, if the state has one.
    pub fn made_for(&self, subscription: SubscriptionId) -> Option<ConnectorId> {
        let made = |sync: &SyncState| sync.made.is_some() && sync.subscription == Some(subscription);
        self.connectors.iter().rev().find(|(_, sync)| made(sync)).map(|(id, _)| *id)
    }

    /// How many creates in a row Qualys refused for this subscription, and when the next is due; none when it is due now.
    pub fn create_waits(&self, subscription: SubscriptionId, now: Timestamp) -> Option<(u32, Timestamp)> {
        let refusals = self.refused.get(&subscription)?;
        let until = after(refusals.at, backoff(refusals.count));
        (now < until).then_some((refusals.count, until))
    }

    /// Records that Qualys refused to create a connector for this subscription.
    pub fn create_refused(&mut self, subscription: SubscriptionId, at: Timestamp) {
        let refusals = self.refused.entry(subscription).or_insert(Refusals { count: 0, at });
        (refusals.count, refusals.at) = (refusals.count.saturating_add(1), at);
    }

    /// Whether a first or requested sync of one of these subscriptions has not ended yet; stuck ones do not count.
    pub fn awaits_sync(&self, of: impl Fn(SubscriptionId) -> bool, now: Timestamp) -> bool {
        let counts = |sync: &&SyncState| sync.subscription.is_some_and(&of) && !sync.is_stuck(now);
        self.connectors.values().filter(counts).any(|sync| sync.awaited)
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
            "refused": { subscription: { "count": 1, "at": LATER } }, "connectors": { "7": sync },
            "removals": [LATER], "awaited_end": LATER,
            "last_snapshot": { "id": "20261126T040500Z-1f2e3d4c", "began": LATER, "complete": true } });
        let mut state: TenantState = serde_json::from_value(stored).unwrap();
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
        assert_eq!(Correction::of(&mut state, now), None);
    }
}
