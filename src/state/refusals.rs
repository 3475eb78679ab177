//! Refusals of an action in a row, and when the next try is due: rule *refusals back off*.

use super::backoff;
use crate::model::{ResponseCode, SubscriptionId, after, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// The most tries of a refused action in 24 hours. The first six waits already span most of a working day; people must correct
/// the cause, so more tries would only use calls up.
const TRIES_A_DAY: usize = 6;
/// Tries are counted over one day.
const TRY_WINDOW: Duration = Duration::from_hours(24);
/// Refusals are forgotten when nothing was tried for so long: the action is no longer wanted.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(48);
/// So many different creates that Qualys refused alike hold back the others: the cause is not in any of them.
const ALIKE: usize = 5;

/// Refusals in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refusals {
    /// How many in a row. A first answer that was unclear does not count: only repeated ones do.
    pub count: u32,
    /// When the last of them came.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// Qualys's code and text of the last, or ours.
    #[serde(default)]
    pub last: Option<Refusal>,
    /// The tries of the last 24 hours, newest last.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub tries: Vec<Timestamp>,
}

/// How an action was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Refusal {
    /// None when nothing was sent to Qualys.
    pub code: Option<ResponseCode>,
    /// The error and its causes.
    pub error: String,
    /// The answer does not say whether it was done.
    #[serde(default)]
    pub unclear: bool,
}

impl Refusals {
    /// The refusals so far and one more.
    pub fn another(before: Option<Self>, refusal: Refusal, at: Timestamp) -> Self {
        let (count, mut tries) = before.map_or((None, Vec::new()), |b| (Some(b.count), b.tries));
        let first = u32::from(!refusal.unclear);
        let count = count.map_or(first, |count| count.saturating_add(1));
        tries.retain(|tried| elapsed(at, *tried) < TRY_WINDOW);
        tries.push(at);
        Self { count, at, last: Some(refusal), tries }
    }

    /// When the next try is due.
    pub fn next_try(&self) -> Timestamp {
        if self.count == 0 {
            return self.at;
        }
        let waited = after(self.at, backoff(self.count));
        let a_day_later = self.tries.iter().rev().nth(TRIES_A_DAY - 1).map(|tried| after(*tried, TRY_WINDOW));
        a_day_later.map_or(waited, |a_day_later| waited.max(a_day_later))
    }

    /// When the next try is due; none when it is due now.
    pub fn wait(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.next_try()).filter(|until| now < *until)
    }

    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        elapsed(now, self.at) >= FORGOTTEN_AFTER
    }

    /// What was answered last.
    pub fn error(&self) -> &str {
        self.last.as_ref().map_or("", |last| &last.error)
    }
}

/// Creates for different subscriptions that Qualys refused with the same code, with no success in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RefusedAlike {
    pub code: ResponseCode,
    /// The error and its causes, of the last of them.
    pub error: String,
    pub subscriptions: BTreeSet<SubscriptionId>,
    /// How many waits in a row ended with a refusal, from the fifth refusal on.
    pub waits: u32,
    /// When the last of them came.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
}

impl RefusedAlike {
    /// Takes in one more refused create.
    pub fn another(
        before: Option<Self>,
        subscription: SubscriptionId,
        code: &ResponseCode,
        error: &str,
        at: Timestamp,
    ) -> Self {
        let alike = before.filter(|b| b.code == *code && elapsed(at, b.at) < TRY_WINDOW);
        let mut alike = alike.unwrap_or_else(|| Self {
            code: code.clone(),
            error: String::new(),
            subscriptions: BTreeSet::new(),
            waits: 0,
            at,
        });
        // Creates that were under way together count as one wait.
        let is_probe = alike.until().is_some_and(|until| at >= until);
        alike.subscriptions.insert(subscription);
        if is_probe || alike.waits == 0 && alike.subscriptions.len() >= ALIKE {
            alike.waits = alike.waits.saturating_add(1);
        }
        (alike.error, alike.at) = (error.to_owned(), at);
        alike
    }

    /// Whether all creates are held back but for one that is tried now.
    pub fn is_probe_due(&self, now: Timestamp) -> bool {
        self.until().is_some_and(|until| now >= until)
    }

    /// Until when all creates are held back, and when one of them is tried; none while they are too few to hold back others.
    pub fn until(&self) -> Option<Timestamp> {
        (self.waits > 0).then(|| after(self.at, backoff(self.waits)))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(minutes: u32) -> Timestamp {
        after("2026-11-23T04:00:00Z".parse().unwrap(), Duration::from_mins(1) * minutes)
    }

    fn refusal(unclear: bool) -> Refusal {
        let code = if unclear { ResponseCode::NoAnswer } else { ResponseCode::LimitExceeded };
        Refusal { code: Some(code), error: "e".into(), unclear }
    }

    /// The minutes of the tries of one day, each as soon as it is due.
    fn tries(unclear: bool) -> Vec<u32> {
        let (mut refusals, mut tries) = (None::<Refusals>, Vec::new());
        for minute in 0..24 * 60 {
            if refusals.as_ref().is_none_or(|refusals| refusals.wait(at(minute)).is_none()) {
                refusals = Some(Refusals::another(refusals, refusal(unclear), at(minute)));
                tries.push(minute);
            }
        }
        tries
    }

    #[test]
    fn a_refused_action_waits_longer_each_time_and_is_tried_six_times_a_day() {
        assert_eq!(tries(false), [0, 15, 45, 105, 225, 465]);
        assert_eq!(tries(true), [0, 1, 16, 46, 106, 226], "the first unclear answer waits for nothing here");
    }

    #[test]
    fn after_the_first_day_the_longest_wait_is_kept() {
        let mut refusals = None;
        for minute in [0, 15, 45, 105, 225, 465, 24 * 60] {
            refusals = Some(Refusals::another(refusals, refusal(false), at(minute)));
        }
        assert_eq!(refusals.unwrap().next_try(), at(30 * 60));
    }

    fn alike(tries: &[(u128, &str, u32)]) -> RefusedAlike {
        let code = |word: &str| ResponseCode::from(word.to_owned());
        let another = |alike, (subscription, word, minute): &(u128, &str, u32)| {
            let subscription = SubscriptionId::new(Uuid::from_u128(*subscription));
            Some(RefusedAlike::another(alike, subscription, &code(word), "e", at(*minute)))
        };
        tries.iter().fold(None, another).unwrap()
    }

    #[test]
    fn five_different_creates_refused_alike_hold_back_the_others() {
        let four = [(1, "A", 0), (2, "A", 0), (3, "A", 0), (4, "A", 0), (4, "A", 1), (4, "A", 2)];
        assert_eq!(alike(&four).until(), None, "one that is refused again is no other");
        let mut five = four.to_vec();
        five.push((5, "A", 3));
        assert_eq!(alike(&five).until(), Some(at(18)));
        five.push((6, "A", 4));
        assert_eq!(alike(&five).until(), Some(at(19)), "it was under way already");
        five.push((7, "A", 19));
        assert_eq!(alike(&five).until(), Some(at(49)), "a probe that is refused doubles the wait");
        five.push((8, "B", 49));
        assert_eq!(alike(&five).until(), None, "another code is another cause");
        let old: Vec<_> = (1..6).map(|number| (u128::from(number), "A", number * 24 * 60)).collect();
        assert_eq!(alike(&old).until(), None, "days apart they say nothing of each other");
    }
}
