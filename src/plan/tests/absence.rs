//! What is not created, because its absence is only a suspicion.

use super::*;

impl Case {
    /// Takes in what is observed, as a cycle does.
    fn listed(&mut self, minute: u32) {
        let policy = self.policy.clone();
        let now = at(minute);
        self.state.take_in(&self.observed, |c| policy.is_ours(c), policy.absence, now, now);
    }

    /// The connectors whose ids are in this range are no longer listed.
    fn hide(&mut self, ids: std::ops::RangeInclusive<i64>) {
        self.observed.connectors.retain(|id, _| !ids.contains(&id.0));
    }

    fn creates(&mut self, minute: u32) -> usize {
        self.listed(minute);
        plan(&self.observed, &self.state, &self.policy, at(minute)).unwrap().cost.creates
    }
}

fn forty() -> Case {
    let mut case = Case::new(40);
    for id in 1..=40 {
        case.foreign(id, u128::try_from(id).unwrap());
    }
    case.listed(0);
    case
}

#[test]
fn what_was_covered_gets_a_connector_only_after_three_lists_over_an_hour_lack_its_own() {
    let mut case = forty();
    case.hide(1..=3);
    case.subscription(41, "Enabled");
    assert_eq!(case.creates(10), 1, "only the one that nothing ever covered");
    let text = case.lines(10);
    assert!(
        text.contains(
            "for …1: its connector is no longer listed [withheld: missing since 2026-11-23T04:10:00Z, from 1 of 3 complete lists; \
             another is created at 2026-11-23T05:10:00Z at the earliest, if Qualys then finds none]"
        ),
        "{text}"
    );
    assert_eq!((case.creates(40), case.creates(69)), (1, 1));
    assert_eq!(case.creates(70), 4);
    let plan = case.plan(70);
    let Action::Create { remembered, .. } = &plan.steps[0].action else { panic!() };
    assert_eq!(*remembered, BTreeSet::from([ConnectorId(1)]));
}

#[test]
fn while_the_list_is_doubtful_nothing_is_created_for_what_was_covered_and_nothing_is_removed() {
    let mut case = forty();
    case.ours(50, 40);
    case.ours(51, 40);
    case.listed(5);
    assert_eq!(case.plan(5).cost.removals, 1);
    case.hide(1..=30);
    case.subscription(41, "Enabled");
    for minute in [10, 40, 70, 600] {
        assert_eq!(case.creates(minute), 1, "only the one that nothing ever covered");
        assert_eq!(case.plan(minute).cost.removals, 0);
    }
    let text = case.lines(600);
    assert!(text.contains("[withheld: the list of connectors is doubtful: it lacks 30 at once]"), "{text}");
    let doubt = case.state.lists.doubt.clone().unwrap();
    assert!(text.contains(&format!("If they were deleted: `{}`", doubt.command())), "{text}");
    case.state.lists.approve();
    assert_eq!(plan(&case.observed, &case.state, &case.policy, at(600)).unwrap().cost.creates, 31);
}

#[test]
fn of_an_unknown_tenant_nothing_is_created_before_its_first_lists_agree() {
    let mut case = Case::new(3);
    case.state = TenantState::unknown(at(0));
    assert_eq!((case.creates(0), case.creates(30), case.creates(59)), (0, 0, 0));
    let text = case.lines(59);
    assert!(
        text.contains(
            "for …1: no connector covers it [withheld: nothing was known before, so 3 complete lists of connectors must agree, and \
             3 did; created at 2026-11-23T05:00:00Z at the earliest]"
        ),
        "{text}"
    );
    assert!(!case.plan(59).holds_back_creations());
    assert_eq!(case.plan(59).absence_proved_at(), Some(at(60)));
    assert_eq!(case.creates(60), 3);
    case.subscription(4, "Enabled");
    assert_eq!(case.creates(61), 4, "from then on a new one waits no longer");
}

#[test]
fn a_create_that_waits_for_proof_takes_no_place_under_the_creation_brake() {
    let mut case = forty();
    case.hide(1..=3);
    case.subscription(41, "Enabled");
    case.policy.max_creates = 1;
    assert_eq!(case.creates(10), 1);
}

#[test]
fn a_connector_that_was_found_unlisted_is_named_and_takes_no_place_under_the_creation_brake() {
    let mut case = forty();
    case.policy.absence = AbsenceRule { lists: 1, age: Duration::ZERO };
    case.policy.max_creates = 1;
    case.hide(1..=2);
    case.listed(10);
    case.state.connector_found(sub(1), ConnectorId(1), at(10));
    case.listed(12);
    let plan = plan(&case.observed, &case.state, &case.policy, at(12)).unwrap();
    assert_eq!(plan.wanted().map(Action::subscription).collect::<Vec<_>>(), [sub(2)]);
    let text = case.lines(12);
    assert!(
        text.contains(
            "= leave …1: the list lacks its connector 1, but Qualys has it when asked for it; asked again at 2026-11-23T04:25:00Z"
        ),
        "{text}"
    );
}
