//! Whose turn it is to be looked at one by one, when more subscriptions wait than a cycle may read.
//!
//! Guarantees: what is new is looked at first, the newest before the others; what is left of a cycle's readings goes round
//! all that wait, so each has its turn however many more arrive. The memory is two values, however many wait.

use super::{SubscriptionId, after};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

/// Where the turns are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Turn {
    /// The last subscription that had its turn. The one with the next id is next.
    pub last: Option<SubscriptionId>,
    /// When a cycle last chose. An inbox item that was left later is new.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub chosen: Option<Timestamp>,
}

/// The clocks of two machines may differ by this much. What was left so shortly before the last choice counts as new once
/// more.
const CLOCKS_DIFFER: Duration = Duration::from_secs(30);

/// The subscriptions that a cycle looks at.
#[derive(Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The newest first.
    new: Vec<SubscriptionId>,
    /// In the order of their turns.
    in_turn: Vec<SubscriptionId>,
}

impl Turn {
    /// Chooses at most `most` of those that wait. `left` says when the inbox items were left; what has none is not new.
    pub fn choose(
        &self,
        waiting: &BTreeSet<SubscriptionId>,
        left: &BTreeMap<SubscriptionId, Timestamp>,
        most: usize,
    ) -> Chosen {
        // A third stays for the turns, so that a steady flood of new ones does not end them.
        let places = most - most / 3;
        let is_new = |at: &Timestamp| self.chosen.is_none_or(|chosen| after(*at, CLOCKS_DIFFER) > chosen);
        let mut new: Vec<_> = waiting.iter().filter_map(|id| Some((*left.get(id)?, *id))).collect();
        new.retain(|(at, _)| is_new(at));
        new.sort_unstable_by(|a, b| b.cmp(a));
        let new: Vec<_> = new.into_iter().take(places).map(|(_, id)| id).collect();
        let taken: BTreeSet<_> = new.iter().copied().collect();
        let start = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let end = self.last.map_or(Bound::Unbounded, Bound::Included);
        let behind = waiting.range((start, Bound::Unbounded));
        // Without a last one, the range behind it is all.
        let before = self.last.iter().flat_map(|_| waiting.range((Bound::Unbounded, end)));
        let ring = behind.chain(before).copied().filter(|id| !taken.contains(id));
        Chosen { in_turn: ring.take(most - new.len()).collect(), new }
    }

    /// Where the turns are after a cycle at `now` has looked at these.
    #[must_use]
    pub fn after(
        &self,
        chosen: &Chosen,
        was_looked_at: impl Fn(&SubscriptionId) -> bool,
        now: Timestamp,
    ) -> Self {
        // They are looked at in their order, so those that time did not allow are at the end.
        let last = chosen.in_turn.iter().copied().rfind(was_looked_at).or(self.last);
        Self { last, chosen: Some(now) }
    }
}

impl Chosen {
    /// All of them, in the order in which to look at them.
    pub fn ids(&self) -> impl Iterator<Item = SubscriptionId> {
        self.new.iter().chain(&self.in_turn).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: u128) -> SubscriptionId {
        SubscriptionId::new(Uuid::from_u128(number))
    }

    fn at(minute: u64) -> Timestamp {
        after("2026-11-23T04:00:00Z".parse().unwrap(), Duration::from_mins(minute))
    }

    /// Items left at minute 0, except for those of `later`.
    fn inbox(unknown: u128, later: &[(u128, u64)]) -> BTreeMap<SubscriptionId, Timestamp> {
        let later = later.iter().map(|(number, minute)| (id(*number), at(*minute)));
        (1..=unknown).map(|number| (id(number), at(0))).chain(later).collect()
    }

    fn ids(left: &BTreeMap<SubscriptionId, Timestamp>) -> BTreeSet<SubscriptionId> {
        left.keys().copied().collect()
    }

    #[test]
    fn a_new_subscription_is_looked_at_first_however_many_unknown_ones_wait() {
        let mut turn = Turn::default();
        for minute in 1..50 {
            let left = inbox(5000, &[(9_000_000 + u128::from(minute), minute)]);
            let chosen = turn.choose(&ids(&left), &left, 150);
            assert_eq!(chosen.ids().next(), Some(id(9_000_000 + u128::from(minute))), "minute {minute}");
            assert_eq!(chosen.ids().count(), 150);
            turn = turn.after(&chosen, |_| true, at(minute));
        }
    }

    #[test]
    fn each_of_many_has_its_turn_even_while_new_ones_flood_in() {
        let (mut turn, mut seen) = (Turn::default(), BTreeSet::new());
        for minute in 1..=101 {
            let flood: Vec<_> =
                (0..500).map(|more| (1_000_000 + u128::from(minute) * 1000 + more, minute)).collect();
            let left = inbox(5000, &flood);
            let chosen = turn.choose(&ids(&left), &left, 150);
            let looked: BTreeSet<_> = chosen.ids().collect();
            assert_eq!(looked.len(), 150, "none twice");
            seen.extend(looked);
            turn = turn.after(&chosen, |_| true, at(minute));
        }
        assert!((1..=5000).all(|number| seen.contains(&id(number))), "a third of 150 in each of 101 cycles");
    }

    #[test]
    fn what_time_did_not_allow_is_next_and_what_is_gone_takes_no_turn() {
        let left = inbox(9, &[]);
        let turn = Turn { last: None, chosen: Some(at(1)) };
        let chosen = turn.choose(&ids(&left), &left, 6);
        assert_eq!(chosen.ids().collect::<Vec<_>>(), (1..=6).map(id).collect::<Vec<_>>());
        let turn = turn.after(&chosen, |looked| *looked < id(4), at(2));
        let waiting = (5..=9).map(id).collect();
        let chosen = turn.choose(&waiting, &left, 3);
        assert_eq!(chosen.ids().collect::<Vec<_>>(), [id(5), id(6), id(7)], "4 is gone");
        let turn = turn.after(&chosen, |_| true, at(3));
        let chosen = turn.choose(&waiting, &left, 9);
        assert_eq!(chosen.ids().collect::<Vec<_>>(), [8, 9, 5, 6, 7].map(id), "round, and none twice");
        assert_eq!(turn.after(&chosen, |_| false, at(4)).last, turn.last, "none was looked at");
    }

    #[test]
    fn an_item_that_was_left_by_a_clock_slightly_behind_is_still_new() {
        let left = inbox(3, &[(7, 10)]);
        let chosen_at =
            |seconds| Turn { last: None, chosen: Some(after(at(10), Duration::from_secs(seconds))) };
        assert_eq!(chosen_at(29).choose(&ids(&left), &left, 2).ids().next(), Some(id(7)));
        assert_eq!(chosen_at(31).choose(&ids(&left), &left, 2).ids().next(), Some(id(1)), "known by then");
    }
}
