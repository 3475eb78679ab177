//! Connectors that are not ours are left alone.

use super::*;

#[test]
fn connectors_made_by_others_are_never_touched_and_never_doubled() {
    let mut case = Case::new(5);
    case.foreign(10, 1);
    case.foreign(11, 2).disabled = Some(true);
    case.foreign(12, 3).state = ConnectorState::FinishedErrors;
    case.ours(13, 4).member = Some(true);
    case.foreign(14, 5).last_sync = Some(at(0));
    insta::assert_snapshot!(case.lines(400), @r"
      nothing to do
    = leave …1: connector 10 (not ours) should cover it, but it last synced at 2026-11-23T04:00:00Z; no second connector is created
    = leave …2: connector 11 (not ours) should cover it, but it is disabled; no second connector is created
    = leave …3: connector 12 (not ours) should cover it, but its last sync failed (FINISHED_ERRORS); no second connector is created
    = leave …4: connector 13 (a member of a tenant connector) should cover it, but it last synced at 2026-11-23T04:00:00Z; no second connector is created
    = leave …5: connector 14 (not ours) should cover it, but it last synced at 2026-11-23T04:00:00Z; no second connector is created
    0 to create, 0 to run, 0 to disable, 0 withheld; 0 calls to Qualys
    0 of 5 subscriptions in use are covered
    ");
}

#[test]
fn a_copied_mark_and_another_deployments_or_tenants_mark_are_not_ours() {
    let mut case = Case::new(3);
    let copied = case.ours(10, 1).description.clone();
    case.observed.connectors.clear();
    case.foreign(11, 2).description = copied.clone();
    case.foreign(12, 1).description = copied.replace("default/", "other/");
    case.foreign(13, 3).description = copied.replace(&tenant().to_string(), &Uuid::from_u128(9).to_string());
    for connector in case.observed.connectors.values() {
        assert!(!case.policy.is_ours(connector), "{connector:?}");
    }
    let text = case.lines(400);
    assert!(
        text.contains("= keep connector 11 of …2: it carries the mark of subscription …1, so it is not ours"),
        "{text}"
    );
    assert!(case.plan(400).is_empty());
}

#[test]
fn a_connector_that_lost_our_mark_is_named_and_left_alone() {
    let mut case = Case::new(1);
    case.foreign(10, 1);
    case.state.connectors.insert(ConnectorId(10), SyncState { made: Some(at(0)), ..SyncState::default() });
    assert!(case.lines(1).contains("= keep connector 10 of …1: it had our mark and lost it"));
}

#[test]
fn a_subscription_that_we_and_somebody_else_cover_is_named() {
    let mut case = Case::new(2);
    case.ours(10, 1);
    case.foreign(11, 1);
    case.ours(12, 2);
    case.foreign(13, 2).disabled = Some(true);
    let text = case.lines(1);
    assert!(
        text.contains("= leave …1: connector 10 of ours and connector 11, which is not ours, both cover it"),
        "{text}"
    );
    assert!(!text.contains("= leave …2"), "a disabled one covers nothing: {text}");
}

#[test]
fn a_connector_that_says_nowhere_what_it_covers_is_named_and_is_no_cover() {
    let mut case = Case::new(1);
    case.foreign(10, 9).subscription = None;
    let text = case.lines(1);
    assert!(
        text.contains("= keep connector 10: Qualys does not say which subscription it covers, so it counts as the cover of none"),
        "{text}"
    );
    assert_eq!(case.plan(1).cost.creates, 1);
}
