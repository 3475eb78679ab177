//! What a tenant and an account remember between cycles.
//!
//! Guarantees: plain data with a `schema_version`. Losing it costs waiting, never a wrong write: everything here
//! only *delays* or *brakes* what the observation alone would ask for.

mod account;
mod sync;

pub use account::{AccountState, BookedCalls, Breaker, Endpoint, Used, without_reserve};
pub use sync::{PendingRun, SyncEnd, SyncState};

use crate::model::{Connector, ConnectorId, CycleId, SnapshotId, SubscriptionId, after, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The version of every stored shape of this binary; a blob with a newer one is never written over.
pub const SCHEMA_VERSION: u32 = 1;

/// A create whose answer was unclear is not repeated for so long: a new connector may be missing from a search for a
/// while, and a second one would be a duplicate. Ten minutes is a precaution; no source states the lag.
pub const CREATE_SETTLES: Duration = Duration::from_mins(10);

/// The first wait after a failed sync or a refused write; it doubles up to [`LONGEST_WAIT`]. A wrong secret, a missing
/// role or a setting that Qualys does not take is mended by people, so faster tries would only use calls up.
const FIRST_WAIT: Duration = Duration::from_mins(15);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_hours(6);

/// How long to wait after so many failures in a row.
pub fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

/// A connector of ours that no answer shows is remembered for so long.
const MISSING_LASTS: Duration = Duration::from_hours(24);

/// Removals are counted over one day.
pub const REMOVAL_WINDOW: Duration = Duration::from_hours(24);

/// What one tenant remembers: `control/tenant=<directory id>/state.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TenantState {
    /// The version of this shape.
    pub schema_version: u32,
    /// The latest cycle.
    pub last_cycle: Option<LastCycle>,
    /// The inbox items that the latest cycle listed: name and `ETag`.
    #[serde(default)]
    pub listed: BTreeMap<String, String>,
    /// Creates whose outcome is not known, with the time of the attempt.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<SubscriptionId, String>"))]
    pub creates: BTreeMap<SubscriptionId, Timestamp>,
    /// Creates that Qualys refused.
    #[serde(default)]
    pub refused: BTreeMap<SubscriptionId, Refusals>,
    /// Every subscription that was ever observed in scope: its rows are ours, also while it cannot be seen.
    #[serde(default)]
    pub observed: BTreeSet<SubscriptionId>,
    /// Subscriptions that some connector covered at some time. A connector that is missing from one answer is not gone,
    /// so before one of these gets a new connector, Qualys is asked for its own.
    #[serde(default)]
    pub covered: BTreeSet<SubscriptionId>,
    /// What is remembered of each of our connectors.
    #[serde(default)]
    pub connectors: BTreeMap<ConnectorId, SyncState>,
    /// When we disabled or deleted connectors, newest last.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub removals: Vec<Timestamp>,
    /// When a first or requested sync was last seen to end well.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub awaited_end: Option<Timestamp>,
    /// The newest snapshot that was begun.
    pub last_snapshot: Option<LastSnapshot>,
}

/// Refusals in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refusals {
    /// How many.
    pub count: u32,
    /// The last.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
}

/// The latest cycle of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LastCycle {
    /// Its id.
    pub id: CycleId,
    /// When it began.
    #[cfg_attr(test, schemars(with = "String"))]
    pub began: Timestamp,
    /// When its outcome was written down; none while it runs, and none for ever when it was killed.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub ended: Option<Timestamp>,
}

/// The newest snapshot that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LastSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// When its reading began.
    #[cfg_attr(test, schemars(with = "String"))]
    pub began: Timestamp,
    /// Whether it was proved and published; `false` also while it is being read.
    pub complete: bool,
}

impl TenantState {
    /// Takes in what a cycle observed of our connectors; forgets those that are gone.
    pub fn notice<'a>(&mut self, ours: impl Iterator<Item = &'a Connector>, now: Timestamp) {
        let mut known = std::mem::take(&mut self.connectors);
        for connector in ours {
            let mut sync = known.remove(&connector.id).unwrap_or_default();
            sync.subscription = connector.covers();
            sync.seen = Some(now);
            if sync.notice(connector, now) {
                self.awaited_end = Some(now);
            }
            self.connectors.insert(connector.id, sync);
        }
        // One that an answer lacks is not gone. One that we made stays in memory for good, so that it is asked for before
        // another is made, and named when it lost our mark.
        for (id, mut sync) in known {
            let shown = sync.seen.or(sync.made).is_some_and(|at| elapsed(now, at) < MISSING_LASTS);
            let fresh = sync.made.is_some_and(|made| elapsed(now, made) < CREATE_SETTLES);
            sync.awaited &= fresh;
            if shown || sync.made.is_some() {
                self.connectors.insert(id, sync);
            }
        }
        self.removals.retain(|at| elapsed(now, *at) < REMOVAL_WINDOW);
        self.creates.retain(|_, at| elapsed(now, *at) < CREATE_SETTLES);
    }

    /// Whether a create for this subscription may still be on its way.
    pub fn create_under_way(&self, subscription: SubscriptionId, now: Timestamp) -> bool {
        self.creates.get(&subscription).is_some_and(|at| elapsed(now, *at) < CREATE_SETTLES)
    }

    /// Remembers a create whose outcome is not known.
    pub fn create_unclear(&mut self, subscription: SubscriptionId, at: Timestamp) {
        self.creates.insert(subscription, at);
    }

    /// A connector that we made for this subscription, as far as we remember.
    pub fn made_for(&self, subscription: SubscriptionId) -> Option<ConnectorId> {
        let made = |sync: &SyncState| sync.made.is_some() && sync.subscription == Some(subscription);
        self.connectors.iter().rev().find(|(_, sync)| made(sync)).map(|(id, _)| *id)
    }

    /// How often a create for this subscription was refused, and until when it waits; none: it may be tried.
    pub fn create_waits(&self, subscription: SubscriptionId, now: Timestamp) -> Option<(u32, Timestamp)> {
        let refusals = self.refused.get(&subscription)?;
        let until = after(refusals.at, backoff(refusals.count));
        (now < until).then_some((refusals.count, until))
    }

    /// Remembers that Qualys refused to make a connector for this subscription.
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
