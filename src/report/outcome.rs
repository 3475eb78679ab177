//! What became of each action.

use crate::model::ConnectorId;
use crate::plan::Action;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An action and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Outcome {
    /// The action.
    #[serde(flatten)]
    pub action: Action,
    /// When it ended.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// What became of it.
    #[serde(flatten)]
    pub result: Done,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Done {
    /// It is done.
    Done {
        /// The connector it is about.
        id: ConnectorId,
        /// How that is known, where Qualys's own answer did not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<String>,
    },
    /// Qualys has a connector for the subscription already; nothing was sent.
    There {
        /// That connector.
        id: ConnectorId,
    },
    /// Qualys refused it, or it did not reach Qualys: nothing was changed.
    Failed {
        /// Qualys's code, or ours.
        code: String,
        /// What happened.
        error: String,
    },
    /// It may or may not have been done; the next cycles look.
    Unknown {
        /// Qualys's code, or ours.
        code: String,
        /// What happened.
        error: String,
    },
    /// It was not begun.
    NotStarted {
        /// Why.
        because: String,
    },
}
