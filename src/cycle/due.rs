//! When a snapshot and the next wake-up are due: pure.

use super::Results;
use crate::model::{SubscriptionId, after, elapsed};
use crate::plan::{Kept, Mode, Plan, Policy, Subject, Why};
use crate::state::{CREATE_SETTLES, TenantState};
use jiff::Timestamp;
use std::time::Duration;

/// Whether a snapshot is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Due {
    /// Now, because of this.
    Now(&'static str),
    /// Not before this moment.
    At(Timestamp),
    #[default]
    No,
}

/// `requested`: when the latest request was made whose syncs are over and that asks for a snapshot.
pub(super) fn snapshot(
    state: &TenantState,
    requested: Option<Timestamp>,
    every: Duration,
    gap: Duration,
    now: Timestamp,
) -> Due {
    let Some(newest) = &state.last_snapshot else { return Due::Now("there is none") };
    if requested.is_some_and(|at| newest.began < at) {
        return Due::Now("it was requested");
    }
    let not_before = newest.next_not_before(gap);
    let wanted = if newest.is_first_doubt() {
        Some("the last one has so few rows that it is read a second time")
    } else if !newest.complete {
        Some("the last one is not complete")
    } else if state.awaited_end.is_some_and(|ended| ended > newest.began) {
        Some("a first or requested sync has ended")
    } else {
        None
    };
    match wanted {
        Some(_) if now < not_before => Due::At(not_before),
        Some(why) => Due::Now(why),
        None if elapsed(now, newest.began) >= every => Due::Now("the last one is old"),
        None => Due::No,
    }
}

/// What is not finished, and so needs a wake-up. For everything else, the next timer tick is soon enough.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// Until when Qualys asked the account to wait. Nothing can be done before then.
    pub(super) paused_until: Option<Timestamp>,
    /// Work is left that needs calls.
    pub(super) work_left: bool,
    /// When an endpoint whose share of the hour is used up has a call again. Only work that needs calls waits for it.
    pub(super) window_until: Option<Timestamp>,
    /// A first or requested sync has not ended.
    pub(super) sync_awaited: bool,
    /// When a connector that the plan waits with may be created.
    pub(super) create_due: Option<Timestamp>,
    /// When lists may prove the absence that a create waits for.
    pub(super) absence_proved: Option<Timestamp>,
    /// When a snapshot that is wanted is due. It needs calls.
    pub(super) snapshot_due: Option<Timestamp>,
}

impl Unfinished {
    pub(super) fn of(results: &Results, state: &TenantState, policy: &Policy, now: Timestamp) -> Self {
        let enforced = policy.mode == Mode::Enforce;
        let held_back = results.observed.as_ref().is_some_and(|observed| observed.looks_left)
            || results.plan.as_ref().is_some_and(Plan::holds_back_creations)
            || results.outcomes.iter().any(|outcome| outcome.result.is_open());
        let in_use = |id: SubscriptionId| {
            let subscriptions = results.observed.as_ref().map(|observed| &observed.subscriptions);
            subscriptions.and_then(|all| all.get(&id)).is_some_and(|found| found.state.is_in_use())
        };
        // Without calls the connectors could not even be listed.
        let unread = results.observed.is_none() && results.calls.window_until.is_some();
        Self {
            paused_until: results.calls.paused_until,
            work_left: enforced && held_back || unread,
            window_until: results.calls.window_until,
            sync_awaited: enforced && state.awaits_sync(in_use, now),
            create_due: results.plan.as_ref().filter(|_| enforced).and_then(|plan| create_due(plan, state)),
            absence_proved: results.plan.as_ref().filter(|_| enforced).and_then(Plan::absence_proved_at),
            snapshot_due: match results.snapshot.due {
                Due::Now(_) => Some(now),
                Due::At(at) => Some(at),
                Due::No => None,
            },
        }
    }

    /// When the next wake-up is due; none when nothing waits for one.
    pub(super) fn next_wake_up(&self, follow_up: Duration, now: Timestamp) -> Option<Timestamp> {
        let follow_up = after(now, follow_up);
        self.paused_until.filter(|until| *until > now).or_else(|| {
            let work = self.work_left.then(|| self.window_until.unwrap_or(follow_up));
            let sync = self.sync_awaited.then_some(follow_up);
            // Once the time is over, only more lists are wanted.
            let absence = self.absence_proved.map(|at| if at > now { at } else { follow_up });
            let snapshot = self.snapshot_due.map(|at| at.max(self.window_until.unwrap_or(follow_up)));
            [work, sync, self.create_due, absence, snapshot].into_iter().flatten().min()
        })
    }
}

/// When the earliest connector that the plan waits with may be created: one whose create was sent should be listed by then, and
/// a new subscription should be in its management group.
fn create_due(plan: &Plan, state: &TenantState) -> Option<Timestamp> {
    let due = |kept: &Kept| match (&kept.why, &kept.subject) {
        (Why::NotPlacedYet { until }, _) => Some(*until),
        (Why::CreateUnderWay, Subject::Subscription { subscription }) => {
            state.creates.get(subscription).map(|at| after(*at, CREATE_SETTLES))
        }
        _ => None,
    };
    plan.kept.iter().filter_map(due).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SnapshotId;
    use crate::state::{LastSnapshot, Progress};

    const HOUR: Duration = Duration::from_hours(1);

    fn at(hours: u32) -> Timestamp {
        after("2026-11-23T00:00:00Z".parse().unwrap(), HOUR * hours)
    }

    fn state(began: u32, complete: bool, awaited_end: Option<u32>) -> TenantState {
        let last_snapshot = Some(LastSnapshot {
            id: SnapshotId::new(at(began), 1),
            began: at(began),
            complete,
            progress: Progress::Ended,
            doubt: None,
        });
        TenantState { last_snapshot, awaited_end: awaited_end.map(at), ..TenantState::default() }
    }

    fn due(state: &TenantState, requested: Option<u32>, now: u32) -> Due {
        snapshot(state, requested.map(at), 24 * HOUR, 3 * HOUR, at(now))
    }

    #[test]
    fn a_snapshot_is_due_when_there_is_none_on_request_after_syncs_and_once_a_day() {
        assert_eq!(due(&TenantState::default(), None, 0), Due::Now("there is none"));
        assert_eq!(due(&state(0, true, None), None, 23), Due::No);
        assert_eq!(due(&state(0, true, None), None, 24), Due::Now("the last one is old"));
        assert_eq!(due(&state(0, true, None), Some(1), 1), Due::Now("it was requested"));
        assert_eq!(due(&state(2, true, None), Some(1), 3), Due::No, "taken after the request");
        assert_eq!(due(&state(0, true, Some(1)), None, 1), Due::At(at(3)));
        assert_eq!(due(&state(0, true, Some(1)), None, 3), Due::Now("a first or requested sync has ended"));
        assert_eq!(due(&state(2, true, Some(1)), None, 9), Due::No, "it began after the sync had ended");
        assert_eq!(due(&state(0, false, None), None, 1), Due::At(at(3)));
        assert_eq!(due(&state(0, false, None), None, 3), Due::Now("the last one is not complete"));
    }

    const FOLLOW_UP: Duration = Duration::from_mins(2);

    fn next(unfinished: &Unfinished) -> Option<Timestamp> {
        unfinished.next_wake_up(FOLLOW_UP, at(10))
    }

    #[test]
    fn without_a_wait_only_the_timer_wakes_up() {
        assert_eq!(next(&Unfinished::default()), None);
        let over =
            Unfinished { paused_until: Some(at(9)), window_until: Some(at(11)), ..Unfinished::default() };
        assert_eq!(next(&over), None, "the pause is over, and nothing needs the calls of the window");
    }

    #[test]
    fn a_pause_of_qualys_holds_up_everything() {
        let unfinished = Unfinished {
            paused_until: Some(at(12)),
            work_left: true,
            sync_awaited: true,
            snapshot_due: Some(at(11)),
            ..Unfinished::default()
        };
        assert_eq!(next(&unfinished), Some(at(12)));
    }

    #[test]
    fn a_used_up_call_window_holds_up_only_what_needs_those_calls() {
        let unfinished = Unfinished { work_left: true, window_until: Some(at(11)), ..Unfinished::default() };
        assert_eq!(next(&unfinished), Some(at(11)));
        let unfinished = Unfinished { sync_awaited: true, ..unfinished };
        assert_eq!(next(&unfinished), Some(after(at(10), FOLLOW_UP)));
    }

    #[test]
    fn the_earliest_wait_is_the_next_wake_up() {
        let unfinished =
            Unfinished { create_due: Some(at(12)), snapshot_due: Some(at(11)), ..Unfinished::default() };
        assert_eq!(next(&unfinished), Some(at(11)));
        assert_eq!(next(&Unfinished { work_left: true, ..unfinished }), Some(after(at(10), FOLLOW_UP)));
    }
}
