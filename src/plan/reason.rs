//! Why a step is planned, and why it is withheld.

use crate::model::ConnectorId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a step is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// No connector covers the subscription.
    NotCovered,
    /// A connector covered the subscription once; no list shows it now.
    ConnectorMissing,
    /// The connector is new, and Qualys has not started it.
    StillQueued {
        #[cfg_attr(test, schemars(with = "String"))]
        since: Timestamp,
    },
    /// A person or a pipeline asked for the sync.
    Requested {
        #[cfg_attr(test, schemars(with = "String"))]
        requested: Timestamp,
    },
    /// Qualys does not say when it last synced, and we have seen no sync for too long.
    SyncTimeUnknown {
        /// When we last saw that it had synced.
        #[cfg_attr(test, schemars(with = "String"))]
        since: Timestamp,
    },
    /// The last sync is too long ago.
    LastSyncOld {
        /// By our clock.
        #[cfg_attr(test, schemars(with = "String"))]
        last_sync: Timestamp,
    },
    /// The last sync failed, and the wait after it is over.
    LastSyncFailed {
        /// Failures in a row.
        failures: u32,
    },
    /// An older connector of ours covers the same subscription.
    Duplicate { older: ConnectorId },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCovered => write!(f, "no connector covers it"),
            Self::ConnectorMissing => write!(f, "its connector is no longer listed"),
            Self::StillQueued { since } => write!(f, "it is new and has been waiting since {since}"),
            Self::Requested { requested } => write!(f, "it was requested at {requested}"),
            Self::SyncTimeUnknown { since } => {
                write!(f, "Qualys does not say when it last synced, and we have seen no sync since {since}")
            }
            Self::LastSyncOld { last_sync } => write!(f, "it last synced at {last_sync}"),
            Self::LastSyncFailed { failures } => {
                write!(f, "its last sync failed ({failures} in a row), and the wait is over")
            }
            Self::Duplicate { older } => write!(f, "connector {older} of ours is older and covers it too"),
        }
    }
}

/// Why a step that is wanted is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Withheld {
    /// Rule *creation brake*: this cycle makes enough connectors.
    CreationBrake {
        /// The most creations a cycle.
        limit: usize,
    },
    /// Rule *absence is only a suspicion*: nothing is removed while a scope cannot be read.
    ScopeUnreadable { scope: String },
    /// Rule *removals brake*.
    TooManyRemovals {
        /// Removals that this plan wants.
        wanted: usize,
        /// Removals done in the last 24 hours.
        recent: usize,
        /// Connectors of ours that are enabled.
        enabled: usize,
        /// The most removals in 24 hours.
        limit: usize,
    },
}

impl Withheld {
    /// Whether a person must look; otherwise the next cycle carries the step out.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::CreationBrake { .. } => false,
            Self::ScopeUnreadable { .. } | Self::TooManyRemovals { .. } => true,
        }
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreationBrake { limit } => {
                write!(f, "creation brake: at most {limit} new connectors a cycle")
            }
            Self::ScopeUnreadable { scope } => write!(f, "no removal while a scope is unreadable: {scope}"),
            Self::TooManyRemovals { wanted, recent, enabled, limit } => write!(
                f,
                "too many removals: {wanted} wanted and {recent} done in 24 hours, {enabled} connectors of ours are enabled, \
                 the limit is {limit}"
            ),
        }
    }
}
