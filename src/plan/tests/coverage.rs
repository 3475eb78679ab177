//! Which subscriptions are covered, and what is said of the others.

use super::*;

#[test]
fn a_subscription_is_covered_by_one_healthy_connector_or_named_with_a_cause() {
    let mut case = Case::new(10);
    case.ours(17, 7).state = ConnectorState::Running;
    case.plan(0);
    case.ours(10, 1).state = ConnectorState::Error;
    case.foreign(11, 1).last_sync = Some(at(10));
    case.ours(12, 2).disabled = Some(true);
    case.ours(13, 3).state = ConnectorState::FinishedErrors;
    case.ours(14, 4).state = ConnectorState::Disabled;
    case.ours(15, 5).state = ConnectorState::Other("ODD".into());
    let new = case.ours(16, 6);
    (new.state, new.last_sync) = (ConnectorState::Queued, None);
    case.ours(18, 8);
    let unstated = case.ours(19, 9);
    (unstated.disabled, unstated.last_sync) = (None, Some(at(300)));
    let coverage = case.plan(301).coverage;
    let gaps = coverage.gaps.iter().map(|gap| format!("{}: {}", gap.name, gap.cause));
    insta::assert_snapshot!(gaps.collect::<Vec<_>>().join("\n"), @"
    s2: connector 12: it is disabled
    s3: connector 13: its last sync failed (FINISHED_ERRORS)
    s4: connector 14: it cannot run (DISABLED)
    s5: connector 15: its state is unknown to this version (ODD)
    s6: connector 16: it has never finished a sync
    s7: connector 17: its sync is stuck
    s8: connector 18: it last synced at 2026-11-23T04:00:00Z
    s9: connector 19: Qualys does not say whether it is disabled
    s10: no connector
    ");
    assert_eq!((coverage.in_use, coverage.covered), (10, 1));
}
