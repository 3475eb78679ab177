//! Times of Qualys's clock. They are compared with each other, and with ours only through a [`ClockReading`].

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A moment that Qualys states; it is stored as its text.
///
/// A time without a zone may be of any zone, so it has no age and no order beside one with a zone: it only shows that it has
/// moved since another of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub enum StatedTime {
    At(Timestamp),
    WithoutZone(DateTime),
}

impl StatedTime {
    /// Whether this is another time of the same kind: a sync has ended since. Backwards too, since Qualys states this time only
    /// for the end of a sync, and its clock may have been set back in between.
    pub fn moved_from(self, before: Option<Self>) -> bool {
        match (before, self) {
            (Some(Self::At(before)), Self::At(at)) => at != before,
            (Some(Self::WithoutZone(before)), Self::WithoutZone(at)) => at != before,
            _ => false,
        }
    }
}

impl FromStr for StatedTime {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::At).or_else(|_| text.parse().map(Self::WithoutZone))
    }
}

impl TryFrom<String> for StatedTime {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StatedTime> for String {
    fn from(time: StatedTime) -> Self {
        time.to_string()
    }
}

impl fmt::Display for StatedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::WithoutZone(at) => at.fmt(f),
        }
    }
}

/// Qualys's clock and ours at the same moment: the `Date` header of an answer, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    pub theirs: Timestamp,
    pub ours: Timestamp,
}

impl ClockReading {
    /// A time may lie this much after the answer that states it: its server may not be the one that dates the answer.
    const SLACK: SignedDuration = SignedDuration::from_mins(5);
    /// No zone is so far from another. A `Date` that differs more is no clock's, and is not used.
    const ABSURD: SignedDuration = SignedDuration::from_hours(24);

    /// How far Qualys's clock is ahead of ours; negative if it is behind.
    pub fn ahead(&self) -> SignedDuration {
        self.theirs.duration_since(self.ours)
    }

    /// When a moment of Qualys's clock was, by ours. None for one after the reading itself, and with an absurd reading.
    pub fn by_ours(&self, at: Timestamp) -> Option<Timestamp> {
        if self.ahead().abs() > Self::ABSURD || at.duration_since(self.theirs) > Self::SLACK {
            return None;
        }
        let ago = self.theirs.duration_since(at).max(SignedDuration::ZERO);
        Some(self.ours.checked_sub(ago).unwrap_or(Timestamp::MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> StatedTime {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_moves_only_beside_another_of_its_kind_and_backwards_too() {
        let [early, late] = ["2026-11-23T04:00:00Z", "2026-11-23T05:00:00+00:00"].map(time);
        assert!(late.moved_from(Some(early)) && early.moved_from(Some(late)));
        assert!(!late.moved_from(Some(late)) && !late.moved_from(None));
        let [bare, later] = ["2026-11-23T04:00:00", "2026-11-23T08:00:00"].map(time);
        assert!(later.moved_from(Some(bare)) && !bare.moved_from(Some(bare)));
        assert!(!later.moved_from(Some(early)) && !late.moved_from(Some(bare)), "the zone is not known");
    }

    #[test]
    fn a_stated_time_is_stored_as_it_prints_and_what_is_no_time_is_an_error() {
        for text in ["2026-11-23T04:00:00Z", "2026-11-23T04:00:00"] {
            assert_eq!(time(text).to_string(), text);
        }
        for text in ["", "a while ago", "1763870400", "04:00"] {
            assert!(text.parse::<StatedTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_of_their_clock_is_aged_by_their_clock_alone() {
        let ours: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let hour = SignedDuration::from_hours(1);
        for hours in [-14, -8, 0, 8, 14] {
            let reading = ClockReading { theirs: ours + hour * hours, ours };
            assert_eq!(reading.by_ours(reading.theirs - hour * 3), Some(ours - hour * 3));
            assert_eq!(reading.by_ours(reading.theirs + hour / 60), Some(ours), "seconds apart");
            assert_eq!(reading.by_ours(reading.theirs + hour), None, "after its own answer");
        }
        let absurd = ClockReading { theirs: Timestamp::UNIX_EPOCH, ours };
        assert_eq!(absurd.by_ours(Timestamp::UNIX_EPOCH - hour), None);
    }

    #[test]
    fn no_reading_panics() {
        let ends = [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX];
        for (theirs, ours) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b))) {
            let reading = ClockReading { theirs, ours };
            let _ = (reading.ahead(), ends.map(|at| reading.by_ours(at)));
        }
    }
}
