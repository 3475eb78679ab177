//! An action's outcome, what it changes in the tenant's state, and what a killed cycle may have done.
//!
//! Guarantees: pure. An unknown outcome counts as done wherever that delays or limits later actions.

mod effect;
mod intent;
mod result;
mod unproved;

#[cfg(test)]
mod tests;

pub use intent::Intent;
pub use result::{ActionResult, NotStarted};
pub use unproved::Unproved;

use crate::model::{ConnectorId, SubscriptionId};
use crate::plan::{Action, ActionKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An action and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Outcome {
    #[serde(flatten)]
    pub action: Action,
    /// When it ended.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    #[serde(flatten)]
    pub result: ActionResult,
}

impl Outcome {
    /// The connector that a creation made or found for this subscription.
    pub fn connector_for(&self, subscription: SubscriptionId) -> Option<ConnectorId> {
        match self.action.kind() {
            ActionKind::Creation if self.action.subscription() == subscription => self.result.connector(),
            ActionKind::Creation | ActionKind::Sync | ActionKind::Removal => None,
        }
    }

    /// The subscription and the connector that were brought together now.
    pub fn made(&self) -> Option<(SubscriptionId, ConnectorId)> {
        match (self.action.kind(), &self.result) {
            (ActionKind::Creation, ActionResult::Done { id, .. }) => Some((self.action.subscription(), *id)),
            _ => None,
        }
    }

    /// Whether Qualys refused for good to sync this connector.
    pub fn is_refused_sync_of(&self, connector: ConnectorId) -> bool {
        match self.action.kind() {
            ActionKind::Sync => self.action.connector() == Some(connector) && self.result.is_final_refusal(),
            ActionKind::Creation | ActionKind::Removal => false,
        }
    }
}
