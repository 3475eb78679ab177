//! Response codes: the word by which Qualys, or this program, names how a call ended.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A response code; it is stored as its text.
///
/// Qualys publishes no full list of its codes, so one that is not known here is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "String", into = "String")]
pub enum ResponseCode {
    Success,
    /// The user name or the password is wrong.
    InvalidCredentials,
    /// Any other code that begins with `INVALID_`: the request is not acceptable.
    Invalid(String),
    /// There is no such object, or it is outside the user's scope.
    ObjectNotFound,
    Unauthorized,
    InsufficientPermission,
    Forbidden,
    NotAuthorized,
    /// A quota or a licence is used up.
    LimitExceeded,
    /// HTTP 409 with this number of the classic API in its body, other than those of the account's call limits.
    Conflict(u32),
    /// An HTTP status that came without a code.
    Http(u16),
    /// Ours: our share of the account's calls is used up; nothing was sent.
    NoCallsLeft,
    /// Ours: the account's lease is not held; nothing was sent.
    LeaseLost,
    /// Ours: too little of the cycle's time is left; nothing was sent.
    TimeOver,
    /// Ours: the answer cannot be used.
    Malformed,
    /// Ours: no answer came.
    NoAnswer,
    /// Ours: the address cannot be built; nothing was sent.
    Address,
    /// Ours: the account's state could not be read or written; nothing was sent.
    Account,
    /// Any other word.
    Other(String),
}

/// Begins the text of a code that is an HTTP status: `HTTP 403`.
const HTTP: &str = "HTTP ";
/// Begins the text of a conflict: `HTTP 409 (1920)`.
const CONFLICT: &str = "HTTP 409 (";

impl ResponseCode {
    /// Whether Qualys says that it refused the request without doing anything. An `INVALID_…` code says so, and so do a quota
    /// that is used up and a 409: Qualys checks its limits before any work.
    pub fn proves_nothing_was_done(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::InvalidCredentials | Self::LimitExceeded | Self::Conflict(_))
    }

    /// Whether Qualys refuses this request for good. Limits, missing rights and wrong credentials do not count: the same
    /// request may be accepted later.
    pub fn is_final_refusal(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::ObjectNotFound)
    }
}

impl From<String> for ResponseCode {
    fn from(text: String) -> Self {
        match text.as_str() {
            "SUCCESS" => Self::Success,
            "INVALID_CREDENTIALS" => Self::InvalidCredentials,
            "OBJECT_NOT_FOUND" => Self::ObjectNotFound,
            "UNAUTHORIZED" => Self::Unauthorized,
            "INSUFFICIENT_PERMISSION" => Self::InsufficientPermission,
            "FORBIDDEN" => Self::Forbidden,
            "NOT_AUTHORIZED" => Self::NotAuthorized,
            "LIMIT_EXCEEDED" => Self::LimitExceeded,
            "NO_CALLS_LEFT" => Self::NoCallsLeft,
            "LEASE_LOST" => Self::LeaseLost,
            "TIME_OVER" => Self::TimeOver,
            "MALFORMED" => Self::Malformed,
            "NO_ANSWER" => Self::NoAnswer,
            "ADDRESS" => Self::Address,
            "ACCOUNT" => Self::Account,
            word if word.starts_with("INVALID_") => Self::Invalid(text),
            _ => match numbered(&text) {
                // `HTTP 0403` is not how a status prints.
                Some(code) if code.to_string() == text => code,
                _ => Self::Other(text),
            },
        }
    }
}

/// A code that prints with a number.
fn numbered(text: &str) -> Option<ResponseCode> {
    let conflict = text.strip_prefix(CONFLICT).and_then(|rest| rest.strip_suffix(')'));
    match conflict {
        Some(number) => number.parse().ok().map(ResponseCode::Conflict),
        None => text.strip_prefix(HTTP)?.parse().ok().map(ResponseCode::Http),
    }
}

impl From<ResponseCode> for String {
    fn from(code: ResponseCode) -> Self {
        code.to_string()
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "SUCCESS",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::ObjectNotFound => "OBJECT_NOT_FOUND",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::InsufficientPermission => "INSUFFICIENT_PERMISSION",
            Self::Forbidden => "FORBIDDEN",
            Self::NotAuthorized => "NOT_AUTHORIZED",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::NoCallsLeft => "NO_CALLS_LEFT",
            Self::LeaseLost => "LEASE_LOST",
            Self::TimeOver => "TIME_OVER",
            Self::Malformed => "MALFORMED",
            Self::NoAnswer => "NO_ANSWER",
            Self::Address => "ADDRESS",
            Self::Account => "ACCOUNT",
            Self::Invalid(word) | Self::Other(word) => word,
            Self::Http(status) => return write!(f, "{HTTP}{status}"),
            Self::Conflict(number) => return write!(f, "{CONFLICT}{number})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(text: &str) -> ResponseCode {
        text.to_owned().into()
    }

    #[test]
    fn only_an_invalid_request_or_object_is_refused_for_good() {
        for refusal in ["INVALID_REQUEST", "INVALID_API_VERSION", "INVALID_XML", "OBJECT_NOT_FOUND"] {
            assert!(code(refusal).is_final_refusal(), "{refusal}");
        }
        for other in
            ["INVALID_CREDENTIALS", "UNAUTHORIZED", "HTTP 403", "HTTP 500", "NO_ANSWER", "SOMETHING_NEW", ""]
        {
            assert!(!code(other).is_final_refusal(), "{other}");
        }
    }

    #[test]
    fn only_an_invalid_code_or_a_limit_proves_that_nothing_was_done() {
        for proof in
            ["INVALID_REQUEST", "INVALID_CREDENTIALS", "INVALID_", "LIMIT_EXCEEDED", "HTTP 409 (1920)"]
        {
            assert!(code(proof).proves_nothing_was_done(), "{proof}");
        }
        for other in ["INTERNAL_ERROR", "OBJECT_NOT_FOUND", "invalid_request", "HTTP 400", "(unreadable)"] {
            assert!(!code(other).proves_nothing_was_done(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_code_prints_as_what_it_was_read_from(text in "HTTP [0-9+]{0,6}|HTTP 409 \\([0-9+]{0,6}\\)?|INVALID_[A-Z]{0,3}|[A-Z_]{0,12}|\\PC{0,20}") {
            prop_assert_eq!(code(&text).to_string(), text);
        }

        #[test]
        fn an_http_status_is_read_as_it_prints(status: u16) {
            for code in [ResponseCode::Http(status), ResponseCode::Conflict(status.into())] {
                prop_assert_eq!(ResponseCode::from(code.to_string()), code);
            }
        }
    }
}
