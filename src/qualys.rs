//! The Qualys client: it makes one call, or reads one list page by page. It has no policy.
//!
//! Guarantees: an error that comes with HTTP 200 is returned as an error, and so is a page whose content differs from what
//! the page states; a write is repeated only when Qualys refused it before it did anything; no body and no credential goes
//! into an error or a log line.

mod call_budget;
mod classic;
mod connectors;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hosts;
mod time_left;
mod wire;

#[cfg(test)]
mod tests;

pub use call_budget::{CallBudget, CallLimits};
pub use connectors::NewConnector;
pub use error::QualysError;
pub use hosts::{HostPage, HostRow};

use crate::bounded::{self, BodyError};
use crate::model::ClockReading;
use crate::retry::{Again, retry};
use crate::state::Endpoint;
use bytes::Bytes;
use jiff::fmt::rfc2822;
use reqwest::{Method, header};
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use time_left::TimeLeft;
use tokio::time::Instant;
use tracing::debug;
use url::Url;

/// A page of 1,000 records may take long: a single row once took 14 s (recorded in 2020), and other clients wait 60 to
/// 300 s.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// A client of the Qualys API server for one user and one cycle.
pub struct Qualys {
    http: reqwest::Client,
    base: Url,
    username: SecretString,
    password: SecretString,
    write_timeout: Duration,
    deadline: Instant,
    time_left: TimeLeft,
    calls: CallBudget,
    may_send: MaySend,
    /// Of the latest answer with a `Date`.
    clock: Mutex<Option<ClockReading>>,
}

/// What a call does to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// A search, a count or a get. The account's lease must be ours.
    Read,
    /// Anything else. The lease must also stay ours for as long as the write may take.
    Write,
}

/// Whether the account's lease allows such a call now. Checked before each attempt.
pub type MaySend = Arc<dyn Fn(CallKind) -> bool + Send + Sync>;

/// What a [`Qualys`] is made of.
pub struct Setup {
    pub http: reqwest::Client,
    /// The API server's address, for example `https://qualysapi.qg2.apps.qualys.com`.
    pub base: Url,
    pub username: SecretString,
    pub password: SecretString,
    /// How long a write may take: half the lease, so that no write is in flight when the lease is lost.
    pub write_timeout: Duration,
    /// When the cycle must end.
    pub deadline: Instant,
    pub calls: CallBudget,
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

struct Call {
    endpoint: Endpoint,
    method: Method,
    path: String,
    body: Option<Bytes>,
}

impl Call {
    /// Calls that read machines have large answers, and a reading that is cut off has no effect.
    fn is_about_connectors(&self) -> bool {
        !matches!(self.endpoint, Endpoint::HostSearch | Endpoint::HostCount)
    }

    fn kind(&self) -> CallKind {
        match self.endpoint {
            Endpoint::ConnectorSearch
            | Endpoint::ConnectorGet
            | Endpoint::HostSearch
            | Endpoint::HostCount => CallKind::Read,
            Endpoint::ConnectorCreate
            | Endpoint::ConnectorUpdate
            | Endpoint::ConnectorRun
            | Endpoint::ConnectorDelete => CallKind::Write,
        }
    }
}

impl Qualys {
    pub fn new(setup: Setup) -> Self {
        let Setup { http, base, username, password, write_timeout, deadline, calls, may_send } = setup;
        let clock = Mutex::default();
        let time_left = TimeLeft::new(deadline, write_timeout);
        Self { http, base, username, password, write_timeout, deadline, time_left, calls, may_send, clock }
    }

    /// Whether a call about a connector that begins now can end before the cycle must.
    pub fn has_time(&self) -> bool {
        self.time_left.suffices()
    }

    /// The account's call budget, as this cycle uses it.
    pub fn calls(&self) -> &CallBudget {
        &self.calls
    }

    /// Qualys's clock at its latest answer with a `Date`, and ours then.
    pub fn clock(&self) -> Option<ClockReading> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_clock(&self, headers: &header::HeaderMap) {
        let text = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        // A weekday that does not fit is no reason to doubt the rest.
        let date = rfc2822::DateTimeParser::new().relaxed_weekday(true);
        if let Some(theirs) = text.and_then(|text| date.parse_timestamp(text.trim()).ok()) {
            let reading = ClockReading { theirs, ours: self.calls.now() };
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        }
    }

    /// Sends one call, repeats it where that is safe, and returns the body of a success.
    async fn send(&self, call: Call) -> Result<Bytes, QualysError> {
        let again = |error: &QualysError| match error {
            // Qualys refused it before any work, so even a write may be repeated.
            QualysError::RateLimited { wait: Some(wait), .. } => Again::After(*wait),
            QualysError::RateLimited { wait: None, .. } => Again::Soon,
            error if call.kind() == CallKind::Read && error.is_transient() => Again::Soon,
            _ => Again::No,
        };
        let result = retry(self.deadline, again, |attempt| self.attempt(&call, attempt)).await;
        match &result {
            Ok(_) => self.calls.succeeded(call.endpoint),
            Err(QualysError::RateLimited { number, wait, .. }) => {
                self.calls.pause(call.endpoint, *number, *wait);
            }
            Err(QualysError::BadCredentials { .. }) => self.calls.stop(),
            _ => {}
        }
        result
    }

    async fn attempt(&self, call: &Call, attempt: u32) -> Result<Bytes, QualysError> {
        let endpoint = call.endpoint;
        let _permit = self.calls.permit(endpoint).await?;
        if !(self.may_send)(call.kind()) {
            return Err(QualysError::LeaseLost { endpoint });
        }
        // Only now: it may have waited long for its turn.
        if call.is_about_connectors() && !self.has_time() {
            return Err(QualysError::TimeOver { endpoint });
        }
        let url = self.base.join(&call.path).map_err(|_| QualysError::Address { endpoint })?;
        let timeout = match call.kind() {
            CallKind::Read => READ_TIMEOUT,
            CallKind::Write => self.write_timeout,
        };
        let timeout = timeout.min(self.time_left.until_deadline());
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .timeout(timeout)
            .basic_auth(self.username.expose_secret(), Some(self.password.expose_secret()))
            .header(header::ACCEPT, "application/json")
            // Required by Qualys's classic API; Qualys's own newer scripts send it to this one too.
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
        self.calls.read_limit_headers(endpoint, response.headers());
        self.read_clock(response.headers());
        let wait = error::asked_wait(response.headers());
        let bytes = bounded::body(response).await.map_err(|error| match error {
            BodyError::Transport(source) => transport(source),
            BodyError::TooLarge => QualysError::Malformed { endpoint, what: BodyError::TooLarge.to_string() },
        })?;
        if call.is_about_connectors() {
            self.time_left.took(begun.elapsed());
        }
        debug!(
            qualys.endpoint = %endpoint, http.status = status.as_u16(), attempt,
            duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), size_bytes = bytes.len(),
            "Qualys answered the {endpoint} with {status}"
        );
        let scrub = |text: &str| self.scrub(text, call.body.as_ref());
        let checked = error::check(endpoint, status, wait, &bytes, scrub);
        match &checked {
            // Before the permit is released: the calls that wait for it must know.
            Err(QualysError::BadCredentials { .. }) => self.calls.stop(),
            Err(QualysError::RateLimited { wait: Some(wait), .. }) => self.calls.delay_all(*wait),
            _ => {}
        }
        checked.map(|()| bytes)
    }

    /// What an error may show of a text from Qualys: one short line. None if it shows a secret that we sent, or is blank.
    fn scrub(&self, text: &str, body: Option<&Bytes>) -> Option<String> {
        const SHOWN: usize = 200;
        let sent = body.and_then(|body| wire::key_in(body));
        let (user, password) = (self.username.expose_secret(), self.password.expose_secret());
        // The authorization header encodes them as a pair.
        let pair = format!("{user}:{password}");
        let secrets = [Some(password.to_owned()), Some(user.to_owned()), Some(pair), sent];
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // In both: a secret that a line break splits in the text may be whole in the line.
        let shown = |secret: &String| [text, &line].iter().any(|text| crate::secrets::shows(text, secret));
        if secrets.iter().flatten().any(shown) {
            return None;
        }
        let line: String = line.chars().take(SHOWN).collect();
        (!line.trim().is_empty()).then(|| line.trim().to_owned())
    }
}
