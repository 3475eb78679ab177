//! A Qualys connector as the account lists it now.

use super::{AppId, ConnectorId, Mark, StatedTime, SubscriptionId, TenantId};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

/// A Qualys Azure connector as the account lists it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    pub id: ConnectorId,
    pub name: String,
    /// Our mark is a line of it.
    pub description: String,
    pub state: ConnectorState,
    /// When its last sync ended, by Qualys's clock; none where Qualys states no time with a zone.
    pub last_sync: Option<Timestamp>,
    /// What Qualys states instead.
    pub odd_last_sync: Option<OddTime>,
    /// Qualys's text about the last failure.
    pub last_error: Option<String>,
    /// Whether its syncs are switched off; none where Qualys does not say.
    pub disabled: Option<bool>,
    /// Whether it belongs to a Qualys tenant (organization) connector, so that it is never touched; none where Qualys does not
    /// say.
    pub member: Option<bool>,
    /// Minutes between the syncs that Qualys starts itself.
    pub run_frequency_minutes: Option<u32>,
    /// The application of the service principal that it signs in with.
    pub application: Option<AppId>,
    /// The directory it collects from.
    pub directory: Option<TenantId>,
    /// The subscription it collects from; not every answer names it.
    pub subscription: Option<SubscriptionId>,
}

/// A connector as it was last listed before a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KnownConnector {
    /// The subscription that it last stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionId>,
    /// It belongs to this tenant, not to another one of the account.
    pub of_tenant: bool,
}

impl Connector {
    /// The mark in its description, if there is one.
    pub fn mark(&self) -> Option<Mark> {
        Mark::find(&self.description)
    }

    /// The subscription it covers: its own, or, where Qualys does not say, the one of its mark.
    pub fn covers(&self) -> Option<SubscriptionId> {
        self.subscription.or_else(|| self.mark().map(|mark| mark.subscription))
    }

    /// Whether Qualys states that it is enabled. One that may be disabled covers nothing and is not run.
    pub fn is_enabled(&self) -> bool {
        self.disabled == Some(false)
    }

    /// Whether Qualys states that it is disabled. One that may be enabled is still awaited.
    pub fn is_disabled(&self) -> bool {
        self.disabled == Some(true)
    }

    /// Whether Qualys states that it belongs to a tenant connector. The schema makes the field optional, and Qualys's own
    /// scripts take one that is missing for no member; only a removal needs it stated.
    pub fn is_member(&self) -> bool {
        self.member == Some(true)
    }

    /// When its last sync ended, as Qualys states it, if that is a time.
    pub fn stated_sync(&self) -> Option<StatedTime> {
        let bare = || match self.odd_last_sync {
            Some(OddTime::WithoutZone(at)) => Some(StatedTime::WithoutZone(at)),
            Some(OddTime::NotATime) | None => None,
        };
        self.last_sync.map(StatedTime::At).or_else(bare)
    }
}

/// What Qualys states as the time of a last sync when it is no time with a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddTime {
    WithoutZone(DateTime),
    NotATime,
}

/// What a connector is doing, in Qualys's words.
///
/// The words are those of the `connectorState` enumeration of the QPS 3.0 schema; one that is not among them is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectorState {
    /// Waiting to run.
    Queued,
    /// About to run.
    Pending,
    /// Collecting.
    Running,
    /// Storing what it collected.
    Processing,
    /// The last sync succeeded.
    FinishedSuccess,
    /// The last sync succeeded (an older word).
    Success,
    /// The last sync ended with errors; some assets may have been updated.
    FinishedErrors,
    /// The last sync failed.
    Error,
    /// The last sync was cut short.
    Incomplete,
    /// It cannot run.
    Disabled,
    /// A word that this version does not know; empty when Qualys gave none.
    Other(String),
}

/// What a state means for a sync (the classes of Qualys's own Jenkins plugins).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncClass {
    /// A sync is in progress: no other is started.
    InProgress,
    /// The last sync succeeded.
    EndedWell,
    /// The last sync failed.
    EndedBadly,
    /// The connector cannot run.
    NotPossible,
    /// A state that this version does not know: it counts as in progress, never as absent.
    Unknown,
}

impl ConnectorState {
    /// What the state means for a sync.
    pub fn class(&self) -> SyncClass {
        match self {
            Self::Queued | Self::Pending | Self::Running | Self::Processing => SyncClass::InProgress,
            Self::FinishedSuccess | Self::Success => SyncClass::EndedWell,
            Self::FinishedErrors | Self::Error | Self::Incomplete => SyncClass::EndedBadly,
            Self::Disabled => SyncClass::NotPossible,
            Self::Other(_) => SyncClass::Unknown,
        }
    }

    /// The word that Qualys uses.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Queued => "QUEUED",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Processing => "PROCESSING",
            Self::FinishedSuccess => "FINISHED_SUCCESS",
            Self::Success => "SUCCESS",
            Self::FinishedErrors => "FINISHED_ERRORS",
            Self::Error => "ERROR",
            Self::Incomplete => "INCOMPLETE",
            Self::Disabled => "DISABLED",
            Self::Other(word) if word.is_empty() => "(none)",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for ConnectorState {
    fn from(word: &str) -> Self {
        match word {
            "QUEUED" => Self::Queued,
            "PENDING" => Self::Pending,
            "RUNNING" => Self::Running,
            "PROCESSING" => Self::Processing,
            "FINISHED_SUCCESS" => Self::FinishedSuccess,
            "SUCCESS" => Self::Success,
            "FINISHED_ERRORS" => Self::FinishedErrors,
            "ERROR" => Self::Error,
            "INCOMPLETE" => Self::Incomplete,
            "DISABLED" => Self::Disabled,
            other => Self::Other(other.to_owned()),
        }
    }
}
