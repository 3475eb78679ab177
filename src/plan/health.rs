//! Whether a connector covers its subscription: enabled, healthy and fresh.

use super::Policy;
use super::last_sync::LastSync;
use crate::model::{ClockReading, Connector, SyncClass, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A connector may be this much later than its own run frequency says: a sync takes its time.
const RUN_FREQUENCY_SLACK: Duration = Duration::from_hours(1);

/// Why a connector does not cover its subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "health", rename_all = "kebab-case")]
pub enum Unhealthy {
    Disabled,
    /// Qualys does not say whether it is disabled.
    DisabledNotStated,
    LastSyncFailed {
        /// In Qualys's word.
        state: String,
    },
    /// Qualys says that it cannot run.
    CannotRun {
        /// In Qualys's word.
        state: String,
    },
    /// This version does not know its state.
    StateUnknown {
        /// In Qualys's word.
        state: String,
    },
    /// A sync has been in progress for too long.
    Stuck,
    NeverSynced,
    /// Qualys does not tell the age of the last sync. That is no fault of a connector, and no proof that it is fresh.
    AgeUnknown,
    /// The last sync is too long ago.
    LastSyncOld {
        /// By our clock.
        #[cfg_attr(test, schemars(with = "String"))]
        last_sync: Timestamp,
    },
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => write!(f, "it is disabled"),
            Self::DisabledNotStated => write!(f, "Qualys does not say whether it is disabled"),
            Self::LastSyncFailed { state } => write!(f, "its last sync failed ({state})"),
            Self::CannotRun { state } => write!(f, "it cannot run ({state})"),
            Self::StateUnknown { state } => write!(f, "its state is unknown to this version ({state})"),
            Self::Stuck => write!(f, "its sync is stuck"),
            Self::NeverSynced => write!(f, "it has never finished a sync"),
            Self::AgeUnknown => write!(f, "Qualys does not tell the age of its last sync"),
            Self::LastSyncOld { last_sync } => write!(f, "it last synced at {last_sync}"),
        }
    }
}

impl Policy {
    /// Rule *one connector per subscription*: whether a connector is so certainly enabled, healthy and fresh that another may be
    /// disabled beside it.
    ///
    /// # Errors
    /// As [`Policy::health`]; also when the age of its last sync is not known.
    pub(super) fn proves_cover(
        &self,
        connector: &Connector,
        last_sync: LastSync,
        now: Timestamp,
    ) -> Result<(), Unhealthy> {
        self.health(connector, last_sync, now)?;
        if let LastSync::Unknown { .. } = last_sync { Err(Unhealthy::AgeUnknown) } else { Ok(()) }
    }

    /// The same of a connector that was just read by its id, without what the state knows of it. `clock`: Qualys's, in that
    /// answer.
    ///
    /// # Errors
    /// When it is not, or the age of its last sync is not known.
    pub fn proves_cover_as_read(
        &self,
        connector: &Connector,
        clock: Option<ClockReading>,
        now: Timestamp,
    ) -> Result<(), Unhealthy> {
        self.proves_cover(connector, LastSync::of(connector, clock, None), now)
    }

    /// Whether a connector is enabled, healthy and fresh.
    ///
    /// # Errors
    /// When it is not: the first reason that applies. Whether a sync is stuck is not known here.
    pub(super) fn health(
        &self,
        connector: &Connector,
        last_sync: LastSync,
        now: Timestamp,
    ) -> Result<(), Unhealthy> {
        if connector.is_disabled() {
            return Err(Unhealthy::Disabled);
        }
        let state = connector.state.as_str().to_owned();
        match connector.state.class() {
            SyncClass::EndedBadly => return Err(Unhealthy::LastSyncFailed { state }),
            SyncClass::NotPossible => return Err(Unhealthy::CannotRun { state }),
            SyncClass::Unknown => return Err(Unhealthy::StateUnknown { state }),
            SyncClass::InProgress | SyncClass::EndedWell => {}
        }
        if !connector.is_enabled() {
            return Err(Unhealthy::DisabledNotStated);
        }
        // A connector that others made may rightly run less often than ours.
        let own_age = connector
            .run_frequency_minutes
            .map_or(Duration::ZERO, |minutes| Duration::from_mins(u64::from(minutes)) + RUN_FREQUENCY_SLACK);
        match last_sync {
            LastSync::Never => Err(Unhealthy::NeverSynced),
            LastSync::At(last_sync) if elapsed(now, last_sync) > self.sync_max_age.max(own_age) => {
                Err(Unhealthy::LastSyncOld { last_sync })
            }
            // Nothing says that it is old, and its state says that it is well.
            LastSync::At(_) | LastSync::Unknown { .. } => Ok(()),
        }
    }
}
