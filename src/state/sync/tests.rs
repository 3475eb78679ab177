//! How observations show the end of a sync.

use super::*;
use crate::model::{ConnectorId, OddTime};

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
        odd_last_sync: None,
        last_error: None,
        disabled: Some(false),
        member: Some(false),
        run_frequency_minutes: None,
        application: None,
        directory: None,
        subscription: None,
    }
}

/// How many syncs in a row failed, and when the last was seen.
fn failures(sync: &SyncState) -> Option<(u32, Timestamp)> {
    sync.failing.as_ref().map(|failing| (failing.count, failing.at))
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
    assert_eq!(sync.ended, Some(SyncEnd { at: at(13), after: Some(at(12)), run: Some(at(10)), well: true }));
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
    assert_eq!((sync.pending_run.is_none(), failures(&sync), sync.awaited), (true, Some((1, at(70))), false));
}

#[test]
fn an_unclear_run_is_forgotten_after_five_minutes_without_counting_as_a_failure() {
    let old = connector("FINISHED_SUCCESS", Some(0));
    let mut sync = SyncState::default();
    sync.run_sent(PendingRun::new(&old, at(10), true), true);
    sync.update_from(&old, at(15));
    assert_eq!((sync.pending_run.is_none(), failures(&sync)), (true, None));
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
    assert_eq!(failures(&sync), Some((1, at(1))));
    sync.update_from(&connector("FINISHED_ERRORS", Some(3)), at(4));
    assert_eq!(failures(&sync), Some((2, at(4))));
    sync.update_from(&connector("FINISHED_SUCCESS", Some(5)), at(6));
    assert_eq!(failures(&sync), None);
}

fn without_zone(minute: i64) -> Connector {
    let bare = jiff::tz::TimeZone::UTC.to_datetime(at(minute));
    Connector { odd_last_sync: Some(OddTime::WithoutZone(bare)), ..connector("FINISHED_SUCCESS", None) }
}

#[test]
fn a_last_sync_that_moves_backwards_is_the_end_of_a_sync() {
    let mut sync = SyncState::default();
    sync.update_from(&connector("FINISHED_SUCCESS", Some(90)), at(10));
    assert_eq!((&sync.ended, sync.succeeded), (&None, None), "it may have ended long ago");
    sync.update_from(&connector("FINISHED_SUCCESS", Some(19)), at(20));
    assert_eq!(sync.ended, Some(SyncEnd { at: at(20), after: Some(at(10)), run: None, well: true }));
    assert!(sync.has_ended_since(at(10)) && !sync.has_ended_since(at(11)));
}

#[test]
fn an_old_answer_moves_nothing() {
    let mut sync = SyncState::default();
    for (last_sync, minute) in [(0, 1), (5, 6)] {
        sync.update_from(&connector("FINISHED_SUCCESS", Some(last_sync)), at(minute));
    }
    let before = sync.clone();
    for (last_sync, minute) in [(0, 7), (5, 8), (0, 9)] {
        sync.update_from(&connector("FINISHED_SUCCESS", Some(last_sync)), at(minute));
    }
    assert_eq!((sync.ended, sync.last_sync), (before.ended, before.last_sync));
}

#[test]
fn a_time_without_a_zone_shows_that_it_moved_and_a_missing_one_shows_nothing() {
    let mut sync = SyncState::default();
    sync.update_from(&without_zone(0), at(1));
    sync.update_from(&connector("FINISHED_SUCCESS", None), at(2));
    sync.update_from(&without_zone(0), at(3));
    sync.update_from(&connector("FINISHED_SUCCESS", Some(0)), at(4));
    assert_eq!(sync.ended, None);
    sync.update_from(&without_zone(0), at(5));
    sync.update_from(&without_zone(6), at(7));
    assert_eq!(sync.succeeded, Some(at(7)));
}

#[test]
fn a_state_that_is_not_known_proves_no_sync() {
    let mut sync = SyncState::default();
    sync.update_from(&connector("FINISHED_SUCCESS", Some(0)), at(1));
    for (state, minute) in [("", 2), ("ODD", 3), ("FINISHED_SUCCESS", 4)] {
        sync.update_from(&connector(state, Some(0)), at(minute));
    }
    assert_eq!(sync.ended, None);
}

#[test]
fn a_run_of_which_no_time_can_show_ends_by_the_state() {
    let old = connector("FINISHED_SUCCESS", None);
    let mut sync = SyncState::default();
    sync.update_from(&old, at(10));
    sync.run_sent(PendingRun::new(&old, at(10), false), true);
    assert!(!sync.update_from(&old, at(69)));
    assert!(sync.update_from(&old, at(70)), "awaited, and it ended well");
    assert_eq!((failures(&sync), sync.succeeded), (None, Some(at(70))));
    assert!(sync.has_ended_since(at(10)) && !sync.has_ended_since(at(11)), "only our run is known");
}

#[test]
fn a_connector_that_synced_and_states_no_time_is_not_new_when_it_is_queued() {
    let mut sync = SyncState::default();
    sync.update_from(&connector("FINISHED_SUCCESS", None), at(0));
    sync.update_from(&connector("QUEUED", None), at(240));
    assert_eq!((sync.queued_since, sync.in_progress_since, sync.awaited), (None, Some(at(240)), false));
    sync.update_from(&connector("QUEUED", None), at(301));
    assert!(sync.queued_since.is_some(), "no sync waits for an hour, so it may be new after all");
}

#[test]
fn another_sync_in_progress_is_not_the_one_that_was_seen_an_hour_ago() {
    let mut sync = SyncState::default();
    sync.update_from(&connector("RUNNING", Some(0)), at(10));
    sync.update_from(&connector("RUNNING", Some(12)), at(75));
    assert!(!sync.is_stuck(at(75)));
}

#[test]
fn a_refused_run_leaves_the_first_sync_awaited_for_an_hour() {
    let mut sync = SyncState::default();
    sync.update_from(&connector("QUEUED", None), at(0));
    sync.run_refused(at(2), ResponseCode::Invalid("INVALID_REQUEST".into()), "it is running".into());
    sync.update_from(&connector("QUEUED", None), at(60));
    assert!(sync.is_awaited(at(60)));
    sync.update_from(&connector("QUEUED", None), at(61));
    assert!(
        !sync.is_awaited(at(61)) && sync.awaited,
        "no wake-up follows, and its end still leads to a snapshot"
    );
    assert!(sync.update_from(&connector("FINISHED_SUCCESS", Some(62)), at(75)));
    assert_eq!(sync.not_accepted, None);
}

#[test]
fn a_cause_that_changes_begins_anew() {
    let mut sync = SyncState::default();
    let failed = |error: &str, last_sync| Connector {
        last_error: Some(error.into()),
        ..connector("FINISHED_ERRORS", Some(last_sync))
    };
    sync.update_from(&failed("AADSTS7000215: wrong", 0), at(1));
    sync.update_from(&failed("AADSTS7000215: wrong", 100), at(101));
    assert_eq!(failures(&sync), Some((2, at(101))));
    sync.update_from(&failed("AADSTS7000222: expired", 100), at(200));
    assert_eq!(failures(&sync), Some((1, at(200))));
}

#[test]
fn a_state_of_the_version_before_is_read_without_its_waits() {
    let stored = r#"{"made":"2026-11-23T04:00:00Z","refusals":2,"refused":"2026-11-23T04:00:00Z","runs":["2026-11-23T04:00:00Z"],
        "failures":1,"failed":"2026-11-23T04:00:00Z","awaited":true,"last_sync":"2026-11-23T03:00:00Z",
        "pending_run":{"at":"2026-11-23T04:00:00Z","last_sync":null,"state":"QUEUED","error_digest":null,"seen_in_progress":false,
        "unclear":false},"ended":{"at":"2026-11-23T04:00:00Z","run":null,"well":true}}"#;
    let sync: SyncState = serde_json::from_str(stored).unwrap();
    assert_eq!((sync.runs.len(), sync.failing, sync.not_accepted), (1, None, None));
    assert_eq!(sync.last_sync.unwrap().to_string(), "2026-11-23T03:00:00Z");
    assert!(sync.pending_run.is_some() && sync.ended.unwrap().after.is_none() && sync.awaited);
}
