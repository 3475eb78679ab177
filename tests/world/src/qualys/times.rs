//! Qualys's own clock, and how it states times: the `Date` header, and the time of the last sync.
//!
//! Guarantees: Qualys's schedule and the times that it stamps on syncs, errors and hosts go by its own clock, and a time that
//! was stamped stays as it is when that clock is set. Everything else in the world keeps the world's time.

use jiff::{SignedDuration, Timestamp};

use crate::clock::{later, seconds};
use crate::net::reply::Reply;
use crate::state::State;
use crate::world::World;

/// How answers state the time of a connector's last sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastSyncForm {
    /// With its zone, `Z` (documented, and in every recording).
    #[default]
    Zoned,
    /// Not at all. The schema allows it.
    Missing,
    /// The same digits without a zone.
    WithoutZone,
    /// With its zone, and wrong by this much: `lastSync` alone goes by another clock than the answers' `Date`.
    OffBy(SignedDuration),
    /// As a text that is no time.
    NoTime,
}

impl LastSyncForm {
    pub(super) fn state(self, at: Timestamp) -> Option<String> {
        match self {
            Self::Zoned => Some(seconds(at)),
            Self::OffBy(by) => Some(seconds(later(at, by))),
            Self::Missing => None,
            Self::WithoutZone => Some(seconds(at).trim_end_matches('Z').to_owned()),
            Self::NoTime => Some("a while ago".to_owned()),
        }
    }
}

/// The `Date` header of Qualys's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateHeader {
    /// The time of Qualys's clock.
    #[default]
    Own,
    Missing,
    /// A text that is no date.
    NoDate,
    /// Always this moment.
    Stuck(Timestamp),
}

impl State {
    /// The time by Qualys's own clock.
    pub(crate) fn qualys_now(&self) -> Timestamp {
        later(self.now(), self.qualys.manners.clock_off_by)
    }

    /// An answer with its `Date` header.
    pub(crate) fn dated(&self, reply: Reply) -> Reply {
        let date = |at: Timestamp| reply.clone().header("date", at.strftime("%a, %d %b %Y %H:%M:%S GMT"));
        match self.qualys.manners.date_header {
            DateHeader::Own => date(self.qualys_now()),
            DateHeader::Stuck(at) => date(at),
            DateHeader::NoDate => reply.header("date", "just now"),
            DateHeader::Missing => reply,
        }
    }
}

impl World {
    /// Sets Qualys's clock: ahead of the world's by `by`, or behind if that is negative. Its answers' `Date` says so too.
    pub fn qualys_clock_off_by(&self, by: SignedDuration) {
        self.manners(|manners| manners.clock_off_by = by);
    }

    /// How Qualys states `lastSync` from now on, for every connector.
    pub fn last_sync_form(&self, form: LastSyncForm) {
        self.manners(|manners| manners.last_sync_form = form);
    }

    /// The `Date` header of Qualys's answers from now on.
    pub fn date_header(&self, header: DateHeader) {
        self.manners(|manners| manners.date_header = header);
    }
}
