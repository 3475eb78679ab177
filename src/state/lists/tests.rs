//! What lists prove.

use super::*;
use crate::model::{ConnectorState, Correction, Mark, TenantId};
use uuid::Uuid;

const RULE: AbsenceRule = AbsenceRule { lists: 3, age: Duration::from_hours(1) };

fn at(minutes: u32) -> Timestamp {
    after("2026-11-23T04:00:00Z".parse().unwrap(), Duration::from_mins(1) * minutes)
}

fn sub(number: i64) -> SubscriptionId {
    SubscriptionId::new(Uuid::from_u128(u128::try_from(number).unwrap()))
}

fn connector(id: i64) -> Connector {
    Connector {
        id: ConnectorId(id),
        name: String::new(),
        description: String::new(),
        state: ConnectorState::FinishedSuccess,
        last_sync: None,
        odd_last_sync: None,
        last_error: None,
        disabled: Some(false),
        member: Some(false),
        run_frequency_minutes: None,
        application: None,
        directory: None,
        subscription: Some(sub(id)),
    }
}

/// The memory of a tenant, and what lists showed of it. Connector 7 covers subscription 7, and so on.
#[derive(Default)]
struct Memory {
    lists: ListMemory,
    covered: BTreeSet<SubscriptionId>,
    /// The connectors below this id are the tenant's.
    of_tenant_below: i64,
}

impl Memory {
    fn listed(&mut self, ids: impl IntoIterator<Item = i64>, minute: u32) {
        let connectors = ids.into_iter().map(|id| (ConnectorId(id), connector(id))).collect();
        let below = self.of_tenant_below;
        let is_of_tenant = move |connector: &Connector| connector.id.0 < below;
        let list =
            List { connectors: &connectors, read_by_id: &BTreeSet::new(), is_of_tenant: &is_of_tenant };
        self.lists.take_in(&list, &mut self.covered, RULE, at(minute));
    }

    fn is_doubtful(&self) -> bool {
        self.lists.doubt.is_some()
    }

    fn is_proved(&self, id: i64, minute: u32) -> bool {
        self.lists.uncovered.get(&sub(id)).is_some_and(|one| one.is_proved(RULE, at(minute)))
    }
}

#[test]
fn an_absence_is_proved_by_enough_lists_over_enough_time() {
    let mut memory = Memory::default();
    memory.listed(1..=40, 0);
    for (minute, proved) in [(15, false), (30, false), (45, false), (74, false), (75, true)] {
        memory.listed(4..=40, minute);
        assert!(!memory.is_doubtful());
        assert_eq!(memory.is_proved(1, minute), proved, "minute {minute}");
    }
    memory.listed(1..=40, 90);
    assert!(!memory.is_proved(1, 90) && memory.lists.uncovered.is_empty(), "listed again");
    memory.listed(2..=40, 100);
    memory.listed(2..=40, 170);
    assert!(!memory.is_proved(1, 170), "two lists are too few, whatever time has passed");
}

#[test]
fn a_list_that_lacks_many_at_once_is_doubtful_however_long_it_does() {
    let mut memory = Memory::default();
    memory.listed(1..=40, 0);
    for minute in (15..=24 * 60).step_by(15) {
        memory.listed(7..=40, minute);
        let doubt = memory.lists.doubt.as_ref().unwrap();
        assert_eq!((doubt.missing.len(), doubt.known, doubt.since), (6, 40, at(15)));
        assert!(!memory.is_proved(1, minute));
    }
    memory.listed(2..=40, 1500);
    assert!(!memory.is_doubtful(), "five of the six are listed again");
    memory.listed(2..=40, 1530);
    memory.listed(2..=40, 1559);
    assert!(!memory.is_proved(1, 1559), "the doubtful lists proved nothing");
    memory.listed(2..=40, 1560);
    assert!(memory.is_proved(1, 1560));
}

#[test]
fn how_many_may_be_missing_grows_with_the_account_and_all_of_several_never_may() {
    for (known, missing, is_doubtful) in [
        (1, 1, false),
        (2, 1, false),
        (2, 2, true),
        (5, 4, false),
        (5, 5, true),
        (40, 5, false),
        (40, 6, true),
        (100, 10, false),
        (100, 11, true),
    ] {
        let mut memory = Memory::default();
        memory.listed(1..=known, 0);
        memory.listed(missing + 1..=known, 15);
        assert_eq!(memory.is_doubtful(), is_doubtful, "{missing} of {known}");
    }
}

#[test]
fn many_of_one_tenants_are_as_doubtful_as_many_of_the_accounts() {
    let mut memory = Memory { of_tenant_below: 21, ..Memory::default() };
    memory.listed(1..=1000, 0);
    memory.listed(7..=1000, 15);
    assert!(memory.is_doubtful(), "6 of this tenant's 20");
    memory.listed((1..=990).chain(997..=1000), 30);
    assert!(!memory.is_doubtful(), "6 of the other tenant's 980");
}

#[test]
fn connectors_that_vanish_one_after_another_are_missing_at_once() {
    let mut memory = Memory::default();
    memory.listed(1..=40, 0);
    memory.listed(4..=40, 15);
    memory.listed(7..=40, 30);
    assert!(memory.is_doubtful(), "three, and three more before the first three are proved to be gone");
    let mut memory = Memory::default();
    memory.listed(1..=40, 0);
    for minute in [15, 45, 75] {
        memory.listed(4..=40, minute);
    }
    memory.listed(7..=40, 90);
    assert!(!memory.is_doubtful(), "the first three are proved to be gone");
}

#[test]
fn what_a_person_approves_is_gone_and_may_be_replaced_at_once() {
    let mut memory = Memory::default();
    memory.listed(1..=40, 0);
    memory.listed(11..=40, 15);
    let doubt = memory.lists.doubt.clone().unwrap();
    memory.lists.approve();
    assert!(!memory.is_doubtful() && memory.is_proved(1, 15));
    memory.listed(11..=40, 30);
    assert!(!memory.is_doubtful() && memory.is_proved(1, 30));
    assert_eq!(memory.lists.of(sub(1)).collect::<Vec<_>>(), [ConnectorId(1)], "it is still read by its id");
    memory.listed(10..=40, 45);
    memory.listed(13..=40, 60);
    assert!(!memory.is_doubtful(), "only 10, 11 and 12 are missing now");
    assert_eq!(doubt.hash().len(), 64);
}

#[test]
fn a_connector_that_we_made_and_no_list_shows_covers_until_its_absence_is_proved() {
    let mut memory = Memory::default();
    memory.listed(1..=20, 0);
    for id in 21..=30 {
        memory.covered.insert(sub(id));
        memory.lists.made(ConnectorId(id), sub(id), at(0));
    }
    memory.listed(1..=20, 5);
    assert!(!memory.is_doubtful(), "a list may not show them yet");
    memory.listed(1..=20, 15);
    assert!(memory.is_doubtful(), "ten that we made are missing");
    assert!(!memory.is_proved(21, 15));
}

#[test]
fn a_connector_that_covers_another_subscription_now_leaves_its_first_one_uncovered() {
    let mut memory = Memory::default();
    memory.listed(1..=10, 0);
    for minute in [15, 45, 75] {
        let mut connectors: BTreeMap<_, _> = (1..=10).map(|id| (ConnectorId(id), connector(id))).collect();
        connectors.get_mut(&ConnectorId(1)).unwrap().subscription = Some(sub(99));
        let list = List { connectors: &connectors, read_by_id: &BTreeSet::new(), is_of_tenant: &|_| true };
        memory.lists.take_in(&list, &mut memory.covered, RULE, at(minute));
    }
    assert!(memory.is_proved(1, 75) && !memory.is_doubtful());
    assert_eq!(memory.lists.of(sub(1)).count(), 0);
}

#[test]
fn a_clock_that_was_ahead_holds_up_no_proof() {
    let corrected = |memory: &mut Memory, minute| Correction::of(&mut memory.lists, at(minute));
    let mut memory = Memory::default();
    memory.listed(1..=10, 0);
    memory.listed(2..=10, 60 * 24 * 365);
    corrected(&mut memory, 15);
    memory.listed(2..=10, 15);
    memory.listed(2..=10, 80);
    assert!(memory.is_proved(1, 80));
    memory.lists.found(ConnectorId(1), sub(1), at(60 * 24 * 365));
    corrected(&mut memory, 95);
    memory.listed(2..=10, 95);
    assert!(memory.lists.found_lately(sub(1), at(95)).is_some());
    assert_eq!(memory.lists.found_lately(sub(1), at(110)), None, "asked again after 15 minutes");
}

#[test]
fn a_state_of_the_version_before_keeps_what_was_covered_and_waits_for_no_first_lists() {
    let stored = format!(
        r#"{{"schema_version":1,"last_cycle":null,"covered":["{}"],"awaited_end":null,"last_snapshot":null}}"#,
        sub(1)
    );
    let state: crate::state::TenantState = serde_json::from_str(&stored).unwrap();
    assert_eq!((state.covered, state.lists), ([sub(1)].into(), ListMemory::default()));
}

#[test]
fn the_first_lists_are_counted_and_doubtful_ones_are_not() {
    let mut memory = Memory::default();
    memory.lists.first = Some(Absence::new(at(0)));
    memory.listed(1..=20, 0);
    memory.listed(1..=20, 30);
    memory.listed(11..=20, 61);
    assert!(memory.lists.first.is_some(), "the third is doubtful");
    for minute in [75, 90, 134] {
        memory.listed(1..=20, minute);
        assert!(memory.lists.first.is_some());
    }
    memory.listed(1..=20, 135);
    assert_eq!(memory.lists.first, None);
}

#[test]
fn a_mark_is_not_remembered_as_what_a_connector_states() {
    let mut marked = connector(7);
    marked.subscription = None;
    let mark = Mark {
        deployment: "d".parse().unwrap(),
        tenant: TenantId::new(Uuid::from_u128(1)),
        subscription: sub(9),
    };
    marked.description = mark.sign("");
    let mut lists = ListMemory::default();
    let mut take_in = |connector: Connector| {
        let connectors = BTreeMap::from([(connector.id, connector)]);
        let list = List { connectors: &connectors, read_by_id: &BTreeSet::new(), is_of_tenant: &|_| true };
        lists.take_in(&list, &mut BTreeSet::new(), RULE, at(0));
        (lists.connectors[&ConnectorId(7)].subscription, lists.of(sub(9)).collect::<Vec<_>>())
    };
    assert_eq!(take_in(marked.clone()), (None, vec![ConnectorId(7)]));
    assert_eq!(take_in(connector(7)), (Some(sub(7)), vec![]));
    assert_eq!(take_in(marked), (Some(sub(7)), vec![]), "what it stated wins over its mark");
}
