//! One slice: a window of the id cursor, read page by page into a part, and counted right beside it.

use super::part::Part;
use super::{Camera, SnapshotError};
use crate::manifest::{Manifest, SliceEntry, VIRTUAL_MACHINE};
use crate::model::SubscriptionId;
use crate::qualys::Window;
use crate::store::BlobKey;
use std::collections::BTreeMap;
use tokio::time::Instant;
use tracing::warn;

/// Pages in a slice: up to 32,000 rows are read again when the proof fails, and one call in 33 is a count.
const PAGES: u32 = 32;
/// Readings of a slice. A host that appears between reading and counting fails the proof once; three failures in a row
/// are no coincidence.
const ATTEMPTS: u32 = 3;

/// Reads the slice that begins behind `after` until it is proved, and adds its file and its rows to the manifest.
pub(super) async fn read(
    camera: &Camera<'_>,
    number: u32,
    after: i64,
    manifest: &mut Manifest,
) -> Result<SliceEntry, SnapshotError> {
    for attempt in 1.. {
        let key = BlobKey::Raw {
            tenant: camera.tenant,
            snapshot: camera.id.clone(),
            resource_type: VIRTUAL_MACHINE.to_owned(),
            part: number,
        };
        let mut reading =
            Reading { part: Part::begin(camera.store, key).await?, kept: BTreeMap::new(), unattributed: 0 };
        let mut slice = pages(camera, after, &mut reading).await?;
        slice.attempts = attempt;
        slice.declared = camera.qualys.count_hosts(Window { after, before: slice.before }).await?;
        slice.proved = slice.declared == slice.read && slice.read == slice.unique;
        if slice.proved {
            if slice.kept > 0 {
                manifest.files.push(reading.part.publish().await?);
            }
            for (subscription, rows) in reading.kept {
                *manifest.rows_by_subscription.entry(subscription).or_default() += rows;
            }
            manifest.unattributed += reading.unattributed;
            return Ok(slice);
        }
        warn!(
            after,
            declared = slice.declared,
            read = slice.read,
            unique = slice.unique,
            attempt,
            "Hosts with ids over {after} do not agree with Qualys's count: {} read, {} counted",
            slice.read,
            slice.declared
        );
        if attempt == ATTEMPTS {
            return Ok(slice);
        }
    }
    unreachable!("the loop has no end but its returns")
}

struct Reading {
    part: Part,
    kept: BTreeMap<SubscriptionId, u64>,
    unattributed: u64,
}

async fn pages(camera: &Camera<'_>, after: i64, reading: &mut Reading) -> Result<SliceEntry, SnapshotError> {
    let mut slice = SliceEntry {
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
    while slice.pages < PAGES {
        if Instant::now() >= camera.deadline {
            return Err(SnapshotError::Time { pages: slice.pages });
        }
        let page = camera.qualys.hosts(Window { after: cursor, before: None }).await?;
        slice.pages += 1;
        for row in &page.rows {
            slice.read += 1;
            // Rows come in the order of their ids, within a page and from page to page.
            if slice.last == Some(row.id) {
                continue;
            }
            slice.unique += 1;
            slice.first.get_or_insert(row.id);
            slice.last = Some(row.id);
            match row.subscription.filter(|id| camera.subscriptions.contains(id)) {
                Some(subscription) => *reading.kept.entry(subscription).or_default() += 1,
                None if camera.sole_tenant => reading.unattributed += 1,
                None => {
                    slice.dropped += 1;
                    continue;
                }
            }
            slice.kept += 1;
            reading.part.line(&row.json).await?;
        }
        match page.next_after {
            None => {
                slice.before = None;
                return Ok(slice);
            }
            Some(next) => {
                cursor = next;
                slice.before = Some(next + 1);
            }
        }
    }
    Ok(slice)
}
