//! Why something is left alone.

use super::Unhealthy;
use crate::model::{ConnectorId, OutOfScope, ReadFailure, SubscriptionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a connector or subscription is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Why {
    /// The subscription is not in use.
    NotInUse {
        /// In ARM's word.
        state: String,
    },
    /// A healthy connector that is not ours covers it.
    CoveredByOther {
        #[serde(rename = "by")]
        connector: ConnectorId,
        /// That connector belongs to a Qualys tenant (organization) connector.
        member: bool,
    },
    /// A connector that is not ours should cover it and is not healthy; ours is not added beside it.
    NotCoveredByOther {
        #[serde(rename = "by")]
        connector: ConnectorId,
        /// That connector belongs to a Qualys tenant (organization) connector.
        member: bool,
        #[serde(flatten)]
        health: Unhealthy,
    },
    /// A create was sent a short while ago; its connector may not be listed yet.
    CreateUnderWay,
    /// Rule *refusals back off*: Qualys refused to create its connector.
    CreateRefused {
        /// Refusals in a row.
        failures: u32,
        /// When the next try is due.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
    },
    /// A management group of `EXCLUDE` could not be read.
    ExclusionUnknown,
    /// The settings, or a complete reading of the management groups, put it outside the scope.
    OutOfScope {
        #[serde(flatten)]
        because: OutOfScope,
    },
    /// ARM does not show it in the management-group tree yet.
    NotInTreeYet,
    /// It is new, and may yet be moved into a management group of `EXCLUDE`.
    NotPlacedYet {
        /// When its connector may be created.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
    },
    /// ARM answered 403 or 404.
    AccessLost,
    /// It could not be read from ARM.
    ReadFailed {
        #[serde(flatten)]
        because: ReadFailure,
    },
    /// Its last sync is recent enough.
    Fresh {
        #[cfg_attr(test, schemars(with = "String"))]
        last_sync: Timestamp,
    },
    /// It is new: Qualys may start it by itself.
    JustCreated,
    /// A sync is in progress.
    InProgress,
    /// We started a sync, and no answer shows it yet.
    RunNotVisibleYet,
    /// A sync has been in progress for over an hour.
    Stuck {
        /// When we first saw it in progress.
        #[cfg_attr(test, schemars(with = "String"))]
        since: Timestamp,
    },
    /// Rule *refusals back off*: its last sync failed, or Qualys refused the last run.
    FailedWaits {
        /// Failures, or refusals, in a row.
        failures: u32,
        /// When the next try is due.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
    },
    /// Its syncs keep failing, and the tries of the last 24 hours are used up.
    FailedTooOften {
        /// Failures in a row.
        failures: u32,
    },
    /// It is disabled, and another connector of ours covers its subscription.
    DisabledTwin {
        /// The connector that covers it.
        of: ConnectorId,
    },
    /// It was disabled, and not by us: it stays disabled.
    Disabled,
    /// Qualys says that it cannot run.
    RunNotPossible,
    /// This version does not know its state; it counts as a sync in progress.
    UnknownState {
        /// In Qualys's word.
        state: String,
    },
    /// Rule *absence is only a suspicion*: its subscription was not observed, which proves nothing.
    SubscriptionNotSeen,
    /// It had our mark and lost it.
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
            | Self::NotPlacedYet { .. }
            | Self::Fresh { .. }
            | Self::JustCreated
            | Self::InProgress
            | Self::RunNotVisibleYet => false,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = |member: bool| if member { "a member of a tenant connector" } else { "not ours" };
        match self {
            Self::NotInUse { state } => write!(f, "the subscription is {state}"),
            Self::CoveredByOther { connector, member } => {
                write!(f, "connector {connector} ({}) covers it", whose(*member))
            }
            Self::NotCoveredByOther { connector, member, health } => write!(
                f,
                "connector {connector} ({}) should cover it, but {health}; no second connector is created",
                whose(*member)
            ),
            Self::CreateUnderWay => {
                write!(f, "a create was sent; it may take ten minutes until the new connector is listed")
            }
            Self::CreateRefused { failures, until } => write!(
                f,
                "Qualys refused to create its connector ({failures} in a row); the next try is at {until}"
            ),
            Self::DisabledTwin { of } => {
                write!(f, "it is disabled, and connector {of} of ours covers the subscription")
            }
            Self::ExclusionUnknown => write!(f, "an excluded management group could not be read"),
            Self::OutOfScope { because } => write!(f, "out of scope: {because}"),
            Self::NotInTreeYet => {
                write!(f, "not in the management-group tree yet (it lags by up to 30 minutes)")
            }
            Self::NotPlacedYet { until } => write!(
                f,
                "it is new and may yet be moved into a management group of EXCLUDE: its connector waits until {until}"
            ),
            Self::AccessLost => {
                write!(f, "ARM answered 403 or 404: the identity has no role on it, or it does not exist")
            }
            Self::ReadFailed { because } => write!(f, "it could not be read: {because}"),
            Self::Fresh { last_sync } => write!(f, "it last synced at {last_sync}"),
            Self::JustCreated => write!(f, "it is new: Qualys may start it by itself"),
            Self::InProgress => write!(f, "a sync is in progress"),
            Self::RunNotVisibleYet => write!(f, "a sync was started, but Qualys does not show it yet"),
            Self::Stuck { since } => write!(f, "stuck: a sync has been in progress since {since}"),
            Self::FailedWaits { failures, until } => {
                write!(
                    f,
                    "its last sync failed or was refused ({failures} in a row); the next try is at {until}"
                )
            }
            Self::FailedTooOften { failures } => {
                write!(f, "its syncs fail ({failures} in a row), and today's tries are used up")
            }
            Self::Disabled => write!(f, "it is disabled, and not by us"),
            Self::RunNotPossible => write!(f, "Qualys says that it cannot run"),
            Self::UnknownState { state } => {
                write!(f, "this version does not know its state `{state}`; it counts as a sync in progress")
            }
            Self::SubscriptionNotSeen => {
                write!(f, "its subscription was not observed, which does not prove that it is gone")
            }
            Self::LostMark => write!(f, "it had our mark and lost it: it no longer counts as ours"),
            Self::CopiedMark { marked } => {
                write!(f, "it carries the mark of subscription {marked}, so it is not ours")
            }
        }
    }
}
