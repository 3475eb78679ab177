//! The account's limits: how many calls at once, how many an hour, and when to stop.
//!
//! Calls are booked in the account's state, some at a time, before they are made; what was not used is given back at the
//! end. So a kill can only under-use the hour, and the reserve stays for the customer's other tools.

use super::QualysError;
use crate::model::{Name, after};
use crate::state::{AccountState, Endpoint, SCHEMA_VERSION, Used, without_reserve};
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
/// When the headers say that only the reserve is left and not until when, look again then. The window slides, so a few
/// calls come free before it is over.
const LOOK_AGAIN: Duration = Duration::from_mins(5);
/// A refusal without a wait, after all attempts: stay away for so long. Qualys's own plugin tries for two minutes.
const UNKNOWN_WAIT: Duration = Duration::from_mins(2);
/// A longer wait is looked at again after a day: the limits' windows are an hour, or a day in the oldest contracts.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// The limits of an account, as the settings say them. Limit headers of Qualys win over them.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls in an hour, for each endpoint.
    pub per_hour: u32,
    /// The share of them, in percent, that stays for the customer's other tools.
    pub reserve_percent: u32,
    /// Calls at once.
    pub at_once: usize,
}

/// The limits of one account, as one cycle obeys them.
#[derive(Debug)]
pub struct CallBudget {
    store: Store,
    account: Name,
    allowed: u32,
    reserve_percent: u32,
    began: (Timestamp, Instant),
    permits: Semaphore,
    /// Held while calls are booked, so that one cycle books once for all that wait.
    booking: tokio::sync::Mutex<()>,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    left: BTreeMap<Endpoint, u32>,
    made: BTreeMap<Endpoint, u32>,
    /// What the headers last said: calls that we may still make.
    heard: BTreeMap<Endpoint, u32>,
    pause_until: Option<Timestamp>,
    /// A short wait that Qualys asked for: everybody waits it out.
    hold_until: Option<Instant>,
    /// When an endpoint whose share is used up has a call again.
    window_until: Option<Timestamp>,
    /// Qualys refused the credentials: nothing more is sent.
    refused: bool,
    calls: u32,
}

impl CallBudget {
    /// The limits for a cycle that began at `now`: so many calls an hour of which a share is reserved, so many at once.
    pub fn new(store: Store, account: Name, limits: CallLimits, now: Timestamp) -> Self {
        let CallLimits { per_hour, reserve_percent, at_once } = limits;
        Self {
            store,
            account,
            allowed: without_reserve(per_hour, reserve_percent),
            reserve_percent,
            began: (now, Instant::now()),
            permits: Semaphore::new(at_once.max(1)),
            booking: tokio::sync::Mutex::default(),
            ledger: Mutex::default(),
        }
    }

    /// Waits for a place among the calls at once, and takes a booked call.
    pub(super) async fn turn(&self, endpoint: Endpoint) -> Result<SemaphorePermit<'_>, QualysError> {
        // The semaphore is never closed.
        let permit = self.permits.acquire().await.map_err(|_| QualysError::Address { endpoint })?;
        let hold = self.lock().hold_until;
        if let Some(until) = hold {
            tokio::time::sleep_until(until).await;
        }
        let _one_at_a_time = self.booking.lock().await;
        let now = self.now();
        if self.lock().refused {
            return Err(QualysError::BadCredentials { endpoint });
        }
        if let Some(until) = self.lock().pause_until.filter(|until| *until > now) {
            return Err(QualysError::NoCallsLeft { endpoint, until });
        }
        if self.lock().left.get(&endpoint).is_none_or(|left| *left == 0) {
            let booked = self.book(endpoint, now).await.map_err(QualysError::Account)?;
            let heard = self.lock().heard.get(&endpoint).copied();
            match (booked, heard) {
                (Ok(calls), _) => *self.lock().left.entry(endpoint).or_default() += calls,
                // What the headers say wins over our own count.
                (Err(_), Some(1..)) => *self.lock().left.entry(endpoint).or_default() += 1,
                (Err(until), _) => {
                    let mut ledger = self.lock();
                    ledger.window_until = ledger.window_until.max(Some(until));
                    return Err(QualysError::NoCallsLeft { endpoint, until });
                }
            }
        }
        let mut ledger = self.lock();
        if let Some(left) = ledger.left.get_mut(&endpoint) {
            *left = left.saturating_sub(1);
        }
        *ledger.made.entry(endpoint).or_default() += 1;
        ledger.calls += 1;
        Ok(permit)
    }

    async fn book(&self, endpoint: Endpoint, now: Timestamp) -> Result<Result<u32, Timestamp>, StoreError> {
        self.store
            .update(&BlobKey::Account(self.account.clone()), |account: &mut AccountState| {
                account.schema_version = SCHEMA_VERSION;
                account.book(endpoint, BOOKED_AT_ONCE, self.allowed, now)
            })
            .await
    }

    /// Takes in the limit headers of an answer. On this API they were missing from every recording; if they come, they win.
    pub(super) fn hear(&self, endpoint: Endpoint, headers: &HeaderMap) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        let (Some(remaining), Some(limit)) = (number("x-ratelimit-remaining"), number("x-ratelimit-limit"))
        else {
            return;
        };
        let ours =
            remaining.saturating_sub(limit.saturating_sub(without_reserve(limit, self.reserve_percent)));
        let now = self.now();
        let mut ledger = self.lock();
        ledger.heard.insert(endpoint, ours);
        if ours == 0 {
            let wait = super::error::asked_wait(headers).unwrap_or(LOOK_AGAIN).min(LONGEST_PAUSE);
            ledger.pause_until = ledger.pause_until.max(Some(after(now, wait)));
        }
    }

    /// Qualys said to wait: no further call in this cycle before then.
    pub(super) fn pause(&self, wait: Option<Duration>) {
        let until = after(self.now(), wait.unwrap_or(UNKNOWN_WAIT).min(LONGEST_PAUSE));
        let mut ledger = self.lock();
        ledger.pause_until = ledger.pause_until.max(Some(until));
    }

    /// Qualys said to wait for so short that it is waited out, by all calls.
    pub(super) fn hold(&self, wait: Duration) {
        if wait <= crate::retry::LONGEST {
            let mut ledger = self.lock();
            ledger.hold_until = ledger.hold_until.max(Some(Instant::now() + wait));
        }
    }

    /// Qualys refused the credentials: repeated failures lock the user out, so nothing more is sent.
    pub(super) fn refuse(&self) {
        self.lock().refused = true;
    }

    /// Whether Qualys refused the credentials, so that nothing more is sent.
    pub fn is_refused(&self) -> bool {
        self.lock().refused
    }

    /// When an endpoint whose share is used up has a call again, if that was met.
    pub fn window_until(&self) -> Option<Timestamp> {
        self.lock().window_until
    }

    /// Until when Qualys told this cycle to wait, if it did.
    pub fn paused_until(&self) -> Option<Timestamp> {
        self.lock().pause_until
    }

    /// The time now: the cycle's beginning and what has passed since.
    pub fn now(&self) -> Timestamp {
        after(self.began.0, self.began.1.elapsed())
    }

    /// The calls made so far.
    pub fn used(&self) -> Used {
        let ledger = self.lock();
        Used { total: ledger.calls, by_endpoint: ledger.made.clone(), left: None }
    }

    /// Gives back what was booked and not used, and remembers a pause. Gives the calls made and left.
    ///
    /// # Errors
    /// When the account's state cannot be written.
    pub async fn finish(&self) -> Result<Used, StoreError> {
        let _one_at_a_time = self.booking.lock().await;
        let now = self.now();
        let (left, pause) = {
            let mut ledger = self.lock();
            (std::mem::take(&mut ledger.left), ledger.pause_until.filter(|until| *until > now))
        };
        let mut used = self.used();
        if left.is_empty() && pause.is_none() && used.total == 0 {
            return Ok(used);
        }
        used.left = self
            .store
            .update(&BlobKey::Account(self.account.clone()), |account: &mut AccountState| {
                account.schema_version = SCHEMA_VERSION;
                for (endpoint, calls) in &left {
                    account.give_back(*endpoint, *calls);
                }
                account.made_until(self.began.0, now);
                account.pause_until = pause;
                used.by_endpoint
                    .keys()
                    .map(|endpoint| self.allowed.saturating_sub(account.used(*endpoint, now)))
                    .min()
            })
            .await?;
        Ok(used)
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // Every change of the ledger is one assignment, so a panic elsewhere cannot leave it half changed.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
