//! What is remembered of one connector's syncs.
//!
//! Qualys gives a run no id, and an answer right after a run can still show the state before it. So a sync of ours is
//! over only when the state is terminal **and** `lastSync` moved or an in-progress state was seen since.

use crate::model::{Connector, ConnectorState, SubscriptionId, SyncClass, elapsed, hex};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A sync in progress for longer is stuck. Qualys's own Jenkins plugin gives up after the same hour.
const STUCK_AFTER: Duration = Duration::from_hours(1);
/// A run whose answer was unclear and of which nothing shows is forgotten after so long, so that it may be repeated.
const UNCLEAR_RUN_LASTS: Duration = Duration::from_mins(5);
/// Runs are counted over one day.
const RUN_WINDOW: Duration = Duration::from_hours(24);

/// What is remembered of one connector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SyncState {
    /// The subscription it covers.
    pub subscription: Option<SubscriptionId>,
    /// When we made it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub made: Option<Timestamp>,
    /// When an answer last showed it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub seen: Option<Timestamp>,
    /// How many of our runs in a row Qualys refused.
    pub refusals: u32,
    /// When it refused the last.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub refused: Option<Timestamp>,
    /// `QUEUED`, never synced, not yet run by us: since when.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub queued_since: Option<Timestamp>,
    /// In progress: since when, as far as we saw.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub busy_since: Option<Timestamp>,
    /// Our last run, as long as its end was not seen.
    pub pending_run: Option<PendingRun>,
    /// Our runs of the last 24 hours.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub runs: Vec<Timestamp>,
    /// How many syncs in a row ended badly.
    pub failures: u32,
    /// When the last of them was seen.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub failed: Option<Timestamp>,
    /// A first or requested sync has not ended.
    pub awaited: bool,
    /// The last end of a sync that was seen.
    pub ended: Option<SyncEnd>,
    /// `lastSync` as last seen.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_sync: Option<Timestamp>,
}

/// A run of ours whose end was not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PendingRun {
    /// When we sent it.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// `lastSync` before it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_sync: Option<Timestamp>,
    /// The state before it.
    pub state: String,
    /// What tells the error before it from another; its text may hold anything, so it is not kept.
    pub error_digest: Option<String>,
    /// An in-progress state was seen since.
    pub busy_seen: bool,
    /// The answer to it was unclear.
    pub unclear: bool,
}

/// The end of a sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SyncEnd {
    /// When we saw it.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// When we had started it; none for a sync that Qualys started.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub run: Option<Timestamp>,
    /// Whether it ended well.
    pub well: bool,
}

impl PendingRun {
    /// The mark of a run of this connector, as it was before.
    pub fn new(before: &Connector, at: Timestamp, unclear: bool) -> Self {
        Self {
            at,
            last_sync: before.last_sync,
            state: before.state.as_str().to_owned(),
            error_digest: digest(before),
            busy_seen: false,
            unclear,
        }
    }
}

impl PendingRun {
    /// Whether its answer was unclear and nothing has shown since.
    fn is_lost(&self, now: Timestamp) -> bool {
        self.unclear && !self.busy_seen && elapsed(now, self.at) >= UNCLEAR_RUN_LASTS
    }
}

impl SyncState {
    /// Takes in one observation. True when a first or requested sync was seen to end well.
    pub fn notice(&mut self, connector: &Connector, now: Timestamp) -> bool {
        self.runs.retain(|at| elapsed(now, *at) < RUN_WINDOW);
        let moved = self.last_sync.is_some() && connector.last_sync > self.last_sync;
        self.last_sync = connector.last_sync;
        let over = self.look(connector, moved, now);
        // Nobody waits for one that is switched off.
        self.awaited &= !connector.disabled;
        over
    }

    fn look(&mut self, connector: &Connector, moved: bool, now: Timestamp) -> bool {
        let never = connector.last_sync.is_none();
        let waits = connector.state == ConnectorState::Queued && never && !self.runs_queued(now);
        match connector.state.class() {
            SyncClass::InProgress if waits => {
                self.queued_since.get_or_insert(now);
                self.awaited = true;
                false
            }
            SyncClass::InProgress | SyncClass::Unknown => {
                self.queued_since = None;
                self.busy_since.get_or_insert(now);
                self.awaited |= never && connector.state.class() == SyncClass::InProgress;
                if let Some(run) = &mut self.pending_run {
                    // The state before the run proves nothing about the run.
                    run.busy_seen |= connector.state.as_str() != run.state;
                }
                false
            }
            SyncClass::EndedWell => self.terminal(connector, moved, true, now),
            SyncClass::EndedBadly => self.terminal(connector, moved, false, now),
            SyncClass::NotPossible => {
                if self.pending_run.is_some() || self.busy_since.is_some() {
                    self.end(false, now);
                }
                self.awaited = false;
                false
            }
        }
    }

    fn terminal(&mut self, connector: &Connector, moved: bool, well: bool, now: Timestamp) -> bool {
        let over = match &self.pending_run {
            // A failed run may leave `lastSync` where it was (no source says), so a changed state or error counts too.
            Some(run) => {
                run.busy_seen
                    || connector.last_sync > run.last_sync
                    || (!well
                        && (connector.state.as_str() != run.state || digest(connector) != run.error_digest))
            }
            None => moved || self.busy_since.is_some() || self.queued_since.is_some(),
        };
        if over {
            return self.end(well, now);
        }
        match &self.pending_run {
            Some(run) if run.is_lost(now) => {
                self.forget_run();
                self.awaited &= connector.last_sync.is_none();
            }
            Some(run) if elapsed(now, run.at) >= STUCK_AFTER => {
                self.end(false, now);
            }
            None if well => (self.failures, self.failed) = (0, None),
            None if self.failed.is_none() => (self.failures, self.failed) = (1, Some(now)),
            _ => {}
        }
        false
    }

    /// Whether a run of ours of this waiting connector counts; one that was lost is forgotten, and the wait begins anew.
    fn runs_queued(&mut self, now: Timestamp) -> bool {
        if self.pending_run.as_ref().is_some_and(|run| run.is_lost(now)) {
            self.forget_run();
            (self.busy_since, self.queued_since) = (None, Some(now));
        }
        self.pending_run.is_some()
    }

    /// A run of which nothing came may be sent again.
    fn forget_run(&mut self) {
        if let Some(run) = self.pending_run.take() {
            self.runs.retain(|at| *at != run.at);
        }
    }

    fn end(&mut self, well: bool, now: Timestamp) -> bool {
        let run = self.pending_run.take().map(|run| run.at);
        (self.queued_since, self.busy_since) = (None, None);
        self.ended = Some(SyncEnd { at: now, run, well });
        (self.failures, self.failed) =
            if well { (0, None) } else { (self.failures.saturating_add(1), Some(now)) };
        std::mem::take(&mut self.awaited) && well
    }

    /// Remembers a run that we sent. `awaited`: somebody, or the first snapshot, waits for its end.
    pub fn ran(&mut self, run: PendingRun, awaited: bool) {
        self.runs.push(run.at);
        self.pending_run = Some(run);
        self.queued_since = None;
        (self.refusals, self.refused) = (0, None);
        self.awaited |= awaited;
    }

    /// Remembers that Qualys refused a run.
    pub fn run_refused(&mut self, at: Timestamp) {
        (self.refusals, self.refused) = (self.refusals.saturating_add(1), Some(at));
        self.awaited = false;
    }

    /// Our last run, ended or not.
    pub fn last_run(&self) -> Option<Timestamp> {
        self.runs.last().copied()
    }

    /// In progress for longer than any sync should be.
    pub fn is_stuck(&self, now: Timestamp) -> bool {
        self.busy_since.is_some_and(|since| elapsed(now, since) > STUCK_AFTER)
    }
}

/// Tells one error text from another without keeping it.
fn digest(connector: &Connector) -> Option<String> {
    let text = connector.last_error.as_ref()?;
    Some(hex(&Sha256::digest(text.as_bytes())[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConnectorId;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + minute * 60).unwrap()
    }

    fn connector(state: &str, last_sync: Option<i64>) -> Connector {
        Connector {
            id: ConnectorId(1),
            name: "a".into(),
            description: String::new(),
            state: state.into(),
            last_sync: last_sync.map(at),
            last_error: None,
            disabled: false,
            member: false,
            run_frequency_minutes: None,
            application: None,
            directory: None,
            subscription: None,
        }
    }

    #[test]
    fn a_run_is_not_over_while_the_old_state_still_shows() {
        let old = connector("FINISHED_SUCCESS", Some(0));
        let mut sync = SyncState::default();
        sync.notice(&old, at(10));
        sync.ran(PendingRun::new(&old, at(10), false), true);
        assert!(!sync.notice(&old, at(11)));
        assert!(sync.pending_run.is_some() && sync.awaited, "the old end is not the new one");
        assert!(!sync.notice(&connector("PROCESSING", Some(0)), at(12)));
        assert!(sync.notice(&connector("FINISHED_SUCCESS", Some(0)), at(13)), "seen in progress since: over");
        assert_eq!(sync.ended, Some(SyncEnd { at: at(13), run: Some(at(10)), well: true }));
    }

    #[test]
    fn a_run_is_over_when_last_sync_moved_even_if_nobody_saw_it_run() {
        let old = connector("FINISHED_SUCCESS", Some(0));
        let mut sync = SyncState::default();
        sync.ran(PendingRun::new(&old, at(10), false), false);
        assert!(!sync.notice(&connector("FINISHED_SUCCESS", Some(12)), at(13)), "nobody waited for it");
        assert!(sync.pending_run.is_none() && sync.ended.is_some());
    }

    #[test]
    fn a_run_of_which_nothing_shows_for_an_hour_counts_as_failed() {
        let old = connector("FINISHED_SUCCESS", Some(0));
        let mut sync = SyncState::default();
        sync.ran(PendingRun::new(&old, at(10), false), true);
        sync.notice(&old, at(69));
        assert!(sync.pending_run.is_some());
        sync.notice(&old, at(70));
        assert_eq!((sync.pending_run.is_none(), sync.failures, sync.awaited), (true, 1, false));
    }

    #[test]
    fn an_unclear_run_is_forgotten_after_five_minutes_without_counting_as_a_failure() {
        let old = connector("FINISHED_SUCCESS", Some(0));
        let mut sync = SyncState::default();
        sync.ran(PendingRun::new(&old, at(10), true), true);
        sync.notice(&old, at(15));
        assert_eq!((sync.pending_run.is_none(), sync.failures), (true, 0));
    }

    #[test]
    fn a_new_connector_that_waits_is_awaited_until_it_ended() {
        let mut sync = SyncState::default();
        assert!(!sync.notice(&connector("QUEUED", None), at(0)));
        assert_eq!((sync.queued_since, sync.awaited), (Some(at(0)), true));
        assert!(!sync.notice(&connector("RUNNING", None), at(1)));
        assert_eq!((sync.queued_since, sync.busy_since), (None, Some(at(1))));
        assert!(sync.notice(&connector("FINISHED_SUCCESS", Some(2)), at(3)));
    }

    #[test]
    fn failures_count_once_a_sync_and_a_good_end_clears_them() {
        let mut sync = SyncState::default();
        sync.notice(&connector("FINISHED_ERRORS", Some(0)), at(1));
        sync.notice(&connector("FINISHED_ERRORS", Some(0)), at(2));
        assert_eq!((sync.failures, sync.failed), (1, Some(at(1))));
        sync.notice(&connector("FINISHED_ERRORS", Some(3)), at(4));
        assert_eq!((sync.failures, sync.failed), (2, Some(at(4))));
        sync.notice(&connector("FINISHED_SUCCESS", Some(5)), at(6));
        assert_eq!((sync.failures, sync.failed), (0, None));
    }
}
