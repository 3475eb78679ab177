//! Which connectors run.

use super::*;

#[test]
fn a_new_connector_that_qualys_starts_alone_is_never_run() {
    let mut case = Case::new(1);
    let connector = case.ours(10, 1);
    (connector.state, connector.last_sync) = (ConnectorState::Queued, None);
    assert!(case.plan(0).is_empty());
    case.connector(10).state = ConnectorState::Running;
    assert!(case.plan(2).is_empty());
    assert!(case.lines(3).contains("a sync is in progress"));
}

#[test]
fn a_new_connector_that_waits_is_run_once_and_then_joined() {
    let mut case = Case::new(1);
    let connector = case.ours(10, 1);
    (connector.state, connector.last_sync) = (ConnectorState::Queued, None);
    assert!(case.plan(0).is_empty());
    assert!(case.plan(1).is_empty());
    let plan = case.plan(2);
    assert!(matches!(plan.steps[0].action, Action::Run { awaited: true, .. }), "{plan}");
    case.run_sent(10, 2, true);
    for minute in 3..60 {
        assert!(case.plan(minute).is_empty(), "minute {minute}");
    }
    assert!(case.lines(64).contains("stuck: a sync has been in progress since"));
}

#[test]
fn a_sync_is_due_when_it_is_old_or_was_asked_for() {
    let mut case = Case::new(3);
    case.ours(10, 1);
    case.ours(11, 2).last_sync = Some(at(1));
    case.ours(12, 3).last_sync = Some(at(30));
    case.request(40, Asked { subscriptions: [sub(3)].into(), ..Asked::default() });
    insta::assert_snapshot!(case.lines(301), @r"
    ~ run connector 10 of …1: it last synced at 2026-11-23T04:00:00Z
    ~ run connector 12 of …3: it was requested at 2026-11-23T04:40:00Z
    = keep connector 11 of …2: it last synced at 2026-11-23T04:01:00Z
    0 to create, 2 to run, 0 to disable, 0 withheld; 2 calls to Qualys
    2 of 3 subscriptions in use are covered
    ");
}

#[test]
fn a_request_runs_a_connector_once() {
    let mut case = Case::new(1);
    case.ours(10, 1);
    case.request(5, Asked { all: true, ..Asked::default() });
    assert_eq!(case.plan(6).cost.runs, 1);
    case.run_sent(10, 6, true);
    assert!(case.plan(7).is_empty(), "it does not show yet");
    case.connector(10).last_sync = Some(at(8));
    assert!(case.plan(9).is_empty(), "it has ended");
}

#[test]
fn a_failed_sync_waits_longer_each_time_and_gives_up_after_four_a_day() {
    let mut case = Case::new(1);
    case.ours(10, 1).state = ConnectorState::FinishedErrors;
    let mut runs = Vec::new();
    for minute in 1..24 * 60 {
        if case.plan(minute).cost.runs == 1 {
            runs.push(minute);
            case.run_sent(10, minute, false);
            // It fails again within a minute.
            case.connector(10).last_sync = Some(at(minute));
        }
    }
    let waits: Vec<_> = runs.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!((runs.len(), waits), (4, vec![31, 61, 121]), "15 minutes, doubled each time: {runs:?}");
    assert!(case.lines(24 * 60 - 1).contains("today's tries are used up"));
}

#[test]
fn a_disabled_connector_of_ours_stays_so_and_is_named() {
    let mut case = Case::new(1);
    case.ours(10, 1).disabled = Some(true);
    assert!(case.plan(400).is_empty());
    assert!(case.plan(400).kept.iter().all(|kept| kept.why.needs_a_person()));
}

#[test]
fn an_unknown_state_is_taken_for_unfinished() {
    let mut case = Case::new(1);
    case.ours(10, 1).state = ConnectorState::Other("PAUSED".into());
    assert!(case.plan(400).is_empty());
    assert!(case.lines(400).contains("this version does not know its state `PAUSED`"));
}
