//! The state of one connector's syncs.
//!
//! Qualys gives a run no id, and an answer right after a run can still show the state before it. So a sync of ours is
//! over only when the state is terminal **and** either `lastSync` moved or an in-progress state was seen since the run.

use super::PendingRun;
use crate::model::{Connector, ConnectorState, Correction, Dated, SubscriptionId, SyncClass, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A sync in progress for longer is stuck. Qualys's own Jenkins plugin gives up after the same hour.
const STUCK_AFTER: Duration = Duration::from_hours(1);
/// Runs are counted over one day.
const RUN_WINDOW: Duration = Duration::from_hours(24);

/// What is known of one connector's syncs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SyncState {
    /// The subscription that it covers.
    pub subscription: Option<SubscriptionId>,
    /// When we made it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub made: Option<Timestamp>,
    /// When an answer last showed it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub seen: Option<Timestamp>,
    /// How many of our runs in a row Qualys refused.
    pub refusals: u32,
    /// When Qualys refused the last of them.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub refused: Option<Timestamp>,
    /// Since when it has been `QUEUED`, having never synced nor been run by us.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub queued_since: Option<Timestamp>,
    /// When we first saw the sync in progress.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub in_progress_since: Option<Timestamp>,
    /// Our last run, until its end is seen.
    pub pending_run: Option<PendingRun>,
    /// Our runs of the last 24 hours, newest last.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub runs: Vec<Timestamp>,
    /// How many syncs in a row failed.
    pub failures: u32,
    /// When the last failure was seen.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub failed: Option<Timestamp>,
    /// A first or requested sync has not ended.
    pub awaited: bool,
    /// The last end of a sync that was seen.
    pub ended: Option<SyncEnd>,
    /// Qualys's `lastSync`, as last seen.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_sync: Option<Timestamp>,
}

/// The end of a sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SyncEnd {
    /// When we saw it.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// When we sent the run; none for a sync that Qualys started.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub run: Option<Timestamp>,
    /// Whether it succeeded.
    pub well: bool,
}

impl Dated for SyncState {
    fn correct(&mut self, correction: &mut Correction) {
        let Self {
            subscription: _,
            made,
            seen,
            refusals: _,
            refused,
            queued_since,
            in_progress_since,
            pending_run,
            runs,
            failures: _,
            failed,
            awaited: _,
            ended,
            // Of Qualys's clock, and compared only with itself.
            last_sync: _,
        } = self;
        for times in [made, seen, refused, queued_since, in_progress_since, failed] {
            correction.past(times);
        }
        correction.done(runs.iter_mut());
        runs.sort();
        if let Some(run) = pending_run {
            run.correct(correction);
        }
        // It would settle requests that came after it.
        ended.take_if(|SyncEnd { at, run, well: _ }| {
            [Some(*at), *run].into_iter().flatten().any(|time| correction.is_ahead(time))
        });
    }
}

impl SyncState {
    /// Updates the state from an observed connector. Returns whether a first or requested sync was seen to succeed.
    pub fn update_from(&mut self, connector: &Connector, now: Timestamp) -> bool {
        self.runs.retain(|at| elapsed(now, *at) < RUN_WINDOW);
        let moved = self.last_sync.is_some() && connector.last_sync > self.last_sync;
        self.last_sync = connector.last_sync;
        let succeeded = self.apply_state(connector, moved, now);
        // A disabled connector will not sync, so nothing waits for it.
        self.awaited &= !connector.disabled;
        succeeded
    }

    fn apply_state(&mut self, connector: &Connector, moved: bool, now: Timestamp) -> bool {
        let never_synced = connector.last_sync.is_none();
        let queued_new = connector.state == ConnectorState::Queued && never_synced;
        if queued_new && self.forget_lost_run(now) {
            // Its wait begins again.
            (self.in_progress_since, self.queued_since) = (None, Some(now));
        }
        match connector.state.class() {
            SyncClass::InProgress if queued_new && self.pending_run.is_none() => {
                self.queued_since.get_or_insert(now);
                self.awaited = true;
                false
            }
            SyncClass::InProgress | SyncClass::Unknown => {
                self.queued_since = None;
                self.in_progress_since.get_or_insert(now);
                self.awaited |= never_synced && connector.state.class() == SyncClass::InProgress;
                if let Some(run) = &mut self.pending_run {
                    // The state before the run proves nothing about the run.
                    run.seen_in_progress |= connector.state.as_str() != run.state;
                }
                false
            }
            SyncClass::EndedWell => self.apply_ended_state(connector, moved, true, now),
            SyncClass::EndedBadly => self.apply_ended_state(connector, moved, false, now),
            SyncClass::NotPossible => {
                if self.pending_run.is_some() || self.in_progress_since.is_some() {
                    self.end(false, now);
                }
                self.awaited = false;
                false
            }
        }
    }

    fn apply_ended_state(&mut self, connector: &Connector, moved: bool, well: bool, now: Timestamp) -> bool {
        let is_over = match &self.pending_run {
            Some(run) => run.has_ended(connector, well),
            None => moved || self.in_progress_since.is_some() || self.queued_since.is_some(),
        };
        if is_over {
            return self.end(well, now);
        }
        if self.forget_lost_run(now) {
            self.awaited &= connector.last_sync.is_none();
            return false;
        }
        match &self.pending_run {
            Some(run) if elapsed(now, run.at) >= STUCK_AFTER => {
                self.end(false, now);
            }
            None if well => (self.failures, self.failed) = (0, None),
            None if self.failed.is_none() => (self.failures, self.failed) = (1, Some(now)),
            Some(_) | None => {}
        }
        false
    }

    /// Forgets a run whose answer was unclear and of which nothing shows, so that it may be sent again. Returns whether
    /// there was one.
    fn forget_lost_run(&mut self, now: Timestamp) -> bool {
        let Some(run) = self.pending_run.take_if(|run| run.is_lost(now)) else { return false };
        self.runs.retain(|at| *at != run.at);
        true
    }

    fn end(&mut self, well: bool, now: Timestamp) -> bool {
        let run = self.pending_run.take().map(|run| run.at);
        (self.queued_since, self.in_progress_since) = (None, None);
        self.ended = Some(SyncEnd { at: now, run, well });
        (self.failures, self.failed) =
            if well { (0, None) } else { (self.failures.saturating_add(1), Some(now)) };
        std::mem::take(&mut self.awaited) && well
    }

    /// Records a run that we sent. `awaited`: a snapshot or a person waits for its end.
    pub fn run_sent(&mut self, run: PendingRun, awaited: bool) {
        self.runs.push(run.at);
        self.pending_run = Some(run);
        self.queued_since = None;
        (self.refusals, self.refused) = (0, None);
        self.awaited |= awaited;
    }

    /// Records that Qualys refused a run.
    pub fn run_refused(&mut self, at: Timestamp) {
        (self.refusals, self.refused) = (self.refusals.saturating_add(1), Some(at));
        self.awaited = false;
    }

    /// When we sent our last run, ended or not.
    pub fn last_run(&self) -> Option<Timestamp> {
        self.runs.last().copied()
    }

    /// Whether it has been in progress for longer than any sync should take.
    pub fn is_stuck(&self, now: Timestamp) -> bool {
        self.in_progress_since.is_some_and(|since| elapsed(now, since) > STUCK_AFTER)
    }
}

#[cfg(test)]
mod tests;
