//! What holds for every plan.

use super::*;
use proptest::prelude::*;

/// What Qualys would show after a plan was carried out and every sync ended well.
fn carry_out(case: &mut Case, plan: &Plan, minute: u32) {
    let mut next = case.seen.connectors.keys().last().map_or(100, |id| id.0) + 1;
    for action in plan.wanted().cloned().collect::<Vec<_>>() {
        match action {
            Action::Create { subscription, description, .. } => {
                let connector = case.foreign(next, 0);
                (connector.subscription, connector.description) = (Some(subscription), description);
                connector.last_sync = Some(at(minute));
                next += 1;
            }
            Action::Run { connector, .. } => {
                let connector = case.seen.connectors.get_mut(&connector).unwrap();
                (connector.state, connector.last_sync) = (ConnectorState::FinishedSuccess, Some(at(minute)));
            }
            Action::Disable { connector, .. } => {
                case.seen.connectors.get_mut(&connector).unwrap().disabled = true;
                case.memory.removals.push(at(minute));
            }
        }
    }
}

prop_compose! {
    fn any_case()(
        states in prop::collection::vec(prop::sample::select(vec!["Enabled", "Warned", "Disabled", "Odd"]), 1..12),
        connectors in prop::collection::vec((0u128..14, any::<bool>(), any::<bool>(), any::<bool>(), 0usize..6), 0..20),
        max_removals in prop::option::of(0usize..4),
        unreadable: bool,
    ) -> Case {
        let mut case = Case::new(0);
        for (number, state) in (1..).zip(states) {
            case.subscription(number, state);
        }
        case.policy.max_removals = max_removals;
        if unreadable {
            case.seen.unreadable.push(Unreadable { scope: "g".into(), why: "403".into() });
        }
        for (id, (subscription, ours, disabled, member, state)) in (1..).zip(connectors) {
            let words = ["FINISHED_SUCCESS", "FINISHED_ERRORS", "RUNNING", "QUEUED", "DISABLED", "ODD"];
            let connector = if ours { case.ours(id, subscription) } else { case.foreign(id, subscription) };
            (connector.disabled, connector.member) = (disabled, member && !ours);
            connector.state = words[state].into();
        }
        case
    }
}

proptest! {
    #[test]
    fn what_is_not_ours_is_never_in_a_plan_and_removals_keep_the_limit(mut case in any_case()) {
        let limit = case.policy.max_removals.unwrap_or(5);
        let plan = case.plan(400);
        let ids = plan.steps.iter().filter_map(|step| match step.action {
            Action::Run { connector, .. } | Action::Disable { connector, .. } => Some(connector),
            Action::Create { .. } => None,
        });
        for id in ids {
            prop_assert!(case.policy.is_ours(&case.seen.connectors[&id]));
        }
        let removals = plan.wanted().filter(|action| action.is_removal()).count();
        prop_assert!(removals <= limit);
        prop_assert!(removals == 0 || case.seen.unreadable.is_empty());
    }

    #[test]
    fn no_plan_doubles_a_connector(mut case in any_case()) {
        let plan = case.plan(400);
        let created: Vec<_> = plan.wanted().filter(|a| matches!(a, Action::Create { .. })).map(Action::subscription).collect();
        for id in &created {
            prop_assert!(case.seen.connectors.values().all(|c| c.covers() != Some(*id)));
        }
        let different: std::collections::BTreeSet<_> = created.iter().collect();
        prop_assert_eq!(different.len(), created.len());
    }

    #[test]
    fn carrying_out_a_plan_leaves_an_empty_plan(mut case in any_case()) {
        let plan = case.plan(400);
        carry_out(&mut case, &plan, 401);
        let again = case.plan(402);
        prop_assert!(again.is_empty(), "{}\nthen\n{}", plan, again);
    }

    #[test]
    fn the_same_input_gives_the_same_plan_and_it_survives_storage(mut case in any_case()) {
        let plan = case.plan(400);
        prop_assert_eq!(&plan, &case.plan(400));
        let stored = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(plan, serde_json::from_str(&stored).unwrap());
    }
}
