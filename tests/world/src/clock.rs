//! The world's time: the real clock until a test sets it; from then on it moves only when a test moves it.
//!
//! Guarantees: every timestamp that the world answers or compares comes from here.

use jiff::{SignedDuration, Timestamp};

/// The real clock, or a time that moves only on request.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    set: Option<Timestamp>,
}

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        self.set.unwrap_or_else(Timestamp::now)
    }

    pub(crate) fn set(&mut self, to: Timestamp) {
        self.set = Some(to);
    }

    pub(crate) fn advance(&mut self, by: SignedDuration) {
        self.set = Some(later(self.now(), by));
    }
}

/// `at` plus `by`, limited to the range of timestamps.
pub(crate) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}

/// Whole seconds in UTC, as Qualys prints them (recorded 2020 on US3).
pub(crate) fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
