//! Criteria on ids, and how a page is cut from the rows.

use crate::qualys::Manners;
use crate::qualys::envelope::Refused;
use crate::qualys::request::{Criterion, Preferences};

/// The ids that criteria and `startFromId` allow, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdRange {
    pub(super) from: i64,
    pub(super) to: i64,
    /// The list of an `IN`.
    pub(super) only: Option<Vec<i64>>,
}

impl IdRange {
    pub(super) fn new(preferences: &Preferences, manners: &Manners) -> Self {
        let from = preferences
            .start_from_id
            .map_or(i64::MIN, |id| if manners.start_from_id_inclusive { id } else { id.saturating_add(1) });
        Self { from, to: i64::MAX, only: None }
    }

    /// Narrows the range by a criterion on `id`; `with_in`: whether `IN` is allowed.
    pub(super) fn narrow(&mut self, criterion: &Criterion, with_in: bool) -> Result<(), Refused> {
        match criterion.operator.as_str() {
            "EQUALS" => {
                let id = criterion.long()?;
                self.from = self.from.max(id);
                self.to = self.to.min(id);
            }
            "GREATER" => self.from = self.from.max(criterion.long()?.saturating_add(1)),
            "LESSER" => self.to = self.to.min(criterion.long()?.saturating_sub(1)),
            "IN" if with_in => {
                let one = |part: &str| Criterion { value: part.to_owned(), ..criterion.clone() }.long();
                self.only = Some(criterion.value.split(',').map(one).collect::<Result<_, _>>()?);
            }
            _ => return Err(criterion.bad_operator()),
        }
        Ok(())
    }

    /// Whether no id can match, because the range ends before it begins.
    pub(super) fn is_empty(&self) -> bool {
        self.from > self.to
    }

    pub(super) fn lets(&self, id: i64) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&id))
    }
}

/// The page of `rows` (ordered by id), and the first row of the next page if there is one.
pub(super) fn page<T>(mut rows: impl Iterator<Item = T>, preferences: &Preferences) -> (Vec<T>, Option<T>) {
    let mut here = Vec::new();
    let rest = rows.by_ref().skip(preferences.skip);
    for row in rest {
        if here.len() == preferences.limit {
            return (here, Some(row));
        }
        here.push(row);
    }
    (here, None)
}
