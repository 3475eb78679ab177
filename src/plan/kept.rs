//! What a plan leaves alone.

use super::Why;
use crate::model::{ConnectorId, SubscriptionId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A connector or subscription that a plan leaves alone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Kept {
    #[serde(flatten)]
    pub subject: Subject,
    #[serde(flatten)]
    pub why: Why,
}

/// What is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Subject {
    Connector {
        connector: ConnectorId,
        /// The subscription that it covers, where that is known.
        subscription: Option<SubscriptionId>,
    },
    /// A subscription without a connector of ours.
    Subscription { subscription: SubscriptionId },
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject {
            Subject::Connector { connector, subscription: Some(subscription) } => {
                write!(f, "= keep connector {connector} of {subscription}: {}", self.why)
            }
            Subject::Connector { connector, subscription: None } => {
                write!(f, "= keep connector {connector}: {}", self.why)
            }
            Subject::Subscription { subscription } => write!(f, "= leave {subscription}: {}", self.why),
        }
    }
}
