//! A snapshot's table of contents and proof, and what became of one. Plain data.

use crate::model::{CycleId, SnapshotId, SubscriptionId, TenantId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The resource type of the machines that `hostasset` gives.
pub const VIRTUAL_MACHINE: &str = "VIRTUAL_MACHINE";

/// `manifest.json`: written once, after every part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Manifest {
    /// The version of this shape.
    pub schema_version: u32,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The tenant.
    pub tenant: TenantId,
    /// The version of the program.
    pub tool_version: String,
    /// Every range is proved.
    pub complete: bool,
    /// Why it is not complete.
    pub reason: Option<String>,
    /// When reading began.
    #[cfg_attr(test, schemars(with = "String"))]
    pub began: Timestamp,
    /// When reading ended.
    #[cfg_attr(test, schemars(with = "String"))]
    pub ended: Timestamp,
    /// The cycles that read it.
    pub cycles: Vec<CycleId>,
    /// The calls to Qualys that it took.
    pub calls: u32,
    /// Every file.
    pub files: Vec<FileEntry>,
    /// Every range with its proof.
    pub ranges: Vec<RangeEntry>,
    /// Rows kept, by subscription.
    pub rows_by_subscription: BTreeMap<SubscriptionId, u64>,
    /// Rows kept whose subscription is unknown or nobody's; only where the account has one tenant.
    pub unattributed: u64,
}

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileEntry {
    /// Its path in the container `inventory`.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its size in bytes, compressed.
    pub bytes: u64,
    /// The SHA-256 of those bytes, in hexadecimal.
    pub sha256: String,
}

/// A range: the unit of reading and of proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RangeEntry {
    /// The Qualys API: `hostasset`.
    pub source: String,
    /// The resource type.
    pub resource_type: String,
    /// Ids greater than this,
    pub after: i64,
    /// and, unless it is the last range, less than this.
    pub before: Option<i64>,
    /// Rows that Qualys counts in it.
    pub declared: u64,
    /// Rows that were read.
    pub read: u64,
    /// Different ids among them.
    pub unique: u64,
    /// The first id.
    pub first: Option<i64>,
    /// The last id.
    pub last: Option<i64>,
    /// Pages read for it.
    pub pages: u32,
    /// How often it was read until it agreed.
    pub attempts: u32,
    /// Rows that are this tenant's.
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
    /// The version of this shape.
    pub schema_version: u32,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Its manifest's path in the container `inventory`.
    pub manifest: String,
    /// When its reading ended.
    #[cfg_attr(test, schemars(with = "String"))]
    pub ended: Timestamp,
    /// Its rows.
    pub rows: u64,
}

/// What became of a snapshot in a cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SnapshotResult {
    /// Its id.
    pub id: SnapshotId,
    /// Whether it is published as the newest.
    pub complete: bool,
    /// Its manifest was written, so nothing more is added to it.
    pub ended: bool,
    /// Why it is not complete.
    pub reason: Option<String>,
    /// Rows kept.
    pub rows: u64,
    /// Bytes written, compressed.
    pub bytes: u64,
}
