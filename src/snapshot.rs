//! Snapshot: an immutable, complete, proven copy of a tenant's machines as Qualys knows them.
//!
//! Guarantees: every range is counted by Qualys right beside its reading, and one that does not agree is read again;
//! parts, then the manifest, then `latest.json`, so nobody who starts from `latest.json` sees half of anything; memory
//! holds one page. Records in Parquet under `data/`, other resource types, resuming, changes and blind spots have their
//! place here.

mod part;
mod range;

use crate::manifest::{Latest, Manifest, SnapshotResult};
use crate::model::{CycleId, SnapshotId, SubscriptionId, TenantId};
use crate::qualys::{Qualys, QualysError};
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, Replaceable, Store, StoreError};
use jiff::Timestamp;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// What a snapshot is taken of, and with.
#[derive(Debug)]
pub struct SnapshotJob<'a> {
    /// Qualys.
    pub qualys: &'a Qualys,
    /// Where it goes.
    pub store: &'a Store,
    /// The tenant.
    pub tenant: TenantId,
    /// Its id.
    pub id: SnapshotId,
    /// The cycle that takes it.
    pub cycle: CycleId,
    /// The subscriptions whose rows are ours.
    pub subscriptions: &'a BTreeSet<SubscriptionId>,
    /// The account has no other tenant, so that rows of unknown subscriptions are ours too.
    pub sole_tenant: bool,
    /// Why rows of ours may be dropped, so that it cannot be complete.
    pub doubt: Option<String>,
    /// When reading began.
    pub began: Timestamp,
    /// When it must be over.
    pub deadline: Instant,
}

/// Why a snapshot could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Qualys could not be read.
    #[error("the machines could not be read from Qualys")]
    Qualys(#[from] QualysError),
    /// The snapshot could not be written.
    #[error("the snapshot could not be written")]
    Store(#[from] StoreError),
    /// The cycle's time was over.
    #[error("the cycle's time was over after {pages} pages")]
    Time {
        /// Pages read.
        pages: u32,
    },
}

/// Takes a snapshot.
///
/// # Errors
/// When it could not be ended: nothing of it is visible to a reader who starts from `latest.json`.
pub async fn take(job: &SnapshotJob<'_>) -> Result<SnapshotResult, SnapshotError> {
    let mut manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        snapshot: job.id.clone(),
        tenant: job.tenant,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        complete: job.doubt.is_none(),
        reason: job.doubt.clone(),
        began: job.began,
        ended: job.began,
        cycles: vec![job.cycle.clone()],
        calls: 0,
        files: Vec::new(),
        ranges: Vec::new(),
        rows_by_subscription: std::collections::BTreeMap::new(),
        unattributed: 0,
    };
    // A newer program wrote `latest.json`: this one must not replace it, so it does not read at all.
    job.store.read_replaceable::<Latest>(&BlobKey::Latest(job.tenant)).await?;
    let calls_before = job.qualys.calls().used().total;
    let mut after = 0;
    for number in 0.. {
        let range = range::read(job, number, after, &mut manifest).await?;
        let (proved, next) = (range.proved, range.before);
        if !proved {
            manifest.complete = false;
            manifest.reason = Some(format!(
                "hosts with ids over {after}: Qualys counts {} and gives {} ({} different), {} times over",
                range.declared, range.read, range.unique, range.attempts
            ));
        }
        manifest.ranges.push(range);
        match next {
            // The window ends before `next`, so the next one begins behind the row before it.
            Some(next) if proved => after = next - 1,
            _ => break,
        }
    }
    manifest.calls = job.qualys.calls().used().total - calls_before;
    manifest.ended = job.qualys.calls().now();
    publish(job, &manifest).await?;
    Ok(SnapshotResult {
        id: job.id.clone(),
        complete: manifest.complete,
        ended: true,
        reason: manifest.reason.clone(),
        rows: manifest.files.iter().map(|file| file.rows).sum(),
        bytes: manifest.files.iter().map(|file| file.bytes).sum(),
    })
}

/// The manifest, then `latest.json`.
async fn publish(job: &SnapshotJob<'_>, manifest: &Manifest) -> Result<(), StoreError> {
    let key = BlobKey::Manifest(job.tenant, job.id.clone());
    job.store.write(&key, manifest, Condition::New).await?;
    if !manifest.complete {
        return Ok(());
    }
    let latest = Latest {
        schema_version: SCHEMA_VERSION,
        snapshot: job.id.clone(),
        manifest: key.path(),
        ended: manifest.ended,
        rows: manifest.files.iter().map(|file| file.rows).sum(),
    };
    let key = BlobKey::Latest(job.tenant);
    let Replaceable { value: newest, unchanged } = job.store.read_replaceable::<Latest>(&key).await?;
    // A reading that ended earlier never takes the newest's place; one of a clock that was ahead does not keep it.
    let now = job.qualys.calls().now();
    if newest.is_some_and(|newest| newest.ended > latest.ended && newest.ended <= now) {
        return Ok(());
    }
    job.store.write(&key, &latest, unchanged).await?;
    Ok(())
}
