//! How much a cycle may do, and how often.

use super::{Bounded, Computed, Group, Read, Setting};
use crate::config::{HOUR, MINUTE};
use std::time::Duration;

pub(super) static GROUP: Group = Group {
    title: "Limits and times",
    intro: "",
    read: Read::EnvironmentOrFile,
    settings: &[
        &MAX_CREATES,
        &MAX_REMOVALS,
        &ABSENCE_PROOFS,
        &ABSENCE_AGE,
        &SYNC_MAX_AGE,
        &SNAPSHOT_EVERY,
        &SNAPSHOT_GAP,
        &CYCLE_BUDGET,
        &CYCLE_GAP,
        &FOLLOW_UP,
        &LEASE,
    ],
};

pub(in crate::config) static MAX_CREATES: Setting<Bounded<usize>> = Setting {
    name: "MAX_CREATES",
    meaning: "How many connectors one cycle may create. The rest follow after `FOLLOW_UP`.",
    details: "",
    values: Bounded { default: 100, range: 0..=10_000, unit: "connectors" },
};

pub(in crate::config) static MAX_REMOVALS: Setting<Bounded<usize, Computed>> = Setting {
    name: "MAX_REMOVALS",
    meaning: "How many connectors may be disabled in 24 hours.",
    details: "If a plan would exceed it, all of its removals are withheld. The default is the greater of 5 and 1 % of \
              our enabled connectors.",
    values: Bounded { default: Computed("the greater of 5 and 1 %"), range: 0..=10_000, unit: "connectors" },
};

pub(in crate::config) static ABSENCE_PROOFS: Setting<Bounded<u32>> = Setting {
    name: "ABSENCE_PROOFS",
    meaning: "How many complete lists must lack a connector before it counts as gone.",
    details: "The same number of lists must agree before the first connector is created. With `1` and an `ABSENCE_AGE` of \
              `0s`, a single short answer of Qualys counts, and only the reads by id and by subscription guard against a \
              second connector: that is for tests. More than 100 would take days.",
    values: Bounded { default: 3, range: 1..=100, unit: "lists" },
};

pub(in crate::config) static ABSENCE_AGE: Setting<Bounded<Duration>> = Setting {
    name: "ABSENCE_AGE",
    meaning: "The time over which these lists must lack it.",
    details: "A new subscription does not wait for it, except in the first hour of a deployment.",
    // A day covers any failure that ends by itself. A longer one is a doubtful list, or a person's matter.
    values: Bounded { default: HOUR, range: Duration::ZERO..=Duration::from_hours(24), unit: "" },
};

pub(in crate::config) static SYNC_MAX_AGE: Setting<Bounded<Duration, Computed>> = Setting {
    name: "SYNC_MAX_AGE",
    meaning: "A connector whose last sync is older than this is due for one.",
    details: "If it is shorter than `RUN_FREQUENCY`, the program starts syncs in between, at most four in 24 hours for \
              each connector. Qualys's own schedule does the rest.",
    values: Bounded {
        default: Computed("`RUN_FREQUENCY` + 1 h"),
        range: Duration::from_mins(15)..=Duration::from_hours(31 * 24),
        unit: "",
    },
};

pub(in crate::config) static SNAPSHOT_EVERY: Setting<Bounded<Duration>> = Setting {
    name: "SNAPSHOT_EVERY",
    meaning: "A new snapshot is due when the newest is older than this.",
    details: "",
    values: Bounded {
        default: Duration::from_hours(24),
        range: MINUTE..=Duration::from_hours(31 * 24),
        unit: "",
    },
};

pub(in crate::config) static SNAPSHOT_GAP: Setting<Bounded<Duration>> = Setting {
    name: "SNAPSHOT_GAP",
    meaning: "The shortest time between two snapshots that are taken because syncs have ended.",
    details: "It is also how long a snapshot that failed waits for the next try. One that a person asks for does not wait for it.",
    values: Bounded { default: HOUR, range: Duration::ZERO..=Duration::from_hours(24), unit: "" },
};

pub(in crate::config) static CYCLE_BUDGET: Setting<Bounded<Duration>> = Setting {
    name: "CYCLE_BUDGET",
    meaning: "How long a cycle may take.",
    details: "It stays below `functionTimeout` in `host.json` (10 minutes).",
    values: Bounded {
        default: Duration::from_mins(8),
        range: Duration::from_secs(10)..=Duration::from_mins(9),
        unit: "",
    },
};

pub(in crate::config) static CYCLE_GAP: Setting<Bounded<Duration>> = Setting {
    name: "CYCLE_GAP",
    meaning: "The shortest time between two cycles that are started by wake-ups.",
    details: "",
    values: Bounded { default: MINUTE, range: Duration::ZERO..=HOUR, unit: "" },
};

pub(in crate::config) static FOLLOW_UP: Setting<Bounded<Duration>> = Setting {
    name: "FOLLOW_UP",
    meaning: "How soon the next cycle checks on work that has not ended.",
    details: "It is also how long Qualys has to start the first sync of a new connector itself.",
    values: Bounded { default: Duration::from_mins(2), range: Duration::from_millis(50)..=HOUR, unit: "" },
};

pub(in crate::config) static LEASE: Setting<Bounded<Duration>> = Setting {
    name: "LEASE",
    meaning: "How long the lease on the Qualys account lasts.",
    details: "A write to Qualys may take at most half of it. A tenant that waits for the account tries again after \
              this time.",
    values: Bounded { default: MINUTE, range: Duration::from_secs(15)..=MINUTE, unit: "" },
};
