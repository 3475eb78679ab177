//! Which connectors run: rules *syncs* and *refusals back off*.

use super::last_sync::LastSync;
use super::planner::Planner;
use super::{Action, Policy, Reason, Step, Subject, SyncTimeDoubt, Why};
use crate::model::{Connector, ConnectorState, SubscriptionId, SyncClass, after, elapsed};
use crate::state::{NotAccepted, SyncState, backoff};
use jiff::Timestamp;

/// The most runs of a connector in 24 hours that nobody asked for. Qualys's own schedule does the rest; a failing connector
/// needs a person, and more runs would only use calls up.
const RUNS_A_DAY: usize = 4;

impl Planner<'_> {
    pub(super) fn plan_syncs(&mut self) {
        for connector in self.ours.clone().into_values() {
            let Some(subscription) = connector.covers() else { continue };
            match self.decide_sync(connector, subscription) {
                Some(Ok((awaited, reason))) => {
                    let action = Action::Run { connector: connector.id, subscription, awaited };
                    self.steps.push(Step { action, reason, withheld: None });
                }
                Some(Err(why)) => {
                    let (connector, subscription) = (connector.id, Some(subscription));
                    self.keep(Subject::Connector { connector, subscription }, why);
                }
                None => {}
            }
        }
    }

    /// None for a duplicate: it is a removal.
    fn decide_sync(&self, connector: &Connector, subscription: SubscriptionId) -> Option<Result<Run, Why>> {
        // Rules *absence is only a suspicion* and *state follows*: nothing disables these connectors yet, so they are named.
        match self.observed.subscriptions.get(&subscription) {
            None => return Some(Err(Why::SubscriptionNotSeen)),
            Some(found) if !found.state.is_in_use() => {
                return Some(Err(Why::NotInUse { state: found.state.as_str().to_owned() }));
            }
            Some(_) => {}
        }
        if self.stays_instead_of(connector, subscription).is_some() {
            return None;
        }
        let enabled_twin = self.ours_of(subscription).find(|c| c.is_enabled());
        if let Some(twin) = enabled_twin.filter(|_| connector.is_disabled()) {
            return Some(Err(Why::DisabledTwin { of: twin.id }));
        }
        if let Some(record) = self.state.disabled.get(&connector.id).filter(|_| connector.is_disabled()) {
            return Some(Err(Why::DisabledByUs { at: record.at }));
        }
        let requests = self.observed.requests.iter().filter(|r| r.asked.wants(subscription));
        let unknown = SyncState::default();
        let case = Case {
            connector,
            sync: self.state.connectors.get(&connector.id).unwrap_or(&unknown),
            last_sync: self.last_sync(connector),
            doubt: SyncTimeDoubt::of(connector, self.observed.qualys_clock),
            requested: requests.map(|r| r.at).max(),
            policy: self.policy,
            now: self.now,
        };
        Some(case.decide())
    }
}

/// A connector of ours whose subscription is in use.
struct Case<'a> {
    connector: &'a Connector,
    sync: &'a SyncState,
    last_sync: LastSync,
    doubt: Option<SyncTimeDoubt>,
    /// When the latest request was made.
    requested: Option<Timestamp>,
    policy: &'a Policy,
    now: Timestamp,
}

/// A run: whether its end is awaited, and its reason.
type Run = (bool, Reason);

impl Case<'_> {
    fn decide(&self) -> Result<Run, Why> {
        match self.connector.disabled {
            Some(true) => return Err(Why::Disabled),
            // It may have been disabled by hand.
            None => return Err(Why::DisabledNotStated),
            Some(false) => {}
        }
        match self.connector.state.class() {
            SyncClass::NotPossible => Err(Why::RunNotPossible),
            SyncClass::InProgress | SyncClass::Unknown => self.decide_in_progress(),
            SyncClass::EndedWell | SyncClass::EndedBadly if self.sync.pending_run.is_some() => {
                Err(Why::RunNotVisibleYet)
            }
            SyncClass::EndedWell => self.requested_or(|| self.decide_after_success()),
            SyncClass::EndedBadly => self.requested_or(|| self.decide_after_failure()),
        }
    }

    /// Joins a sync that is in progress; runs a new connector that Qualys has left waiting.
    fn decide_in_progress(&self) -> Result<Run, Why> {
        if let (ConnectorState::Queued, Some(since)) = (&self.connector.state, self.sync.queued_since) {
            if elapsed(self.now, since) < self.policy.follow_up {
                return Err(Why::JustCreated);
            }
            return self.requested_or(|| {
                self.is_allowed_unasked()?;
                Ok((true, Reason::StillQueued { since }))
            });
        }
        match (&self.connector.state, self.sync.in_progress_since) {
            (_, Some(since)) if self.sync.is_stuck(self.now) => Err(Why::Stuck { since }),
            (ConnectorState::Other(_), _) => {
                Err(Why::UnknownState { state: self.connector.state.as_str().to_owned() })
            }
            _ => Err(Why::InProgress),
        }
    }

    /// Runs a connector once for a request that neither the end of a sync nor a run of ours has served.
    fn requested_or(&self, otherwise: impl FnOnce() -> Result<Run, Why>) -> Result<Run, Why> {
        let Some(requested) = self.requested.filter(|asked| !self.sync.serves(*asked)) else {
            return otherwise();
        };
        self.is_accepted()?;
        Ok((true, Reason::Requested { requested }))
    }

    fn decide_after_success(&self) -> Result<Run, Why> {
        let is_old = |at: Timestamp| elapsed(self.now, at) > self.policy.sync_max_age;
        let reason = match self.last_sync {
            LastSync::At(last_sync) if is_old(last_sync) => Reason::LastSyncOld { last_sync },
            LastSync::At(last_sync) => return Err(Why::Fresh { last_sync }),
            LastSync::Unknown { since: Some(since) } if is_old(since) => Reason::SyncTimeUnknown { since },
            LastSync::Unknown { since } => {
                let doubt = self.doubt.unwrap_or(SyncTimeDoubt::Missing);
                return Err(Why::SyncTimeUnknown { doubt, since: since.unwrap_or(self.now) });
            }
            // Its state says that it has synced.
            LastSync::Never => return Err(Why::Fresh { last_sync: self.now }),
        };
        self.is_allowed_unasked()?;
        Ok((false, reason))
    }

    fn decide_after_failure(&self) -> Result<Run, Why> {
        let Some(failing) = &self.sync.failing else {
            return Err(Why::FailedWaits { failures: 1, until: after(self.now, backoff(1)) });
        };
        self.is_allowed_unasked()?;
        let awaited = self.sync.succeeded.is_none() && self.connector.stated_sync().is_none();
        Ok((awaited, Reason::LastSyncFailed { failures: failing.count }))
    }

    /// Whether a run may be sent that nobody asked for, whatever Qualys says of the last sync.
    fn is_allowed_unasked(&self) -> Result<(), Why> {
        self.is_accepted()?;
        let used_up = self.sync.runs_used_up_until(RUNS_A_DAY);
        if let Some(failing) = &self.sync.failing {
            let (failures, since, until) = (failing.count, failing.since, failing.next_try());
            return if failing.is_given_up(self.now) {
                Err(Why::FailedForADay { failures, since })
            } else if self.now < until {
                Err(Why::FailedWaits { failures, until })
            } else if used_up.is_some() {
                Err(Why::FailedTooOften { failures })
            } else {
                Ok(())
            };
        }
        let lately = self.sync.last_run().filter(|_| self.sync.not_accepted.is_none());
        let until = lately.map(|at| after(at, self.policy.sync_max_age)).max(used_up);
        match until.filter(|until| self.now < *until) {
            Some(until) => Err(Why::RunLately { until }),
            None => Ok(()),
        }
    }

    /// Rule *refusals back off*: whether Qualys may accept a run again.
    fn is_accepted(&self) -> Result<(), Why> {
        let Some(not_accepted) = &self.sync.not_accepted else { return Ok(()) };
        let NotAccepted { count, at: _, unclear, code, error } = not_accepted;
        let waits = Some(not_accepted.next_try()).filter(|until| self.now < *until);
        let is_used_up = self.sync.runs_used_up_until(RUNS_A_DAY).is_some();
        if waits.is_none() && !is_used_up {
            return Ok(());
        }
        Err(Why::RunNotAccepted {
            failures: *count,
            unclear: *unclear,
            code: code.clone(),
            error: error.clone(),
            until: waits.filter(|_| !is_used_up),
        })
    }
}
