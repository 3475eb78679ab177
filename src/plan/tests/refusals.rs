//! What waits because Qualys refused it.

use super::*;
use crate::model::ResponseCode;
use crate::state::{Doubt, Refusal};

fn refusal() -> Refusal {
    let error = "Qualys refused the connector create: NO_LICENSE".to_owned();
    Refusal { code: Some(ResponseCode::Other("NO_LICENSE".into())), error, unclear: false }
}

/// Creates that Qualys refuses at this minute.
fn refuse(case: &mut Case, subscriptions: std::ops::RangeInclusive<u128>, minute: u32) {
    for number in subscriptions {
        case.state.create_refused(sub(number), refusal(), at(minute));
    }
}

fn created(plan: &Plan) -> Vec<SubscriptionId> {
    plan.wanted().map(Action::subscription).collect()
}

#[test]
fn a_refused_create_waits_takes_no_slot_and_is_named_with_its_text() {
    let mut case = Case::new(2);
    case.policy.max_creates = 1;
    refuse(&mut case, 1..=1, 0);
    insta::assert_snapshot!(case.lines(14), @r"
    + create connector `s2 (…2)` for …2: no connector covers it
    = leave …1: Qualys refused to create its connector (1 in a row, at last: Qualys refused the connector create: NO_LICENSE); the next try is at 2026-11-23T04:15:00Z
    1 to create, 0 to run, 0 to disable, 0 withheld; 3 calls to Qualys; new connectors switch on AI
    0 of 2 subscriptions in use are covered
    ");
    assert_eq!(created(&case.plan(15)), [sub(1)]);
}

#[test]
fn five_creates_refused_alike_hold_back_the_rest_but_for_one_probe_a_wait() {
    let mut case = Case::new(9);
    refuse(&mut case, 1..=4, 0);
    assert_eq!(created(&case.plan(1)).len(), 5, "four prove nothing");
    refuse(&mut case, 5..=5, 0);
    let plan = case.plan(1);
    assert_eq!((created(&plan), plan.cost.withheld, plan.holds_back_creations()), (vec![], 4, false));
    insta::assert_snapshot!(plan.steps[0], @"+ create connector `s6 (00000000-0000-0000-0000-000000000006)` for 00000000-0000-0000-0000-000000000006: no connector covers it [withheld: held back: Qualys refused 5 creates alike: Qualys refused the connector create: NO_LICENSE; one is tried at 2026-11-23T04:15:00Z]");
    assert_eq!(created(&case.plan(15)), [sub(6)], "one that was not refused before");
    refuse(&mut case, 6..=6, 15);
    assert!(created(&case.plan(44)).is_empty());
    case.policy.max_creates = 0;
    assert!(created(&case.plan(45)).is_empty(), "the creation brake wins");
    case.policy.max_creates = 1;
    assert_eq!(created(&case.plan(45)), [sub(7)]);
    case.state.refused_alike = None;
    assert_eq!(
        created(&case.plan(45)).len(),
        1,
        "a probe that succeeds lets the others through, within the brake"
    );
}

#[test]
fn a_probe_is_only_one_that_nothing_else_holds_back() {
    let mut case = Case::new(9);
    refuse(&mut case, 1..=5, 0);
    case.state.covered.insert(sub(6));
    case.state.lists.doubt = Some(Doubt { since: at(0), missing: [ConnectorId(1)].into(), known: 1 });
    let plan = case.plan(15);
    assert_eq!(created(&plan), [sub(7)]);
    let covered = plan.steps.iter().find(|step| step.action.subscription() == sub(6)).unwrap();
    assert_eq!(covered.withheld, Some(Withheld::ListDoubtful { missing: 1 }));
    case.state.covered.extend((7..=9).map(sub));
    assert_eq!(created(&case.plan(15)), [sub(1)], "one that was refused before");
}

#[test]
fn a_request_tries_a_refused_create_once_without_the_wait() {
    let all = || Asked { all: true, ..Asked::default() };
    let mut case = Case::new(1);
    refuse(&mut case, 1..=1, 0);
    case.request(0, all());
    assert!(created(&case.plan(2)).is_empty(), "it was made before the refusal");
    case.request(1, all());
    assert_eq!(created(&case.plan(2)), [sub(1)]);
    refuse(&mut case, 1..=1, 2);
    assert!(created(&case.plan(3)).is_empty(), "once");
    let mut case = Case::new(9);
    refuse(&mut case, 1..=5, 0);
    case.request(1, all());
    assert_eq!(created(&case.plan(2)), [sub(6)], "of those that are held back, one");
    refuse(&mut case, 6..=6, 2);
    assert!(created(&case.plan(3)).is_empty());
}

#[test]
fn a_disable_that_was_refused_waits_takes_no_slot_and_is_named() {
    let mut case = Case::new(2);
    for number in [1, 2] {
        case.ours(10 + number, u128::try_from(number).unwrap());
        case.ours(20 + number, u128::try_from(number).unwrap());
    }
    case.policy.max_removals = Some(1);
    case.state.disable_refused(ConnectorId(21), refusal(), at(0));
    let plan = case.plan(14);
    assert_eq!((created(&plan), plan.cost.withheld), (vec![sub(2)], 0));
    let text = plan.to_string();
    assert!(text.contains("connector 11 of ours covers it too, and it could not be disabled (1 in a row, at last: Qualys refused"), "{text}");
    case.policy.max_removals = None;
    assert_eq!(created(&case.plan(15)).len(), 2);
}
