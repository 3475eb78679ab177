//! How observations show the end of a sync.

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
    sync.update_from(&old, at(10));
    sync.run_sent(PendingRun::new(&old, at(10), false), true);
    assert!(!sync.update_from(&old, at(11)));
    assert!(sync.pending_run.is_some() && sync.awaited, "the end of the sync before it does not count");
    assert!(!sync.update_from(&connector("PROCESSING", Some(0)), at(12)));
    assert!(
        sync.update_from(&connector("FINISHED_SUCCESS", Some(0)), at(13)),
        "it was seen in progress since the run"
    );
    assert_eq!(sync.ended, Some(SyncEnd { at: at(13), run: Some(at(10)), well: true }));
}

#[test]
fn a_run_is_over_when_last_sync_moved_even_if_nobody_saw_it_run() {
    let old = connector("FINISHED_SUCCESS", Some(0));
    let mut sync = SyncState::default();
    sync.run_sent(PendingRun::new(&old, at(10), false), false);
    assert!(!sync.update_from(&connector("FINISHED_SUCCESS", Some(12)), at(13)), "nobody waited for it");
    assert!(sync.pending_run.is_none() && sync.ended.is_some());
}

#[test]
fn a_run_of_which_nothing_shows_for_an_hour_counts_as_failed() {
    let old = connector("FINISHED_SUCCESS", Some(0));
    let mut sync = SyncState::default();
    sync.run_sent(PendingRun::new(&old, at(10), false), true);
    sync.update_from(&old, at(69));
    assert!(sync.pending_run.is_some());
    sync.update_from(&old, at(70));
    assert_eq!((sync.pending_run.is_none(), sync.failures, sync.awaited), (true, 1, false));
}

#[test]
fn an_unclear_run_is_forgotten_after_five_minutes_without_counting_as_a_failure() {
    let old = connector("FINISHED_SUCCESS", Some(0));
    let mut sync = SyncState::default();
    sync.run_sent(PendingRun::new(&old, at(10), true), true);
    sync.update_from(&old, at(15));
    assert_eq!((sync.pending_run.is_none(), sync.failures), (true, 0));
}

#[test]
fn a_new_connector_that_waits_is_awaited_until_it_ended() {
    let mut sync = SyncState::default();
    assert!(!sync.update_from(&connector("QUEUED", None), at(0)));
    assert_eq!((sync.queued_since, sync.awaited), (Some(at(0)), true));
    assert!(!sync.update_from(&connector("RUNNING", None), at(1)));
    assert_eq!((sync.queued_since, sync.in_progress_since), (None, Some(at(1))));
    assert!(sync.update_from(&connector("FINISHED_SUCCESS", Some(2)), at(3)));
}

#[test]
fn failures_count_once_a_sync_and_a_good_end_clears_them() {
    let mut sync = SyncState::default();
    sync.update_from(&connector("FINISHED_ERRORS", Some(0)), at(1));
    sync.update_from(&connector("FINISHED_ERRORS", Some(0)), at(2));
    assert_eq!((sync.failures, sync.failed), (1, Some(at(1))));
    sync.update_from(&connector("FINISHED_ERRORS", Some(3)), at(4));
    assert_eq!((sync.failures, sync.failed), (2, Some(at(4))));
    sync.update_from(&connector("FINISHED_SUCCESS", Some(5)), at(6));
    assert_eq!((sync.failures, sync.failed), (0, None));
}
