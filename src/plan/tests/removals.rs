//! Which connectors are disabled, and what brakes that.

use super::*;

#[test]
fn of_two_connectors_of_ours_the_older_stays_and_the_newer_is_disabled() {
    let mut case = Case::new(1);
    case.ours(10, 1);
    case.ours(11, 1);
    insta::assert_snapshot!(case.lines(1), @r"
    - disable connector 11 of …1: connector 10 of ours is older and covers it too
    = keep connector 10 of …1: it last synced at 2026-11-23T04:00:00Z
    0 to create, 0 to run, 1 to disable, 0 withheld; 1 calls to Qualys
    1 of 1 subscriptions in use are covered
    ");
    case.connector(10).disabled = true;
    assert!(case.plan(1).is_empty(), "a disabled one covers nothing, so the newer stays");
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
