//! A collapse: an inventory that suddenly has much fewer rows. Pure.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An inventory with fewer than half of the rows of the one before it, or with none where there were some. Machines do go in
/// such numbers, but a Qualys user whose scope was cut sees the same, so one reading is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Collapse {
    /// The rows that were read.
    pub rows: u64,
    /// The rows of the newest complete snapshot.
    pub before: u64,
}

impl Collapse {
    /// Whether the rows collapsed. `before`: the rows of the newest complete snapshot.
    pub fn of(rows: u64, before: u64) -> Option<Self> {
        (rows < before.div_ceil(2)).then_some(Self { rows, before })
    }

    /// Whether another reading had nearly as many rows: within 10 %, since machines come and go between two readings.
    pub fn agrees_with(self, other: u64) -> bool {
        self.rows.abs_diff(other) <= other / 10
    }
}

impl fmt::Display for Collapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, before } = self;
        write!(
            f,
            "the inventory has {rows} rows where the newest complete one has {before}, so a second reading must agree first"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_than_half_of_the_rows_or_none_of_some_is_a_collapse() {
        let collapses = |rows, before| Collapse::of(rows, before).is_some();
        assert!(collapses(0, 1) && collapses(1, 3) && collapses(49, 100) && collapses(0, u64::MAX));
        assert!(!collapses(0, 0) && !collapses(1, 2) && !collapses(50, 100) && !collapses(101, 100));
        assert!(!collapses(u64::MAX, u64::MAX));
    }

    #[test]
    fn a_second_reading_agrees_within_a_tenth_of_the_first() {
        let agrees = |first: u64, second| Collapse { rows: second, before: 1_000 }.agrees_with(first);
        assert!(agrees(0, 0) && agrees(30, 33) && agrees(30, 27) && agrees(9, 9));
        assert!(!agrees(0, 1) && !agrees(30, 34) && !agrees(30, 26) && !agrees(9, 8));
    }
}
