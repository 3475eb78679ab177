//! Why something is left alone.

mod text;

use super::{SyncTimeDoubt, Unhealthy};
use crate::model::{ConnectorId, OutOfScope, ReadFailure, ResponseCode, SubscriptionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
        /// By our clock.
        #[cfg_attr(test, schemars(with = "String"))]
        last_sync: Timestamp,
    },
    /// Qualys does not say when it last synced, and it is not time to run it on suspicion.
    SyncTimeUnknown {
        doubt: SyncTimeDoubt,
        /// When we last saw that it had synced.
        #[cfg_attr(test, schemars(with = "String"))]
        since: Timestamp,
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
    /// Its last sync failed.
    FailedWaits {
        /// Failures in a row.
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
    /// Its syncs have failed for a day for one cause: only Qualys's own schedule tries again.
    FailedForADay {
        /// Failures in a row.
        failures: u32,
        /// When the first was seen.
        #[cfg_attr(test, schemars(with = "String"))]
        since: Timestamp,
    },
    /// Rule *refusals back off*: Qualys did not accept our last runs.
    RunNotAccepted {
        /// How many in a row.
        failures: u32,
        /// It is not known whether Qualys carries the last one out.
        unclear: bool,
        code: ResponseCode,
        /// The last error and its causes.
        error: String,
        /// When the next try is due; none when the tries of the last 24 hours are used up.
        #[cfg_attr(test, schemars(with = "Option<String>"))]
        until: Option<Timestamp>,
    },
    /// It is due, and we ran it lately: no run without a request before then.
    RunLately {
        #[cfg_attr(test, schemars(with = "String"))]
        until: Timestamp,
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
    /// Qualys does not say whether it is disabled, so it is not run.
    DisabledNotStated,
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
            | Self::FailedForADay { .. }
            | Self::RunNotAccepted { .. }
            | Self::Disabled
            | Self::DisabledNotStated
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
            | Self::NotPlacedYet { .. }
            | Self::Fresh { .. }
            | Self::SyncTimeUnknown { .. }
            | Self::RunLately { .. }
            | Self::JustCreated
            | Self::InProgress
            | Self::RunNotVisibleYet => false,
        }
    }
}
