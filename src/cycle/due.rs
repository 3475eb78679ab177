//! Whether a snapshot is due: pure.

use crate::model::{after, elapsed};
use crate::state::TenantState;
use jiff::Timestamp;
use std::time::Duration;

/// Whether a snapshot is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// Now, because of this.
    Now(&'static str),
    /// Not before this moment.
    At(Timestamp),
    /// No.
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
    let in_gap = elapsed(now, newest.began) < gap;
    let wanted = if !newest.complete {
        Some("the last one is not complete")
    } else if state.awaited_end.is_some_and(|ended| ended > newest.began) {
        Some("a first or requested sync has ended")
    } else {
        None
    };
    match wanted {
        Some(_) if in_gap => Due::At(after(newest.began, gap)),
        Some(why) => Due::Now(why),
        None if elapsed(now, newest.began) >= every => Due::Now("the last one is old"),
        None => Due::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SnapshotId;
    use crate::state::LastSnapshot;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(hours: u32) -> Timestamp {
        after("2026-11-23T00:00:00Z".parse().unwrap(), HOUR * hours)
    }

    fn state(began: u32, complete: bool, awaited_end: Option<u32>) -> TenantState {
        let last_snapshot =
            Some(LastSnapshot { id: SnapshotId::new(at(began), 1), began: at(began), complete });
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
}
