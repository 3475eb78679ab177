//! Rule 6: whether a connector of ours is run.

use super::{Policy, Why};
use crate::model::{Connector, ConnectorState, SyncClass, after, elapsed};
use crate::state::{SyncState, backoff};
use jiff::Timestamp;

/// Runs of a failing connector in 24 hours.
const TRIES_A_DAY: usize = 4;

pub(super) enum Sync {
    Run { awaited: bool, reason: String },
    Keep(Why),
}

/// Decides about one connector of ours whose subscription is in use.
pub(super) fn decide(
    connector: &Connector,
    sync: Option<&SyncState>,
    requested: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
) -> Sync {
    let nothing = SyncState::default();
    let sync = sync.unwrap_or(&nothing);
    if connector.disabled {
        return Sync::Keep(Why::Disabled);
    }
    if let Some(until) = sync.refused.map(|at| after(at, backoff(sync.refusals))).filter(|until| now < *until)
    {
        return Sync::Keep(Why::FailedWaits { failures: sync.refusals, until });
    }
    let run = |awaited: bool, reason: String| Sync::Run { awaited, reason };
    match connector.state.class() {
        SyncClass::NotPossible => Sync::Keep(Why::RunNotPossible),
        SyncClass::InProgress | SyncClass::Unknown => {
            if let Some(since) = sync.queued_since {
                return if elapsed(now, since) >= policy.follow_up {
                    run(true, format!("new and still waiting since {since}"))
                } else {
                    Sync::Keep(Why::JustCreated)
                };
            }
            match (&connector.state, sync.in_progress_since) {
                (_, Some(since)) if sync.is_stuck(now) => Sync::Keep(Why::Stuck { since }),
                (ConnectorState::Other(_), _) => {
                    Sync::Keep(Why::UnknownState { state: connector.state.as_str().to_owned() })
                }
                _ => Sync::Keep(Why::InProgress),
            }
        }
        SyncClass::EndedWell | SyncClass::EndedBadly if sync.pending_run.is_some() => {
            Sync::Keep(Why::RunNotVisibleYet)
        }
        class => {
            let since_request = |at: Timestamp| connector.last_sync < Some(at) && sync.last_run() < Some(at);
            if let Some(at) = requested.filter(|at| since_request(*at)) {
                return run(true, format!("requested {at}"));
            }
            if class == SyncClass::EndedBadly {
                return failed(connector, sync, now);
            }
            match connector.last_sync {
                None => run(true, "it has never synced".into()),
                Some(last) if elapsed(now, last) > policy.sync_max_age => {
                    run(false, format!("its last sync is of {last}"))
                }
                Some(last_sync) => Sync::Keep(Why::Fresh { last_sync }),
            }
        }
    }
}

fn failed(connector: &Connector, sync: &SyncState, now: Timestamp) -> Sync {
    let failures = sync.failures.max(1);
    if sync.runs.len() >= TRIES_A_DAY {
        return Sync::Keep(Why::FailedTooOften { failures });
    }
    let until = after(sync.failed.unwrap_or(now), backoff(failures));
    if now < until {
        Sync::Keep(Why::FailedWaits { failures, until })
    } else {
        let awaited = connector.last_sync.is_none();
        Sync::Run {
            awaited,
            reason: format!("its last sync failed ({failures} in a row) and the wait is over"),
        }
    }
}
