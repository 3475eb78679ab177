//! What all tenants of one Qualys account share: the booked calls, the pause, the breakers.
//!
//! Calls are booked before they are made, so that a killed cycle can only leave calls of the hour unused.

use crate::model::{Correction, Dated, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Qualys counts calls in a sliding window per endpoint; an hour is the documented standard
/// (`X-RateLimit-Window-Sec: 3600`, recorded in 2020).
const WINDOW: Duration = Duration::from_hours(1);

/// The state of one Qualys account: `control/account=<name>/state.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AccountState {
    pub schema_version: u32,
    /// Calls booked in the last hour, by endpoint.
    #[serde(default)]
    pub booked: BTreeMap<Endpoint, Vec<BookedCalls>>,
    /// Qualys asked us to wait: no call is made before this moment.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub pause_until: Option<Timestamp>,
    /// Qualys refused these credentials: no call is made with them. Several deployments may use one account, each with its own
    /// credentials.
    #[serde(default)]
    pub refused: Vec<Breaker>,
    /// Random text that keeps the credentials' fingerprint from being compared with others.
    #[serde(default)]
    pub salt: String,
}

/// A kind of call; Qualys limits each kind by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    ConnectorSearch,
    ConnectorGet,
    ConnectorCreate,
    ConnectorUpdate,
    ConnectorRun,
    ConnectorDelete,
    HostSearch,
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
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    pub calls: u32,
}

/// Credentials that Qualys refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Breaker {
    /// When they were refused.
    #[cfg_attr(test, schemars(with = "String"))]
    pub opened: Timestamp,
    /// Their versions in the vault, or a short salted fingerprint.
    pub credentials: String,
}

/// The calls that a cycle made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Used {
    pub total: u32,
    pub by_endpoint: BTreeMap<Endpoint, u32>,
    /// The calls that the busiest endpoint has left in this hour, without the reserve.
    pub left: Option<u32>,
}

/// What a limit leaves beside the reserve: at least one call, or nothing would ever work.
pub fn without_reserve(limit: u32, reserve_percent: u32) -> u32 {
    let reserve = u64::from(limit) * u64::from(reserve_percent.min(100));
    let reserve = u32::try_from(reserve.div_ceil(100)).unwrap_or(limit);
    limit.saturating_sub(reserve).max(1)
}

/// The longest pause. A longer wait is checked again after a day: the windows of the limits are an hour, or a day in the
/// oldest contracts.
pub const LONGEST_PAUSE: Duration = Duration::from_hours(24);

impl Dated for AccountState {
    fn correct(&mut self, correction: &mut Correction) {
        let Self { schema_version: _, booked, pause_until, refused, salt: _ } = self;
        correction.past(booked.values_mut().flatten().map(|BookedCalls { at, calls: _ }| at));
        correction.past(refused.iter_mut().map(|Breaker { opened, credentials: _ }| opened));
        correction.until(pause_until, LONGEST_PAUSE);
    }
}

impl AccountState {
    /// Books up to `wanted` calls, if `allowed` calls an hour leave so many. Returns how many it booked.
    ///
    /// # Errors
    /// When no call is left: the moment at which there will be one.
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

    /// Returns calls that were booked and not made.
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

    /// Counts the calls booked since `began` as made `now`. They were made somewhere between; the latest moment is the safe
    /// assumption.
    pub fn made_until(&mut self, began: Timestamp, now: Timestamp) {
        for booking in self.booked.values_mut().flatten().filter(|booking| booking.at >= began) {
            booking.at = now;
        }
    }

    /// The calls to this endpoint that were booked in the last hour.
    pub fn used(&self, endpoint: Endpoint, now: Timestamp) -> u32 {
        let bookings = self.booked.get(&endpoint).into_iter().flatten();
        in_all(bookings.filter(|booking| elapsed(now, booking.at) < WINDOW))
    }
}

/// The calls of these bookings. A person may have edited the blob: a sum that overflows counts as a full hour, never as a
/// free one.
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
            "when the oldest booking leaves the window"
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
    fn calls_and_a_pause_from_the_future_lock_nothing() {
        let now: Timestamp = "2026-11-23T04:05:00Z".parse().unwrap();
        let ahead = after(now, Duration::from_hours(8));
        let mut account = AccountState::default();
        account.book(Endpoint::HostCount, 20, 30, ahead).unwrap();
        account.pause_until = Some(after(ahead, Duration::from_mins(10)));
        assert_eq!(Correction::of(&mut account, now), Some(Duration::from_hours(8)));
        assert_eq!(account.pause_until, Some(after(now, Duration::from_mins(10))), "as long as it was meant");
        assert_eq!(account.used(Endpoint::HostCount, after(now, WINDOW)), 0);
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
