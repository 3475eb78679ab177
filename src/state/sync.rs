//! The state of one connector's syncs.
//!
//! Qualys gives a run no id, and an answer right after a run can still show the state before it. So a sync of ours is over only when
//! the state is terminal **and** shows more than before: see [`PendingRun`]. Qualys's times are compared with each other alone.

use super::PendingRun;
use super::failing::{Failing, NotAccepted, SyncFailure};
use crate::model::{
    Connector, ConnectorState, Correction, Dated, ResponseCode, StatedTime, SubscriptionId, SyncClass, after,
    elapsed,
};
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
    /// Since when it has been `QUEUED`, having never synced nor been run by us.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub queued_since: Option<Timestamp>,
    /// When we first saw the sync in progress.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub in_progress_since: Option<Timestamp>,
    /// Our last run, until its end is seen.
    pub pending_run: Option<PendingRun>,
    /// The runs that we sent in the last 24 hours, newest last; refused ones too.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub runs: Vec<Timestamp>,
    /// Its last syncs failed.
    pub failing: Option<Failing>,
    /// Qualys did not accept our last runs.
    pub not_accepted: Option<NotAccepted>,
    /// A first or requested sync has not ended.
    pub awaited: bool,
    /// Since when it is awaited, or when we last ran it for that.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub awaited_since: Option<Timestamp>,
    /// The last end of a sync that was seen.
    pub ended: Option<SyncEnd>,
    /// When we last saw a sync end well.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub succeeded: Option<Timestamp>,
    /// When we first saw it in the state of an ended sync.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub first_ended: Option<Timestamp>,
    /// Qualys's word for the last such state.
    pub ended_state: Option<String>,
    /// Qualys's `lastSync`, as last stated.
    pub last_sync: Option<StatedTime>,
    /// What it was before it moved to that. An answer that shows this again is an old one.
    pub last_sync_before: Option<StatedTime>,
}

/// The end of a sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SyncEnd {
    /// When we saw it.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// When we had last looked and it had not ended; none where it only counts as ended, since nothing showed of a run.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub after: Option<Timestamp>,
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
            queued_since,
            in_progress_since,
            pending_run,
            runs,
            failing,
            not_accepted,
            awaited: _,
            awaited_since,
            ended,
            succeeded,
            first_ended,
            ended_state: _,
            // Of Qualys's clock, and compared only with each other.
            last_sync: _,
            last_sync_before: _,
        } = self;
        for times in [made, seen, queued_since, in_progress_since, awaited_since, succeeded, first_ended] {
            correction.past(times);
        }
        if let Some(Failing { count: _, at, since, cause: _ }) = failing {
            correction.past([at, since]);
        }
        if let Some(NotAccepted { count: _, at, unclear: _, code: _, error: _ }) = not_accepted {
            correction.past([at]);
        }
        correction.done(runs.iter_mut());
        runs.sort();
        if let Some(run) = pending_run {
            run.correct(correction);
        }
        // It would settle requests that came after it.
        ended.take_if(|SyncEnd { at, after, run, well: _ }| {
            [Some(*at), *after, *run].into_iter().flatten().any(|time| correction.is_ahead(time))
        });
    }
}

impl SyncState {
    /// Updates the state from an observed connector. Returns whether a first or requested sync was seen to succeed.
    pub fn update_from(&mut self, connector: &Connector, now: Timestamp) -> bool {
        self.runs.retain(|at| elapsed(now, *at) < RUN_WINDOW);
        let stated = connector.stated_sync().filter(|at| self.last_sync_before != Some(*at));
        let moved = stated.is_some_and(|at| at.moved_from(self.last_sync));
        if moved {
            self.last_sync_before = self.last_sync;
        }
        self.last_sync = stated.or(self.last_sync);
        let succeeded = self.apply_state(&Shown { connector, stated, moved, now });
        // A disabled connector will not sync, so nothing waits for it.
        self.awaited &= !connector.is_disabled();
        self.awaited_since = self.awaited.then(|| self.awaited_since.unwrap_or(now));
        self.seen = Some(now);
        succeeded
    }

    fn apply_state(&mut self, shown: &Shown<'_>) -> bool {
        let Shown { connector, now, .. } = *shown;
        // A connector that synced before may state no time, so that alone does not make it new.
        let states_none = connector.last_sync.is_none() && connector.odd_last_sync.is_none();
        let is_queued = connector.state == ConnectorState::Queued;
        if is_queued && states_none && self.last_sync.is_none() && self.is_stuck(now) {
            // It never stated a time, so the end that it once showed may have been no end of a sync.
            self.ended_state = None;
        }
        let never_synced = states_none && self.last_sync.is_none() && self.ended_state.is_none();
        let queued_new = is_queued && never_synced;
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
            SyncClass::InProgress => {
                self.queued_since = None;
                // If `lastSync` moved, this is another sync than the one that was seen before.
                self.in_progress_since = self.in_progress_since.filter(|_| !shown.moved).or(Some(now));
                self.awaited |= never_synced;
                if let Some(run) = &mut self.pending_run {
                    // The state before the run proves nothing about the run.
                    run.seen_in_progress |= connector.state.as_str() != run.state;
                }
                false
            }
            // An answer may lack the state, so a word that is not known shows neither a sync nor the end of one.
            SyncClass::Unknown => false,
            SyncClass::EndedWell => self.apply_ended_state(shown, true),
            SyncClass::EndedBadly => self.apply_ended_state(shown, false),
            SyncClass::NotPossible => {
                if self.pending_run.is_some() || self.in_progress_since.is_some() {
                    self.failed(SyncFailure::of(connector), now);
                    self.end(false, None, now);
                }
                self.awaited = false;
                false
            }
        }
    }

    fn apply_ended_state(&mut self, shown: &Shown<'_>, well: bool) -> bool {
        let Shown { connector, stated, moved, now } = *shown;
        let word = connector.state.as_str().to_owned();
        let ended_otherwise = self.ended_state.replace(word).is_some_and(|before| is_well(&before) != well);
        self.first_ended.get_or_insert(now);
        let is_over = match &self.pending_run {
            Some(run) => run.has_ended(connector, stated, well),
            None => moved || ended_otherwise || self.in_progress_since.or(self.queued_since).is_some(),
        };
        if is_over {
            if !well {
                self.failed(SyncFailure::of(connector), now);
            }
            return self.end(well, self.seen, now);
        }
        if self.forget_lost_run(now) {
            self.awaited = false;
            return false;
        }
        match &self.pending_run {
            // Where Qualys states no time, the state is all that shows its end.
            Some(run) if elapsed(now, run.at) >= STUCK_AFTER && well && stated.is_none() => {
                return self.end(true, None, now);
            }
            Some(run) if elapsed(now, run.at) >= STUCK_AFTER => {
                let cause = if well { SyncFailure::NothingShown } else { SyncFailure::of(connector) };
                self.failed(cause, now);
                self.end(false, None, now);
            }
            None if !well => self.apply_failure(SyncFailure::of(connector), now),
            Some(_) | None => {}
        }
        false
    }

    /// Takes in a failure that shows without a new sync: it is the first that we see, or its cause has changed.
    fn apply_failure(&mut self, cause: SyncFailure, now: Timestamp) {
        if self.failing.as_ref().is_none_or(|failing| failing.cause != cause) {
            self.failed(cause, now);
        }
    }

    fn failed(&mut self, cause: SyncFailure, now: Timestamp) {
        self.failing = Some(Failing::again(self.failing.take(), cause, now));
    }

    /// Forgets a run whose answer was unclear and of which nothing shows, so that it may be sent again. Returns whether
    /// there was one.
    fn forget_lost_run(&mut self, now: Timestamp) -> bool {
        self.pending_run.take_if(|run| run.is_lost(now)).is_some()
    }

    /// `after`: when we had last looked; none where no end was seen.
    fn end(&mut self, well: bool, after: Option<Timestamp>, now: Timestamp) -> bool {
        let run = self.pending_run.take().map(|run| run.at);
        (self.queued_since, self.in_progress_since) = (None, None);
        self.ended = Some(SyncEnd { at: now, after, run, well });
        if run.is_some() || well {
            self.not_accepted = None;
        }
        if well {
            (self.failing, self.succeeded) = (None, Some(now));
        }
        std::mem::take(&mut self.awaited) && well
    }

    /// Records a run that we sent and that Qualys accepted, or may have. `awaited`: a snapshot or a person waits for its end.
    pub fn run_sent(&mut self, run: PendingRun, awaited: bool) {
        self.runs.push(run.at);
        if !run.unclear {
            self.not_accepted = None;
        }
        if awaited {
            (self.awaited, self.awaited_since) = (true, Some(run.at));
        }
        self.pending_run = Some(run);
        // What was in progress before it says nothing about this run's age.
        (self.queued_since, self.in_progress_since) = (None, None);
    }

    /// Records that Qualys refused a run. What was awaited before still is: Qualys may have refused it because a sync is in
    /// progress.
    pub fn run_refused(&mut self, at: Timestamp, code: ResponseCode, error: String) {
        self.runs.push(at);
        self.not_accepted(at, false, code, error);
    }

    /// Records that the answer to the run that was just sent is unclear.
    pub fn run_unclear(&mut self, at: Timestamp, code: ResponseCode, error: String) {
        self.not_accepted(at, true, code, error);
    }

    fn not_accepted(&mut self, at: Timestamp, unclear: bool, code: ResponseCode, error: String) {
        let before = self.not_accepted.as_ref().map_or(0, |before| before.count);
        self.not_accepted = Some(NotAccepted { count: before.saturating_add(1), at, unclear, code, error });
    }

    /// When we sent our last run, ended or not.
    pub fn last_run(&self) -> Option<Timestamp> {
        self.runs.last().copied()
    }

    /// Of this many runs in 24 hours, when the first is so long ago that another may be sent; none while there are fewer.
    pub fn runs_used_up_until(&self, most: usize) -> Option<Timestamp> {
        let first = self.runs.len().checked_sub(most)?;
        self.runs.get(first).map(|at| after(*at, RUN_WINDOW))
    }

    /// Whether a sync has ended that serves a request of that time: one that we ran for it, or one that had not ended when we
    /// last looked, after the request.
    pub fn has_ended_since(&self, asked: Timestamp) -> bool {
        let Some(end) = &self.ended else { return false };
        let since = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment >= asked);
        since(end.run) || since(end.after) || since(self.made) && end.at >= asked
    }

    /// Whether a request of that time needs no run any more.
    pub fn serves(&self, asked: Timestamp) -> bool {
        self.has_ended_since(asked) || self.pending_run.as_ref().is_some_and(|run| run.at >= asked)
    }

    /// Whether it has been in progress for longer than any sync should take.
    pub fn is_stuck(&self, now: Timestamp) -> bool {
        self.in_progress_since.is_some_and(|since| elapsed(now, since) > STUCK_AFTER)
    }

    /// Whether its end is awaited so lately that it is worth looking for. After that the timer is soon enough.
    pub fn is_awaited(&self, now: Timestamp) -> bool {
        let lately = self.awaited_since.is_none_or(|since| elapsed(now, since) <= STUCK_AFTER);
        self.awaited && lately && !self.is_stuck(now)
    }
}

/// One observation of a connector.
#[derive(Clone, Copy)]
struct Shown<'a> {
    connector: &'a Connector,
    /// Its `lastSync`, unless the answer is an old one.
    stated: Option<StatedTime>,
    /// `lastSync` has moved since the last observation.
    moved: bool,
    now: Timestamp,
}

fn is_well(state: &str) -> bool {
    ConnectorState::from(state).class() == SyncClass::EndedWell
}

#[cfg(test)]
mod tests;
