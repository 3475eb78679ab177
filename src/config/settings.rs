//! The one table of settings: what each is called, what it does, its default and the values that it takes.
//!
//! It is the only source of the defaults and ranges, of the keys that the file may hold, of the tables in
//! `docs/OPERATIONS.md` and `--help`, and of the name that is suggested for a misspelt one.

pub(super) mod azure;
pub(super) mod connectors;
mod help;
mod kinds;
pub(super) mod limits;
mod others;
pub(super) mod places;
pub(super) mod qualys;
pub(super) mod secrets;
pub(super) mod serving;
mod similar;
pub(super) mod watch;

pub(super) use kinds::{Bound, Bounded, Computed, Kind, List, Secret, Text, TextDefault, Values};
pub(super) use similar::{misspelt, similar};

pub use help::help;

/// A setting. `V` says which values it takes; a list of different settings leaves that open (`dyn Values`).
pub(super) struct Setting<V: Values + ?Sized + 'static = dyn Values> {
    pub(super) name: &'static str,
    /// One sentence, short enough for a line of `--help` and a cell of a table.
    meaning: &'static str,
    /// What else there is to know, for `docs/OPERATIONS.md`; may be empty.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test makes docs/OPERATIONS.md of it"))]
    details: &'static str,
    pub(super) values: V,
}

/// Settings that belong together: a section of `docs/OPERATIONS.md` and of `--help`.
struct Group {
    title: &'static str,
    /// What is true of all of them, for `docs/OPERATIONS.md`; may be empty.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test makes docs/OPERATIONS.md of it"))]
    intro: &'static str,
    read: Read,
    settings: &'static [&'static Setting],
}

/// Where a setting is read from, and by whom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// From the environment or the file. A secret is never read from the file.
    EnvironmentOrFile,
    /// From the environment alone.
    Environment,
    /// Not by this program: by the Functions host, the Azure SDK or the HTTP client, from the environment.
    ByOthers,
}

/// The table.
static GROUPS: [&Group; 9] = [
    &watch::GROUP,
    &places::GROUP,
    &secrets::GROUP,
    &qualys::GROUP,
    &azure::GROUP,
    &connectors::GROUP,
    &limits::GROUP,
    &serving::GROUP,
    &others::GROUP,
];

fn all() -> impl Iterator<Item = (&'static Group, &'static Setting)> {
    GROUPS.into_iter().flat_map(|group| group.settings.iter().map(move |setting| (group, *setting)))
}

/// The setting of this name, in upper or lower case.
pub(super) fn named(name: &str) -> Option<&'static Setting> {
    all().map(|(_, setting)| setting).find(|setting| setting.name.eq_ignore_ascii_case(name))
}

/// The settings that the file may hold.
pub(super) fn of_the_file() -> impl Iterator<Item = &'static Setting> {
    all()
        .filter(|(group, setting)| {
            group.read == Read::EnvironmentOrFile && setting.values.kind() != Kind::Secret
        })
        .map(|(_, setting)| setting)
}

#[cfg(test)]
mod docs;
#[cfg(test)]
mod tests;
