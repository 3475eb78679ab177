//! Errors of the Qualys client, one variant for each thing that a caller can do about one; and the one place where an
//! answer becomes an error.

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
    /// Too many calls, or too many at the same time. Qualys refused the call before any work.
    #[error("Qualys refuses the {endpoint} for now (HTTP {status}){}", wait.map(|w| format!("; it asks to wait {} s", w.as_secs())).unwrap_or_default())]
    RateLimited {
        endpoint: Endpoint,
        /// 409 or 429; a success when only the response code states the limit.
        status: u16,
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
            // Some failures have the envelope in their body too.
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
        // Sign-in failures were recorded in XML, although the recorded request did not ask for XML.
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
            // Not every code is Qualys's: a user name or a password that the answer repeats may look like one.
            let code = scrub(&code.to_string()).unwrap_or_else(|| wire::UNREADABLE.to_owned()).into();
            Err(QualysError::Refused { endpoint, code, detail: detail.and_then(|text| scrub(&text)) })
        }
    }
}
