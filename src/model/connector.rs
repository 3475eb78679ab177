//! A Qualys connector as the account lists it now.

use super::{AppId, ConnectorId, Mark, SubscriptionId, TenantId};
use jiff::Timestamp;

/// A Qualys Azure connector as the account lists it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// Its number in the account.
    pub id: ConnectorId,
    /// Its name.
    pub name: String,
    /// Its description; our mark is a line of it.
    pub description: String,
    /// What it is doing.
    pub state: ConnectorState,
    /// When its last sync ended, as Qualys says.
    pub last_sync: Option<Timestamp>,
    /// What Qualys says of the last failure.
    pub last_error: Option<String>,
    /// Switched off.
    pub disabled: bool,
    /// A member of a Qualys tenant (organization) connector: never touched.
    pub member: bool,
    /// Minutes between the syncs that Qualys starts itself.
    pub run_frequency_minutes: Option<u32>,
    /// The service principal's application.
    pub application: Option<AppId>,
    /// The directory it collects from.
    pub directory: Option<TenantId>,
    /// The subscription it collects from; not every answer names it.
    pub subscription: Option<SubscriptionId>,
}

impl Connector {
    /// The mark in its description.
    pub fn mark(&self) -> Option<Mark> {
        Mark::find(&self.description)
    }

    /// The subscription it covers: its own, or, where Qualys does not say, the one of its mark.
    pub fn covers(&self) -> Option<SubscriptionId> {
        self.subscription.or_else(|| self.mark().map(|mark| mark.subscription))
    }
}

/// What a connector is doing, in Qualys's words.
///
/// The words are those of the `connectorState` enumeration of the QPS 3.0 schema; one that is not among them is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectorState {
    /// Waits for its turn.
    Queued,
    /// About to run.
    Pending,
    /// Collecting.
    Running,
    /// Storing what it collected.
    Processing,
    /// The last sync ended well.
    FinishedSuccess,
    /// The last sync ended well (older word).
    Success,
    /// The last sync ended with errors; some assets may have been updated.
    FinishedErrors,
    /// The last sync failed.
    Error,
    /// The last sync was cut short.
    Incomplete,
    /// Cannot run.
    Disabled,
    /// A word that this version does not know, or none at all (empty).
    Other(String),
}

/// What a state means for a sync (the classes of Qualys's own Jenkins plugins).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncClass {
    /// Under way: do not start another.
    InProgress,
    /// The last one ended well.
    EndedWell,
    /// The last one ended badly.
    EndedBadly,
    /// A run is not possible.
    NotPossible,
    /// Unknown: taken for not finished, never for absent.
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
