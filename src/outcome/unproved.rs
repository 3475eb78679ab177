//! Why a create or a disable was stopped just before its write.

use super::ActionResult;
use crate::model::{ConnectorId, SubscriptionId};
use crate::plan::Unhealthy;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a create or a disable was stopped just before its write: what Qualys showed then did not prove that it may be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Unproved {
    /// Qualys did not say which subscription this connector covers, so it may cover any.
    SubscriptionNotStated { checked: ConnectorId },
    /// Qualys did not say whether this connector is disabled.
    DisabledNotStated { checked: ConnectorId },
    /// Qualys did not say whether this connector belongs to a Qualys tenant connector.
    MemberNotStated { checked: ConnectorId },
    OtherSubscription {
        checked: ConnectorId,
        /// The subscription that it covers.
        states: SubscriptionId,
    },
    /// This connector does not carry our mark, or belongs to a Qualys tenant connector.
    NotOurs { checked: ConnectorId },
    /// The connector that was to stay does not cover the subscription well.
    Unhealthy {
        checked: ConnectorId,
        #[serde(flatten)]
        health: Unhealthy,
    },
    /// Qualys could not be asked.
    LookFailed {
        /// The error and its causes.
        error: String,
    },
    /// An older version planned it and recorded no proof.
    NoProof,
}

impl From<Unproved> for ActionResult {
    fn from(because: Unproved) -> Self {
        Self::Stopped { because }
    }
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubscriptionNotStated { checked } => {
                write!(f, "connector {checked} does not say which subscription it covers")
            }
            Self::DisabledNotStated { checked } => {
                write!(f, "connector {checked} does not say whether it is disabled")
            }
            Self::MemberNotStated { checked } => {
                write!(f, "connector {checked} does not say whether it belongs to a tenant connector")
            }
            Self::OtherSubscription { checked, states } => {
                write!(f, "connector {checked} covers another subscription now, {states}")
            }
            Self::NotOurs { checked } => write!(f, "connector {checked} no longer carries our mark"),
            Self::Unhealthy { checked, health } => {
                write!(f, "connector {checked}, which was to stay, is not healthy now: {health}")
            }
            Self::LookFailed { error } => write!(f, "Qualys could not be asked just before it: {error}"),
            Self::NoProof => write!(f, "the plan does not say what allows it"),
        }
    }
}
