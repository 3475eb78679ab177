//! What an operator approved: that connectors which a list lacks are gone.

use super::{Doubt, SCHEMA_VERSION};
use crate::model::{RequestId, after};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An approval is for what the operator looked at now, not for what comes some day.
const LASTS: Duration = Duration::from_hours(24);
/// The clock of the operator's machine may be ahead by this much.
const CLOCK_AHEAD: Duration = Duration::from_mins(5);

/// An approval: a blob in `approvals/`, which only operators may write. It is used once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Approval {
    pub schema_version: u32,
    /// Distinguishes it from an earlier approval of the same: each is used once.
    pub id: RequestId,
    /// Names the missing connectors.
    pub hash: String,
    /// How many they are.
    pub missing: usize,
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
}

impl Approval {
    /// The approval of a doubt. `chance` distinguishes two of the same second.
    pub fn new(doubt: &Doubt, at: Timestamp, chance: u32) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            id: RequestId::new(at, chance),
            hash: doubt.hash(),
            missing: doubt.missing.len(),
            at,
        }
    }

    /// Whether it is for this doubt and not too old.
    pub fn is_for(&self, doubt: &Doubt, now: Timestamp) -> bool {
        let is_of_now = self.at <= after(now, CLOCK_AHEAD) && now < after(self.at, LASTS);
        is_of_now && self.hash == doubt.hash() && self.missing == doubt.missing.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConnectorId;

    #[test]
    fn an_approval_is_for_exactly_these_connectors_and_for_a_day() {
        let at: Timestamp = "2026-11-23T04:00:00Z".parse().unwrap();
        let doubt = |ids: [i64; 2]| Doubt { since: at, missing: ids.map(ConnectorId).into(), known: 9 };
        let approval = Approval::new(&doubt([1, 23]), at, 7);
        let hours = |hours: i64| at + jiff::SignedDuration::from_hours(hours);
        assert!(approval.is_for(&doubt([1, 23]), at) && approval.is_for(&doubt([23, 1]), hours(23)));
        assert!(!approval.is_for(&doubt([1, 23]), hours(24)), "too old");
        assert!(!approval.is_for(&doubt([1, 23]), hours(-1)), "of the future");
        assert!(!approval.is_for(&doubt([12, 3]), at), "of others");
        let fewer = Approval { missing: 1, ..approval };
        assert!(!fewer.is_for(&doubt([1, 23]), at));
    }
}
