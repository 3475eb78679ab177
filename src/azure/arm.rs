//! Azure Resource Manager: which subscriptions exist.
//!
//! Guarantees: a list is complete or an error; a next link is followed on the same host only; a wait that ARM asks for is
//! obeyed.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod wire;

use super::code::code_in;
use crate::bounded::{self, BodyError};
use crate::model::{Subscription, SubscriptionId};
use crate::report::{UNTRUSTED, is_untrusted};
use crate::retry::{Again, retry};
use crate::sdk::{self, SignInError};
use azure_core::credentials::{Secret, TokenCredential};
use bytes::Bytes;
use reqwest::{StatusCode, header};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::debug;
use url::Url;
use wire::{Page, WireDescendant, WireSubscription, malformed, parse, subscription};

/// ARM answers within seconds; a minute is its own gateway's limit.
const TIMEOUT: Duration = Duration::from_mins(1);
/// A list with more pages is taken for one without an end: ARM returns 100 to 1,000 entries a page, and a tenant has some
/// ten thousand subscriptions at most, so 100 pages. More than 250 calls would also empty ARM's
/// [token bucket](https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling).
const MOST_PAGES: usize = 250;
/// <https://learn.microsoft.com/rest/api/resources/subscriptions/list>
const SUBSCRIPTIONS_API: &str = "2022-12-01";
/// <https://learn.microsoft.com/rest/api/managementgroups/management-groups/get-descendants>
const DESCENDANTS_API: &str = "2020-05-01";

/// Why ARM could not be read. `what` names the thing that was asked for, `code` is the code of ARM's answer.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// There is no token to ask with.
    #[error(transparent)]
    SignIn(SignInError),
    /// The identity has no role there.
    #[error("ARM forbids reading {what} ({code})")]
    Forbidden { what: String, code: String },
    #[error("ARM does not accept the identity's token for {what} ({code})")]
    Unauthorized { what: String, code: String },
    /// It does not exist, or the identity may not see it.
    #[error("ARM cannot find {what} ({code})")]
    NotFound { what: String, code: String },
    #[error("ARM is throttling requests{}: {what} was not read", wait.map(|w| format!(", for {} s", w.as_secs())).unwrap_or_default())]
    Throttled {
        what: String,
        /// How long ARM asks to wait, if it says so.
        wait: Option<Duration>,
    },
    /// Any other status.
    #[error("ARM answered HTTP {status} ({code}) when asked for {what}")]
    Status { what: String, status: u16, code: String },
    #[error("ARM's answer about {what} cannot be used: {why}")]
    Malformed { what: String, why: String },
    #[error("no answer from ARM about {what}")]
    Transport {
        what: String,
        #[source]
        source: reqwest::Error,
    },
}

impl ArmError {
    /// What to do about it.
    pub fn advice(&self) -> String {
        let advice = match self {
            Self::SignIn(why) => return why.advice(),
            Self::Forbidden { .. } => "give the identity the role Reader on it",
            Self::Unauthorized { code, .. } if code == "InvalidAuthenticationTokenTenant" => {
                "use an identity of the directory TENANT_ID, or correct TENANT_ID"
            }
            Self::Unauthorized { .. } => {
                "check the identity (AZURE_IDENTITY) and its settings, AZURE_CLOUD and ARM_URL"
            }
            Self::NotFound { .. } => {
                "correct its name in SCOPE or EXCLUDE, or give the identity the role Reader on it"
            }
            Self::Throttled { .. } => "nothing to do: a later cycle reads it",
            Self::Status { status: 408 | 500.., .. } => "nothing to do at first: a later cycle tries again",
            Self::Status { status: 400, .. } => "check its name in SCOPE or EXCLUDE, and ARM_URL",
            Self::Transport { source, .. } if is_untrusted(source) => UNTRUSTED,
            Self::Status { .. } | Self::Malformed { .. } | Self::Transport { .. } => {
                "check ARM_URL, the network, and the proxy if there is one (HTTPS_PROXY)"
            }
        };
        advice.to_owned()
    }
}

/// ARM, read as one identity.
#[derive(Debug, Clone)]
pub struct Arm {
    http: reqwest::Client,
    base: Url,
    credential: Arc<dyn TokenCredential>,
    scope: String,
}

impl Arm {
    /// `scope` is the scope of the tokens, for example `https://management.azure.com/.default`.
    pub fn new(
        http: reqwest::Client,
        base: Url,
        credential: Arc<dyn TokenCredential>,
        scope: String,
    ) -> Self {
        Self { http, base, credential, scope }
    }

    /// Every subscription that the identity can read, in any directory.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub async fn subscriptions(&self, deadline: Instant) -> Result<Vec<Subscription>, ArmError> {
        let path = format!("/subscriptions?api-version={SUBSCRIPTIONS_API}");
        let found: Vec<WireSubscription> = self.pages(&path, "the list of subscriptions", deadline).await?;
        found.into_iter().map(|wire| subscription(wire, "the list of subscriptions")).collect()
    }

    /// One subscription, read directly, since lists lag behind.
    ///
    /// # Errors
    /// [`ArmError::Forbidden`] and [`ArmError::NotFound`] both mean that the identity may have lost access. Neither proves that
    /// the subscription is gone.
    pub async fn subscription(
        &self,
        id: SubscriptionId,
        deadline: Instant,
    ) -> Result<Subscription, ArmError> {
        let what = format!("subscription {id}");
        let url = self.join(&format!("/subscriptions/{id}?api-version={SUBSCRIPTIONS_API}"), &what)?;
        let bytes = self.get(&url, &what, deadline).await?;
        subscription(parse(&bytes, &what)?, &what)
    }

    /// The subscriptions below a management group, at any depth.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub async fn descendants(
        &self,
        group: &str,
        deadline: Instant,
    ) -> Result<BTreeSet<SubscriptionId>, ArmError> {
        let what = format!("management group `{group}`");
        let mut url = self.join("/providers/Microsoft.Management/managementGroups/", &what)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(group).push("descendants");
        }
        let path = format!("{}?api-version={DESCENDANTS_API}", url.path());
        let found: Vec<WireDescendant> = self.pages(&path, &what, deadline).await?;
        wire::below(found, &what)
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &str,
        deadline: Instant,
    ) -> Result<Vec<T>, ArmError> {
        let mut url = self.join(path, what)?;
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        for _ in 0..MOST_PAGES {
            if !seen.insert(url.as_str().to_owned()) {
                return Err(malformed(what, "its next link leads back to a page that was read before"));
            }
            let bytes = self.get(&url, what, deadline).await?;
            let page: Page<T> = parse(&bytes, what)?;
            found.extend(page.value);
            match wire::next(page.next_link, &self.base, what)? {
                None => return Ok(found),
                Some(next) => url = next,
            }
        }
        Err(malformed(what, &format!("it has more than {MOST_PAGES} pages, so it does not seem to end")))
    }

    async fn get(&self, url: &Url, what: &str, deadline: Instant) -> Result<Bytes, ArmError> {
        let again = |error: &ArmError| match error {
            ArmError::Throttled { wait: Some(wait), .. } => Again::After(*wait),
            ArmError::Throttled { wait: None, .. } | ArmError::Transport { .. } => Again::Soon,
            ArmError::Status { status, .. } if *status == 408 || *status >= 500 => Again::Soon,
            _ => Again::No,
        };
        retry(deadline, again, |attempt| self.attempt(url.clone(), what, attempt, deadline)).await
    }

    /// Whether there is a token. Without one nothing that ARM is asked for can be read, so this is asked first.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn sign_in(&self, deadline: Instant) -> Result<(), SignInError> {
        self.token(deadline).await.map(|_| ())
    }

    async fn token(&self, deadline: Instant) -> Result<Secret, SignInError> {
        sdk::token(self.credential.as_ref(), &[self.scope.as_str()], deadline).await
    }

    async fn attempt(
        &self,
        url: Url,
        what: &str,
        attempt: u32,
        deadline: Instant,
    ) -> Result<Bytes, ArmError> {
        let token = self.token(deadline).await.map_err(ArmError::SignIn)?;
        let begun = Instant::now();
        let transport = |source: reqwest::Error| ArmError::Transport {
            what: what.to_owned(),
            source: source.without_url(),
        };
        let response = self
            .http
            .get(url)
            .timeout(TIMEOUT.min(deadline.saturating_duration_since(begun)))
            .bearer_auth(token.secret())
            .header(header::ACCEPT, "application/json")
            // ARM caches the management-group tree; this asks for a fresh answer.
            .header(header::CACHE_CONTROL, "no-cache")
            .send()
            .await
            .map_err(transport)?;
        let status = response.status();
        debug!(
            http.status = status.as_u16(),
            attempt,
            duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "ARM answered {status} about {what}"
        );
        if status == StatusCode::OK {
            return bounded::body(response).await.map_err(|error| match error {
                BodyError::Transport(source) => transport(source),
                BodyError::TooLarge => malformed(what, &BodyError::TooLarge.to_string()),
            });
        }
        let wait = response.headers().get(header::RETRY_AFTER);
        let wait = wait.and_then(|wait| wait.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
        let (what, code) = (what.to_owned(), code_of(response).await);
        Err(match status {
            StatusCode::UNAUTHORIZED => ArmError::Unauthorized { what, code },
            StatusCode::FORBIDDEN => ArmError::Forbidden { what, code },
            StatusCode::NOT_FOUND => ArmError::NotFound { what, code },
            StatusCode::TOO_MANY_REQUESTS => ArmError::Throttled { what, wait },
            _ => ArmError::Status { what, status: status.as_u16(), code },
        })
    }

    fn join(&self, path: &str, what: &str) -> Result<Url, ArmError> {
        self.base.join(path).map_err(|_| malformed(what, "its address cannot be built: check ARM_URL"))
    }
}

/// The code in an error answer.
async fn code_of(mut answer: reqwest::Response) -> String {
    /// An error has a few hundred bytes. Of a longer body, which is not ARM's, no more is read.
    const MOST: usize = 64 * 1024;
    let mut body = Vec::new();
    while let Ok(Some(part)) = answer.chunk().await {
        body.extend_from_slice(&part);
        if body.len() > MOST {
            break;
        }
    }
    code_in(&body).unwrap_or_else(|| "no code".to_owned())
}
