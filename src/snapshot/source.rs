//! What a snapshot reads: an API of Qualys, the resource type of its rows, and how they fall into ranges.

use crate::manifest::{IdRange, Range};
use crate::qualys::{HostRow, Qualys, QualysError};

/// One API and resource type. Each type that `CloudView` lists will be a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Virtual machines by QPS `hostasset`, in ranges of the id cursor.
    Hosts,
}

/// One page of a range.
pub(super) struct Page {
    /// In the order of their ids.
    pub(super) rows: Vec<HostRow>,
    /// What is left of the range; none after its last page.
    pub(super) rest: Option<Range>,
}

impl Source {
    /// The name of the API in the manifest.
    pub(super) fn api(self) -> &'static str {
        match self {
            Self::Hosts => "hostasset",
        }
    }

    pub(super) fn resource_type(self) -> &'static str {
        match self {
            Self::Hosts => "VIRTUAL_MACHINE",
        }
    }

    /// What its rows are, in the plural.
    pub(super) fn rows(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
        }
    }

    /// The range that holds every row.
    pub(super) fn everything(self) -> Range {
        match self {
            Self::Hosts => Range::Ids(IdRange { after: 0, before: None }),
        }
    }

    pub(super) async fn first_page(self, qualys: &Qualys, range: Range) -> Result<Page, QualysError> {
        match (self, range) {
            (Self::Hosts, Range::Ids(ids)) => {
                let page = qualys.hosts(ids).await?;
                let rest = page.next_after.map(|after| Range::Ids(IdRange { after, ..ids }));
                Ok(Page { rows: page.rows, rest })
            }
        }
    }

    /// How many rows Qualys counts in a range.
    pub(super) async fn count(self, qualys: &Qualys, range: Range) -> Result<u64, QualysError> {
        match (self, range) {
            (Self::Hosts, Range::Ids(ids)) => qualys.count_hosts(ids).await,
        }
    }
}
