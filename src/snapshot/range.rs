//! One range: a window of the id cursor, read page by page into a part, and counted right beside it.

use super::part::Part;
use super::{SnapshotError, SnapshotJob};
use crate::manifest::{Manifest, RangeEntry, VIRTUAL_MACHINE};
use crate::model::SubscriptionId;
use crate::qualys::IdRange;
use crate::store::BlobKey;
use std::collections::BTreeMap;
use tokio::time::Instant;
use tracing::warn;

/// Pages in a range: up to 32,000 rows are read again when the proof fails, and one call in 33 is a count.
const PAGES: u32 = 32;
/// Readings of a range. A host that appears between reading and counting fails the proof once; three failures in a row
/// are no coincidence.
const ATTEMPTS: u32 = 3;

/// Reads the range that begins behind `after` until it is proved, and adds its file and its rows to the manifest.
pub(super) async fn read(
    job: &SnapshotJob<'_>,
    number: u32,
    after: i64,
    manifest: &mut Manifest,
) -> Result<RangeEntry, SnapshotError> {
    for attempt in 1.. {
        let key = BlobKey::Raw {
            tenant: job.tenant,
            snapshot: job.id.clone(),
            resource_type: VIRTUAL_MACHINE.to_owned(),
            part: number,
        };
        let mut reading =
            Reading { part: Part::begin(job.store, key).await?, kept: BTreeMap::new(), unattributed: 0 };
        let mut range = pages(job, after, &mut reading).await?;
        range.attempts = attempt;
        range.declared = job.qualys.count_hosts(IdRange { after, before: range.before }).await?;
        range.proved = range.declared == range.read && range.read == range.unique;
        if range.proved {
            if range.kept > 0 {
                manifest.files.push(reading.part.publish().await?);
            }
            for (subscription, rows) in reading.kept {
                *manifest.rows_by_subscription.entry(subscription).or_default() += rows;
            }
            manifest.unattributed += reading.unattributed;
            return Ok(range);
        }
        warn!(
            after,
            declared = range.declared,
            read = range.read,
            unique = range.unique,
            attempt,
            "Hosts with ids over {after} do not agree with Qualys's count: {} read, {} counted",
            range.read,
            range.declared
        );
        if attempt == ATTEMPTS {
            return Ok(range);
        }
    }
    unreachable!("the loop has no end but its returns")
}

struct Reading {
    part: Part,
    kept: BTreeMap<SubscriptionId, u64>,
    unattributed: u64,
}

async fn pages(
    job: &SnapshotJob<'_>,
    after: i64,
    reading: &mut Reading,
) -> Result<RangeEntry, SnapshotError> {
    let mut range = RangeEntry {
        source: "hostasset".to_owned(),
        resource_type: VIRTUAL_MACHINE.to_owned(),
        after,
        before: None,
        declared: 0,
        read: 0,
        unique: 0,
        first: None,
        last: None,
        pages: 0,
        attempts: 0,
        kept: 0,
        dropped: 0,
        proved: false,
    };
    let mut cursor = after;
    while range.pages < PAGES {
        if Instant::now() >= job.deadline {
            return Err(SnapshotError::Time { pages: range.pages });
        }
        let page = job.qualys.hosts(IdRange { after: cursor, before: None }).await?;
        range.pages += 1;
        for row in &page.rows {
            range.read += 1;
            // Rows come in the order of their ids, within a page and from page to page.
            if range.last == Some(row.id) {
                continue;
            }
            range.unique += 1;
            range.first.get_or_insert(row.id);
            range.last = Some(row.id);
            match row.subscription.filter(|id| job.subscriptions.contains(id)) {
                Some(subscription) => *reading.kept.entry(subscription).or_default() += 1,
                None if job.sole_tenant => reading.unattributed += 1,
                None => {
                    range.dropped += 1;
                    continue;
                }
            }
            range.kept += 1;
            reading.part.line(&row.json).await?;
        }
        match page.next_after {
            None => {
                range.before = None;
                return Ok(range);
            }
            Some(next) => {
                cursor = next;
                range.before = Some(next + 1);
            }
        }
    }
    Ok(range)
}
