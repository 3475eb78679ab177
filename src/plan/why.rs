//! Why something is left alone.

use super::Unhealthy;
use crate::model::{ConnectorId, Direct, OutOfScope, ReadFailure, SubscriptionId};
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
    /// Rule *refusals back off*: Qualys refused to create its connector, or it stayed unclear whether it did.
    CreateRefused {
        /// Refusals in a row.
        failures: u32,
        /// When the next try is due.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
        /// The last error and its causes.
        #[serde(default)]
        error: String,
    },
    /// Rule *refusals back off*: it should be disabled, but Qualys refused that, or what allowed it did not show just before.
    DisableRefused {
        /// The connector of ours that covers its subscription.
        stays: ConnectorId,
        /// Refusals in a row.
        failures: u32,
        /// When the next try is due.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
        /// The last error and its causes.
        error: String,
    },
    /// Rule *absence is only a suspicion*: lists lack this connector, and Qualys has it when it is asked for it.
    FoundUnlisted {
        #[serde(rename = "by")]
        connector: ConnectorId,
        /// When Qualys is asked again.
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
    },
    /// We and somebody else cover the subscription, both enabled.
    CoveredTwice { ours: ConnectorId, other: ConnectorId },
    /// Neither lists nor its own answer say which subscription it covers.
    StatesNoSubscription,
    /// A management group of `EXCLUDE` could not be read.
    ExclusionUnknown,
    /// The settings, or a complete reading of the management groups, put it outside the scope.
    OutOfScope {
        #[serde(flatten)]
        because: OutOfScope,
    },
    /// ARM does not show it in the management-group tree yet.
    NotInTreeYet,
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
    /// Rule *one connector per subscription*: another connector of ours covers its subscription too, and neither is
    /// healthy, so neither is disabled.
    TwinUnhealthy {
        /// The other; the lowest id if there are several.
        with: ConnectorId,
        #[serde(flatten)]
        health: Unhealthy,
    },
    /// Another connector of ours covers the subscription of its mark. It may be a second one, but Qualys does not say which
    /// subscription it covers, so it is not disabled.
    TwinNotStated { of: ConnectorId },
    /// It was disabled, and not by us: it stays disabled.
    Disabled,
    /// We disabled it because another connector of ours covered its subscription, and none does now.
    DisabledByUs {
        #[serde(rename = "disabled")]
        #[cfg_attr(test, schemars(with = "String"))]
        at: Timestamp,
    },
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
            | Self::FoundUnlisted { .. }
            | Self::CoveredTwice { .. }
            | Self::StatesNoSubscription
            | Self::DisableRefused { .. }
            | Self::ExclusionUnknown
            | Self::AccessLost
            | Self::ReadFailed { .. }
            | Self::Stuck { .. }
            | Self::FailedWaits { .. }
            | Self::FailedTooOften { .. }
            | Self::TwinUnhealthy { .. }
            | Self::TwinNotStated { .. }
            | Self::Disabled
            | Self::DisabledByUs { .. }
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
            Self::CreateRefused { failures, until, error } => write!(
                f,
                "Qualys refused to create its connector ({failures} in a row, at last: {error}); the next try is at {until}"
            ),
            Self::DisableRefused { stays, failures, until, error } => write!(
                f,
                "connector {stays} of ours covers it too, and it could not be disabled ({failures} in a row, at last: {error}); \
                 the next try is at {until}"
            ),
            Self::FoundUnlisted { connector, until } => write!(
                f,
                "the list lacks its connector {connector}, but Qualys has it when asked for it; asked again at {until}"
            ),
            Self::CoveredTwice { ours, other } => {
                write!(f, "connector {ours} of ours and connector {other}, which is not ours, both cover it")
            }
            Self::StatesNoSubscription => {
                write!(
                    f,
                    "Qualys does not say which subscription it covers, so it counts as the cover of none"
                )
            }
            Self::DisabledTwin { of } => {
                write!(f, "it is disabled, and connector {of} of ours covers the subscription")
            }
            Self::ExclusionUnknown => write!(f, "an excluded management group could not be read"),
            Self::OutOfScope { because } => write!(f, "out of scope: {because}"),
            Self::NotInTreeYet => {
                write!(f, "not in the management-group tree yet (it lags by up to 30 minutes)")
            }
            Self::AccessLost => f.write_str(Direct::ACCESS_LOST),
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
            Self::TwinUnhealthy { with, health } => write!(
                f,
                "{health}, and connector {with} of ours, which covers the subscription too, is not healthy either: \
                 neither is disabled"
            ),
            Self::TwinNotStated { of } => write!(
                f,
                "connector {of} of ours covers the subscription that its mark names, but Qualys does not say which subscription \
                 it covers itself: it is not disabled"
            ),
            Self::Disabled => write!(f, "it is disabled, and not by us"),
            Self::DisabledByUs { at } => {
                write!(f, "we disabled it at {at} beside another connector of ours, and none is enabled now")
            }
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
