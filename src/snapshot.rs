//! Snapshot: an immutable, complete, proven copy of a tenant's machines as Qualys knows them.
//!
//! Guarantees: Qualys counts every range right after its reading, and a range that does not agree is read again; a collapse
//! is published only after a second reading; parts are written first, then the manifest, then `latest.json`, so a reader
//! who starts from `latest.json` never sees half of a snapshot; memory holds one page. Later, Parquet under `data/` goes
//! into `part`, other resource types into `source`, and resuming into `contents`; changes and blind spots are written
//! after the parts.

mod attribution;
mod contents;
mod part;
mod range;
mod source;

use crate::manifest::{Latest, Manifest, Range, Shrunk, SnapshotResult};
use crate::model::{Collapse, ConnectorId, CycleId, KnownConnector, SnapshotId, SubscriptionId, TenantId};
use crate::qualys::{Qualys, QualysError};
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, Replaceable, Store, StoreError, correct};
use attribution::Owner;
use contents::Contents;
use jiff::Timestamp;
use source::Source;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// What a snapshot is taken of, and with.
#[derive(Debug)]
pub struct SnapshotJob<'a> {
    pub qualys: &'a Qualys,
    pub store: &'a Store,
    pub tenant: TenantId,
    pub id: SnapshotId,
    /// The cycle that takes it.
    pub cycle: CycleId,
    /// The subscriptions of this tenant: their rows are kept.
    pub subscriptions: &'a BTreeSet<SubscriptionId>,
    /// The subscriptions that another directory has now: their rows are dropped.
    pub moved_away: &'a BTreeSet<SubscriptionId>,
    /// The account has no other tenant, so rows of unknown subscriptions are kept too.
    pub sole_tenant: bool,
    /// The connectors of the account that are known.
    pub connectors: &'a BTreeMap<ConnectorId, KnownConnector>,
    /// Why `subscriptions` may lack some of this tenant's. If rows are dropped, they may be theirs, so the snapshot is not
    /// complete.
    pub doubt: Option<String>,
    /// The rows of the reading before this one, if they collapsed: this reading may confirm them.
    pub first_reading: Option<u64>,
    /// When reading began.
    pub began: Timestamp,
    /// When reading must have ended.
    pub deadline: Instant,
}

impl SnapshotJob<'_> {
    fn owner(&self, subscription: Option<SubscriptionId>) -> Owner {
        Owner::of(subscription, self.subscriptions, self.moved_away, self.sole_tenant)
    }
}

/// Why a snapshot could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the machines could not be read from Qualys")]
    Qualys(#[from] QualysError),
    #[error("the snapshot could not be written")]
    Store(#[from] StoreError),
    #[error("the cycle ran out of time after {pages} pages of a range")]
    Time {
        /// Pages read of the range that was not finished.
        pages: u32,
    },
}

/// Takes a snapshot: ranges, their parts, the manifest, `latest.json`.
///
/// # Errors
/// When it could not be finished. A reader who starts from `latest.json` sees nothing of it.
pub async fn take(job: &SnapshotJob<'_>) -> Result<SnapshotResult, SnapshotError> {
    // If a newer program wrote `latest.json`, this one must not replace it, so it does not read at all.
    let newest = job.store.read_replaceable::<Latest>(&BlobKey::Latest(job.tenant)).await?.value;
    let contents = read(job, Source::Hosts).await?;
    let manifest = manifest(job, contents, newest.map(|newest| newest.rows));
    publish(job, &manifest).await?;
    Ok(manifest.into())
}

/// Reads a source, range by range, each into a part of its own.
///
/// Each range is proved up to its last row, so that hosts which arrive meanwhile do not fail the proof. The count at the
/// beginning shows whether the list ended early: then it is read on.
async fn read(job: &SnapshotJob<'_>, source: Source) -> Result<Contents, SnapshotError> {
    let calls_before = job.qualys.calls().used().total;
    let mut contents = Contents::default();
    let declared = source.count(job.qualys, source.everything()).await?;
    let mut next = Some(source.everything());
    let mut part = 0;
    while let Some(start) = next {
        let reading = range::read(job, source, start, part).await?;
        // A range without proof makes the snapshot incomplete, so calls for the rest would be wasted.
        let (proved, range) = (reading.entry.proved, reading.entry.range);
        next = reading.rest.filter(|_| proved);
        contents.add(reading);
        if proved && next.is_none() && contents.read() < declared {
            next = left_over(job, source, range).await?;
        }
        part += 1;
    }
    contents.calls = job.qualys.calls().used().total - calls_before;
    Ok(contents)
}

/// What Qualys counts behind the last range. There is nothing if rows that it counted at the beginning are gone.
async fn left_over(
    job: &SnapshotJob<'_>,
    source: Source,
    last: Range,
) -> Result<Option<Range>, SnapshotError> {
    let Some(beyond) = last.beyond() else { return Ok(None) };
    Ok((source.count(job.qualys, beyond).await? > 0).then_some(beyond))
}

/// `before`: the rows of the newest complete snapshot.
fn manifest(job: &SnapshotJob<'_>, contents: Contents, before: Option<u64>) -> Manifest {
    let Contents { ranges, files, rows, unproved, calls } = contents;
    let doubt = job.doubt.clone().filter(|_| rows.dropped > 0);
    let incomplete = unproved.map(|unproved| unproved.to_string()).or(doubt);
    let collapse = before.and_then(|before| Collapse::of(rows.kept(), before));
    let (doubted, shrunk) = match (collapse.filter(|_| incomplete.is_none()), job.first_reading) {
        (Some(collapse), Some(first_reading)) if collapse.agrees_with(first_reading) => {
            (None, Some(Shrunk { before: collapse.before, first_reading }))
        }
        (collapse, _) => (collapse, None),
    };
    let reason = incomplete.or_else(|| doubted.map(|collapse| collapse.to_string()));
    Manifest {
        schema_version: SCHEMA_VERSION,
        snapshot: job.id.clone(),
        tenant: job.tenant,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        complete: reason.is_none(),
        reason,
        doubted,
        shrunk,
        began: job.began,
        ended: job.qualys.calls().now(),
        cycles: vec![job.cycle.clone()],
        calls,
        files,
        ranges,
        rows_by_subscription: rows.by_subscription,
        unattributed: rows.unattributed,
        connectors: job.connectors.clone(),
    }
}

/// Writes the manifest, and `latest.json` if the snapshot is complete and the newest.
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
        rows: manifest.rows(),
    };
    let key = BlobKey::Latest(job.tenant);
    let Replaceable { value: newest, unchanged } = job.store.read_replaceable::<Latest>(&key).await?;
    // A snapshot whose reading ended later stays the newest, unless its end is in the future: then its clock was wrong.
    let now = job.qualys.calls().now();
    if newest.is_some_and(|mut newest| !correct(&mut newest, &key, now) && newest.ended > latest.ended) {
        return Ok(());
    }
    job.store.write(&key, &latest, unchanged).await?;
    Ok(())
}
