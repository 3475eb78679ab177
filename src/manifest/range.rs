//! A range: the unit of reading and of proof inside a snapshot.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Which rows a range holds. Types that `CloudView` lists will add variants: `Whole` for a type that is read in one go,
/// and `Time` (from, to) for one that is too large for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Range {
    Ids(IdRange),
}

/// Rows with an id greater than `after` and, if the range has an end, less than `before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IdRange {
    /// Ids greater than this.
    pub after: i64,
    /// Ids less than this; none: to the end.
    pub before: Option<i64>,
}

impl Range {
    /// This range without its `rest`: the part that was read when reading stopped there. Without a rest it is all.
    #[must_use]
    pub fn without(self, rest: Option<Self>) -> Self {
        match (self, rest) {
            (Self::Ids(IdRange { after, .. }), Some(Self::Ids(rest))) => {
                Self::Ids(IdRange { after, before: Some(rest.after.saturating_add(1)) })
            }
            (whole, None) => whole,
        }
    }
}

impl Range {
    /// This range, closed behind the last row that was read, if it was open and any was read: what arrives later does not
    /// belong to it.
    #[must_use]
    pub fn closed_at(self, last: Option<i64>) -> Self {
        match (self, last) {
            (Self::Ids(IdRange { after, before: None }), Some(last)) => {
                Self::Ids(IdRange { after, before: Some(last.saturating_add(1)) })
            }
            (range, _) => range,
        }
    }

    /// Everything behind this range; none where it has no end.
    pub fn beyond(self) -> Option<Self> {
        let Self::Ids(IdRange { after: _, before }) = self;
        before.map(|before| Self::Ids(IdRange { after: before.saturating_sub(1), before: None }))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ids(IdRange { after, before: None }) => write!(f, "ids above {after}"),
            Self::Ids(IdRange { after, before: Some(before) }) => {
                write!(f, "ids above {after} and below {before}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(after: i64, before: Option<i64>) -> Range {
        Range::Ids(IdRange { after, before })
    }

    #[test]
    fn a_range_and_its_rest_leave_no_gap_and_do_not_overlap() {
        // The rest begins above 9, so 9 is the last id that was read.
        let read = ids(4, None).without(Some(ids(9, None)));
        assert_eq!(read, ids(4, Some(10)));
        assert_eq!(ids(4, None).without(None), ids(4, None));
        assert_eq!(read.to_string(), "ids above 4 and below 10");
        assert_eq!(ids(9, None).to_string(), "ids above 9");
    }

    #[test]
    fn an_open_range_is_closed_at_the_last_row_and_the_next_begins_there() {
        let read = ids(4, None).closed_at(Some(9));
        assert_eq!((read, read.beyond()), (ids(4, Some(10)), Some(ids(9, None))));
        assert_eq!(ids(4, Some(7)).closed_at(Some(9)), ids(4, Some(7)), "it is closed already");
        assert_eq!((ids(4, None).closed_at(None), ids(4, None).beyond()), (ids(4, None), None));
    }

    #[test]
    fn a_range_is_stored_as_its_bounds() {
        let stored = r#"{"after":4,"before":10}"#;
        assert_eq!(serde_json::to_string(&ids(4, Some(10))).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Range>(stored).unwrap(), ids(4, Some(10)));
    }
}
