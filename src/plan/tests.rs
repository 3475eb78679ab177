//! The rules, each by its name.

use super::*;
use crate::model::{
    AppId, Asked, ConnectorState, RequestId, SubscriptionState, SyncRequest, TenantId, Unreadable, after,
};
use crate::state::{RunMark, SyncMemory};
use proptest::prelude::*;
use std::time::Duration;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_mins(1);

fn at(minutes: u32) -> Timestamp {
    after("2026-11-23T04:00:00Z".parse().unwrap(), MINUTE * minutes)
}

fn tenant() -> TenantId {
    TenantId::new(Uuid::from_u128(0xd))
}

fn sub(number: u128) -> SubscriptionId {
    SubscriptionId::new(Uuid::from_u128(number))
}

fn policy() -> Policy {
    Policy {
        mode: Mode::Enforce,
        deployment: "default".parse().unwrap(),
        tenant: tenant(),
        application: AppId::new(Uuid::from_u128(0xa)),
        name: "{subscription_name} ({subscription_id})".into(),
        description: String::new(),
        apps: vec!["AI".into()],
        modules: vec![],
        tags: vec![],
        run_frequency_minutes: 240,
        sync_max_age: MINUTE * 300,
        follow_up: MINUTE * 2,
        max_creates: 100,
        max_removals: None,
        calls_per_hour: 210,
    }
}

/// A world to plan for.
#[derive(Debug)]
struct Case {
    seen: Observed,
    memory: TenantState,
    policy: Policy,
}

impl Case {
    fn new(subscriptions: u128) -> Self {
        let mut case = Self {
            seen: Observed {
                tenant: tenant(),
                subscriptions: BTreeMap::new(),
                unreadable: vec![],
                exclusion_unknown: false,
                direct: BTreeMap::new(),
                unlisted: std::collections::BTreeSet::new(),
                connectors: BTreeMap::new(),
                requests: vec![],
            },
            memory: TenantState::default(),
            policy: policy(),
        };
        for number in 1..=subscriptions {
            case.subscription(number, "Enabled");
        }
        case
    }

    fn subscription(&mut self, number: u128, state: &str) {
        let state = SubscriptionState::from(state.to_owned());
        let found = Subscription { id: sub(number), tenant: tenant(), name: format!("s{number}"), state };
        self.seen.subscriptions.insert(found.id, found);
    }

    /// A connector that others made, healthy and fresh at minute 0.
    fn foreign(&mut self, id: i64, subscription: u128) -> &mut Connector {
        let connector = Connector {
            id: ConnectorId(id),
            name: format!("c{id}"),
            description: String::new(),
            state: ConnectorState::FinishedSuccess,
            last_sync: Some(at(0)),
            last_error: None,
            disabled: false,
            member: false,
            run_frequency_minutes: Some(240),
            application: None,
            directory: Some(tenant()),
            subscription: Some(sub(subscription)),
        };
        self.seen.connectors.entry(connector.id).insert_entry(connector).into_mut()
    }

    /// One of ours, healthy and fresh at minute 0.
    fn ours(&mut self, id: i64, subscription: u128) -> &mut Connector {
        let mark = Mark {
            deployment: self.policy.deployment.clone(),
            tenant: tenant(),
            subscription: sub(subscription),
        };
        let connector = self.foreign(id, subscription);
        connector.description = mark.to_string();
        connector
    }

    fn request(&mut self, minute: u32, asked: Asked) {
        let id = RequestId::new(at(minute), 1);
        self.seen.requests.push(SyncRequest { id, at: at(minute), asked });
    }

    /// Observes at a minute, as a cycle does, and plans.
    fn plan(&mut self, minute: u32) -> Plan {
        let ours: Vec<_> =
            self.seen.connectors.values().filter(|c| self.policy.is_ours(c)).cloned().collect();
        self.memory.notice(ours.iter(), at(minute));
        plan(&self.seen, &self.memory, &self.policy, at(minute)).unwrap()
    }

    /// The lines of the plan but for the head and the hash.
    fn lines(&mut self, minute: u32) -> String {
        let text = self.plan(minute).to_string();
        let lines: Vec<_> = text.lines().skip(1).filter(|line| !line.starts_with("hash")).collect();
        lines.join("\n").replace("00000000-0000-0000-0000-00000000000", "…")
    }
}

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
    = keep connector 10 of …1: synced 2026-11-23T04:00:00Z
    2 to create, 0 to run, 0 to disable, 0 withheld; 4 calls to Qualys; new connectors switch on AI
    1 of 3 subscriptions in use are covered
    ");
    let Action::Create { description, .. } = &case.plan(1).steps[0].action else { panic!() };
    assert_eq!(Mark::find(description).unwrap().subscription, sub(2));
}

#[test]
fn connectors_made_by_others_are_never_touched_and_never_doubled() {
    let mut case = Case::new(5);
    case.foreign(10, 1);
    case.foreign(11, 2).disabled = true;
    case.foreign(12, 3).state = ConnectorState::FinishedErrors;
    case.ours(13, 4).member = true;
    case.foreign(14, 5).last_sync = Some(at(0));
    insta::assert_snapshot!(case.lines(400), @r"
      nothing to do
    = leave …1: connector 10 (made by others) is there but its last sync is of 2026-11-23T04:00:00Z; it is not doubled
    = leave …2: connector 11 (made by others) is there but it is disabled; it is not doubled
    = leave …3: connector 12 (made by others) is there but its last sync failed (FINISHED_ERRORS); it is not doubled
    = leave …4: connector 13 (a tenant connector's member) is there but its last sync is of 2026-11-23T04:00:00Z; it is not doubled
    = leave …5: connector 14 (made by others) is there but its last sync is of 2026-11-23T04:00:00Z; it is not doubled
    0 to create, 0 to run, 0 to disable, 0 withheld; 0 calls to Qualys
    0 of 5 subscriptions in use are covered
    ");
}

#[test]
fn a_copied_mark_and_another_deployments_or_tenants_mark_are_not_ours() {
    let mut case = Case::new(3);
    let copied = case.ours(10, 1).description.clone();
    case.seen.connectors.clear();
    case.foreign(11, 2).description = copied.clone();
    case.foreign(12, 1).description = copied.replace("default/", "other/");
    case.foreign(13, 3).description = copied.replace(&tenant().to_string(), &Uuid::from_u128(9).to_string());
    for connector in case.seen.connectors.values() {
        assert!(!case.policy.is_ours(connector), "{connector:?}");
    }
    let text = case.lines(400);
    assert!(
        text.contains("= keep connector 11 of …2: it carries the mark of subscription …1: not ours"),
        "{text}"
    );
    assert!(case.plan(400).is_empty());
}

#[test]
fn a_connector_that_lost_our_mark_is_named_and_left_alone() {
    let mut case = Case::new(1);
    case.foreign(10, 1);
    case.memory.connectors.insert(ConnectorId(10), SyncMemory { made: Some(at(0)), ..SyncMemory::default() });
    assert!(case.lines(1).contains("= keep connector 10 of …1: we made it, and it has lost our mark"));
}

#[test]
fn a_connector_that_does_not_say_what_it_covers_makes_creates_look_first() {
    let mut case = Case::new(1);
    case.foreign(10, 9).subscription = None;
    assert!(matches!(case.plan(1).steps[0].action, Action::Create { look_first: true, .. }));
    let mark = case.ours(11, 1).description.clone();
    case.foreign(10, 9);
    case.foreign(11, 1).description = mark;
    case.seen.connectors.get_mut(&ConnectorId(11)).unwrap().subscription = None;
    assert!(case.plan(1).is_empty(), "our own mark says it");
}

#[test]
fn of_two_connectors_of_ours_the_older_stays_and_the_newer_is_disabled() {
    let mut case = Case::new(1);
    case.ours(10, 1);
    case.ours(11, 1);
    insta::assert_snapshot!(case.lines(1), @r"
    - disable connector 11 of …1: connector 10 of ours, which is older, covers it too
    = keep connector 10 of …1: synced 2026-11-23T04:00:00Z
    0 to create, 0 to run, 1 to disable, 0 withheld; 1 calls to Qualys
    1 of 1 subscriptions in use are covered
    ");
    case.seen.connectors.get_mut(&ConnectorId(10)).unwrap().disabled = true;
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
    assert!(go.iter().all(|step| matches!(step.action, Action::Create { .. })) && go.len() == 2);
    assert_eq!(withheld.len(), 6);
    insta::assert_snapshot!(withheld[0].withheld.clone().unwrap(), @"too many removals: 6 wanted and 0 done in 24 hours, 12 connectors of ours are enabled, the limit is 5");
    case.policy.max_removals = Some(6);
    assert!(case.plan(1).steps.iter().all(|step| step.withheld.is_none()));
    case.memory.removals = vec![at(0)];
    assert_eq!(case.plan(1).cost.withheld, 6, "what was removed today counts");
    assert_eq!(case.plan(24 * 60).cost.withheld, 0, "what was removed yesterday does not");
}

#[test]
fn no_removal_while_a_scope_is_unreadable() {
    let mut case = Case::new(1);
    case.ours(10, 1);
    case.ours(11, 1);
    case.seen.unreadable.push(Unreadable { scope: "platform".into(), why: "403".into() });
    assert_eq!(
        case.plan(1).steps[0].withheld.as_deref(),
        Some("no removal while a scope is unreadable: platform")
    );
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
        "= keep connector 11 of …7: its subscription was not observed; absence is only a suspicion"
    ));
    assert!(text.contains("= keep connector 12 of …2: the subscription is Disabled"));
}

#[test]
fn zero_subscriptions_are_a_refusal() {
    let mut case = Case::new(0);
    case.ours(10, 1);
    let refused = plan(&case.seen, &case.memory, &case.policy, at(1)).unwrap_err();
    assert_eq!(refused, Refused::NoSubscriptions { unreadable: 0, connectors: 1 });
}

#[test]
fn while_the_exclusion_is_unknown_nothing_is_made() {
    let mut case = Case::new(1);
    case.seen.exclusion_unknown = true;
    assert!(case.plan(1).is_empty());
    assert!(case.lines(1).contains("= leave …1: an excluded management group could not be read"));
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
    case.memory.create_unclear(sub(1), at(0));
    assert!(case.plan(9).is_empty());
    assert_eq!(case.plan(10).cost.creates, 1);
}

#[test]
fn a_new_connector_that_qualys_starts_alone_is_never_run() {
    let mut case = Case::new(1);
    (case.ours(10, 1).state, case.ours(10, 1).last_sync) = (ConnectorState::Queued, None);
    let connector = case.seen.connectors.get_mut(&ConnectorId(10)).unwrap();
    (connector.state, connector.last_sync) = (ConnectorState::Queued, None);
    assert!(case.plan(0).is_empty());
    case.seen.connectors.get_mut(&ConnectorId(10)).unwrap().state = ConnectorState::Running;
    assert!(case.plan(2).is_empty());
    assert!(case.lines(3).contains("a sync is under way"));
}

#[test]
fn a_new_connector_that_waits_is_run_once_and_then_joined() {
    let mut case = Case::new(1);
    case.ours(10, 1);
    let connector = case.seen.connectors.get_mut(&ConnectorId(10)).unwrap();
    (connector.state, connector.last_sync) = (ConnectorState::Queued, None);
    let connector = connector.clone();
    assert!(case.plan(0).is_empty());
    assert!(case.plan(1).is_empty());
    let plan = case.plan(2);
    assert!(matches!(plan.steps[0].action, Action::Run { awaited: true, .. }), "{plan}");
    case.memory
        .connectors
        .get_mut(&ConnectorId(10))
        .unwrap()
        .ran(RunMark::new(&connector, at(2), false), true);
    for minute in 3..60 {
        assert!(case.plan(minute).is_empty(), "minute {minute}");
    }
    assert!(case.lines(64).contains("stuck: a sync has been under way since"));
}

#[test]
fn a_sync_is_due_when_it_is_old_never_was_or_was_asked_for() {
    let mut case = Case::new(3);
    case.ours(10, 1);
    case.ours(11, 2).last_sync = None;
    case.ours(12, 3).last_sync = Some(at(30));
    case.request(40, Asked { subscriptions: [sub(3)].into(), ..Asked::default() });
    insta::assert_snapshot!(case.lines(301), @r"
    ~ run connector 10 of …1: its last sync is of 2026-11-23T04:00:00Z
    ~ run connector 11 of …2: it has never synced
    ~ run connector 12 of …3: requested 2026-11-23T04:40:00Z
    0 to create, 3 to run, 0 to disable, 0 withheld; 3 calls to Qualys
    1 of 3 subscriptions in use are covered
    ");
}

#[test]
fn a_request_runs_a_connector_once() {
    let mut case = Case::new(1);
    let connector = case.ours(10, 1).clone();
    case.request(5, Asked { all: true, ..Asked::default() });
    assert_eq!(case.plan(6).cost.runs, 1);
    case.memory
        .connectors
        .get_mut(&ConnectorId(10))
        .unwrap()
        .ran(RunMark::new(&connector, at(6), false), true);
    assert!(case.plan(7).is_empty(), "it does not show yet");
    case.seen.connectors.get_mut(&ConnectorId(10)).unwrap().last_sync = Some(at(8));
    assert!(case.plan(9).is_empty(), "it has ended");
}

#[test]
fn a_failed_sync_waits_longer_each_time_and_gives_up_after_four_a_day() {
    let mut case = Case::new(1);
    let mut connector = case.ours(10, 1).clone();
    connector.state = ConnectorState::FinishedErrors;
    case.seen.connectors.insert(connector.id, connector.clone());
    let mut runs = Vec::new();
    for minute in 1..24 * 60 {
        if case.plan(minute).cost.runs == 1 {
            runs.push(minute);
            case.memory
                .connectors
                .get_mut(&ConnectorId(10))
                .unwrap()
                .ran(RunMark::new(&connector, at(minute), false), false);
            // It fails again within a minute.
            connector.last_sync = Some(at(minute));
            case.seen.connectors.insert(connector.id, connector.clone());
        }
    }
    let waits: Vec<_> = runs.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!((runs.len(), waits), (4, vec![31, 61, 121]), "15 minutes, then doubled: {runs:?}");
    assert!(case.lines(24 * 60 - 1).contains("today's tries are used up"));
}

#[test]
fn a_disabled_connector_of_ours_stays_so_and_is_named() {
    let mut case = Case::new(1);
    case.ours(10, 1).disabled = true;
    assert!(case.plan(400).is_empty());
    assert!(case.plan(400).kept.iter().all(|kept| kept.why.needs_a_person()));
}

#[test]
fn an_unknown_state_is_taken_for_unfinished() {
    let mut case = Case::new(1);
    case.ours(10, 1).state = ConnectorState::Other("PAUSED".into());
    assert!(case.plan(400).is_empty());
    assert!(case.lines(400).contains("its state `PAUSED` is not known here"));
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
