//! Ids from counters, in GUID shape.
//!
//! Guarantees: the first hex digits show the kind of id, the last ones count from 1. So two runs of a test print the same
//! ids, and a reader sees what an id belongs to.

/// What a GUID identifies; its first group on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GuidKind {
    Subscription,
    Tenant,
    App,
    Machine,
    CloudView,
}

#[derive(Debug, Default)]
pub(crate) struct Ids {
    guids: u64,
    connectors: i64,
    hosts: i64,
    tags: i64,
}

impl Ids {
    pub(crate) fn guid(&mut self, kind: GuidKind) -> String {
        self.guids += 1;
        let first = match kind {
            GuidKind::Subscription => "5b000000",
            GuidKind::Tenant => "7e000000",
            GuidKind::App => "a9000000",
            GuidKind::Machine => "3a000000",
            GuidKind::CloudView => "c1000000",
        };
        format!("{first}-0000-4000-8000-{:012x}", self.guids)
    }

    pub(crate) fn connector(&mut self) -> i64 {
        self.connectors += 1;
        1_000 + self.connectors
    }

    pub(crate) fn host(&mut self) -> i64 {
        self.hosts += 1;
        2_000_000 + self.hosts
    }

    pub(crate) fn tag(&mut self) -> i64 {
        self.tags += 1;
        7_517_000 + self.tags
    }
}
