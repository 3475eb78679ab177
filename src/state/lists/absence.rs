//! How often, and since when, something was looked for in vain.

use crate::model::{after, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When an absence is proved: the settings `ABSENCE_PROOFS` and `ABSENCE_AGE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsenceRule {
    /// Complete lists that must lack it.
    pub lists: u32,
    /// The time over which they must lack it.
    pub age: Duration,
}

/// How many complete lists in a row lacked something, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Absence {
    /// When the first of them was read.
    #[cfg_attr(test, schemars(with = "String"))]
    pub since: Timestamp,
    pub lists: u32,
}

impl Absence {
    /// No list was read yet.
    pub fn new(now: Timestamp) -> Self {
        Self { since: now, lists: 0 }
    }

    /// With one more list that lacks it. A list that does not count, since it is doubtful, begins the count again.
    pub(super) fn counted(before: Option<Self>, counts: bool, now: Timestamp) -> Self {
        let before = before.filter(|before| counts && before.lists > 0).unwrap_or(Self::new(now));
        // A clock that was ahead must not hold up the proof.
        Self { since: before.since.min(now), lists: before.lists.saturating_add(u32::from(counts)) }
    }

    pub fn is_proved(self, rule: AbsenceRule, now: Timestamp) -> bool {
        self.lists >= rule.lists && elapsed(now, self.since) >= rule.age
    }

    /// When it can be proved at the earliest.
    pub fn until(self, rule: AbsenceRule) -> Timestamp {
        after(self.since, rule.age)
    }
}
