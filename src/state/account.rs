//! What all tenants of one Qualys account share: the booked calls, the pause, the breakers.
//!
//! Calls are booked before they are made, so that a killed cycle can only leave calls of the hour unused. A visit changes
//! only its own bookings: it may have lost the lease, and another may be inside.

use crate::model::{Correction, Dated, after};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Qualys counts calls in a sliding window per endpoint; an hour is the documented standard
/// (`X-RateLimit-Window-Sec: 3600`, recorded in 2020).
const WINDOW: Duration = Duration::from_hours(1);
/// No visit lasts longer: `functionTimeout` in `host.json`. A visit that was killed did not say when it made its calls; it may
/// have been at its very end.
const LONGEST_VISIT: Duration = Duration::from_mins(10);

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
    /// Limits in a row for which Qualys stated no wait, with no success of such a call in between: each makes the pause longer.
    #[serde(default)]
    pub limits: BTreeMap<Endpoint, u32>,
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
    /// The visit that may still make them; none when it has ended and said how many it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit: Option<String>,
}

impl BookedCalls {
    /// When they no longer count: an hour after the latest moment at which they can have been made.
    fn count_until(&self) -> Timestamp {
        let open = if self.visit.is_some() { LONGEST_VISIT } else { Duration::ZERO };
        after(self.at, WINDOW + open)
    }
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
        let Self { schema_version: _, booked, pause_until, limits: _, refused, salt: _ } = self;
        correction.past(booked.values_mut().flatten().map(|BookedCalls { at, calls: _, visit: _ }| at));
        correction.past(refused.iter_mut().map(|Breaker { opened, credentials: _ }| opened));
        correction.until(pause_until, LONGEST_PAUSE);
    }
}

impl AccountState {
    /// Books up to `wanted` calls for a visit, if `allowed` calls an hour leave so many. Returns how many it booked.
    ///
    /// # Errors
    /// When no call is left: the moment at which there will be one.
    pub fn book(
        &mut self,
        endpoint: Endpoint,
        wanted: u32,
        allowed: u32,
        visit: &str,
        now: Timestamp,
    ) -> Result<u32, Timestamp> {
        let bookings = self.booked.entry(endpoint).or_default();
        bookings.retain(|booking| booking.count_until() > now);
        let used = in_all(bookings.iter());
        let calls = wanted.min(allowed.saturating_sub(used));
        if calls == 0 {
            let ours = |booking: &BookedCalls| booking.visit.as_deref() == Some(visit);
            // When this visit ends, its own calls count as made by then.
            let frees = |booking: &BookedCalls| {
                if ours(booking) { after(now, WINDOW) } else { booking.count_until() }
            };
            return Err(bookings.iter().map(frees).min().unwrap_or_else(|| after(now, WINDOW)));
        }
        bookings.push(BookedCalls { at: now, calls, visit: Some(visit.to_owned()) });
        Ok(calls)
    }

    /// A visit ends: `unused` of the calls that it booked were not made, and are given back. The others count as made `now`:
    /// they were made somewhere between, and the latest moment is the safe assumption.
    pub fn conclude(&mut self, visit: &str, unused: &BTreeMap<Endpoint, u32>, now: Timestamp) {
        for (endpoint, bookings) in &mut self.booked {
            let mut back = unused.get(endpoint).copied().unwrap_or_default();
            for booking in bookings.iter_mut().filter(|booking| booking.visit.as_deref() == Some(visit)) {
                let calls = back.min(booking.calls);
                booking.calls -= calls;
                back -= calls;
                (booking.at, booking.visit) = (now, None);
            }
        }
        self.booked.retain(|_, bookings| {
            bookings.retain(|booking| booking.calls > 0);
            !bookings.is_empty()
        });
    }

    /// Qualys asked for a pause. A longer one that another visit met stays.
    pub fn pause(&mut self, until: Option<Timestamp>, now: Timestamp) {
        self.pause_until = self.pause_until.filter(|until| *until > now).max(until);
    }

    /// What a visit met: how many limits in a row at these endpoints, or none after a success.
    pub fn met_limits(&mut self, met: &BTreeMap<Endpoint, u32>) {
        self.limits.extend(met);
        self.limits.retain(|_, in_a_row| *in_a_row > 0);
    }

    /// The calls to this endpoint that were booked in the last hour.
    pub fn used(&self, endpoint: Endpoint, now: Timestamp) -> u32 {
        let bookings = self.booked.get(&endpoint).into_iter().flatten();
        in_all(bookings.filter(|booking| booking.count_until() > now))
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

    const ENDPOINT: Endpoint = Endpoint::ConnectorSearch;

    fn at(minute: u64) -> Timestamp {
        after("2026-11-23T04:05:00Z".parse().unwrap(), Duration::from_mins(minute))
    }

    fn unused(calls: u32) -> BTreeMap<Endpoint, u32> {
        [(ENDPOINT, calls)].into()
    }

    #[test]
    fn an_hour_is_never_overbooked_and_what_was_not_used_comes_back() {
        let mut account = AccountState::default();
        assert_eq!(account.book(ENDPOINT, 20, 30, "first", at(0)), Ok(20));
        assert_eq!(account.book(ENDPOINT, 20, 30, "first", at(1)), Ok(10));
        let free = account.book(ENDPOINT, 20, 30, "first", at(2));
        assert_eq!(free, Err(at(62)), "an hour after a visit that ends now");
        account.conclude("first", &unused(13), at(3));
        assert_eq!(account.used(ENDPOINT, at(3)), 17);
        assert_eq!(account.book(ENDPOINT, 20, 30, "second", at(4)), Ok(13));
        assert_eq!(account.book(ENDPOINT, 20, 30, "third", at(5)), Err(at(63)), "the first visit's calls");
        assert_eq!(account.book(ENDPOINT, 20, 30, "third", at(63)), Ok(17));
    }

    #[test]
    fn the_calls_of_a_killed_visit_count_for_an_hour_after_it_can_have_made_them() {
        let mut account = AccountState::default();
        account.book(ENDPOINT, 20, 20, "killed", at(0)).unwrap();
        // It made its last call at minute 9, as far as anyone knows.
        assert_eq!(account.book(ENDPOINT, 20, 20, "next", at(69)), Err(at(70)));
        assert_eq!(account.book(ENDPOINT, 20, 20, "next", at(70)), Ok(20));
    }

    #[test]
    fn a_visit_concludes_its_own_bookings_alone() {
        let mut account = AccountState::default();
        account.book(ENDPOINT, 20, 100, "lost the lease", at(0)).unwrap();
        account.book(ENDPOINT, 20, 100, "inside", at(2)).unwrap();
        account.conclude("lost the lease", &unused(19), at(3));
        let left = &account.booked[&ENDPOINT];
        let inside = BookedCalls { at: at(2), calls: 20, visit: Some("inside".into()) };
        assert_eq!(left[..], [BookedCalls { at: at(3), calls: 1, visit: None }, inside]);
        account.conclude("lost the lease", &unused(19), at(4));
        assert_eq!(account.used(ENDPOINT, at(4)), 21, "nothing is given back twice");
    }

    #[test]
    fn a_longer_pause_that_another_visit_met_stays() {
        let mut account = AccountState { pause_until: Some(at(60)), ..AccountState::default() };
        account.pause(None, at(3));
        assert_eq!(account.pause_until, Some(at(60)));
        account.pause(Some(at(30)), at(3));
        assert_eq!(account.pause_until, Some(at(60)));
        account.pause(Some(at(90)), at(3));
        assert_eq!(account.pause_until, Some(at(90)));
        account.pause(None, at(91));
        assert_eq!(account.pause_until, None, "it is over");
    }

    #[test]
    fn calls_and_a_pause_from_the_future_lock_nothing() {
        let now: Timestamp = "2026-11-23T04:05:00Z".parse().unwrap();
        let ahead = after(now, Duration::from_hours(8));
        let mut account = AccountState::default();
        account.book(Endpoint::HostCount, 20, 30, "visit", ahead).unwrap();
        account.pause_until = Some(after(ahead, Duration::from_mins(10)));
        assert_eq!(Correction::of(&mut account, now), Some(Duration::from_hours(8)));
        assert_eq!(account.pause_until, Some(after(now, Duration::from_mins(10))), "as long as it was meant");
        let over = after(now, WINDOW + LONGEST_VISIT);
        assert_eq!(account.used(Endpoint::HostCount, over), 0);
    }

    #[test]
    fn more_bookings_than_can_be_counted_are_a_full_hour() {
        let bookings = [u32::MAX, 2].map(|calls| BookedCalls { at: at(0), calls, visit: None });
        let mut account = AccountState { booked: [(ENDPOINT, bookings.into())].into(), ..Default::default() };
        assert_eq!(account.used(ENDPOINT, at(0)), u32::MAX);
        assert_eq!(account.book(ENDPOINT, 20, 30, "visit", at(0)), Err(at(60)));
    }
}
