//! The result of an action.

use super::Unproved;
use crate::model::{ConnectorId, ResponseCode};
use crate::state::Refusal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum ActionResult {
    Done {
        /// The connector that was made or changed.
        id: ConnectorId,
        /// The code of an unclear answer: the change was found when Qualys was asked afterwards.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found_after: Option<ResponseCode>,
    },
    /// Qualys has such a connector already, or it is disabled already; nothing was sent.
    AlreadyThere { id: ConnectorId },
    /// Qualys refused it, or the request did not reach Qualys: nothing was changed.
    Failed {
        code: ResponseCode,
        /// The error and its causes.
        error: String,
    },
    /// It may or may not have been done; later cycles find out.
    Unclear {
        code: ResponseCode,
        /// The error and its causes.
        error: String,
    },
    /// What allowed it no longer held just before the write; nothing was sent.
    Stopped {
        #[serde(flatten)]
        because: Unproved,
    },
    /// It was not begun; a later cycle plans it again.
    NotStarted {
        #[serde(flatten)]
        because: NotStarted,
    },
}

/// Why an action was not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum NotStarted {
    /// The account's lease was lost.
    LeaseLost,
    /// The cycle's time is over.
    TimeOver,
    /// A connector cannot be created without the client secret of its service principal. The report's problem says what is
    /// wrong with the secret.
    NoConnectorSecret,
    /// Rule *refusals back off*: Qualys refused the creates before it alike.
    RefusedAlike {
        code: ResponseCode,
        /// The error and its causes.
        error: String,
    },
    /// A call failed in a way that every further call would: a limit, a lost lease, wrong credentials, no account state.
    CallsStopped {
        code: ResponseCode,
        /// The error and its causes.
        error: String,
    },
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseLost => write!(f, "the account's lease was lost"),
            Self::TimeOver => write!(f, "the cycle's time is over"),
            Self::NoConnectorSecret => write!(f, "the secret of new connectors cannot be used"),
            Self::RefusedAlike { code: _, error } => {
                write!(f, "Qualys refused the creates before it alike: {error}")
            }
            Self::CallsStopped { code: _, error } => f.write_str(error),
        }
    }
}

impl ActionResult {
    /// The connector that was made, changed or found.
    pub fn connector(&self) -> Option<ConnectorId> {
        match self {
            Self::Done { id, found_after: _ } | Self::AlreadyThere { id } => Some(*id),
            Self::Failed { .. } | Self::Unclear { .. } | Self::Stopped { .. } | Self::NotStarted { .. } => {
                None
            }
        }
    }

    /// The refusal that a later try must wait for: an answer that refused it or left it unclear, or our own stop. Wrong
    /// credentials belong to the breaker.
    pub fn refusal(&self) -> Option<Refusal> {
        let (code, error, unclear) = match self {
            Self::Failed { code: ResponseCode::InvalidCredentials, .. }
            | Self::Done { .. }
            | Self::AlreadyThere { .. }
            | Self::NotStarted { .. } => return None,
            Self::Failed { code, error } => (Some(code.clone()), error.clone(), false),
            // A word of Qualys's is an answer, even though it does not prove that nothing was done.
            Self::Unclear { code, error } => {
                (Some(code.clone()), error.clone(), !matches!(code, ResponseCode::Other(_)))
            }
            Self::Stopped { because } => (None, because.to_string(), false),
        };
        Some(Refusal { code, error, unclear })
    }

    /// Whether a later cycle must soon find out about it, or begin it.
    pub fn is_open(&self) -> bool {
        match self {
            // A person must act first, or what Qualys refuses waits longer.
            Self::NotStarted { because } => {
                !matches!(because, NotStarted::NoConnectorSecret | NotStarted::RefusedAlike { .. })
            }
            Self::Unclear { .. } => true,
            Self::Done { .. } | Self::AlreadyThere { .. } | Self::Failed { .. } | Self::Stopped { .. } => {
                false
            }
        }
    }

    /// Whether Qualys refused the action itself; limits, missing rights and wrong credentials do not count.
    pub fn is_final_refusal(&self) -> bool {
        matches!(self, Self::Failed { code, .. } if code.is_final_refusal())
    }
}
