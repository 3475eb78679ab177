//! What a tenant and an account remember between cycles.
//!
//! Guarantees: plain data with a `schema_version`. Losing it costs waiting, never a wrong write: everything here
//! only *delays* or *brakes* what the observation alone would ask for.

mod account;
mod sync;

pub use account::{AccountState, Booking, Breaker, Endpoint, Used};
pub use sync::{Ended, RunMark, SyncMemory};

use crate::model::{Connector, ConnectorId, CycleId, SnapshotId, SubscriptionId, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The version of every stored shape of this binary; a blob with a newer one is never written over.
pub const SCHEMA_VERSION: u32 = 1;

/// A create whose answer was unclear is not repeated for so long: a new connector may be missing from a search for a
/// while, and a second one would be a duplicate. Ten minutes is a precaution; no source states the lag.
pub const CREATE_SETTLES: Duration = Duration::from_mins(10);

/// Removals are counted over one day.
pub const REMOVAL_WINDOW: Duration = Duration::from_hours(24);

/// What one tenant remembers: `control/tenant=<directory id>/state.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TenantState {
    /// The version of this shape.
    pub schema_version: u32,
    /// The latest cycle.
    pub cycle: Option<CycleMark>,
    /// The notes that the latest cycle listed: name and `ETag`.
    #[serde(default)]
    pub listed: BTreeMap<String, String>,
    /// Creates whose outcome is not known, with the time of the attempt.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<SubscriptionId, String>"))]
    pub creates: BTreeMap<SubscriptionId, Timestamp>,
    /// Subscriptions that some connector covered at some time. A connector that is missing from one answer is not gone,
    /// so before one of these gets a new connector, Qualys is asked for its own.
    #[serde(default)]
    pub covered: BTreeSet<SubscriptionId>,
    /// What is remembered of each of our connectors.
    #[serde(default)]
    pub connectors: BTreeMap<ConnectorId, SyncMemory>,
    /// When we disabled or deleted connectors, newest last.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub removals: Vec<Timestamp>,
    /// When a first or requested sync was last seen to end well.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub awaited_end: Option<Timestamp>,
    /// The newest snapshot that was begun.
    pub snapshot: Option<SnapshotMark>,
}

/// The latest cycle of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CycleMark {
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
pub struct SnapshotMark {
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
            let mut memory = known.remove(&connector.id).unwrap_or_default();
            memory.subscription = connector.covers();
            if memory.notice(connector, now) {
                self.awaited_end = Some(now);
            }
            self.connectors.insert(connector.id, memory);
        }
        // A connector that we made and that no longer carries our mark stays in memory, so that it can be named. One that
        // does not show for long is gone, and nobody waits for its sync.
        for (id, mut memory) in known {
            if let Some(made) = memory.made {
                memory.awaited &= elapsed(now, made) < CREATE_SETTLES;
                self.connectors.insert(id, memory);
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

    /// Whether a first or requested sync has not ended yet; stuck ones do not count.
    pub fn awaits_sync(&self, now: Timestamp) -> bool {
        self.connectors.values().any(|memory| memory.awaited && !memory.is_stuck(now))
    }
}
