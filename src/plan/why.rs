//! Why something is left alone.

use crate::model::{ConnectorId, SubscriptionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that a plan leaves alone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Kept {
    /// What.
    #[serde(flatten)]
    pub subject: Subject,
    /// Why.
    #[serde(flatten)]
    pub why: Why,
}

/// What is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Subject {
    /// A connector.
    Connector {
        /// Its id.
        connector: ConnectorId,
        /// Its subscription.
        subscription: Option<SubscriptionId>,
    },
    /// A subscription without a connector of ours.
    Subscription {
        /// Its id.
        subscription: SubscriptionId,
    },
}

/// The reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Why {
    /// The subscription is not in use.
    NotInUse {
        /// Its state.
        state: String,
    },
    /// Somebody else's connector covers it well.
    CoveredByOther {
        /// That connector.
        #[serde(rename = "by")]
        connector: ConnectorId,
        /// A member of a tenant connector.
        member: bool,
    },
    /// Somebody else's connector is there and does not cover it well; it is never doubled.
    NotCoveredByOther {
        /// That connector.
        #[serde(rename = "by")]
        connector: ConnectorId,
        /// A member of a tenant connector.
        member: bool,
        /// What is wrong with it.
        cause: String,
    },
    /// A create with an unclear answer is waited for.
    CreateUnderWay,
    /// Qualys refused to make its connector; it waits before the next try.
    CreateRefused {
        /// How often in a row.
        failures: u32,
        /// Until when.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
    },
    /// What is excluded could not be read.
    ExclusionUnknown,
    /// The settings or a whole reading put it outside the scope.
    OutOfScope {
        /// How that is known.
        #[serde(rename = "because")]
        why: String,
    },
    /// ARM does not show it in the management-group tree yet.
    NotInTreeYet,
    /// ARM answered 403 or 404.
    AccessLost,
    /// ARM could not be asked.
    ReadFailed {
        /// What went wrong.
        #[serde(rename = "because")]
        why: String,
    },
    /// Its last sync is recent enough.
    Fresh {
        /// When it ended.
        #[cfg_attr(test, schemars(with = "String"))]
        last_sync: Timestamp,
    },
    /// New: Qualys may start it alone.
    JustCreated,
    /// A sync is under way.
    InProgress,
    /// A sync that we started does not show yet.
    RunNotVisibleYet,
    /// A sync has been under way for over an hour.
    Stuck {
        /// Since when, as far as we saw.
        #[cfg_attr(test, schemars(with = "String"))]
        since: Timestamp,
    },
    /// Its last sync failed; it waits before the next.
    FailedWaits {
        /// How many in a row.
        failures: u32,
        /// Until when.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
    },
    /// Its syncs keep failing, and today's attempts are used up.
    FailedTooOften {
        /// How many in a row.
        failures: u32,
    },
    /// It is disabled, and another connector of ours covers its subscription.
    DisabledTwin {
        /// That one.
        of: ConnectorId,
    },
    /// Somebody switched it off; it stays so.
    Disabled,
    /// Qualys says that it cannot run.
    RunNotPossible,
    /// Qualys uses a state that this version does not know: taken for unfinished.
    UnknownState {
        /// The state.
        state: String,
    },
    /// Its subscription was not observed. Absence is only a suspicion: nothing is done.
    SubscriptionNotSeen,
    /// We made it, and it no longer carries our mark.
    LostMark,
    /// It carries the mark of another subscription's connector.
    CopiedMark {
        /// The subscription that the mark names.
        marked: SubscriptionId,
    },
}

impl Why {
    /// Whether a person should look.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::NotCoveredByOther { .. }
            | Self::CreateRefused { .. }
            | Self::ExclusionUnknown
            | Self::AccessLost
            | Self::ReadFailed { .. }
            | Self::Stuck { .. }
            | Self::FailedWaits { .. }
            | Self::FailedTooOften { .. }
            | Self::Disabled
            | Self::RunNotPossible
            | Self::UnknownState { .. }
            | Self::SubscriptionNotSeen
            | Self::LostMark
            | Self::CopiedMark { .. } => true,
            Self::NotInUse { .. }
            | Self::CoveredByOther { .. }
            | Self::CreateUnderWay
            | Self::DisabledTwin { .. }
            | Self::OutOfScope { .. }
            | Self::NotInTreeYet
            | Self::Fresh { .. }
            | Self::JustCreated
            | Self::InProgress
            | Self::RunNotVisibleYet => false,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = |member: bool| if member { "a tenant connector's member" } else { "made by others" };
        match self {
            Self::NotInUse { state } => write!(f, "the subscription is {state}"),
            Self::CoveredByOther { connector, member } => {
                write!(f, "covered by connector {connector} ({})", whose(*member))
            }
            Self::NotCoveredByOther { connector, member, cause } => {
                write!(
                    f,
                    "connector {connector} ({}) is there but {cause}; it is not doubled",
                    whose(*member)
                )
            }
            Self::CreateUnderWay => write!(f, "a create with an unclear answer is given ten minutes to show"),
            Self::CreateRefused { failures, until } => {
                write!(
                    f,
                    "Qualys refused to make its connector ({failures} in a row); the next try is at {until}"
                )
            }
            Self::DisabledTwin { of } => {
                write!(f, "it is disabled, and connector {of} of ours covers the subscription")
            }
            Self::ExclusionUnknown => write!(f, "an excluded management group could not be read"),
            Self::OutOfScope { why } => write!(f, "out of scope: {why}"),
            Self::NotInTreeYet => {
                write!(f, "not in the management-group tree yet (it lags by up to 30 minutes)")
            }
            Self::AccessLost => write!(f, "ARM answered 403 or 404: no role on it, or no such subscription"),
            Self::ReadFailed { why } => write!(f, "could not be read: {why}"),
            Self::Fresh { last_sync } => write!(f, "synced {last_sync}"),
            Self::JustCreated => write!(f, "new: Qualys may start it alone"),
            Self::InProgress => write!(f, "a sync is under way"),
            Self::RunNotVisibleYet => write!(f, "a sync was started and does not show yet"),
            Self::Stuck { since } => write!(f, "stuck: a sync has been under way since {since}"),
            Self::FailedWaits { failures, until } => {
                write!(f, "its last sync failed ({failures} in a row); the next try is at {until}")
            }
            Self::FailedTooOften { failures } => {
                write!(f, "its syncs fail ({failures} in a row) and today's tries are used up")
            }
            Self::Disabled => write!(f, "it is disabled, and not by us"),
            Self::RunNotPossible => write!(f, "Qualys says that it cannot run"),
            Self::UnknownState { state } => {
                write!(f, "its state `{state}` is not known here; taken for unfinished")
            }
            Self::SubscriptionNotSeen => {
                write!(f, "its subscription was not observed; absence is only a suspicion")
            }
            Self::LostMark => {
                write!(f, "we made it, and it has lost our mark; it is treated as somebody else's")
            }
            Self::CopiedMark { marked } => {
                write!(f, "it carries the mark of subscription {marked}: not ours")
            }
        }
    }
}
