//! One range: read page by page into a part, and counted by Qualys right after.

use super::attribution::RowCounts;
use super::part::Part;
use super::source::Source;
use super::{SnapshotError, SnapshotJob};
use crate::manifest::{FileEntry, Range, RangeEntry, Tally, Unproved};
use crate::store::BlobKey;
use tokio::time::Instant;
use tracing::warn;

/// Pages in a range: up to 32,000 rows are read again when the proof fails, and one call in 33 is a count.
const PAGES: u32 = 32;
/// How often a range is read. A host that goes between reading and counting fails the proof once; three failures in a row
/// are no coincidence.
const ATTEMPTS: u32 = 3;

/// The last reading of a range.
#[derive(Debug)]
pub(super) struct RangeReading {
    pub(super) entry: RangeEntry,
    /// None when it is not proved, or holds no row of this tenant.
    pub(super) file: Option<FileEntry>,
    pub(super) rows: RowCounts,
    /// None when it is proved.
    pub(super) unproved: Option<Unproved>,
    /// What was not read because the range was full.
    pub(super) rest: Option<Range>,
}

/// Reads the first pages from `start` on until they are proved, [`ATTEMPTS`] times at most.
pub(super) async fn read(
    job: &SnapshotJob<'_>,
    source: Source,
    start: Range,
    part: u32,
) -> Result<RangeReading, SnapshotError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let pages = Pages::read(job, source, start, part).await?;
        let range = start.without(pages.rest).closed_at(pages.tally.last);
        let declared = source.count(job.qualys, range).await?;
        let verdict = pages.tally.verdict(declared);
        let entry = entry(source, range, declared, attempts, &pages);
        let Pages { part, rows, rest, .. } = pages;
        if verdict.is_proved() {
            let file = if rows.kept() > 0 { Some(part.publish().await?) } else { None };
            return Ok(RangeReading { entry, file, rows, unproved: None, rest });
        }
        let unproved = Unproved { rows: source.rows(), range, attempts, verdict };
        warn!(
            %range, declared, read = entry.read, unique = entry.unique, attempt = attempts,
            "A reading of {} with {range} could not be proved: {verdict}", source.rows()
        );
        if attempts == ATTEMPTS {
            return Ok(RangeReading { entry, file: None, rows, unproved: Some(unproved), rest });
        }
    }
}

/// The pages of one reading.
struct Pages {
    tally: Tally,
    rows: RowCounts,
    part: Part,
    rest: Option<Range>,
}

impl Pages {
    async fn read(
        job: &SnapshotJob<'_>,
        source: Source,
        start: Range,
        part: u32,
    ) -> Result<Self, SnapshotError> {
        let key = BlobKey::Raw {
            tenant: job.tenant,
            snapshot: job.id.clone(),
            resource_type: source.resource_type().to_owned(),
            part,
        };
        let mut part = Part::begin(job.store, key).await?;
        let (mut tally, mut rows) = (Tally::default(), RowCounts::default());
        let mut rest = Some(start);
        while let Some(range) = rest
            && tally.pages < PAGES
        {
            if Instant::now() >= job.deadline {
                return Err(SnapshotError::Time { pages: tally.pages });
            }
            let page = source.first_page(job.qualys, range).await?;
            tally.page();
            for row in page.rows {
                if !tally.row(row.id) {
                    continue;
                }
                let owner = job.owner(row.subscription);
                rows.add(owner);
                if owner.is_ours() {
                    part.line(&row.json).await?;
                }
            }
            rest = page.rest;
        }
        Ok(Self { tally, rows, part, rest })
    }
}

fn entry(source: Source, range: Range, declared: u64, attempts: u32, pages: &Pages) -> RangeEntry {
    let Pages { tally, rows, .. } = pages;
    RangeEntry {
        source: source.api().to_owned(),
        resource_type: source.resource_type().to_owned(),
        range,
        declared,
        read: tally.read,
        unique: tally.distinct,
        first: tally.first,
        last: tally.last,
        pages: tally.pages,
        attempts,
        kept: rows.kept(),
        dropped: rows.dropped,
        proved: tally.verdict(declared).is_proved(),
    }
}
