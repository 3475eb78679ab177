//! The Qualys account and its limits.

use super::{Bounded, Group, Read, Setting, Text, TextDefault};

pub(super) static GROUP: Group = Group {
    title: "Qualys",
    intro: "",
    read: Read::EnvironmentOrFile,
    settings: &[
        &QUALYS_PLATFORM,
        &QUALYS_API_URL,
        &QUALYS_CALLS_PER_HOUR,
        &QUALYS_RESERVE_PERCENT,
        &QUALYS_CONCURRENCY,
    ],
};

pub(in crate::config) static QUALYS_PLATFORM: Setting<Text> = Setting {
    name: "QUALYS_PLATFORM",
    meaning: "The Qualys platform of the account.",
    details: "`US1`, `US2`, `US3`, `US4`, `GOV1`, `EU1`, `EU2`, `EU3`, `IN1`, `CA1`, `AE1`, `UK1`, `AU1`, `KSA1` \
              ([platform identification](https://www.qualys.com/platform-identification/)).",
    values: Text {
        default: TextDefault::Words("required, or `QUALYS_API_URL`"), allowed: "`US1`, `EU2`, …"
    },
};

pub(in crate::config) static QUALYS_API_URL: Setting<Text> = Setting {
    name: "QUALYS_API_URL",
    meaning: "The address of the Qualys API server. It wins over `QUALYS_PLATFORM`.",
    details: "",
    values: Text { default: TextDefault::Words("from `QUALYS_PLATFORM`"), allowed: "an address" },
};

pub(in crate::config) static QUALYS_CALLS_PER_HOUR: Setting<Bounded<u32>> = Setting {
    name: "QUALYS_CALLS_PER_HOUR",
    meaning: "How many calls an hour the account may make to one endpoint.",
    details: "If Qualys sends limit headers, they win over this setting.",
    values: Bounded { default: 300, range: 1..=1_000_000, unit: "calls" },
};

pub(in crate::config) static QUALYS_RESERVE_PERCENT: Setting<Bounded<u32>> = Setting {
    name: "QUALYS_RESERVE_PERCENT",
    meaning: "The share of these calls that is left for your other tools.",
    details: "",
    values: Bounded { default: 30, range: 0..=90, unit: "percent" },
};

pub(in crate::config) static QUALYS_CONCURRENCY: Setting<Bounded<usize>> = Setting {
    name: "QUALYS_CONCURRENCY",
    meaning: "How many calls may run at the same time.",
    details: "",
    values: Bounded { default: 2, range: 1..=10, unit: "calls" },
};
