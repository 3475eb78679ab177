//! Why something is left alone, as people read it.

use super::Why;
use crate::model::{ConnectorId, Direct};
use crate::plan::Unhealthy;
use std::fmt;

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
            Self::StatesNoSubscription => f.write_str(
                "Qualys does not say which subscription it covers, so it counts as the cover of none",
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
            Self::AccessLost => f.write_str(Direct::ACCESS_LOST),
            Self::ReadFailed { because } => write!(f, "it could not be read: {because}"),
            Self::Fresh { last_sync } => write!(f, "it last synced at {last_sync}"),
            Self::JustCreated => write!(f, "it is new: Qualys may start it by itself"),
            Self::InProgress => write!(f, "a sync is in progress"),
            Self::RunNotVisibleYet => write!(f, "a sync was started, but Qualys does not show it yet"),
            Self::Stuck { since } => write!(f, "stuck: a sync has been in progress since {since}"),
            Self::SyncTimeUnknown { doubt, since } => {
                write!(f, "the time of its last sync is {doubt}; we last saw that it had synced at {since}")
            }
            Self::RunLately { until } => {
                write!(f, "it was run lately; without a request it is not run again before {until}")
            }
            Self::FailedWaits { failures, until } => {
                write!(f, "its last sync failed ({failures} in a row); the next try is at {until}")
            }
            Self::FailedForADay { failures, since } => write!(
                f,
                "its syncs have failed for one cause since {since} ({failures} in a row): only Qualys's own schedule tries again, \
                 until the cause changes or a sync is requested"
            ),
            Self::RunNotAccepted { failures, unclear: _, code: _, error, until } => {
                write!(f, "{error} ({failures} in a row); ")?;
                match until {
                    Some(until) => write!(f, "the next try is at {until}"),
                    None => write!(f, "today's tries are used up"),
                }
            }
            Self::FailedTooOften { failures } => {
                write!(f, "its syncs fail ({failures} in a row), and today's tries are used up")
            }
            Self::TwinUnhealthy { with, health } => twin_unhealthy(f, *with, health),
            Self::TwinNotStated { of } => twin_not_stated(f, *of),
            Self::Disabled => write!(f, "it is disabled, and not by us"),
            Self::DisabledNotStated => {
                write!(f, "Qualys does not say whether it is disabled, so it is no cover and is not run")
            }
            Self::DisabledByUs { at } => {
                write!(
                    f,
                    "we disabled it at {at} beside another connector of ours, and Qualys shows none as enabled now"
                )
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

fn twin_unhealthy(f: &mut fmt::Formatter<'_>, with: ConnectorId, health: &Unhealthy) -> fmt::Result {
    write!(
        f,
        "{health}, and connector {with} of ours, which covers the subscription too, is not certainly healthy either: \
         neither is disabled"
    )
}

fn twin_not_stated(f: &mut fmt::Formatter<'_>, of: ConnectorId) -> fmt::Result {
    write!(
        f,
        "connector {of} of ours covers the subscription that its mark names, but Qualys does not say which subscription \
         it covers itself: it is not disabled"
    )
}
