//! When a connector last synced: by our clock, without comparing Qualys's clock with ours.

use super::Policy;
use crate::model::{ClockReading, Connector, Observed, OddTime, SyncClass};
use crate::state::{SyncState, TenantState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Clocks that are set by the network differ by seconds. Entra refuses tokens from five minutes on.
const CLOCKS_DIFFER: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// When a connector last synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastSync {
    Never,
    /// At this moment of our clock, or later.
    At(Timestamp),
    /// It has synced, and nobody says when. `since`: when we last saw a sync end well, or first saw that there was one.
    Unknown {
        since: Option<Timestamp>,
    },
}

impl LastSync {
    /// Qualys's time is aged by the `Date` of the answer that states it. What we saw ourselves counts too: it holds whatever Qualys
    /// says, and where Qualys's time has no age it is all there is.
    ///
    /// `sync`: what the state knows of it; none for a connector that is not ours.
    pub(super) fn of(connector: &Connector, clock: Option<ClockReading>, sync: Option<&SyncState>) -> Self {
        let seen = sync.and_then(|sync| sync.succeeded);
        let first = sync.and_then(|sync| sync.first_ended);
        if connector.stated_sync().is_some() {
            let theirs = connector.last_sync.zip(clock).and_then(|(at, clock)| clock.by_ours(at));
            // Without either, it has not moved since we first saw it.
            return theirs.max(seen).or(first).map_or(Self::Unknown { since: None }, Self::At);
        }
        let since = seen.or(first);
        let has_ended = matches!(connector.state.class(), SyncClass::EndedWell | SyncClass::EndedBadly);
        if has_ended || since.is_some() || connector.odd_last_sync.is_some() {
            Self::Unknown { since }
        } else {
            Self::Never
        }
    }
}

/// Why the time of a last sync has no age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SyncTimeDoubt {
    Missing,
    WithoutZone,
    NotATime,
    /// It is later than the answer that states it.
    InTheFuture,
    /// The answer has no `Date`, or an absurd one.
    NoDate,
}

impl SyncTimeDoubt {
    pub(super) fn of(connector: &Connector, clock: Option<ClockReading>) -> Option<Self> {
        match (connector.last_sync, connector.odd_last_sync) {
            (Some(at), _) => match clock {
                Some(clock) if clock.by_ours(at).is_some() => None,
                Some(clock) if at > clock.theirs => Some(Self::InTheFuture),
                Some(_) | None => Some(Self::NoDate),
            },
            (None, Some(OddTime::WithoutZone(_))) => Some(Self::WithoutZone),
            (None, Some(OddTime::NotATime)) => Some(Self::NotATime),
            (None, None) => (connector.state.class() == SyncClass::EndedWell).then_some(Self::Missing),
        }
    }
}

impl fmt::Display for SyncTimeDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "not stated",
            Self::WithoutZone => "without a zone",
            Self::NotATime => "not a time",
            Self::InTheFuture => "later than the answer itself",
            Self::NoDate => "in an answer without a usable Date",
        })
    }
}

/// What is odd about Qualys's clock and its times of syncs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ClockDoubts {
    /// By how many seconds Qualys's clock is ahead of ours, or behind if negative; none if they agree.
    pub ahead_seconds: Option<i64>,
    /// How many enabled connectors of subscriptions in scope have a last sync whose age Qualys does not tell, by why.
    pub unaged: BTreeMap<SyncTimeDoubt, usize>,
}

impl ClockDoubts {
    pub(super) fn of(observed: &Observed) -> Self {
        let clock = observed.qualys_clock;
        let ahead = clock.map(|clock| clock.ahead()).filter(|ahead| ahead.abs() > CLOCKS_DIFFER);
        let mut unaged = BTreeMap::new();
        let in_scope = |c: &&Connector| c.covers().is_some_and(|id| observed.subscriptions.contains_key(&id));
        let enabled = observed.connectors.values().filter(|c| !c.is_disabled()).filter(in_scope);
        for doubt in enabled.filter_map(|connector| SyncTimeDoubt::of(connector, clock)) {
            *unaged.entry(doubt).or_default() += 1;
        }
        Self { ahead_seconds: ahead.map(|ahead| ahead.as_secs()), unaged }
    }

    /// Each doubt as people read it.
    pub fn lines(&self) -> Vec<String> {
        let clock = self.ahead_seconds.map(|seconds| {
            let minutes = (seconds.unsigned_abs() + 30) / 60;
            let how = if seconds < 0 { "behind" } else { "ahead of" };
            format!(
                "Qualys's clock is {minutes} minutes {how} ours. Nothing is decided by the difference; check the clock of this host"
            )
        });
        let kinds: Vec<_> = self.unaged.iter().map(|(doubt, count)| format!("{doubt}: {count}")).collect();
        let unaged = (!kinds.is_empty()).then(|| {
            format!(
                "Qualys does not tell the age of the last sync of some connectors ({}). They are aged by the syncs that we see",
                kinds.join(", ")
            )
        });
        clock.into_iter().chain(unaged).collect()
    }
}

/// The last sync of any connector. The state's connectors are ours, or were.
pub(super) fn of(
    observed: &Observed,
    state: &TenantState,
    policy: &Policy,
    connector: &Connector,
) -> LastSync {
    let sync = state.connectors.get(&connector.id).filter(|_| policy.is_ours(connector));
    LastSync::of(connector, observed.qualys_clock, sync)
}
