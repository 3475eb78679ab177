//! The tokens of one identity: each is fetched once and kept until shortly before it expires.
//!
//! Guarantees: for one scope one fetch at a time, whose result everyone who waits for it gets; a fetch that its callers gave up
//! goes on with the next caller; a failure says why there is no token, and is not kept for long.

use super::tools;
use crate::report::is_untrusted;
use crate::retry::{Again, retry};
use crate::sdk::{Issuer, SignInError, root_of};
use azure_core::Error;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;
use futures::future::{BoxFuture, FutureExt, Shared};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A token is fetched anew when it has less time left. Whatever is sent with a token takes a minute at most. The SDK and the
/// Azure CLI keep theirs until five minutes are left, so that an earlier fetch would return the old one.
const MARGIN: Duration = Duration::from_mins(5);
/// If a new token cannot be had, the old one is used for as long as it outlives a request.
const LEAST: Duration = Duration::from_mins(1);
/// The calls that a step makes one after the other have the cause of the first, and not each its own wait. A correction counts
/// in the next cycle all the same.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

/// The tokens of one identity, by scope.
#[derive(Debug)]
pub(super) struct Tokens {
    credential: Arc<dyn TokenCredential>,
    from: Issuer,
    slots: Mutex<HashMap<String, Slot>>,
}

/// What is known of one scope.
#[derive(Debug, Default)]
struct Slot {
    token: Option<Token>,
    /// The fetch that is under way, and when it began.
    fetch: Option<(Instant, Fetch)>,
    failed: Option<(Instant, SignInError)>,
}

#[derive(Debug, Clone)]
struct Token {
    token: AccessToken,
    ends: Instant,
}

type Fetch = Shared<BoxFuture<'static, Result<Token, SignInError>>>;

impl Slot {
    /// The token, if it has this much time left.
    fn token_with(&self, left: Duration) -> Option<AccessToken> {
        let token = self.token.as_ref().filter(|token| token.ends > Instant::now() + left)?;
        Some(token.token.clone())
    }

    fn failure(&self) -> Option<SignInError> {
        let (_, why) = self.failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_KEPT)?;
        Some(why.clone())
    }
}

impl Tokens {
    pub(super) fn new(credential: Arc<dyn TokenCredential>, from: Issuer) -> Self {
        Self { credential, from, slots: Mutex::default() }
    }

    /// The fetch that is under way, or a new one.
    fn fetch_of(&self, slot: &mut Slot, scope: &str) -> Fetch {
        // One that nobody waited for has no more time; its token might look younger than it is.
        let is_alive = |(begun, _): &&(Instant, Fetch)| begun.elapsed() <= self.from.limit();
        if let Some((_, fetch)) = slot.fetch.as_ref().filter(is_alive) {
            return fetch.clone();
        }
        let fetch = fetch(Arc::clone(&self.credential), self.from, scope.to_owned()).boxed().shared();
        slot.fetch = Some((Instant::now(), fetch.clone()));
        fetch
    }

    async fn token(&self, scope: &str) -> Result<AccessToken, SignInError> {
        let fetch = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.entry(scope.to_owned()).or_default();
            if let Some(token) = slot.token_with(MARGIN) {
                return Ok(token);
            }
            if let Some(why) = slot.failure() {
                return slot.token_with(LEAST).ok_or(why);
            }
            self.fetch_of(slot, scope)
        };
        let result = fetch.clone().await;
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(scope.to_owned()).or_default();
        // Of those who waited, the first writes it down.
        if slot.fetch.as_ref().is_some_and(|(_, known)| known.ptr_eq(&fetch)) {
            slot.fetch = None;
            match &result {
                Ok(token) => (slot.token, slot.failed) = (Some(token.clone()), None),
                Err(why) => slot.failed = Some((Instant::now(), why.clone())),
            }
        }
        match result {
            Ok(token) => Ok(token.token),
            Err(why) => slot.token_with(LEAST).ok_or(why),
        }
    }
}

#[async_trait::async_trait]
impl TokenCredential for Tokens {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.token(&scopes.join(" ")).await;
        token.map_err(|why| Error::new(ErrorKind::Credential, why))
    }
}

/// Asks for a token. A fault that may pass is met with another attempt, while there is time.
async fn fetch(
    credential: Arc<dyn TokenCredential>,
    from: Issuer,
    scope: String,
) -> Result<Token, SignInError> {
    let deadline = Instant::now() + from.limit();
    // The tools are started once: they make attempts of their own, and take seconds.
    let again = |why: &SignInError| {
        if why.may_pass() && from != Issuer::Tools { Again::Soon } else { Again::No }
    };
    let attempt = |_| async {
        let scopes = [scope.as_str()];
        let late = |_| SignInError::NoAnswer { from, cause: "no answer in time".into() };
        let asked = timeout_at(deadline, credential.get_token(&scopes, None)).await.map_err(late)?;
        let token = asked.map_err(|error| why(from, &error))?;
        // The clock is only read to measure how long it lives.
        let lives = Duration::try_from(token.expires_on - OffsetDateTime::now_utc()).unwrap_or_default();
        Ok(Token { token, ends: Instant::now() + lives })
    };
    retry(deadline, again, attempt).await
}

/// What an error of the SDK says about the sign-in.
fn why(from: Issuer, error: &Error) -> SignInError {
    if let Some(why) = SignInError::behind(error) {
        return why;
    }
    if from == Issuer::Tools {
        return tools::refusal(&error.to_string());
    }
    let cause = root_of(error);
    if is_untrusted(error) {
        SignInError::Untrusted { from, cause }
    } else {
        SignInError::NoAnswer { from, cause }
    }
}

#[cfg(test)]
mod tests;
