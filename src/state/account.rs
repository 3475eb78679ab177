//! What all tenants of one Qualys account share: the call window, the pause, the breaker.
//!
//! Calls are booked before they are made, so that a kill can only under-use the hour.

use crate::model::elapsed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Qualys counts calls in a sliding window per endpoint; an hour is the documented standard
/// (`X-RateLimit-Window-Sec: 3600`, recorded in 2020).
const WINDOW: Duration = Duration::from_hours(1);

/// What one Qualys account remembers: `control/account=<name>/state.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AccountState {
    /// The version of this shape.
    pub schema_version: u32,
    /// Calls booked in the last hour, by endpoint.
    #[serde(default)]
    pub booked: BTreeMap<Endpoint, Vec<BookedCalls>>,
    /// No call before this moment: Qualys told us to wait.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub pause_until: Option<Timestamp>,
    /// No call with these credentials: they were refused. Several deployments may use one account with different ones.
    #[serde(default)]
    pub refused: Vec<Breaker>,
    /// Random text that keeps the credentials' fingerprint from being compared with others.
    #[serde(default)]
    pub salt: String,
}

/// A kind of call that Qualys limits by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// Search connectors.
    ConnectorSearch,
    /// Get one connector.
    ConnectorGet,
    /// Create a connector.
    ConnectorCreate,
    /// Update a connector.
    ConnectorUpdate,
    /// Run a connector.
    ConnectorRun,
    /// Delete a connector.
    ConnectorDelete,
    /// Search host assets.
    HostSearch,
    /// Count host assets.
    HostCount,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectorSearch => "connector search",
            Self::ConnectorGet => "connector get",
            Self::ConnectorCreate => "connector create",
            Self::ConnectorUpdate => "connector update",
            Self::ConnectorRun => "connector run",
            Self::ConnectorDelete => "connector delete",
            Self::HostSearch => "host asset search",
            Self::HostCount => "host asset count",
        })
    }
}

/// Calls booked together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BookedCalls {
    /// When.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// How many.
    pub calls: u32,
}

/// An open breaker: these credentials were refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Breaker {
    /// When it opened.
    #[cfg_attr(test, schemars(with = "String"))]
    pub opened: Timestamp,
    /// The version (or short salted fingerprint) of the credentials that were refused.
    pub credentials: String,
}

/// The calls that a cycle made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Used {
    /// In all.
    pub total: u32,
    /// By endpoint.
    pub by_endpoint: BTreeMap<Endpoint, u32>,
    /// Calls of the busiest endpoint that are left in this hour, the reserve left out.
    pub left: Option<u32>,
}

/// What is left of a limit when the reserve stays untouched; at least one call, or nothing would ever work.
pub fn without_reserve(limit: u32, reserve_percent: u32) -> u32 {
    let reserve = u64::from(limit) * u64::from(reserve_percent.min(100));
    let reserve = u32::try_from(reserve.div_ceil(100)).unwrap_or(limit);
    limit.saturating_sub(reserve).max(1)
}

impl AccountState {
    /// Books up to `wanted` calls, as many as `allowed` in an hour leaves.
    ///
    /// # Errors
    /// When none is left: the moment at which one will be.
    pub fn book(
        &mut self,
        endpoint: Endpoint,
        wanted: u32,
        allowed: u32,
        now: Timestamp,
    ) -> Result<u32, Timestamp> {
        let bookings = self.booked.entry(endpoint).or_default();
        bookings.retain(|booking| elapsed(now, booking.at) < WINDOW);
        let used = in_all(bookings.iter());
        let calls = wanted.min(allowed.saturating_sub(used));
        if calls == 0 {
            let oldest = bookings.iter().map(|booking| booking.at).min().unwrap_or(now);
            return Err(crate::model::after(oldest, WINDOW));
        }
        bookings.push(BookedCalls { at: now, calls });
        Ok(calls)
    }

    /// Gives back calls that were booked and not made.
    pub fn give_back(&mut self, endpoint: Endpoint, mut calls: u32) {
        for booking in self.booked.entry(endpoint).or_default().iter_mut().rev() {
            let back = calls.min(booking.calls);
            booking.calls -= back;
            calls -= back;
        }
        self.booked.retain(|_, bookings| {
            bookings.retain(|booking| booking.calls > 0);
            !bookings.is_empty()
        });
    }

    /// Calls booked since `began` were made at some time until `now`; the latest is the safe guess.
    pub fn made_until(&mut self, began: Timestamp, now: Timestamp) {
        for booking in self.booked.values_mut().flatten().filter(|booking| booking.at >= began) {
            booking.at = now;
        }
    }

    /// Calls booked in the last hour.
    pub fn used(&self, endpoint: Endpoint, now: Timestamp) -> u32 {
        let bookings = self.booked.get(&endpoint).into_iter().flatten();
        in_all(bookings.filter(|booking| elapsed(now, booking.at) < WINDOW))
    }
}

/// The calls of some bookings. Somebody may have changed the blob: more than can be counted is a full hour, never a free one.
fn in_all<'a>(bookings: impl Iterator<Item = &'a BookedCalls>) -> u32 {
    bookings.fold(0, |calls, booking| calls.saturating_add(booking.calls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::after;

    #[test]
    fn an_hour_is_never_overbooked_and_what_was_not_used_comes_back() {
        let now: Timestamp = "2026-11-23T04:05:00Z".parse().unwrap();
        let mut account = AccountState::default();
        let endpoint = Endpoint::ConnectorSearch;
        assert_eq!(account.book(endpoint, 20, 30, now), Ok(20));
        assert_eq!(account.book(endpoint, 20, 30, after(now, Duration::from_mins(1))), Ok(10));
        let full = after(now, Duration::from_mins(2));
        assert_eq!(
            account.book(endpoint, 20, 30, full),
            Err(after(now, WINDOW)),
            "until the oldest leaves the window"
        );
        account.give_back(endpoint, 13);
        assert_eq!(account.used(endpoint, full), 17);
        assert_eq!(account.book(endpoint, 20, 30, full), Ok(13));
        assert_eq!(
            account.book(endpoint, 20, 30, after(now, WINDOW)),
            Ok(17),
            "the first booking left the window"
        );
    }

    #[test]
    fn more_bookings_than_can_be_counted_are_a_full_hour() {
        let now: Timestamp = "2026-11-23T04:05:00Z".parse().unwrap();
        let endpoint = Endpoint::HostCount;
        let bookings = [u32::MAX, 2].map(|calls| BookedCalls { at: now, calls });
        let mut account = AccountState { booked: [(endpoint, bookings.into())].into(), ..Default::default() };
        assert_eq!(account.used(endpoint, now), u32::MAX);
        assert_eq!(account.book(endpoint, 20, 30, now), Err(after(now, WINDOW)));
    }
}
