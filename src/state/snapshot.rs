//! The newest snapshot that was begun: what became of it, and when the next may begin.

use crate::model::{Collapse, SnapshotId, after};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The newest snapshot that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LastSnapshot {
    pub id: SnapshotId,
    /// When its reading began.
    #[cfg_attr(test, schemars(with = "String"))]
    pub began: Timestamp,
    /// Whether it was proved and published; `false` also while it is being read.
    pub complete: bool,
    #[serde(default)]
    pub progress: Progress,
    /// The latest reading whose rows collapsed; none once a snapshot was published since.
    #[serde(default)]
    pub doubt: Option<SnapshotDoubt>,
}

/// What became of a snapshot that was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Progress {
    /// It is being read, or its cycle was killed.
    Reading,
    /// It could not be finished.
    Failed {
        /// The error and its causes.
        error: String,
        /// What to do about it.
        advice: String,
    },
    /// Its manifest was written.
    #[default]
    Ended,
}

/// A reading that is not believed, because its rows collapsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SnapshotDoubt {
    #[serde(flatten)]
    pub collapse: Collapse,
    /// How many readings were begun since the first that was doubted, with it.
    pub readings: u32,
}

impl LastSnapshot {
    /// A snapshot whose reading begins. Recorded before it does, so that one that is killed or fails counts as an attempt.
    pub fn begin(id: SnapshotId, began: Timestamp, before: Option<&Self>) -> Self {
        let doubt = before.and_then(|before| before.doubt.clone());
        let doubt = doubt.map(|doubt| SnapshotDoubt { readings: doubt.readings.saturating_add(1), ..doubt });
        Self { id, began, complete: false, progress: Progress::Reading, doubt }
    }

    /// Records that its manifest was written. `doubted`: its rows collapsed.
    pub fn end(&mut self, complete: bool, doubted: Option<Collapse>) {
        (self.complete, self.progress) = (complete, Progress::Ended);
        if complete {
            self.doubt = None;
        } else if let Some(collapse) = doubted {
            let readings = self.doubt.as_ref().map_or(1, |doubt| doubt.readings);
            self.doubt = Some(SnapshotDoubt { collapse, readings });
        }
    }

    /// Whether it is the first reading that is doubted: the second need not wait.
    pub fn is_first_doubt(&self) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| doubt.readings == 1)
    }

    /// Whether nothing more is to come of it.
    pub fn is_settled(&self) -> bool {
        self.progress == Progress::Ended && self.doubt.is_none()
    }

    /// When the next one may begin that nobody asked for.
    pub fn next_not_before(&self, gap: Duration) -> Timestamp {
        if self.is_first_doubt() { self.began } else { after(self.began, gap) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u32) -> Timestamp {
        after("2026-11-23T04:00:00Z".parse().unwrap(), Duration::from_mins(1) * minute)
    }

    fn begun(minute: u32, before: Option<&LastSnapshot>) -> LastSnapshot {
        LastSnapshot::begin(SnapshotId::new(at(minute), 1), at(minute), before)
    }

    const HOUR: Duration = Duration::from_hours(1);
    const COLLAPSE: Collapse = Collapse { rows: 0, before: 100 };

    #[test]
    fn the_second_reading_of_a_collapse_need_not_wait_and_every_further_one_must() {
        let mut first = begun(0, None);
        assert_eq!(first.next_not_before(HOUR), at(60), "while it is read, or after a kill");
        first.end(false, Some(COLLAPSE));
        assert!(first.is_first_doubt() && !first.is_settled());
        assert_eq!(first.next_not_before(HOUR), at(0));
        let mut second = begun(2, Some(&first));
        assert_eq!(second.next_not_before(HOUR), at(62), "it failed or was killed: the doubt stays");
        assert_eq!(second.doubt.as_ref().map(|doubt| doubt.collapse), Some(COLLAPSE));
        second.end(false, Some(Collapse { rows: 30, before: 100 }));
        assert_eq!(second.next_not_before(HOUR), at(62));
        let mut third = begun(62, Some(&second));
        third.end(true, None);
        assert!(third.is_settled() && third.doubt.is_none());
    }

    #[test]
    fn a_snapshot_of_an_older_version_has_ended() {
        let stored = r#"{"id":"20261123T040500Z-1f2e3d4c","began":"2026-11-23T04:05:00Z","complete":false}"#;
        assert!(serde_json::from_str::<LastSnapshot>(stored).unwrap().is_settled());
    }
}
