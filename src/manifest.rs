//! A snapshot's table of contents with its proof, `latest.json`, and what a cycle reports of its snapshot. Plain data.

mod proof;
mod range;

pub use proof::{Tally, Unproved, Verdict};
pub use range::{IdRange, Range};

use crate::model::{
    Collapse, ConnectorId, Correction, CycleId, Dated, KnownConnector, SnapshotId, SubscriptionId, TenantId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `manifest.json`: written once, after every part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Manifest {
    pub schema_version: u32,
    pub snapshot: SnapshotId,
    pub tenant: TenantId,
    /// The version of the program that wrote it.
    pub tool_version: String,
    /// Every range is proved, no row of this tenant can have been dropped, and no collapse is doubted.
    pub complete: bool,
    /// Why the snapshot is not complete; none if it is.
    pub reason: Option<String>,
    /// It has so few rows that it is not complete before a second reading agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted: Option<Collapse>,
    /// It has so few rows that it was doubted, and this second reading agrees with the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shrunk: Option<Shrunk>,
    /// When reading began.
    #[cfg_attr(test, schemars(with = "String"))]
    pub began: Timestamp,
    /// When reading ended.
    #[cfg_attr(test, schemars(with = "String"))]
    pub ended: Timestamp,
    /// The cycles that read it.
    pub cycles: Vec<CycleId>,
    /// How many calls to Qualys it took.
    pub calls: u32,
    pub files: Vec<FileEntry>,
    /// Every range with its proof.
    pub ranges: Vec<RangeEntry>,
    /// Rows kept, by subscription.
    pub rows_by_subscription: BTreeMap<SubscriptionId, u64>,
    /// Rows kept that have no subscription, or one that no tenant is known to own. Zero when the account has several
    /// tenants: then such rows are dropped.
    pub unattributed: u64,
    /// The connectors of the account that were known then, ours or not. A tenant whose state is lost knows from them what was
    /// covered, with machines or without. Older manifests have none.
    #[serde(default)]
    pub connectors: BTreeMap<ConnectorId, KnownConnector>,
}

impl Manifest {
    /// The rows of all files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The size of all files in bytes, compressed.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A snapshot that has much fewer rows than the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shrunk {
    /// The rows of the newest complete snapshot at that time.
    pub before: u64,
    /// The rows of the reading that this one confirms.
    pub first_reading: u64,
}

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileEntry {
    /// Its path in the container `inventory`.
    pub path: String,
    pub rows: u64,
    /// Its size in bytes, compressed.
    pub bytes: u64,
    /// The SHA-256 of those bytes, in hexadecimal.
    pub sha256: String,
}

/// One range and its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RangeEntry {
    /// The Qualys API that was read: `hostasset`.
    pub source: String,
    /// The type of its rows: `VIRTUAL_MACHINE`.
    pub resource_type: String,
    /// Which rows it holds.
    #[serde(flatten)]
    pub range: Range,
    /// Rows that Qualys counts in it.
    pub declared: u64,
    /// Rows that Qualys returned.
    pub read: u64,
    /// Different ids among those that came in order.
    pub unique: u64,
    /// The id of the first row.
    pub first: Option<i64>,
    /// The id of the last row.
    pub last: Option<i64>,
    /// Pages read for it.
    pub pages: u32,
    /// How often it was read, the last time included.
    pub attempts: u32,
    /// Rows of this tenant.
    pub kept: u64,
    /// Rows of other tenants.
    pub dropped: u64,
    /// Declared, read and unique agree.
    pub proved: bool,
}

/// `latest.json`: the newest complete snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Latest {
    pub schema_version: u32,
    pub snapshot: SnapshotId,
    /// The path of its manifest in the container `inventory`.
    pub manifest: String,
    /// When its reading ended.
    #[cfg_attr(test, schemars(with = "String"))]
    pub ended: Timestamp,
    pub rows: u64,
}

impl Dated for Latest {
    fn correct(&mut self, correction: &mut Correction) {
        let Self { schema_version: _, snapshot: _, manifest: _, ended, rows: _ } = self;
        correction.past([ended]);
    }
}

/// What a cycle reports of the snapshot that it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SnapshotResult {
    pub id: SnapshotId,
    /// Whether every range is proved, no row can have been dropped and no collapse is doubted, so that it may become the newest.
    pub complete: bool,
    /// Whether its manifest was written, so that nothing more is added to it.
    pub ended: bool,
    /// Why it is not complete; none if it is.
    pub reason: Option<String>,
    /// It has so few rows that it is not complete before a second reading agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted: Option<Collapse>,
    /// Rows kept.
    pub rows: u64,
    /// Bytes written, compressed.
    pub bytes: u64,
}

impl From<Manifest> for SnapshotResult {
    fn from(manifest: Manifest) -> Self {
        let (rows, bytes) = (manifest.rows(), manifest.bytes());
        let Manifest { snapshot: id, complete, reason, doubted, .. } = manifest;
        Self { id, complete, ended: true, reason, doubted, rows, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_stands_in_the_manifest_with_its_bounds_beside_its_proof() {
        let stored = r#"{"source":"hostasset","resource_type":"VIRTUAL_MACHINE","after":0,"before":null,"declared":2,"read":3,"unique":2,"first":4,"last":9,"pages":1,"attempts":3,"kept":1,"dropped":1,"proved":false}"#;
        let entry: RangeEntry = serde_json::from_str(stored).unwrap();
        assert_eq!(entry.range, Range::Ids(IdRange { after: 0, before: None }));
        assert_eq!(serde_json::to_string(&entry).unwrap(), stored);
    }
}
