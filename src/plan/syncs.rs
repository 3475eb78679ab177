//! Which connectors run: rules *syncs* and *refusals back off*.

use super::planner::Planner;
use super::{Action, Policy, Reason, Step, Subject, Why};
use crate::model::{Connector, ConnectorState, SubscriptionId, SyncClass, after, elapsed};
use crate::state::{SyncState, backoff};
use jiff::Timestamp;

/// The most runs of a failing connector in 24 hours. People must correct the cause, so more runs would only use calls
/// up.
const TRIES_A_DAY: usize = 4;

enum Decision {
    Run { awaited: bool, reason: Reason },
    Keep(Why),
}

impl Planner<'_> {
    pub(super) fn plan_syncs(&mut self) {
        for connector in self.ours.clone().into_values() {
            let Some(subscription) = connector.covers() else { continue };
            match self.decide_sync(connector, subscription) {
                Some(Decision::Run { awaited, reason }) => {
                    let action = Action::Run { connector: connector.id, subscription, awaited };
                    self.steps.push(Step { action, reason, withheld: None });
                }
                Some(Decision::Keep(why)) => {
                    let (connector, subscription) = (connector.id, Some(subscription));
                    self.keep(Subject::Connector { connector, subscription }, why);
                }
                None => {}
            }
        }
    }

    /// None for a duplicate: it is a removal.
    fn decide_sync(&self, connector: &Connector, subscription: SubscriptionId) -> Option<Decision> {
        // Rules *absence is only a suspicion* and *state follows*: nothing disables these connectors yet, so they are named.
        match self.observed.subscriptions.get(&subscription) {
            None => return Some(Decision::Keep(Why::SubscriptionNotSeen)),
            Some(found) if !found.state.is_in_use() => {
                return Some(Decision::Keep(Why::NotInUse { state: found.state.as_str().to_owned() }));
            }
            Some(_) => {}
        }
        if self.stays_instead_of(connector, subscription).is_some() {
            return None;
        }
        let enabled_twin = self.ours_of(subscription).find(|c| !c.disabled);
        if let Some(twin) = enabled_twin.filter(|_| connector.disabled) {
            return Some(Decision::Keep(Why::DisabledTwin { of: twin.id }));
        }
        if let Some(record) = self.state.disabled.get(&connector.id).filter(|_| connector.disabled) {
            return Some(Decision::Keep(Why::DisabledByUs { at: record.at }));
        }
        let requested =
            self.observed.requests.iter().filter(|r| r.asked.wants(subscription)).map(|r| r.at).max();
        let sync = self.state.connectors.get(&connector.id);
        Some(decide(connector, sync, requested, self.policy, self.now))
    }
}

/// Decides about a connector of ours whose subscription is in use.
fn decide(
    connector: &Connector,
    sync: Option<&SyncState>,
    requested: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let unknown = SyncState::default();
    let sync = sync.unwrap_or(&unknown);
    if connector.disabled {
        return Decision::Keep(Why::Disabled);
    }
    let next_try = sync.refused.map(|at| after(at, backoff(sync.refusals)));
    if let Some(until) = next_try.filter(|until| now < *until) {
        return Decision::Keep(Why::FailedWaits { failures: sync.refusals, until });
    }
    match connector.state.class() {
        SyncClass::NotPossible => Decision::Keep(Why::RunNotPossible),
        SyncClass::InProgress | SyncClass::Unknown => decide_in_progress(connector, sync, policy, now),
        SyncClass::EndedWell | SyncClass::EndedBadly if sync.pending_run.is_some() => {
            Decision::Keep(Why::RunNotVisibleYet)
        }
        SyncClass::EndedWell => decide_requested(connector, sync, requested)
            .unwrap_or_else(|| decide_after_success(connector, policy, now)),
        SyncClass::EndedBadly => decide_requested(connector, sync, requested)
            .unwrap_or_else(|| decide_after_failure(connector, sync, now)),
    }
}

/// Joins a sync that is in progress; runs a new connector that Qualys has left waiting.
fn decide_in_progress(connector: &Connector, sync: &SyncState, policy: &Policy, now: Timestamp) -> Decision {
    if let Some(since) = sync.queued_since {
        return if elapsed(now, since) >= policy.follow_up {
            Decision::Run { awaited: true, reason: Reason::StillQueued { since } }
        } else {
            Decision::Keep(Why::JustCreated)
        };
    }
    match (&connector.state, sync.in_progress_since) {
        (_, Some(since)) if sync.is_stuck(now) => Decision::Keep(Why::Stuck { since }),
        (ConnectorState::Other(_), _) => {
            Decision::Keep(Why::UnknownState { state: connector.state.as_str().to_owned() })
        }
        _ => Decision::Keep(Why::InProgress),
    }
}

/// Runs a connector once for a request that neither a sync nor a run of ours has followed.
fn decide_requested(
    connector: &Connector,
    sync: &SyncState,
    requested: Option<Timestamp>,
) -> Option<Decision> {
    let requested = requested?;
    let is_unserved = connector.last_sync < Some(requested) && sync.last_run() < Some(requested);
    is_unserved.then_some(Decision::Run { awaited: true, reason: Reason::Requested { requested } })
}

fn decide_after_success(connector: &Connector, policy: &Policy, now: Timestamp) -> Decision {
    match connector.last_sync {
        None => Decision::Run { awaited: true, reason: Reason::NeverSynced },
        Some(last_sync) if elapsed(now, last_sync) > policy.sync_max_age => {
            Decision::Run { awaited: false, reason: Reason::LastSyncOld { last_sync } }
        }
        Some(last_sync) => Decision::Keep(Why::Fresh { last_sync }),
    }
}

fn decide_after_failure(connector: &Connector, sync: &SyncState, now: Timestamp) -> Decision {
    let failures = sync.failures.max(1);
    if sync.runs.len() >= TRIES_A_DAY {
        return Decision::Keep(Why::FailedTooOften { failures });
    }
    let until = after(sync.failed.unwrap_or(now), backoff(failures));
    if now < until {
        return Decision::Keep(Why::FailedWaits { failures, until });
    }
    Decision::Run { awaited: connector.last_sync.is_none(), reason: Reason::LastSyncFailed { failures } }
}
