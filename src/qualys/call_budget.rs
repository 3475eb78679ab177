//! The account's call budget: how many calls at the same time, how many an hour, and when to stop.
//!
//! Calls are booked in the account's state before they are made, several at a time; calls that were not made are
//! returned at the end. So a killed cycle can only leave calls of the hour unused, and the reserve stays for the
//! customer's other tools. What another visit booked, or was told to wait, stays as it is.

use super::QualysError;
use super::error::TOO_MANY_AT_ONCE;
use crate::model::{Name, after};
use crate::retry::chance;
use crate::state::{AccountState, Endpoint, LONGEST_PAUSE, SCHEMA_VERSION, Used, without_reserve};
use crate::store::{BlobKey, Store, StoreError};
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Calls booked at a time: few enough that a kill wastes little of the hour, many enough that the account's state is not
/// written for each call.
const BOOKED_AT_ONCE: u32 = 20;
/// How soon to look again when the headers say that only the reserve is left, but not until when. The window slides, so a
/// few calls become free before it is over.
const LOOK_AGAIN: Duration = Duration::from_mins(5);
/// How long to pause at first when every attempt was refused and no wait was stated. Qualys's own plugin tries for two minutes.
const UNKNOWN_WAIT: Duration = Duration::from_mins(2);
/// How long to pause at first when other tools used all calls at the same time. It is over as soon as one of theirs ends; calls
/// take seconds (the slowest recorded one took 14 s).
const OTHERS_END: Duration = Duration::from_secs(30);
/// The longest pause for which Qualys stated no wait. The timer comes every 15 minutes by default, so that a limit which lasts
/// for hours costs no more cycles than that.
const LONGEST_UNSTATED: Duration = Duration::from_mins(15);

/// The limits of an account, as the settings say them. Limit headers of Qualys win over them.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls in an hour, for each endpoint.
    pub per_hour: u32,
    /// The share of them, in percent, that stays for the customer's other tools.
    pub reserve_percent: u32,
    /// Calls at the same time.
    pub at_once: usize,
}

/// The limits of one account, as one cycle obeys them.
#[derive(Debug)]
pub struct CallBudget {
    store: Store,
    account: Name,
    /// Marks what this visit books.
    visit: String,
    /// Calls an hour and endpoint, without the reserve.
    allowed: u32,
    reserve_percent: u32,
    began: (Timestamp, Instant),
    permits: Semaphore,
    /// Held while calls are booked, so that one booking serves all calls that wait for it.
    booking: tokio::sync::Mutex<()>,
    usage: Mutex<Usage>,
}

/// What this cycle has used of the budget, and what Qualys has said about it.
#[derive(Debug, Default)]
struct Usage {
    /// Calls that are booked and not made.
    booked: BTreeMap<Endpoint, u32>,
    made: BTreeMap<Endpoint, u32>,
    /// Calls that we may still make, by the latest limit headers.
    allowed_by_headers: BTreeMap<Endpoint, u32>,
    /// Limits in a row without a stated wait, as the account's state had them when calls were booked.
    limits_before: BTreeMap<Endpoint, u32>,
    /// The same for the endpoints at which this cycle met a limit or, then none in a row, had a success.
    limits_met: BTreeMap<Endpoint, u32>,
    /// Qualys asked for a pause that a cycle does not wait out.
    paused_until: Option<Timestamp>,
    /// Qualys asked for a short wait, which every call waits out.
    delayed_until: Option<Instant>,
    /// When an endpoint whose share is used up has a call again.
    window_until: Option<Timestamp>,
    /// Qualys refused the credentials, so no further call is made.
    stopped: bool,
}

impl Usage {
    /// Counts one more limit at this endpoint. Returns how many in a row there are.
    fn another_limit(&mut self, endpoint: Endpoint) -> u32 {
        let before = self.limits_met.get(&endpoint).or(self.limits_before.get(&endpoint));
        let in_a_row = before.map_or(1, |before| before.saturating_add(1));
        self.limits_met.insert(endpoint, in_a_row);
        in_a_row
    }
}

/// How long to pause after so many limits in a row, of which the last had this number and stated no wait.
fn unstated_wait(number: Option<u32>, in_a_row: u32) -> Duration {
    let first = if number == Some(TOO_MANY_AT_ONCE) { OTHERS_END } else { UNKNOWN_WAIT };
    let doublings = in_a_row.saturating_sub(1).min(10);
    first.saturating_mul(1 << doublings).min(LONGEST_UNSTATED)
}

impl CallBudget {
    /// A budget for a cycle that began at this moment, by the clock and by what measures time from then on.
    pub fn new(store: Store, account: Name, limits: CallLimits, began: (Timestamp, Instant)) -> Self {
        let CallLimits { per_hour, reserve_percent, at_once } = limits;
        Self {
            store,
            account,
            visit: format!("{:08x}{:08x}", chance(), chance()),
            allowed: without_reserve(per_hour, reserve_percent),
            reserve_percent,
            began,
            permits: Semaphore::new(at_once.max(1)),
            booking: tokio::sync::Mutex::default(),
            usage: Mutex::default(),
        }
    }

    /// Permits one call: waits until fewer calls than allowed are in flight, then takes a booked call.
    pub(super) async fn permit(&self, endpoint: Endpoint) -> Result<SemaphorePermit<'_>, QualysError> {
        // The semaphore is never closed.
        let permit = self.permits.acquire().await.map_err(|_| QualysError::Address { endpoint })?;
        let delay = self.usage().delayed_until;
        if let Some(until) = delay {
            tokio::time::sleep_until(until).await;
        }
        let _one_at_a_time = self.booking.lock().await;
        let now = self.now();
        if self.usage().stopped {
            return Err(QualysError::BadCredentials { endpoint });
        }
        if let Some(until) = self.usage().paused_until.filter(|until| *until > now) {
            return Err(QualysError::NoCallsLeft { endpoint, until });
        }
        if self.usage().booked.get(&endpoint).is_none_or(|calls| *calls == 0) {
            self.book_more(endpoint, now).await?;
        }
        let mut usage = self.usage();
        if let Some(booked) = usage.booked.get_mut(&endpoint) {
            *booked = booked.saturating_sub(1);
        }
        *usage.made.entry(endpoint).or_default() += 1;
        Ok(permit)
    }

    async fn book_more(&self, endpoint: Endpoint, now: Timestamp) -> Result<(), QualysError> {
        let (booked, limits) = self.book(endpoint, now).await.map_err(QualysError::Account)?;
        let mut usage = self.usage();
        usage.limits_before = limits;
        let calls = match (booked, usage.allowed_by_headers.get(&endpoint).copied()) {
            (Ok(calls), _) => calls,
            // What the headers say wins over our own count.
            (Err(_), Some(1..)) => 1,
            (Err(until), _) => {
                usage.window_until = usage.window_until.max(Some(until));
                return Err(QualysError::NoCallsLeft { endpoint, until });
            }
        };
        *usage.booked.entry(endpoint).or_default() += calls;
        Ok(())
    }

    /// Books calls in the account's state. Returns how many it booked or, if there is none left, when there will be
    /// one; beside it the limits in a row.
    async fn book(
        &self,
        endpoint: Endpoint,
        now: Timestamp,
    ) -> Result<(Result<u32, Timestamp>, BTreeMap<Endpoint, u32>), StoreError> {
        self.store
            .update_dated(&BlobKey::Account(self.account.clone()), now, |account: &mut AccountState| {
                account.schema_version = SCHEMA_VERSION;
                let booked = account.book(endpoint, BOOKED_AT_ONCE, self.allowed, &self.visit, now);
                (booked, account.limits.clone())
            })
            .await
    }

    /// Reads the limit headers of an answer. Every recording of this API lacks them; where they are present, they win over
    /// our own count.
    pub(super) fn read_limit_headers(&self, endpoint: Endpoint, headers: &HeaderMap) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        let (Some(remaining), Some(limit)) = (number("x-ratelimit-remaining"), number("x-ratelimit-limit"))
        else {
            return;
        };
        let ours =
            remaining.saturating_sub(limit.saturating_sub(without_reserve(limit, self.reserve_percent)));
        let now = self.now();
        let mut usage = self.usage();
        usage.allowed_by_headers.insert(endpoint, ours);
        if ours == 0 {
            let wait = super::error::asked_wait(headers).unwrap_or(LOOK_AGAIN).min(LONGEST_PAUSE);
            usage.paused_until = usage.paused_until.max(Some(after(now, wait)));
        }
    }

    /// Qualys asked for a wait that a call does not sit out: this cycle makes no call before it is over. A stated wait is obeyed
    /// as it is; another one is longer each time.
    pub(super) fn pause(&self, endpoint: Endpoint, number: Option<u32>, stated: Option<Duration>) {
        let now = self.now();
        let mut usage = self.usage();
        // Calls that were under way together met one limit.
        let is_paused = usage.paused_until.is_some_and(|until| until > now);
        let wait = match stated {
            Some(wait) => wait.min(LONGEST_PAUSE),
            None if is_paused => return,
            None => unstated_wait(number, usage.another_limit(endpoint)),
        };
        usage.paused_until = usage.paused_until.max(Some(after(now, wait)));
    }

    /// Qualys accepted a call, so the next limit of its kind is the first.
    pub(super) fn succeeded(&self, endpoint: Endpoint) {
        self.usage().limits_met.insert(endpoint, 0);
    }

    /// Qualys asked for a wait. If it is short enough to be waited out, all calls do so; else nothing happens here.
    pub(super) fn delay_all(&self, wait: Duration) {
        if wait <= crate::retry::LONGEST {
            let mut usage = self.usage();
            usage.delayed_until = usage.delayed_until.max(Some(Instant::now() + wait));
        }
    }

    /// Qualys refused the credentials. Repeated failures lock the user out, so no further call is made.
    pub(super) fn stop(&self) {
        self.usage().stopped = true;
    }

    /// Whether Qualys refused the credentials, so that no further call is made.
    pub fn is_stopped(&self) -> bool {
        self.usage().stopped
    }

    /// When every endpoint whose share was used up has a call again; none if no share was.
    pub fn window_until(&self) -> Option<Timestamp> {
        self.usage().window_until
    }

    /// Until when Qualys asked for a pause, if it did.
    pub fn paused_until(&self) -> Option<Timestamp> {
        self.usage().paused_until
    }

    /// The time now: when the cycle began, plus the time that has passed since.
    pub fn now(&self) -> Timestamp {
        after(self.began.0, self.began.1.elapsed())
    }

    /// The calls made so far.
    pub fn used(&self) -> Used {
        let by_endpoint = self.usage().made.clone();
        Used { total: by_endpoint.values().sum(), by_endpoint, left: None }
    }

    /// Gives back the calls that were booked and not made, and stores a pause. Returns the calls made and left.
    ///
    /// # Errors
    /// When the account's state cannot be written.
    pub async fn close(&self) -> Result<Used, StoreError> {
        let _one_at_a_time = self.booking.lock().await;
        let now = self.now();
        let (unused, pause, limits) = {
            let mut usage = self.usage();
            let pause = usage.paused_until.filter(|until| *until > now);
            (std::mem::take(&mut usage.booked), pause, usage.limits_met.clone())
        };
        let mut used = self.used();
        if unused.is_empty() && pause.is_none() && used.total == 0 {
            return Ok(used);
        }
        used.left = self
            .store
            .update_dated(&BlobKey::Account(self.account.clone()), now, |account: &mut AccountState| {
                account.schema_version = SCHEMA_VERSION;
                account.conclude(&self.visit, &unused, now);
                account.pause(pause, now);
                account.met_limits(&limits);
                used.by_endpoint
                    .keys()
                    .map(|endpoint| self.allowed.saturating_sub(account.used(*endpoint, now)))
                    .min()
            })
            .await?;
        Ok(used)
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        // Every change is one assignment, so a panic elsewhere cannot leave it half changed.
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
