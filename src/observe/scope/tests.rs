//! What is in scope, decided without reading anything.

use super::*;
use crate::model::{SubscriptionState, TenantId, Turn};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

const GROUP: &str = "platform";

fn tenant() -> TenantId {
    TenantId::new(Uuid::from_u128(7))
}

fn id(number: u128) -> SubscriptionId {
    SubscriptionId::new(Uuid::from_u128(number))
}

fn subscription(number: u128) -> Subscription {
    let state = SubscriptionState::Enabled;
    Subscription { id: id(number), tenant: tenant(), name: String::new(), state }
}

fn now() -> Timestamp {
    "2026-11-23T04:05:00Z".parse().unwrap()
}

fn unreadable(scope: &str) -> Unreadable {
    Unreadable { scope: scope.to_owned(), why: "HTTP 403".to_owned() }
}

/// What the lists and the direct readings say.
struct Case {
    scope: Scope,
    exclude: Scope,
    in_inbox: BTreeMap<SubscriptionId, Timestamp>,
    listed: Read<Vec<Subscription>>,
    inside: Vec<Read<BTreeSet<SubscriptionId>>>,
    outside: Vec<Read<BTreeSet<SubscriptionId>>>,
    direct: BTreeMap<SubscriptionId, Result<Subscription, Direct>>,
}

impl Case {
    /// Everything is watched, and these are listed.
    fn everything(listed: &[u128]) -> Self {
        Self {
            scope: Scope::default(),
            exclude: Scope::default(),
            in_inbox: BTreeMap::new(),
            listed: Ok(listed.iter().map(|number| subscription(*number)).collect()),
            inside: Vec::new(),
            outside: Vec::new(),
            direct: BTreeMap::new(),
        }
    }

    /// A management group is watched that contains `below`.
    fn group(listed: &[u128], below: &[u128]) -> Self {
        let scope = Scope { groups: [GROUP.to_owned()].into(), ..Scope::default() };
        let inside = vec![Ok(below.iter().map(|number| id(*number)).collect())];
        Self { scope, inside, ..Self::everything(listed) }
    }

    fn in_inbox(mut self, number: u128, waited: Duration) -> Self {
        let left = now().checked_sub(jiff::SignedDuration::try_from(waited).unwrap()).unwrap();
        self.in_inbox.insert(id(number), left);
        self
    }

    fn sorted(self) -> Sorted {
        let targets = Targets {
            tenant: tenant(),
            scope: &self.scope,
            exclude: &self.exclude,
            in_inbox: self.in_inbox,
            turn: &Turn::default(),
            requests: Vec::new(),
            now: now(),
            deadline: Instant::now(),
        };
        let lists = Lists::new(&targets, self.listed, self.inside, self.outside);
        let unknown = lists.unknown(&targets);
        let read = self.direct.into_iter().filter(|(id, _)| unknown.contains(id)).collect();
        sort(&targets, lists, read)
    }
}

#[test]
fn without_a_scope_every_listed_subscription_of_the_directory_is_in_scope() {
    let mut case = Case::everything(&[1, 2]);
    let other = Subscription { tenant: TenantId::new(Uuid::from_u128(8)), ..subscription(3) };
    case.listed.as_mut().unwrap().push(other);
    let sorted = case.sorted();
    assert_eq!(sorted.found.into_keys().collect::<Vec<_>>(), [id(1), id(2)]);
    assert!(sorted.direct.is_empty() && sorted.unlisted.is_empty());
}

#[test]
fn what_arm_reports_under_another_directory_is_elsewhere_listed_or_read_directly() {
    let other = |number| Subscription { tenant: TenantId::new(Uuid::from_u128(8)), ..subscription(number) };
    let mut case = Case::everything(&[1]).in_inbox(3, Duration::ZERO).in_inbox(4, Duration::ZERO);
    case.listed.as_mut().unwrap().push(other(2));
    case.direct = [(id(3), Ok(other(3))), (id(4), Err(Direct::AccessLost))].into();
    assert_eq!(case.sorted().elsewhere, [id(2), id(3)].into());
}

#[test]
fn while_groups_are_excluded_only_a_group_of_scope_or_its_name_says_where_a_subscription_is() {
    let unplaced = |mut case: Case, exclude: &[&str]| {
        case.exclude.groups = exclude.iter().map(ToString::to_string).collect();
        case.outside = exclude.iter().map(|_| Ok(BTreeSet::new())).collect();
        case.sorted().unplaced
    };
    assert_eq!(unplaced(Case::everything(&[1, 2]), &["sandbox"]), [id(1), id(2)].into());
    assert!(unplaced(Case::everything(&[1, 2]), &[]).is_empty(), "nothing is excluded");
    assert!(unplaced(Case::group(&[1], &[1]), &["sandbox"]).is_empty(), "the tree shows it");
    let mut root = Case::group(&[1, 2], &[1, 2]);
    root.scope.groups = [tenant().to_string()].into();
    root.scope.subscriptions = [id(2)].into();
    assert_eq!(unplaced(root, &["sandbox"]), [id(1)].into(), "new ones land in the root group");
    let mut named = Case::everything(&[1]);
    named.scope.subscriptions = [id(1)].into();
    assert!(unplaced(named, &["sandbox"]).is_empty());
}

#[test]
fn lists_that_disagree_are_united() {
    let mut case = Case::group(&[1], &[1, 2]);
    case.direct.insert(id(2), Ok(subscription(2)));
    let sorted = case.sorted();
    assert_eq!(sorted.found.into_keys().collect::<Vec<_>>(), [id(1), id(2)]);
    assert!(sorted.unlisted.is_empty(), "the group lists it");
}

#[test]
fn a_lost_role_and_a_failed_reading_are_named_and_never_taken_for_absence() {
    let mut case = Case::group(&[1], &[1, 2, 3]);
    case.direct.insert(id(2), Err(Direct::AccessLost));
    let sorted = case.sorted();
    assert_eq!(sorted.direct[&id(2)], Direct::AccessLost);
    assert!(matches!(sorted.direct[&id(3)], Direct::Failed(_)), "it was not read");
}

#[test]
fn what_is_excluded_is_out_of_scope_even_when_it_could_not_be_read() {
    let mut case = Case::group(&[1], &[1, 2]).in_inbox(2, Duration::ZERO);
    case.outside = vec![Ok([id(2)].into())];
    let sorted = case.sorted();
    assert!(matches!(sorted.direct[&id(2)], Direct::OutOfScope(_)));
    assert!(!sorted.found.contains_key(&id(2)));
}

#[test]
fn each_scope_that_could_not_be_read_is_named() {
    let mut case = Case::group(&[], &[]);
    case.listed = Err(unreadable("subscriptions"));
    case.inside.push(Err(unreadable("sandbox")));
    case.outside = vec![Err(unreadable("old"))];
    let sorted = case.sorted();
    let scopes: Vec<_> = sorted.unreadable.iter().map(|scope| scope.scope.as_str()).collect();
    assert_eq!(scopes, ["sandbox", "old", "subscriptions"]);
    assert!(sorted.exclusion_unknown, "a group of EXCLUDE could not be read");
}

#[test]
fn a_subscription_in_the_inbox_is_out_of_scope_only_after_whole_readings_without_it_for_an_hour() {
    let verdict = |waited, groups_whole: bool| {
        let mut case = Case::group(&[2], &[1]).in_inbox(2, waited);
        if !groups_whole {
            case.inside.push(Err(unreadable("sandbox")));
        }
        case.sorted().direct[&id(2)].clone()
    };
    assert_eq!(verdict(TREE_SETTLES / 2, true), Direct::NotInTreeYet);
    assert_eq!(verdict(TREE_SETTLES * 2, false), Direct::NotInTreeYet, "an unreadable group may contain it");
    assert!(matches!(verdict(TREE_SETTLES, true), Direct::OutOfScope(_)));
}

#[test]
fn a_subscription_that_only_the_inbox_knows_is_in_scope_and_marked_as_unlisted() {
    let mut case = Case::everything(&[1]).in_inbox(2, Duration::ZERO);
    case.direct.insert(id(2), Ok(subscription(2)));
    let sorted = case.sorted();
    assert_eq!(sorted.unlisted, [id(2)].into());
    assert_eq!(sorted.direct[&id(2)], Direct::InScope);
    assert!(sorted.found.contains_key(&id(2)));
}
