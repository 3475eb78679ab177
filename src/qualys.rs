//! The Qualys client: one request at a time, or one walk over pages. It has no policy.
//!
//! Guarantees: errors that come under HTTP 200 are errors; a page that says one thing and holds another is an error; a
//! write is repeated only when Qualys refused it before doing anything; no body and no credential goes into an error or a
//! log line.

mod call_budget;
mod connectors;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hosts;
mod wire;

#[cfg(test)]
mod tests;

pub use call_budget::CallBudget;
pub use connectors::NewConnector;
pub use error::QualysError;
pub use hosts::{HostPage, HostRow};

use crate::retry::{Again, retry};
use crate::state::Endpoint;
use bytes::Bytes;
use reqwest::{Method, header};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::debug;
use url::Url;

/// A page of 1,000 records may take long: one row took 14 s once (recorded in 2020), and clients in use wait 60 to 300 s.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// The Qualys API server, spoken to as one user.
pub struct Qualys {
    http: reqwest::Client,
    base: Url,
    username: SecretString,
    password: SecretString,
    write_timeout: Duration,
    deadline: Instant,
    calls: CallBudget,
    may_send: MaySend,
}

/// What is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// A search, a count, a get: the account's lease must be ours.
    Read,
    /// Anything else: it must also stay ours for as long as the write may take.
    Write,
}

/// Whether the account's lease allows a call now. Asked before each attempt.
pub type MaySend = Arc<dyn Fn(Sending) -> bool + Send + Sync>;

/// What a [`Qualys`] is made of.
pub struct Setup {
    /// The shared HTTP client.
    pub http: reqwest::Client,
    /// The API server's address, such as `https://qualysapi.qg2.apps.qualys.com`.
    pub base: Url,
    /// The user.
    pub username: SecretString,
    /// The password.
    pub password: SecretString,
    /// How long a write may take: half the lease, so that no write is in flight when the lease is lost.
    pub write_timeout: Duration,
    /// When the cycle must end.
    pub deadline: Instant,
    /// The account's limits.
    pub calls: CallBudget,
    /// Whether a call may be sent now.
    pub may_send: MaySend,
}

impl std::fmt::Debug for Qualys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Qualys")
            .field("base", &self.base.as_str())
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// One call.
struct Call {
    endpoint: Endpoint,
    method: Method,
    path: String,
    body: Option<Bytes>,
}

impl Call {
    fn is_write(&self) -> bool {
        matches!(
            self.endpoint,
            Endpoint::ConnectorCreate
                | Endpoint::ConnectorUpdate
                | Endpoint::ConnectorRun
                | Endpoint::ConnectorDelete
        )
    }
}

impl Qualys {
    /// A client for one cycle.
    pub fn new(setup: Setup) -> Self {
        let Setup { http, base, username, password, write_timeout, deadline, calls, may_send } = setup;
        Self { http, base, username, password, write_timeout, deadline, calls, may_send }
    }

    /// The account's limits, as this cycle uses them.
    pub fn calls(&self) -> &CallBudget {
        &self.calls
    }

    /// Sends one call, with the repetitions that are safe for it, and gives the body of a success.
    async fn send(&self, call: Call) -> Result<Bytes, QualysError> {
        let again = |error: &QualysError| match error {
            // Refused before any work: safe to repeat even for a write.
            QualysError::RateLimited { wait: Some(wait), .. } => Again::After(*wait),
            QualysError::RateLimited { wait: None, .. } => Again::Soon,
            error if !call.is_write() && error.is_transient() => Again::Soon,
            _ => Again::No,
        };
        let result = retry(self.deadline, again, |attempt| self.attempt(&call, attempt)).await;
        match &result {
            Err(QualysError::RateLimited { wait, .. }) => self.calls.pause(*wait),
            Err(QualysError::BadCredentials { .. }) => self.calls.refuse(),
            _ => {}
        }
        result
    }

    async fn attempt(&self, call: &Call, attempt: u32) -> Result<Bytes, QualysError> {
        let endpoint = call.endpoint;
        let _turn = self.calls.turn(endpoint).await?;
        let sending = if call.is_write() { Sending::Write } else { Sending::Read };
        if !(self.may_send)(sending) {
            return Err(QualysError::LeaseLost { endpoint });
        }
        let url = self.base.join(&call.path).map_err(|_| QualysError::Address { endpoint })?;
        let timeout = if call.is_write() { self.write_timeout } else { READ_TIMEOUT };
        let timeout = timeout.min(self.deadline.saturating_duration_since(Instant::now()));
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .timeout(timeout)
            .basic_auth(self.username.expose_secret(), Some(self.password.expose_secret()))
            .header(header::ACCEPT, "application/json")
            // Mandatory on Qualys's classic API, and sent by Qualys's own newer scripts on this one.
            .header("X-Requested-With", "qualys-azure-inventory");
        if let Some(body) = &call.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        } else if call.method == Method::POST {
            request = request.header(header::CONTENT_LENGTH, 0);
        }
        let begun = Instant::now();
        let transport =
            |source: reqwest::Error| QualysError::Transport { endpoint, source: source.without_url() };
        let response = request.send().await.map_err(transport)?;
        let status = response.status();
        self.calls.hear(endpoint, response.headers());
        let wait = error::asked_wait(response.headers());
        let bytes = response.bytes().await.map_err(transport)?;
        debug!(
            qualys.endpoint = %endpoint, http.status = status.as_u16(), attempt,
            duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), size_bytes = bytes.len(),
            "Qualys answered the {endpoint} with {status}"
        );
        let scrub = |text: &str| self.scrub(text, call.body.as_ref());
        let checked = error::check(endpoint, status, wait, &bytes, scrub);
        match &checked {
            // At once, so that calls that wait for their turn do not go on.
            Err(QualysError::BadCredentials { .. }) => self.calls.refuse(),
            Err(QualysError::RateLimited { wait: Some(wait), .. }) => self.calls.hold(*wait),
            _ => {}
        }
        checked.map(|()| bytes)
    }

    /// Text of Qualys's that may go into an error: short, on one line, and with none of the secrets that we sent.
    fn scrub(&self, text: &str, body: Option<&Bytes>) -> Option<String> {
        const SHOWN: usize = 200;
        let sent = body.and_then(|body| wire::key_in(body));
        let (user, password) = (self.username.expose_secret(), self.password.expose_secret());
        // The pair is what the header encodes.
        let pair = format!("{user}:{password}");
        let secrets = [Some(password.to_owned()), Some(user.to_owned()), Some(pair), sent];
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // In both: what was taken apart by a line break may stand whole in the line.
        let shown = |secret: &String| [text, &line].iter().any(|text| crate::secrets::shows(text, secret));
        if secrets.iter().flatten().any(shown) {
            return None;
        }
        let line: String = line.chars().take(SHOWN).collect();
        (!line.trim().is_empty()).then(|| line.trim().to_owned())
    }
}
