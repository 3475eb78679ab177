//! What holds for every plan.

use super::*;
use proptest::prelude::*;

/// Changes the connectors as Qualys would show them once the plan was carried out and every sync had succeeded.
fn carry_out(case: &mut Case, plan: &Plan, minute: u32) {
    let mut next = case.observed.connectors.keys().last().map_or(100, |id| id.0) + 1;
    for action in plan.wanted().cloned().collect::<Vec<_>>() {
        match action {
            Action::Create { subscription, description, .. } => {
                let connector = case.foreign(next, 0);
                (connector.subscription, connector.description) = (Some(subscription), description);
                connector.last_sync = Some(at(minute));
                let made = SyncState {
                    made: Some(at(minute)),
                    queued_since: Some(at(minute)),
                    ..SyncState::default()
                };
                case.state.connectors.insert(ConnectorId(next), made);
                next += 1;
            }
            Action::Run { connector, awaited, .. } => {
                case.run_sent(connector.0, minute, awaited);
                let connector = case.observed.connectors.get_mut(&connector).unwrap();
                (connector.state, connector.last_sync) = (ConnectorState::FinishedSuccess, Some(at(minute)));
            }
            Action::Disable { connector, .. } => {
                case.observed.connectors.get_mut(&connector).unwrap().disabled = Some(true);
                case.state.removals.push(at(minute));
            }
        }
    }
}

/// A connector: its subscription, whose it is, disabled, member, state, the minute of its last sync.
type ConnectorParts = (u128, usize, Option<bool>, Option<bool>, &'static str, Option<u32>);

fn any_connector() -> impl Strategy<Value = ConnectorParts> {
    let states = vec!["FINISHED_SUCCESS", "FINISHED_ERRORS", "RUNNING", "QUEUED", "DISABLED", "ODD"];
    let synced = prop::option::weighted(0.8, 0u32..399);
    (0u128..14, 0usize..4, any::<Option<bool>>(), any::<Option<bool>>(), prop::sample::select(states), synced)
}

/// The parts of a case, which can be put together in another order.
#[derive(Debug, Clone)]
struct Parts {
    subscriptions: Vec<(u128, &'static str)>,
    connectors: Vec<(i64, ConnectorParts)>,
    requests: Vec<(u32, Option<u128>)>,
    unreadable: Vec<&'static str>,
    removed: u32,
    max_removals: Option<usize>,
    max_creates: usize,
}

impl Parts {
    fn case(&self) -> Case {
        let Self { subscriptions, connectors, requests, unreadable, removed, max_removals, max_creates } =
            self;
        let mut case = Case::new(0);
        for (number, state) in subscriptions {
            case.subscription(*number, state);
        }
        for (id, (subscription, whose, disabled, member, state, synced)) in connectors {
            // 0: made by others; 1: ours; 2: ours by its mark alone; 3: one that does not say what it covers.
            let ours = matches!(whose, 1 | 2);
            let made = if ours { case.ours(*id, *subscription) } else { case.foreign(*id, *subscription) };
            if *whose >= 2 {
                made.subscription = None;
            }
            (made.disabled, made.member) = (*disabled, member.filter(|member| !(*member && ours)));
            (made.state, made.last_sync) = ((*state).into(), synced.map(at));
        }
        for (minute, subscription) in requests {
            let asked = match subscription {
                Some(number) => Asked { subscriptions: [sub(*number)].into(), ..Asked::default() },
                None => Asked { all: true, ..Asked::default() },
            };
            case.request(*minute, asked);
        }
        let scope = |scope: &&str| Unreadable { scope: (*scope).into(), why: "403".into() };
        case.observed.unreadable = unreadable.iter().map(scope).collect();
        case.state.removals = (0..*removed).map(|number| at(300 + number)).collect();
        (case.policy.max_removals, case.policy.max_creates) = (*max_removals, *max_creates);
        case
    }
}

prop_compose! {
    fn any_parts()(
        states in prop::collection::vec(prop::sample::select(vec!["Enabled", "Warned", "Disabled", "Odd"]), 1..12),
        connectors in prop::collection::vec(any_connector(), 0..20),
        requests in prop::collection::vec((0u32..400, prop::option::of(0u128..14)), 0..4),
        unreadable in prop::sample::subsequence(vec!["a", "b", "c"], 0..3),
        removed in 0u32..4,
        max_removals in prop::option::of(0usize..4),
        max_creates in prop::sample::select(vec![0, 1, 3, 100]),
    ) -> Parts {
        let subscriptions = (1..).zip(states).collect();
        let connectors = (1..).zip(connectors).collect();
        Parts { subscriptions, connectors, requests, unreadable, removed, max_removals, max_creates }
    }
}

prop_compose! {
    fn any_case()(parts in any_parts()) -> Case {
        parts.case()
    }
}

prop_compose! {
    /// The same parts twice, the second time in another order.
    fn two_orders()(parts in any_parts())(
        subscriptions in Just(parts.subscriptions.clone()).prop_shuffle(),
        connectors in Just(parts.connectors.clone()).prop_shuffle(),
        requests in Just(parts.requests.clone()).prop_shuffle(),
        unreadable in Just(parts.unreadable.clone()).prop_shuffle(),
        parts in Just(parts),
    ) -> (Parts, Parts) {
        let shuffled = Parts { subscriptions, connectors, requests, unreadable, ..parts.clone() };
        (parts, shuffled)
    }
}

proptest! {
    #[test]
    fn what_is_not_ours_is_never_in_a_plan_and_removals_keep_the_limit(mut case in any_case()) {
        let limit = case.policy.max_removals.unwrap_or(5);
        let plan = case.plan(400);
        for id in plan.steps.iter().filter_map(|step| step.action.connector()) {
            let connector = &case.observed.connectors[&id];
            prop_assert!(case.policy.is_ours(connector) && connector.is_enabled(), "{}", plan);
        }
        for step in &plan.steps {
            let Action::Disable { connector, subscription, proof } = &step.action else { continue };
            let DisableProof::Twin { stays } = proof else { panic!("{proof:?}") };
            let [goes, stays] = [connector, stays].map(|id| &case.observed.connectors[id]);
            prop_assert!(goes.id != stays.id && case.policy.proves_cover_as_read(stays, case.observed.qualys_clock, at(400)).is_ok(), "{}", plan);
            prop_assert!([goes, stays].iter().all(|one| one.subscription == Some(*subscription)), "{}", plan);
            let disabled = |id| plan.steps.iter().any(|step| step.action.kind() == ActionKind::Removal && step.action.connector() == Some(id));
            prop_assert!(!disabled(stays.id), "{}", plan);
        }
        let removals = plan.wanted().filter(|action| action.kind() == ActionKind::Removal).count();
        prop_assert!(removals == 0 || case.state.removals.len() + removals <= limit);
        prop_assert!(removals == 0 || case.observed.unreadable.is_empty());
    }

    #[test]
    fn no_plan_doubles_a_connector(mut case in any_case()) {
        let plan = case.plan(400);
        let created: Vec<_> = plan.wanted().filter(|a| a.kind() == ActionKind::Creation).map(Action::subscription).collect();
        for id in &created {
            prop_assert!(case.observed.connectors.values().all(|c| c.covers() != Some(*id)));
        }
        let different: BTreeSet<_> = created.iter().collect();
        prop_assert_eq!(different.len(), created.len());
    }

    #[test]
    fn carrying_out_a_plan_leaves_an_empty_plan(mut case in any_case()) {
        let plan = case.plan(400);
        // Time stands still, because more becomes due as it passes.
        carry_out(&mut case, &plan, 400);
        let again = case.plan(400);
        if plan.cost.withheld == 0 {
            // Of two connectors that had not been healthy, one is superfluous once both have synced.
            let only_removals = again.wanted().all(|action| action.kind() == ActionKind::Removal);
            prop_assert!(only_removals, "{}\nthen\n{}", plan, again);
        }
        // Later plans carry out what a brake held back, until nothing is left; a brake of zero lets nothing through.
        let mut next = again;
        for _ in 0..16 {
            carry_out(&mut case, &next, 400);
            next = case.plan(400);
        }
        prop_assert!(next.is_empty(), "{}\nat last\n{}", plan, next);
    }

    #[test]
    fn a_plan_does_not_depend_on_the_order_of_what_was_seen((parts, shuffled) in two_orders()) {
        let (plan, again) = (parts.case().plan(400), shuffled.case().plan(400));
        prop_assert_eq!(plan.to_string(), again.to_string());
        prop_assert_eq!(plan, again);
    }

    #[test]
    fn the_same_input_gives_the_same_plan_and_it_survives_storage(mut case in any_case()) {
        let plan = case.plan(400);
        prop_assert_eq!(&plan, &case.plan(400));
        let stored = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(plan, serde_json::from_str(&stored).unwrap());
    }
}
