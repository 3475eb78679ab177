//! Errors of the Qualys client, one variant for each thing that a caller can do about one; and the one place where an
//! answer becomes an error.

use super::classic::{Classic, classic};
use super::wire;
use crate::model::ResponseCode;
use crate::report::{UNTRUSTED, is_untrusted};
use crate::state::Endpoint;
use crate::store::StoreError;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use std::time::Duration;

/// Why a call to Qualys failed.
#[derive(Debug, thiserror::Error)]
pub enum QualysError {
    /// The user name or the password is wrong. Repeated failures lock the user out, so no further call is made.
    #[error("Qualys refused the user name or the password ({endpoint})")]
    BadCredentials { endpoint: Endpoint },
    /// The user may not do this, the module is not licensed, or the source address is not allowed.
    #[error(
        "Qualys forbids the {endpoint} ({code}): the user lacks the right, the module is not licensed, or this IP address is not allowed"
    )]
    Forbidden { endpoint: Endpoint, code: ResponseCode },
    /// There is no such object, or it is outside the user's scope.
    #[error("the {endpoint} failed: Qualys does not find the object, or this user may not see it")]
    NotFound { endpoint: Endpoint },
    /// Qualys does not accept the request; repeating it does not help.
    #[error("Qualys refused the {endpoint}: {code}{}", detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Refused {
        endpoint: Endpoint,
        code: ResponseCode,
        /// Qualys's message, if it shows no secret.
        detail: Option<String>,
    },
    /// Too many calls, or too many at the same time: a limit of the whole account. Qualys refused the call before any work.
    #[error(
        "Qualys refuses the {endpoint} for now (HTTP {status}{}){}",
        number.map(|n| format!(", code {n}")).unwrap_or_default(),
        wait.map(|w| format!("; it asks to wait {} s", w.as_secs())).unwrap_or_default()
    )]
    RateLimited {
        endpoint: Endpoint,
        /// 409 or 429; a success when only the response code states the limit.
        status: u16,
        /// The classic API's number: 1960 (calls at the same time) or 1965 (calls in the window).
        number: Option<u32>,
        /// How long to wait, if Qualys states it.
        wait: Option<Duration>,
    },
    /// Our share of the account's calls is used up, or Qualys asked for a pause. Nothing was sent.
    #[error(
        "no call left for the {endpoint} until {until}: Qualys asked for a pause, or the calls that remain are reserved for other tools"
    )]
    NoCallsLeft {
        endpoint: Endpoint,
        /// When there will be a call again.
        until: Timestamp,
    },
    /// The account's lease is not ours, or not for as long as a write may take. Nothing was sent.
    #[error("the {endpoint} was not sent: the account's lease was lost")]
    LeaseLost { endpoint: Endpoint },
    /// So little of the cycle's time is left that the call would be cut off. Nothing was sent.
    #[error("the {endpoint} was not sent: the cycle's time is over")]
    TimeOver { endpoint: Endpoint },
    /// An HTTP status that no other variant stands for.
    #[error("Qualys answered the {endpoint} with HTTP {status}")]
    Status { endpoint: Endpoint, status: u16 },
    /// The answer does not have the form that Qualys documents.
    #[error("Qualys's answer to the {endpoint} cannot be used: {what}")]
    Malformed {
        endpoint: Endpoint,
        /// What is wrong with it, without its content.
        what: String,
    },
    /// The connection failed, or the time-out passed.
    #[error("no answer from Qualys to the {endpoint}")]
    Transport {
        endpoint: Endpoint,
        /// Without the address.
        #[source]
        source: reqwest::Error,
    },
    #[error("the address for the {endpoint} cannot be built: check QUALYS_API_URL")]
    Address { endpoint: Endpoint },
    /// The account's state could not be read or written, so no call was made.
    #[error("the calls could not be booked in the account's state")]
    Account(#[source] StoreError),
}

impl QualysError {
    /// Whether the same reading may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 408 || *status >= 500,
            Self::Malformed { .. } | Self::Transport { .. } => true,
            _ => false,
        }
    }

    /// Whether Qualys refused the call before any work, or it was not even sent, so that a later cycle should try it.
    pub fn was_not_tried(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::NoCallsLeft { .. }
            | Self::LeaseLost { .. }
            | Self::TimeOver { .. }
            | Self::Account(_) => true,
            Self::BadCredentials { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Status { .. }
            | Self::Malformed { .. }
            | Self::Transport { .. }
            | Self::Address { .. } => false,
        }
    }

    /// Whether a write that failed with this error may have been carried out.
    pub fn is_unclear(&self) -> bool {
        match self {
            // If there was no connection, nothing was sent.
            Self::Transport { source, .. } => !source.is_connect(),
            Self::Refused { code, .. } => !code.proves_nothing_was_done(),
            _ => self.is_transient(),
        }
    }

    /// What a person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::BadCredentials { .. } => {
                "correct `qualys-username` and `qualys-password`, or unlock the user in Qualys and run `doctor`. A new version of the secret is tried automatically. Until then no call is made, so that Qualys does not lock the user"
            }
            Self::Forbidden { .. } => {
                "give the Qualys user the Manager role with full scope and API access, and check the licensed modules and allowed addresses"
            }
            Self::RateLimited { .. } | Self::NoCallsLeft { .. } => {
                "nothing to do: a later cycle goes on. Raise QUALYS_CALLS_PER_HOUR only if Qualys raised the account's limit"
            }
            Self::Status { status: 404, .. } | Self::Address { .. } => {
                "check QUALYS_PLATFORM or QUALYS_API_URL"
            }
            Self::Account(_) => "check the storage",
            Self::TimeOver { .. } => {
                "nothing to do: a later cycle goes on. If it stays, raise CYCLE_BUDGET, or find out why calls are slow"
            }
            Self::Refused { code: ResponseCode::LimitExceeded, .. } => {
                "check the quotas and licences of the Qualys account. It is tried again with growing waits"
            }
            Self::Transport { source, .. } if is_untrusted(source) => UNTRUSTED,
            Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::LeaseLost { .. }
            | Self::Status { .. }
            | Self::Malformed { .. }
            | Self::Transport { .. } => {
                "nothing to do at first: the next cycle tries again. If the error stays, check the network and the Qualys platform"
            }
        }
    }

    /// The code that an outcome records.
    pub fn code(&self) -> ResponseCode {
        match self {
            Self::BadCredentials { .. } => ResponseCode::InvalidCredentials,
            Self::Forbidden { code, .. } | Self::Refused { code, .. } => code.clone(),
            Self::NotFound { .. } => ResponseCode::ObjectNotFound,
            Self::RateLimited { status: 200, .. } => ResponseCode::LimitExceeded,
            Self::RateLimited { status, .. } | Self::Status { status, .. } => ResponseCode::Http(*status),
            Self::NoCallsLeft { .. } => ResponseCode::NoCallsLeft,
            Self::LeaseLost { .. } => ResponseCode::LeaseLost,
            Self::TimeOver { .. } => ResponseCode::TimeOver,
            Self::Malformed { .. } => ResponseCode::Malformed,
            Self::Transport { .. } => ResponseCode::NoAnswer,
            Self::Address { .. } => ResponseCode::Address,
            Self::Account(_) => ResponseCode::Account,
        }
    }
}

/// How long Qualys asks to wait. Zero, empty and unreadable values count as absent.
pub(super) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds =
        |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok().filter(|s| *s > 0);
    seconds("x-ratelimit-towait-sec").or_else(|| seconds("retry-after")).map(Duration::from_secs)
}

/// Too many calls at the same time (HTTP 409, Qualys's API limits guide). It says how many must end, and never how long that
/// takes.
pub(super) const TOO_MANY_AT_ONCE: u32 = 1960;
/// Too many calls in the window (HTTP 409; Qualys's error appendix lists it as 400, too).
pub(super) const TOO_MANY_IN_THE_WINDOW: u32 = 1965;

/// The response code of a failure that has the envelope in its body.
fn envelope_code(bytes: &[u8]) -> Option<ResponseCode> {
    let answer = wire::response(bytes).ok()?;
    Some(wire::word(&answer.response_code).into())
}

/// What a 4xx means: rule *refusals back off*. A limit of the account is HTTP 429, a stated wait, one of the two numbers for
/// too many calls, or a 409 that says nothing more. Any other answer refuses this call alone.
fn limit_or_refusal(
    endpoint: Endpoint,
    status: u16,
    wait: Option<Duration>,
    bytes: &[u8],
    scrub: impl Fn(&str) -> Option<String>,
) -> QualysError {
    let wait = wait.or_else(|| wire::seconds_to_wait(bytes));
    let classic = classic(bytes);
    let number = classic.as_ref().map(|classic| classic.code);
    let envelope = wire::response(bytes).ok();
    let is_limit = status == 429
        || wait.is_some()
        || matches!(number, Some(TOO_MANY_AT_ONCE | TOO_MANY_IN_THE_WINDOW))
        || status == 409 && number.is_none() && envelope.is_none();
    match (classic, envelope) {
        _ if is_limit => QualysError::RateLimited { endpoint, status, number, wait },
        (Some(Classic { code, text }), _) => {
            let text = text.and_then(|text| scrub(&text));
            let (code, detail) = match (status, text) {
                (409, text) => (ResponseCode::Conflict(code), text),
                (_, Some(text)) => (ResponseCode::Http(status), Some(format!("{code}: {text}"))),
                (_, None) => (ResponseCode::Http(status), Some(code.to_string())),
            };
            QualysError::Refused { endpoint, code, detail }
        }
        (None, Some(answer)) => refusal(endpoint, answer, scrub),
        (None, None) => QualysError::Status { endpoint, status },
    }
}

/// What the response code of an envelope means, other than success, wrong credentials and a limit of the account.
fn refusal(
    endpoint: Endpoint,
    answer: wire::Response<'_>,
    scrub: impl Fn(&str) -> Option<String>,
) -> QualysError {
    match ResponseCode::from(wire::word(&answer.response_code)) {
        code @ (ResponseCode::Unauthorized
        | ResponseCode::InsufficientPermission
        | ResponseCode::Forbidden
        | ResponseCode::NotAuthorized) => QualysError::Forbidden { endpoint, code },
        ResponseCode::ObjectNotFound => QualysError::NotFound { endpoint },
        code => {
            let detail = answer.response_error_details.and_then(|details| details.error_message);
            // Not every code is Qualys's: a user name or a password that the answer repeats may look like one.
            let code = scrub(&code.to_string()).unwrap_or_else(|| wire::UNREADABLE.to_owned()).into();
            QualysError::Refused { endpoint, code, detail: detail.and_then(|text| scrub(&text)) }
        }
    }
}

/// The one place where an answer becomes an error: first the HTTP status, then the form, then the response code.
pub(super) fn check(
    endpoint: Endpoint,
    status: StatusCode,
    wait: Option<Duration>,
    bytes: &[u8],
    scrub: impl Fn(&str) -> Option<String>,
) -> Result<(), QualysError> {
    let code = status.as_u16();
    match code {
        200..=299 => {}
        401 => return Err(QualysError::BadCredentials { endpoint }),
        403 => return Err(QualysError::Forbidden { endpoint, code: ResponseCode::Http(403) }),
        // Some failures have the envelope in their body too.
        _ if envelope_code(bytes) == Some(ResponseCode::InvalidCredentials) => {
            return Err(QualysError::BadCredentials { endpoint });
        }
        // A call that timed out on the server may have been carried out.
        408 => return Err(QualysError::Status { endpoint, status: code }),
        400..=499 => return Err(limit_or_refusal(endpoint, code, wait, bytes, scrub)),
        _ => return Err(QualysError::Status { endpoint, status: code }),
    }
    let answer = match wire::response(bytes) {
        Ok(answer) => answer,
        // Sign-in failures were recorded in XML, although the recorded request did not ask for XML.
        Err(_) if wire::xml_code(bytes) == Some("INVALID_CREDENTIALS") => {
            return Err(QualysError::BadCredentials { endpoint });
        }
        Err(what) => return Err(QualysError::Malformed { endpoint, what }),
    };
    match ResponseCode::from(wire::word(&answer.response_code)) {
        ResponseCode::Success => Ok(()),
        ResponseCode::InvalidCredentials => Err(QualysError::BadCredentials { endpoint }),
        // Without a wait it is a quota or a licence, which other calls need not meet.
        ResponseCode::LimitExceeded if wait.is_some() => {
            Err(QualysError::RateLimited { endpoint, status: status.as_u16(), number: None, wait })
        }
        _ => Err(refusal(endpoint, answer, scrub)),
    }
}
