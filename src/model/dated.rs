//! Stored times that lie after now: a clock was ahead when they were written. Pure.
//!
//! Such a time would hold for as long as that clock was ahead: a wait of minutes for days, and a proof of what has not
//! happened yet. So it is corrected when it is read. A type that has times says so by [`Dated`], and takes itself apart
//! without `..`: a new field does not compile before somebody has decided about it.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How far the clocks of two machines may differ before a time counts as one from the future. Clocks that are set by NTP
/// differ by less than a second, and storage refuses requests of one that is off by minutes.
const CLOCKS_DIFFER: Duration = Duration::from_secs(30);
/// How long ago something counts as done whose time lies after now. Nobody knows when it was. It must count among those of
/// the day, and not as the answer to a request that was made in the meantime.
const DONE_BEFORE: Duration = Duration::from_mins(30);

/// A stored value with times of our clocks.
pub trait Dated {
    /// Shows each of its times to the correction.
    fn correct(&mut self, correction: &mut Correction);
}

/// The correction of one stored value.
#[derive(Debug)]
pub struct Correction {
    now: Timestamp,
    ahead: Duration,
}

impl Correction {
    /// Corrects a value. Returns how far the clock was ahead that wrote it, if it was.
    pub fn of(value: &mut impl Dated, now: Timestamp) -> Option<Duration> {
        let mut correction = Self { now, ahead: Duration::ZERO };
        value.correct(&mut correction);
        (correction.ahead > Duration::ZERO).then_some(correction.ahead)
    }

    /// Times of what happened, from which a wait or an age is counted: they count as now.
    pub fn past<'a>(&mut self, times: impl IntoIterator<Item = &'a mut Timestamp>) {
        self.replace(times, self.now);
    }

    /// Times of what we did, which also answer requests: they count as half an hour ago.
    pub fn done<'a>(&mut self, times: impl IntoIterator<Item = &'a mut Timestamp>) {
        self.replace(times, super::before(self.now, DONE_BEFORE));
    }

    /// The end of a wait, at most this long: a later one is not believed. If the value's other times, shown before, lie after
    /// now, the end does so by as much.
    pub fn until(&mut self, end: &mut Option<Timestamp>, longest: Duration) {
        let Some(stored) = *end else { return };
        let corrected = super::before(stored, self.ahead);
        let latest = super::after(super::after(self.now, longest), CLOCKS_DIFFER);
        if corrected > latest {
            self.note(super::elapsed(corrected, super::after(self.now, longest)));
        }
        *end = Some(corrected).filter(|end| *end <= latest);
    }

    /// Whether this time lies after now, so that what it proves must be forgotten.
    pub fn is_ahead(&mut self, time: Timestamp) -> bool {
        let ahead = super::elapsed(time, self.now);
        if ahead <= CLOCKS_DIFFER {
            return false;
        }
        self.note(ahead);
        true
    }

    fn replace<'a>(&mut self, times: impl IntoIterator<Item = &'a mut Timestamp>, by: Timestamp) {
        for time in times {
            if self.is_ahead(*time) {
                *time = by;
            }
        }
    }

    fn note(&mut self, ahead: Duration) {
        self.ahead = self.ahead.max(ahead);
    }
}

/// A duration as people write it, in whole seconds.
pub fn in_words(duration: Duration) -> String {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two {
        happened: Timestamp,
        wait_ends: Option<Timestamp>,
    }

    impl Dated for Two {
        fn correct(&mut self, correction: &mut Correction) {
            let Self { happened, wait_ends } = self;
            correction.past([happened]);
            correction.until(wait_ends, Duration::from_hours(24));
        }
    }

    fn corrected(happened: i64, wait_ends: i64) -> (i64, Option<i64>, Option<u64>) {
        let now: Timestamp = "2026-11-23T04:05:00Z".parse().unwrap();
        let at = |seconds| now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        let since = |time: Timestamp| time.duration_since(now).as_secs();
        let mut two = Two { happened: at(happened), wait_ends: Some(at(wait_ends)) };
        let ahead = Correction::of(&mut two, now);
        (since(two.happened), two.wait_ends.map(since), ahead.map(|ahead| ahead.as_secs()))
    }

    #[test]
    fn a_time_after_now_counts_as_now_and_a_wait_of_more_than_a_day_is_not_believed() {
        const DAY: i64 = 24 * 3600;
        assert_eq!(corrected(-5, 600), (-5, Some(600), None));
        assert_eq!(corrected(30, DAY), (30, Some(DAY), None), "clocks differ a little");
        assert_eq!(corrected(31, 0), (0, Some(-31), Some(31)));
        assert_eq!(corrected(-5, 3 * DAY), (-5, None, Some(2 * 24 * 3600)));
        let wrote_a_pause = corrected(3 * DAY, 3 * DAY + 600);
        assert_eq!(
            wrote_a_pause,
            (0, Some(600), Some(3 * 24 * 3600)),
            "the clock that wrote the one wrote the other"
        );
    }

    #[test]
    fn how_far_is_said_as_people_write_it() {
        assert_eq!(in_words(Duration::from_secs(3 * 24 * 3600 + 62)), "72h 1m 2s");
    }
}
