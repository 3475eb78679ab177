//! Signing in to Qualys, and the session in which every call is made.
//!
//! Guarantees: no call is made with credentials that Qualys refused, except the one that a person asks for with `doctor`. A
//! refusal opens the breaker, and only a sign-in with these very credentials that succeeds closes it. Calls are counted,
//! and what was booked and not used is given back.

use super::{Login, Visit};
use crate::qualys::{self, CallBudget, CallKind, Qualys, QualysError};
use crate::retry::chance;
use crate::state::{AccountState, Breaker, SCHEMA_VERSION, Used};
use crate::store::{BlobKey, StoreError};
use jiff::Timestamp;
use std::sync::Arc;

/// Breakers that an account keeps: enough for every deployment that uses it, and their latest passwords.
const MOST_BREAKERS: usize = 50;

/// The result of signing in.
#[derive(Debug)]
pub enum SignIn<'a> {
    Open(Box<Session<'a>>),
    /// Qualys refused these credentials before, so no call is made.
    Refused,
    /// Qualys asked the account to wait until then.
    Waits(Timestamp),
}

/// A session: signed in to Qualys, inside the account's door.
#[derive(Debug)]
pub struct Session<'a> {
    visit: &'a Visit<'a>,
    qualys: Qualys,
    credentials: String,
    /// Qualys had refused these credentials before.
    pub was_refused: bool,
}

/// What the account's state says of some credentials.
struct Known {
    /// Names them without showing them.
    credentials: String,
    was_refused: bool,
    /// Until when Qualys asked the account to wait.
    pause_until: Option<Timestamp>,
}

/// The calls of a session, and the waits that it met.
#[derive(Debug, Clone, Default)]
pub struct CallsMade {
    pub used: Used,
    /// Until when Qualys asked us to wait.
    pub paused_until: Option<Timestamp>,
    /// When an endpoint whose share of the hour was used up has a call again.
    pub window_until: Option<Timestamp>,
}

impl Visit<'_> {
    /// Signs in, unless Qualys refused these credentials before or asked the account to wait. Nothing is sent yet.
    ///
    /// # Errors
    /// When the account's state cannot be read or written.
    pub async fn sign_in(&self, login: &Login) -> Result<SignIn<'_>, StoreError> {
        let known = self.known(login).await?;
        if known.was_refused {
            return Ok(SignIn::Refused);
        }
        Ok(self.open(login, known).map_or_else(SignIn::Waits, |session| SignIn::Open(Box::new(session))))
    }

    /// Signs in because a person asks for it, even with credentials that Qualys refused before. Else returns until when
    /// Qualys asked the account to wait.
    ///
    /// # Errors
    /// As [`Visit::sign_in`].
    pub async fn sign_in_even_if_refused(
        &self,
        login: &Login,
    ) -> Result<Result<Session<'_>, Timestamp>, StoreError> {
        let known = self.known(login).await?;
        Ok(self.open(login, known))
    }

    fn open(&self, login: &Login, known: Known) -> Result<Session<'_>, Timestamp> {
        let Known { credentials, was_refused, pause_until } = known;
        match pause_until.filter(|until| *until > self.time.now()) {
            Some(until) => Err(until),
            None => Ok(Session { visit: self, qualys: self.client(login), credentials, was_refused }),
        }
    }

    async fn known(&self, login: &Login) -> Result<Known, StoreError> {
        let read = |state: &mut AccountState| {
            state.schema_version = SCHEMA_VERSION;
            if state.salt.is_empty() {
                state.salt = format!("{:08x}{:08x}", chance(), chance());
            }
            let credentials = login.fingerprint(&state.salt);
            let was_refused = state.refused.iter().any(|breaker| breaker.credentials == credentials);
            Known { credentials, was_refused, pause_until: state.pause_until }
        };
        self.account.store.update_dated(&self.state_key(), self.time.now(), read).await
    }

    fn state_key(&self) -> BlobKey {
        BlobKey::Account(self.account.name.clone())
    }

    /// Qualys as this user: each call asks the lease first, and books itself in the account's state.
    fn client(&self, login: &Login) -> Qualys {
        let account = self.account;
        let lease = Arc::clone(&self.lease);
        Qualys::new(qualys::Setup {
            http: account.http.clone(),
            base: account.api.clone(),
            username: login.username.value.clone(),
            password: login.password.value.clone(),
            write_timeout: account.lease / 2,
            deadline: self.time.deadline,
            calls: CallBudget::new(
                account.store.clone(),
                account.name.clone(),
                account.limits,
                self.time.began(),
            ),
            may_send: Arc::new(move |kind| match kind {
                CallKind::Read => lease.is_still_ours(),
                CallKind::Write => lease.allows_writes(),
            }),
        })
    }
}

impl Session<'_> {
    pub fn qualys(&self) -> &Qualys {
        &self.qualys
    }

    /// Whether the account stays ours for as long as a write to Qualys may take.
    pub fn allows_writes(&self) -> bool {
        self.visit.lease.allows_writes()
    }

    /// Whether Qualys refused the credentials in this session.
    pub fn is_refused(&self) -> bool {
        self.qualys.calls().is_stopped()
    }

    /// Tries the credentials with one call. A success closes their breaker.
    ///
    /// # Errors
    /// The call's error, beside the result for the account's state.
    pub async fn try_credentials(&self) -> Result<Result<(), QualysError>, StoreError> {
        let tried = self.qualys.sign_in().await;
        if tried.is_ok() && self.was_refused {
            self.set_breaker(false).await?;
        }
        Ok(tried)
    }

    /// Ends the session: opens the breaker if Qualys refused the credentials, and gives back the calls that were booked and
    /// not made. The breaker comes first: a few lost calls cost less than another refusal.
    ///
    /// # Errors
    /// When the account's state cannot be written.
    pub async fn end(self) -> Result<CallsMade, StoreError> {
        if self.is_refused() {
            self.set_breaker(true).await?;
        }
        let calls = self.qualys.calls();
        let used = calls.close().await?;
        Ok(CallsMade { used, paused_until: calls.paused_until(), window_until: calls.window_until() })
    }

    /// Opens or closes the breaker of these credentials, if it is not so already. What this session knew when it began may be
    /// outdated by its own calls, so the state decides.
    async fn set_breaker(&self, open: bool) -> Result<(), StoreError> {
        let opened = self.visit.time.now();
        let change = |state: &mut AccountState| {
            let is_ours = |breaker: &Breaker| breaker.credentials == self.credentials;
            if !open {
                state.refused.retain(|breaker| !is_ours(breaker));
            } else if !state.refused.iter().any(is_ours) {
                state.refused.push(Breaker { opened, credentials: self.credentials.clone() });
            }
            let surplus = state.refused.len().saturating_sub(MOST_BREAKERS);
            state.refused.drain(..surplus);
        };
        self.visit.account.store.update_dated(&self.visit.state_key(), opened, change).await
    }
}
