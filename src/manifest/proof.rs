//! The proof of a range: the rows that were read, beside Qualys's own count of them.
//!
//! Guarantees: a reading is proved only if it has every row exactly once, in the order of ids. A row that came twice,
//! is missing, or appeared between the reading and the count fails the proof. A count cannot show that one row
//! disappeared while another appeared.

use super::Range;
use std::fmt;

/// Tallies the rows of a range as they come, page by page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub pages: u32,
    pub read: u64,
    /// Different ids among the rows that came in order.
    pub distinct: u64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    /// The first id that did not come in order, and the one before it.
    disorder: Option<(i64, i64)>,
}

impl Tally {
    pub fn page(&mut self) {
        self.pages += 1;
    }

    /// Counts a row and returns whether it is new: only new rows go into a snapshot.
    pub fn row(&mut self, id: i64) -> bool {
        self.read += 1;
        match self.last {
            Some(last) if id == last => false,
            Some(last) if id < last => {
                self.disorder.get_or_insert((id, last));
                false
            }
            _ => {
                self.distinct += 1;
                self.first.get_or_insert(id);
                self.last = Some(id);
                true
            }
        }
    }

    /// Compares the rows with the count that Qualys declares for the same range.
    pub fn verdict(&self, declared: u64) -> Verdict {
        let Self { read, distinct, .. } = *self;
        match self.disorder {
            Some((id, last)) => Verdict::Disordered { id, last },
            None if distinct < read => Verdict::Repeated { declared, read, distinct },
            None if read < declared => Verdict::Missing { declared, read },
            None if read > declared => Verdict::Surplus { declared, read },
            None => Verdict::Proved,
        }
    }
}

/// Whether a reading of a range is proved, or why it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Declared, read and distinct rows agree.
    Proved,
    /// A row came after one with a greater id, so repeated rows could go unseen.
    Disordered { id: i64, last: i64 },
    /// Some rows came more than once.
    Repeated { declared: u64, read: u64, distinct: u64 },
    /// Fewer rows came than Qualys counts. A row that appeared after the reading looks the same.
    Missing { declared: u64, read: u64 },
    /// More rows came than Qualys counts. A row that disappeared after the reading looks the same.
    Surplus { declared: u64, read: u64 },
}

impl Verdict {
    pub fn is_proved(self) -> bool {
        self == Self::Proved
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proved => write!(f, "Qualys counts as many as it returned"),
            Self::Disordered { id, last } => write!(f, "Qualys returned id {id} after id {last}"),
            Self::Repeated { declared, read, distinct } => {
                write!(f, "Qualys counts {declared} and returned {read}, only {distinct} of them different")
            }
            Self::Missing { declared, read } => {
                write!(f, "Qualys counts {declared} and returned only {read}")
            }
            Self::Surplus { declared, read } => {
                write!(f, "Qualys counts only {declared} and returned {read}")
            }
        }
    }
}

/// A range that no reading proved. Its text is the manifest's `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unproved {
    /// What the rows are, in the plural.
    pub rows: &'static str,
    pub range: Range,
    pub attempts: u32,
    /// Of the last reading.
    pub verdict: Verdict,
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, range, attempts, verdict } = self;
        write!(f, "{rows} with {range} could not be proved in {attempts} readings: {verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::IdRange;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn tally(ids: &[i64]) -> Tally {
        let mut tally = Tally::default();
        for id in ids {
            tally.row(*id);
        }
        tally
    }

    #[test]
    fn every_row_once_is_proved_and_so_is_no_row_at_all() {
        assert_eq!(tally(&[3, 5, 8]).verdict(3), Verdict::Proved);
        assert_eq!(tally(&[]).verdict(0), Verdict::Proved);
    }

    #[test]
    fn the_first_and_the_last_row_and_the_pages_are_kept() {
        let mut tally = Tally::default();
        for page in [[3, 5], [8, 8]] {
            tally.page();
            for id in page {
                tally.row(id);
            }
        }
        assert_eq!((tally.first, tally.last, tally.pages), (Some(3), Some(8), 2));
        assert_eq!((tally.read, tally.distinct), (4, 3));
    }

    #[test]
    fn only_a_new_row_goes_into_the_snapshot() {
        let mut tally = Tally::default();
        assert_eq!([3, 5, 5, 4, 8].map(|id| tally.row(id)), [true, true, false, false, true]);
    }

    #[test]
    fn a_verdict_says_exactly_why_a_range_is_not_proved() {
        let why = |ids: &[i64], declared| tally(ids).verdict(declared).to_string();
        insta::assert_snapshot!(why(&[3, 5], 3), @"Qualys counts 3 and returned only 2");
        insta::assert_snapshot!(why(&[3, 5], 1), @"Qualys counts only 1 and returned 2");
        insta::assert_snapshot!(why(&[3, 5, 5], 3), @"Qualys counts 3 and returned 3, only 2 of them different");
        insta::assert_snapshot!(why(&[3, 8, 5], 3), @"Qualys returned id 5 after id 8");
        let range = Range::Ids(IdRange { after: 0, before: Some(6) });
        let verdict = Verdict::Missing { declared: 3, read: 2 };
        insta::assert_snapshot!(
            Unproved { rows: "hosts", range, attempts: 3, verdict },
            @"hosts with ids above 0 and below 6 could not be proved in 3 readings: Qualys counts 3 and returned only 2"
        );
    }

    /// Row ids that exist, and some of them read in any order, any number of times.
    fn readings() -> impl Strategy<Value = (BTreeSet<i64>, Vec<i64>)> {
        prop::collection::btree_set(1i64..20, 1..6).prop_flat_map(|ids| {
            let choices: Vec<i64> = ids.iter().copied().collect();
            let read = prop::collection::vec(prop::sample::select(choices), 0..8);
            (Just(ids), read)
        })
    }

    proptest! {
        #[test]
        fn only_every_row_once_and_in_order_is_proved((ids, read) in readings()) {
            let whole: Vec<i64> = ids.iter().copied().collect();
            prop_assert!(tally(&whole).verdict(ids.len() as u64).is_proved());
            prop_assert_eq!(tally(&read).verdict(ids.len() as u64).is_proved(), read == whole);
        }

        #[test]
        fn a_row_that_comes_twice_goes_missing_or_appears_later_is_not_proved(
            (ids, _) in readings(), at: prop::sample::Index, to: prop::sample::Index,
        ) {
            let (whole, declared) = (ids.iter().copied().collect::<Vec<_>>(), ids.len() as u64);
            let row = at.index(whole.len());
            let mut repeated = whole.clone();
            repeated.insert(to.index(whole.len() + 1), whole[row]);
            let mut missing = whole.clone();
            missing.remove(row);
            let mut moved = missing.clone();
            moved.insert(to.index(missing.len() + 1), whole[to.index(whole.len())]);
            prop_assert!(!tally(&repeated).verdict(declared).is_proved());
            prop_assert!(!tally(&repeated).verdict(declared + 1).is_proved());
            prop_assert!(!tally(&missing).verdict(declared).is_proved());
            prop_assert!(moved == whole || !tally(&moved).verdict(declared).is_proved());
            prop_assert!(!tally(&whole).verdict(declared + 1).is_proved(), "one appeared after the reading");
            prop_assert!(!tally(&whole).verdict(declared - 1).is_proved(), "one went after the reading");
        }
    }
}
