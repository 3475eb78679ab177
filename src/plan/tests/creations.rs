//! Which connectors are made.

use super::*;

#[test]
fn one_connector_is_made_for_each_subscription_in_use_that_none_covers() {
    let mut case = Case::new(2);
    case.subscription(3, "PastDue");
    case.subscription(4, "Disabled");
    case.ours(10, 1);
    insta::assert_snapshot!(case.lines(1), @r"
    + create connector `s2 (…2)` for …2: no connector covers it
    + create connector `s3 (…3)` for …3: no connector covers it
    = leave …4: the subscription is Disabled
    = keep connector 10 of …1: it last synced at 2026-11-23T04:00:00Z
    2 to create, 0 to run, 0 to disable, 0 withheld; 6 calls to Qualys; new connectors switch on AI
    1 of 3 subscriptions in use are covered
    ");
    let Action::Create { description, .. } = &case.plan(1).steps[0].action else { panic!() };
    assert_eq!(Mark::find(description).unwrap().subscription, sub(2));
}

#[test]
fn a_connector_that_does_not_say_what_it_covers_is_no_cover_but_by_our_mark() {
    let mut case = Case::new(1);
    case.foreign(10, 9).subscription = None;
    assert!(matches!(case.plan(1).steps[0].action, Action::Create { .. }));
    let mark = case.ours(11, 1).description.clone();
    case.foreign(10, 9);
    case.foreign(11, 1).description = mark;
    case.connector(11).subscription = None;
    assert!(case.plan(1).is_empty(), "our own mark says it");
}

#[test]
fn zero_subscriptions_are_a_refusal() {
    let mut case = Case::new(0);
    case.ours(10, 1);
    let refused = plan(&case.observed, &case.state, &case.policy, at(1)).unwrap_err();
    assert_eq!(refused, Refused::NoSubscriptions { unreadable: 0, connectors: 1 });
}

#[test]
fn while_the_exclusion_is_unknown_nothing_is_made() {
    let mut case = Case::new(1);
    case.observed.exclusion_unknown = true;
    assert!(case.plan(1).is_empty());
    assert!(case.lines(1).contains("= leave …1: an excluded management group could not be read"));
}

#[test]
fn a_new_subscription_that_may_yet_be_excluded_waits_for_half_an_hour() {
    let mut case = Case::new(2);
    case.observed.unplaced = [sub(1), sub(2)].into();
    case.state.observed = [sub(1)].into();
    case.state.take_in(&case.observed.clone(), |_| false, case.policy.absence, at(1), at(1));
    insta::assert_snapshot!(case.lines(30), @r"
    + create connector `s1 (…1)` for …1: no connector covers it
    = leave …2: it is new and may yet be moved into a management group of EXCLUDE: its connector waits until 2026-11-23T04:31:00Z
    1 to create, 0 to run, 0 to disable, 0 withheld; 3 calls to Qualys; new connectors switch on AI
    0 of 2 subscriptions in use are covered
    ");
    assert_eq!(case.plan(31).cost.creates, 2);
    case.observed.unplaced.clear();
    assert_eq!(case.plan(2).cost.creates, 2, "the tree shows where it is");
}

#[test]
fn the_creation_brake_holds_the_rest_for_the_next_cycle() {
    let mut case = Case::new(5);
    case.policy.max_creates = 3;
    let plan = case.plan(1);
    assert_eq!((plan.cost.creates, plan.cost.withheld, plan.holds_back_creations()), (3, 2, true));
}

#[test]
fn a_create_with_an_unclear_answer_is_not_repeated_for_ten_minutes() {
    let mut case = Case::new(1);
    case.state.create_sent(sub(1), at(0));
    assert!(case.plan(9).is_empty());
    assert_eq!(case.plan(10).cost.creates, 1);
}

#[test]
fn names_are_never_longer_than_qualys_takes_and_never_lose_the_id() {
    let called = |text: &str| Subscription {
        id: sub(1),
        tenant: tenant(),
        name: text.into(),
        state: SubscriptionState::Enabled,
    };
    let name = |text: &str| policy().connector_name(&called(text));
    assert_eq!(name("a\nmanaged-by: x"), format!("a managed-by: x ({})", sub(1)));
    let long = name(&"ä".repeat(400));
    assert_eq!(long.chars().count(), 255);
    assert!(long.ends_with(&format!("({})", sub(1))));
    let twice =
        Policy { name: "{subscription_name} {subscription_name} {subscription_id}".into(), ..policy() };
    assert!(twice.connector_name(&called(&"ä".repeat(400))).ends_with(&sub(1).to_string()));
}
