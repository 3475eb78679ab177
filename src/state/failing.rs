//! Syncs that fail and runs that Qualys does not accept: how often, since when, and why.

use super::backoff;
use super::pending_run::{UNCLEAR_RUN_LASTS, digest};
use crate::model::{Connector, ResponseCode, after, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Rule *syncs*: after so long a time with one cause, only Qualys's own schedule tries again.
const ONE_CAUSE_LASTS: Duration = Duration::from_hours(24);

/// Syncs that failed for one cause, in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failing {
    /// How many.
    pub count: u32,
    /// When the last was seen.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// When the first was seen.
    #[cfg_attr(test, schemars(with = "String"))]
    pub since: Timestamp,
    #[serde(flatten)]
    pub cause: SyncFailure,
}

/// Why a sync counts as failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum SyncFailure {
    /// The connector shows that it ended badly.
    Ended {
        /// Qualys's word for it.
        state: String,
        /// A digest of its error without what differs each time, in hexadecimal. The text itself may hold anything, so it is not
        /// stored.
        error_digest: Option<String>,
    },
    /// Nothing showed of a run for an hour.
    NothingShown,
}

impl SyncFailure {
    /// The failure that a connector shows.
    pub(super) fn of(connector: &Connector) -> Self {
        let error_digest = connector.last_error.as_deref().map(|text| digest(&without_ids_and_times(text)));
        Self::Ended { state: connector.state.as_str().to_owned(), error_digest }
    }
}

/// The text without GUIDs and times. Entra's errors have some in each text, and the next failure has others.
fn without_ids_and_times(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '-' | ':' | '.');
    // Longer than the number in a code such as AADSTS7000215.
    let is_id = |part: &str| part.len() >= 8 && part.contains(|c: char| c.is_ascii_digit());
    text.split_inclusive(|c| !is_part(c))
        .filter(|part| !is_id(part.trim_matches(|c: char| !c.is_ascii_hexdigit())))
        .collect()
}

impl Failing {
    /// One more failure: of the same cause, or the first of another.
    pub(super) fn again(before: Option<Self>, cause: SyncFailure, at: Timestamp) -> Self {
        let same = before.filter(|before| before.cause == cause);
        let (count, since) = same.map_or((0, at), |before| (before.count, before.since));
        Self { count: count.saturating_add(1), at, since, cause }
    }

    /// When the next try is due.
    pub fn next_try(&self) -> Timestamp {
        after(self.at, backoff(self.count))
    }

    /// Whether it has failed for so long and always for the same cause that we try no more.
    pub fn is_given_up(&self, now: Timestamp) -> bool {
        elapsed(now, self.since) >= ONE_CAUSE_LASTS
    }
}

/// Runs in a row that Qualys did not accept: refused, or answered unclearly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NotAccepted {
    /// How many.
    pub count: u32,
    /// When the last was sent.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// It is not known whether Qualys carries the last one out.
    pub unclear: bool,
    pub code: ResponseCode,
    /// The last error and its causes.
    pub error: String,
}

impl NotAccepted {
    /// Rule *refusals back off*: when the next try is due. A single unclear answer is mostly a lost one, so it is only waited for.
    pub fn next_try(&self) -> Timestamp {
        match (self.unclear, self.count) {
            (true, ..=1) => after(self.at, UNCLEAR_RUN_LASTS),
            (true, count) => after(self.at, backoff(count - 1)),
            (false, count) => after(self.at, backoff(count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_the_same_whatever_ids_and_times_its_text_has() {
        let text = |code: &str, id: &str, time: &str| {
            without_ids_and_times(&format!("{code}: Invalid client secret. Trace ID: {id} Timestamp: {time}"))
        };
        let [a, b] = ["1b4e28ba-2fa1-11d2-883f-0016d3cca427", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"];
        let first = text("AADSTS7000215", a, "2026-11-23 04:00:00Z");
        assert_eq!(first, text("AADSTS7000215", b, "2026-11-24 17:31:59Z"));
        assert_ne!(first, text("AADSTS7000222", a, "2026-11-23 04:00:00Z"));
    }

    #[test]
    fn a_single_unclear_run_waits_five_minutes_and_then_each_waits_longer() {
        let at = Timestamp::UNIX_EPOCH;
        let minutes = |unclear, count| {
            let not = NotAccepted { count, at, unclear, code: ResponseCode::NoAnswer, error: String::new() };
            elapsed(not.next_try(), at).as_secs() / 60
        };
        assert_eq!([1, 2, 3, 9].map(|count| minutes(true, count)), [5, 15, 30, 360]);
        assert_eq!([1, 2, 3, 9].map(|count| minutes(false, count)), [15, 30, 60, 360]);
    }
}
