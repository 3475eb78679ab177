//! Why a step is planned, and why it is withheld.

use crate::model::{ConnectorId, ResponseCode};
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
    /// Another connector of ours covers the same subscription, and is enabled, healthy and fresh.
    Duplicate {
        // `older` in a plan of an older version.
        #[serde(alias = "older")]
        stays: ConnectorId,
    },
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
            Self::Duplicate { stays } => {
                write!(f, "connector {stays} of ours is healthy and covers it too")
            }
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
    /// Rule *absence is only a suspicion*: nothing was known before, and the first lists of connectors must agree.
    FirstLists {
        /// Complete lists so far.
        lists: u32,
        wanted: u32,
        /// When it is created at the earliest.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
    },
    /// Rule *absence is only a suspicion*: its connector is missing from the lists, which does not prove yet that it is gone.
    ConnectorMissing {
        #[cfg_attr(test, schemars(with = "String"))]
        since: Timestamp,
        /// Complete lists that lack it.
        lists: u32,
        wanted: u32,
        /// When another is created at the earliest.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
    },
    /// Rule *absence is only a suspicion*: the list of connectors lacks many at once.
    ListDoubtful {
        /// How many it lacks.
        missing: usize,
    },
    /// Rule *refusals back off*: Qualys refused the latest creates alike. One is tried when the wait is over.
    RefusedAlike {
        code: ResponseCode,
        /// The error and its causes.
        error: String,
        /// Subscriptions whose create it refused.
        refused: usize,
        /// When one is tried.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
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
    /// Whether a person must look because of this step. What a doubtful list needs is said once, by its problem.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::CreationBrake { .. }
            | Self::FirstLists { .. }
            | Self::ConnectorMissing { .. }
            | Self::ListDoubtful { .. } => false,
            Self::RefusedAlike { .. } | Self::ScopeUnreadable { .. } | Self::TooManyRemovals { .. } => true,
        }
    }
}

impl Withheld {
    /// When lists may have proved an absence, so that the step is carried out.
    pub fn proved_at(&self) -> Option<Timestamp> {
        match self {
            Self::FirstLists { until, .. } | Self::ConnectorMissing { until, .. } => Some(*until),
            Self::CreationBrake { .. }
            | Self::ListDoubtful { .. }
            | Self::RefusedAlike { .. }
            | Self::ScopeUnreadable { .. }
            | Self::TooManyRemovals { .. } => None,
        }
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreationBrake { limit } => {
                write!(f, "creation brake: at most {limit} new connectors a cycle")
            }
            Self::FirstLists { lists, wanted, until } => write!(
                f,
                "nothing was known before, so {wanted} complete lists of connectors must agree, and {lists} did; created at {until} \
                 at the earliest"
            ),
            Self::ConnectorMissing { since, lists, wanted, until } => write!(
                f,
                "missing since {since}, from {lists} of {wanted} complete lists; another is created at {until} at the earliest, if \
                 Qualys then finds none"
            ),
            Self::ListDoubtful { missing } => {
                write!(f, "the list of connectors is doubtful: it lacks {missing} at once")
            }
            Self::RefusedAlike { code: _, error, refused, until } => {
                write!(
                    f,
                    "held back: Qualys refused {refused} creates alike: {error}; one is tried at {until}"
                )
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
