//! What has been read of a snapshot so far.

use super::attribution::RowCounts;
use super::range::RangeReading;
use crate::manifest::{FileEntry, RangeEntry, Unproved};

/// Plain data, complete after each range: saved then, it is what a later cycle will resume from.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) ranges: Vec<RangeEntry>,
    pub(super) files: Vec<FileEntry>,
    /// Rows of proved ranges.
    pub(super) rows: RowCounts,
    pub(super) unproved: Option<Unproved>,
    /// The calls to Qualys that reading took.
    pub(super) calls: u32,
}

impl Contents {
    /// The different rows that were read, of every tenant.
    pub(super) fn read(&self) -> u64 {
        self.ranges.iter().map(|range| range.unique).sum()
    }

    pub(super) fn add(&mut self, reading: RangeReading) {
        let RangeReading { entry, file, rows, unproved, rest: _ } = reading;
        self.ranges.push(entry);
        self.files.extend(file);
        match unproved {
            None => self.rows.add_all(rows),
            // Its part was thrown away, so its rows do not count.
            Some(unproved) => self.unproved = Some(unproved),
        }
    }
}
