//! Azure subscriptions.

use super::{SubscriptionId, TenantId};
use serde::{Deserialize, Serialize};

/// An Azure subscription as ARM reports it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub tenant: TenantId,
    /// The display name; empty when ARM gave none.
    pub name: String,
    pub state: SubscriptionState,
}

/// The state of a subscription
/// (<https://learn.microsoft.com/azure/cost-management-billing/manage/subscription-states>).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SubscriptionState {
    /// In use.
    Enabled,
    /// In use; its owner was warned.
    Warned,
    /// In use; a payment is overdue.
    PastDue,
    /// Its resources can only be read and deleted; its machines are deallocated.
    Disabled,
    Deleted,
    /// A word that this version does not know.
    Other(String),
}

impl SubscriptionState {
    /// Whether its resources work, so that it needs a connector.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Enabled | Self::Warned | Self::PastDue)
    }

    /// The word that ARM uses.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Enabled => "Enabled",
            Self::Warned => "Warned",
            Self::PastDue => "PastDue",
            Self::Disabled => "Disabled",
            Self::Deleted => "Deleted",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for SubscriptionState {
    fn from(word: String) -> Self {
        match word.as_str() {
            "Enabled" => Self::Enabled,
            "Warned" => Self::Warned,
            "PastDue" => Self::PastDue,
            "Disabled" => Self::Disabled,
            "Deleted" => Self::Deleted,
            _ => Self::Other(word),
        }
    }
}

impl From<SubscriptionState> for String {
    fn from(state: SubscriptionState) -> Self {
        state.as_str().to_owned()
    }
}
