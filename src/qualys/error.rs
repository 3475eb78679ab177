//! What can go wrong with Qualys, by what a caller can do about it; and the one place where an answer becomes an error.

use super::wire;
use crate::model::ResponseCode;
use crate::state::Endpoint;
use crate::store::StoreError;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use std::time::Duration;

/// Why a call to Qualys failed.
#[derive(Debug, thiserror::Error)]
pub enum QualysError {
    /// The user name or the password is wrong. Repeated failures lock the user out, so nothing more is tried.
    #[error("Qualys refused the user name or the password ({endpoint})")]
    BadCredentials {
        /// The call.
        endpoint: Endpoint,
    },
    /// The user may not do this, the module is not licensed, or the source address is not allowed.
    #[error(
        "Qualys forbids the {endpoint} ({code}): the user lacks the right, the module is not licensed, or this address is not allowed"
    )]
    Forbidden {
        /// The call.
        endpoint: Endpoint,
        code: ResponseCode,
    },
    /// There is no such object, or it is outside the user's scope.
    #[error("Qualys does not find the object of the {endpoint}, or this user may not see it")]
    NotFound {
        /// The call.
        endpoint: Endpoint,
    },
    /// The request is not acceptable; repeating it does not help.
    #[error("Qualys refused the {endpoint}: {code}{}", detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Refused {
        /// The call.
        endpoint: Endpoint,
        code: ResponseCode,
        /// Its message, if it shows no secret.
        detail: Option<String>,
    },
    /// Too many calls, or too many at once; refused before any work.
    #[error("Qualys refuses the {endpoint} for now ({status}){}", wait.map(|w| format!(", for {} s", w.as_secs())).unwrap_or_default())]
    RateLimited {
        /// The call.
        endpoint: Endpoint,
        /// 409 or 429.
        status: u16,
        /// How long, where Qualys says.
        wait: Option<Duration>,
    },
    /// Our own share of the account's calls is used up; nothing was sent.
    #[error(
        "no call left for the {endpoint} until {until}: the rest of the hour is the reserve for other tools"
    )]
    NoCallsLeft {
        /// The call.
        endpoint: Endpoint,
        /// When there will be one.
        until: Timestamp,
    },
    /// The account's lease is not ours, or not for long enough for a write; nothing was sent.
    #[error("the {endpoint} was not sent: the account's lease was lost")]
    LeaseLost {
        /// The call.
        endpoint: Endpoint,
    },
    /// An HTTP status that says nothing more.
    #[error("Qualys answered the {endpoint} with HTTP {status}")]
    Status {
        /// The call.
        endpoint: Endpoint,
        /// The status.
        status: u16,
    },
    /// The answer is not what it should be.
    #[error("Qualys's answer to the {endpoint} cannot be used: {what}")]
    Malformed {
        /// The call.
        endpoint: Endpoint,
        /// What is wrong with it.
        what: String,
    },
    /// No answer.
    #[error("no answer to the {endpoint}")]
    Transport {
        /// The call.
        endpoint: Endpoint,
        /// The cause, without the address.
        #[source]
        source: reqwest::Error,
    },
    /// The address cannot be built.
    #[error("the address of the {endpoint} cannot be built: check QUALYS_API_URL")]
    Address {
        /// The call.
        endpoint: Endpoint,
    },
    /// The account's state could not be read or written, so no call was made.
    #[error("the account's call window cannot be kept")]
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

    /// Whether a write that ended so may have had its effect.
    pub fn is_unclear(&self) -> bool {
        match self {
            // A connection that was never made carried nothing.
            Self::Transport { source, .. } => !source.is_connect(),
            Self::Refused { code, .. } => !code.proves_nothing_was_done(),
            _ => self.is_transient(),
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
            Self::Malformed { .. } => ResponseCode::Malformed,
            Self::Transport { .. } => ResponseCode::NoAnswer,
            Self::Address { .. } => ResponseCode::Address,
            Self::Account(_) => ResponseCode::Account,
        }
    }
}

/// How long Qualys asks to wait; zero, empty and unreadable values say nothing.
pub(super) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds =
        |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok().filter(|s| *s > 0);
    seconds("x-ratelimit-towait-sec").or_else(|| seconds("retry-after")).map(Duration::from_secs)
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
        409 | 429 => {
            let wait = wait.or_else(|| wire::seconds_to_wait(bytes));
            return Err(QualysError::RateLimited { endpoint, status: code, wait });
        }
        _ => {
            // Some failures carry the envelope all the same.
            return match wire::response(bytes) {
                Ok(answer) if answer.response_code == "INVALID_CREDENTIALS" => {
                    Err(QualysError::BadCredentials { endpoint })
                }
                _ => Err(QualysError::Status { endpoint, status: code }),
            };
        }
    }
    let answer = match wire::response(bytes) {
        Ok(answer) => answer,
        // Sign-in failures were recorded in XML, although XML was not asked for then.
        Err(_) if wire::xml_code(bytes) == Some("INVALID_CREDENTIALS") => {
            return Err(QualysError::BadCredentials { endpoint });
        }
        Err(what) => return Err(QualysError::Malformed { endpoint, what }),
    };
    match ResponseCode::from(wire::word(&answer.response_code)) {
        ResponseCode::Success => Ok(()),
        ResponseCode::InvalidCredentials => Err(QualysError::BadCredentials { endpoint }),
        code @ (ResponseCode::Unauthorized
        | ResponseCode::InsufficientPermission
        | ResponseCode::Forbidden
        | ResponseCode::NotAuthorized) => Err(QualysError::Forbidden { endpoint, code }),
        ResponseCode::ObjectNotFound => Err(QualysError::NotFound { endpoint }),
        ResponseCode::LimitExceeded => {
            Err(QualysError::RateLimited { endpoint, status: status.as_u16(), wait })
        }
        code => {
            let detail = answer.response_error_details.and_then(|details| details.error_message);
            // A user name or a password may look like a code.
            let code = scrub(&code.to_string()).unwrap_or_else(|| wire::UNREADABLE.to_owned()).into();
            Err(QualysError::Refused { endpoint, code, detail: detail.and_then(|text| scrub(&text)) })
        }
    }
}
