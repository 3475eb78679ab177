//! Which connectors are disabled, and what brakes that.

use super::*;

#[test]
fn of_two_healthy_connectors_of_ours_the_older_stays_and_the_newer_is_disabled() {
    let mut case = Case::new(1);
    case.ours(10, 1);
    case.ours(11, 1);
    insta::assert_snapshot!(case.lines(1), @r"
    - disable connector 11 of …1: connector 10 of ours is healthy and covers it too
    = keep connector 10 of …1: it last synced at 2026-11-23T04:00:00Z
    0 to create, 0 to run, 1 to disable, 0 withheld; 3 calls to Qualys
    1 of 1 subscriptions in use are covered
    ");
    case.connector(10).disabled = Some(true);
    assert!(case.plan(1).is_empty(), "a disabled one covers nothing, so the newer stays");
}

/// The connectors that a plan disables, and those that stay instead.
fn disabled(plan: &Plan) -> Vec<(i64, i64)> {
    let ids = |action: &Action| match action {
        Action::Disable { connector, proof: DisableProof::Twin { stays }, .. } => {
            Some((connector.0, stays.0))
        }
        _ => None,
    };
    plan.wanted().filter_map(ids).collect()
}

#[test]
fn of_several_connectors_of_ours_the_healthy_one_stays() {
    type Change = fn(&mut Connector);
    let changes: [Change; 6] = [
        |one| one.state = ConnectorState::FinishedErrors,
        |one| one.state = ConnectorState::Disabled,
        |one| one.state = ConnectorState::Other("ODD".into()),
        |one| one.last_sync = None,
        |one| one.last_sync = Some(at(0)),
        |one| (one.state, one.last_sync) = (ConnectorState::Queued, None),
    ];
    for change in changes {
        let mut case = Case::new(1);
        for id in [10, 11, 12] {
            case.ours(id, 1).last_sync = Some(at(300));
        }
        change(case.connector(10));
        assert_eq!(disabled(&case.plan(301)), [(10, 11), (12, 11)]);
    }
    let mut case = Case::new(1);
    case.ours(10, 1).state = ConnectorState::Running;
    case.ours(11, 1);
    case.plan(0);
    assert_eq!(disabled(&case.plan(70)), [(10, 11)], "a stuck one is not healthy");
}

#[test]
fn while_no_connector_of_ours_is_healthy_none_is_disabled_and_all_are_named() {
    let mut case = Case::new(1);
    case.ours(10, 1).state = ConnectorState::FinishedErrors;
    case.ours(11, 1).last_sync = None;
    insta::assert_snapshot!(case.lines(1), @r"
      nothing to do
    = keep connector 10 of …1: its last sync failed (1 in a row); the next try is at 2026-11-23T04:16:00Z
    = keep connector 11 of …1: the time of its last sync is not stated; we last saw that it had synced at 2026-11-23T04:01:00Z
    = keep connector 10 of …1: its last sync failed (FINISHED_ERRORS), and connector 11 of ours, which covers the subscription too, is not certainly healthy either: neither is disabled
    = keep connector 11 of …1: Qualys does not tell the age of its last sync, and connector 10 of ours, which covers the subscription too, is not certainly healthy either: neither is disabled
    ! Qualys does not tell the age of the last sync of some connectors (not stated: 1). They are aged by the syncs that we see
    0 to create, 0 to run, 0 to disable, 0 withheld; 0 calls to Qualys
    1 of 1 subscriptions in use are covered
    ");
}

#[test]
fn a_connector_that_states_no_subscription_is_never_disabled_on_its_mark_alone() {
    for unstated in [&[11][..], &[10], &[10, 11]] {
        let mut case = Case::new(1);
        case.ours(10, 1);
        case.ours(11, 1);
        for id in unstated {
            case.connector(*id).subscription = None;
        }
        let text = case.lines(1);
        assert!(case.plan(1).is_empty(), "{text}");
        for id in unstated {
            let name = format!("= keep connector {id} of …1: connector {} of ours covers", 21 - id);
            assert!(text.contains(&name), "{text}");
        }
    }
}

#[test]
fn a_connector_that_we_disabled_is_not_taken_for_one_that_others_disabled() {
    let mut case = Case::new(1);
    case.ours(10, 1).disabled = Some(true);
    let record = DisabledByUs::new(sub(1), at(0), DisableProof::Twin { stays: ConnectorId(11) });
    case.state.disabled.insert(ConnectorId(10), record);
    assert!(case.lines(1).contains("= keep connector 10 of …1: we disabled it at 2026-11-23T04:00:00Z"));
}

#[test]
fn a_disable_that_an_older_version_planned_is_read_and_has_no_proof() {
    let line = format!(
        r#"{{"action": "disable", "connector": 11, "subscription": "{}", "reason": "duplicate", "older": 10}}"#,
        sub(1)
    );
    let step: Step = serde_json::from_str(&line).unwrap();
    let expected =
        Action::Disable { connector: ConnectorId(11), subscription: sub(1), proof: DisableProof::Unstated };
    assert_eq!((step.action, step.reason), (expected, Reason::Duplicate { stays: ConnectorId(10) }));
}

#[test]
fn too_many_removals_are_refused_together_and_the_rest_goes_on() {
    let mut case = Case::new(8);
    for number in 1..=6 {
        case.ours(10 + number, u128::try_from(number).unwrap());
        case.ours(20 + number, u128::try_from(number).unwrap());
    }
    let plan = case.plan(1);
    let (go, withheld): (Vec<_>, Vec<_>) = plan.steps.iter().partition(|step| step.withheld.is_none());
    assert!(go.iter().all(|step| step.action.kind() == ActionKind::Creation) && go.len() == 2);
    assert_eq!(withheld.len(), 6);
    insta::assert_snapshot!(withheld[0].withheld.as_ref().unwrap(), @"too many removals: 6 wanted and 0 done in 24 hours, 12 connectors of ours are enabled, the limit is 5");
    case.policy.max_removals = Some(6);
    assert!(case.plan(1).steps.iter().all(|step| step.withheld.is_none()));
    case.state.removals = vec![at(0)];
    assert_eq!(case.plan(1).cost.withheld, 6, "what was removed today counts");
    assert_eq!(case.plan(24 * 60).cost.withheld, 0, "what was removed yesterday does not");
}

#[test]
fn no_removal_while_a_scope_is_unreadable() {
    let mut case = Case::new(1);
    case.ours(10, 1);
    case.ours(11, 1);
    case.observed.unreadable.push(Unreadable { scope: "platform".into(), why: "403".into() });
    let plan = case.plan(1);
    insta::assert_snapshot!(plan.steps[0].withheld.as_ref().unwrap(), @"no removal while a scope is unreadable: platform");
}

#[test]
fn absence_and_state_change_nothing() {
    let mut case = Case::new(1);
    case.ours(10, 1);
    case.ours(11, 7);
    case.subscription(2, "Disabled");
    case.ours(12, 2);
    let text = case.lines(400);
    assert!(text.contains(
        "= keep connector 11 of …7: its subscription was not observed, which does not prove that it is gone"
    ));
    assert!(text.contains("= keep connector 12 of …2: the subscription is Disabled"));
}

#[test]
fn a_twin_that_does_not_say_whether_it_is_disabled_neither_goes_nor_stays() {
    for unstated in [10, 11] {
        let mut case = Case::new(1);
        case.ours(10, 1);
        case.ours(11, 1);
        case.connector(unstated).disabled = None;
        let text = case.lines(1);
        assert!(case.plan(1).is_empty(), "{text}");
        let name = format!("= keep connector {unstated} of …1: Qualys does not say whether it is disabled");
        assert!(text.contains(&name), "{text}");
    }
}
