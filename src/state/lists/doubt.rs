//! Whether a list of connectors is doubtful: it lacks many of them at once.

use super::{List, Remembered};
use crate::model::{ConnectorId, elapsed, hex};
use crate::state::CREATE_SETTLES;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// So many connectors may be missing at once from any list: people delete a handful by hand.
const FEW: usize = 5;
/// In a large account one in so many may be missing at once.
const ONE_IN: usize = 10;

/// A doubtful list. Time does not end the doubt, because a user whose scope was cut sees the same list for ever: the
/// connectors must be listed again, or a person must approve that they are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Doubt {
    /// When the first doubtful list was read.
    #[cfg_attr(test, schemars(with = "String"))]
    pub since: Timestamp,
    /// The connectors that the newest list lacks.
    pub missing: BTreeSet<ConnectorId>,
    /// How many connectors were known.
    pub known: usize,
}

impl Doubt {
    /// The doubt about a list. `before`: that about the list before.
    pub(super) fn of(
        known: &BTreeMap<ConnectorId, Remembered>,
        list: &List<'_>,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Option<Self> {
        let is_new = |one: &Remembered| one.made.is_some_and(|made| elapsed(now, made) < CREATE_SETTLES);
        let counts = |(_, one): &(&ConnectorId, &Remembered)| !one.gone && !is_new(one);
        let known: Vec<_> = known.iter().filter(counts).collect();
        let is_missing = |(id, _): &&(&ConnectorId, &Remembered)| !list.connectors.contains_key(id);
        let missing: Vec<_> = known.iter().filter(is_missing).collect();
        let of_tenant =
            |all: &[&(&ConnectorId, &Remembered)]| all.iter().filter(|(_, one)| one.of_tenant).count();
        let known_of_tenant = known.iter().filter(|(_, one)| one.of_tenant).count();
        let is_doubtful =
            too_many(missing.len(), known.len()) || too_many(of_tenant(&missing), known_of_tenant);
        is_doubtful.then(|| Self {
            since: before.map_or(now, |before| before.since.min(now)),
            missing: missing.iter().map(|(id, _)| **id).collect(),
            known: known.len(),
        })
    }

    /// SHA-256 of the sorted ids, in hexadecimal: it names exactly these connectors.
    pub fn hash(&self) -> String {
        let ids: Vec<String> = self.missing.iter().map(ToString::to_string).collect();
        hex(&Sha256::digest(ids.join("\n").as_bytes()))
    }

    /// What a person runs to approve that the connectors are gone.
    pub fn command(&self) -> String {
        format!("qualys-azure-inventory approve {} --missing {}", self.hash(), self.missing.len())
    }
}

/// Whether so many missing connectors are no accident. All of them at once, if there were several, never are.
fn too_many(missing: usize, known: usize) -> bool {
    missing > FEW.max(known / ONE_IN) || known > 1 && missing == known
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, missing, known } = self;
        write!(
            f,
            "the list of connectors is doubtful: it lacks {} of {known} at once, since {since}. Nothing is created for what they \
             covered, and nothing is removed",
            missing.len()
        )
    }
}
