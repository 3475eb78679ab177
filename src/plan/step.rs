//! The plan as data: steps, and what they need.

use super::{Coverage, Kept, Mode};
use crate::model::{ConnectorId, SubscriptionId, TenantId, Unreadable};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a cycle would do, in order, each step with its reason; and what it leaves alone, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Plan {
    /// The version of this shape.
    pub schema_version: u32,
    /// The tenant.
    pub tenant: TenantId,
    /// Whether steps are carried out.
    pub mode: Mode,
    /// When it was made.
    #[cfg_attr(test, schemars(with = "String"))]
    pub made: Timestamp,
    /// SHA-256 of the sorted steps, in hexadecimal: two plans with the same hash do the same.
    pub hash: String,
    /// The steps: creations first, removals last.
    pub steps: Vec<Step>,
    /// What is left alone.
    pub kept: Vec<Kept>,
    /// Which subscriptions are covered.
    pub coverage: Coverage,
    /// What the steps need.
    pub cost: Cost,
    /// Scopes that could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Step {
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Why it is not carried out although it is wanted; none: it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
}

/// A change to one connector. `Update`, `PushSecret`, `Enable` and `Delete` have their place here when the lifecycle
/// comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Make a connector for a subscription that has none.
    Create {
        /// The subscription.
        subscription: SubscriptionId,
        /// The connector's name.
        name: String,
        /// Its description, with our mark.
        description: String,
        /// Ask Qualys for a connector of this subscription first: it had one, or some connectors do not say what they
        /// cover.
        look_first: bool,
        /// Ask Qualys for this one first: we made it for the subscription, and the list lacks it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        known: Option<ConnectorId>,
    },
    /// Start a sync.
    Run {
        /// The connector.
        connector: ConnectorId,
        /// Its subscription.
        subscription: SubscriptionId,
        /// A first or requested sync: a snapshot and perhaps a person wait for it.
        awaited: bool,
    },
    /// Switch a connector off.
    Disable {
        /// The connector.
        connector: ConnectorId,
        /// Its subscription.
        subscription: SubscriptionId,
    },
}

impl Action {
    /// Whether it takes cover away from a subscription, so that rule 4 brakes it.
    pub fn is_removal(&self) -> bool {
        matches!(self, Self::Disable { .. })
    }

    /// The subscription it is about.
    pub fn subscription(&self) -> SubscriptionId {
        match self {
            Self::Create { subscription, .. }
            | Self::Run { subscription, .. }
            | Self::Disable { subscription, .. } => *subscription,
        }
    }

    /// The line that goes into the hash: all that makes it another action.
    pub(super) fn essence(&self) -> String {
        match self {
            Self::Create { subscription, name, description, look_first: _, known: _ } => {
                format!("create {subscription} {name:?} {description:?}")
            }
            Self::Run { connector, subscription, awaited: _ } => format!("run {connector} {subscription}"),
            Self::Disable { connector, subscription } => format!("disable {connector} {subscription}"),
        }
    }
}

/// What the steps need, and what they switch on that may cost licences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cost {
    /// Connectors to make.
    pub creates: usize,
    /// Syncs to start.
    pub runs: usize,
    /// Connectors to disable.
    pub removals: usize,
    /// Steps that are withheld.
    pub withheld: usize,
    /// Calls to Qualys for all of them.
    pub calls: usize,
    /// Full hours that the account's call limit makes of it; 0 when the calls fit into one.
    pub hours: usize,
    /// What each new connector switches on: apps, then modules.
    pub switches_on: Vec<String>,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.withheld.is_some())
    }

    /// The steps that are carried out.
    pub fn wanted(&self) -> impl Iterator<Item = &Action> {
        self.steps.iter().filter(|step| step.withheld.is_none()).map(|step| &step.action)
    }

    /// Whether steps wait for a later cycle, so that one should come soon. Refused removals wait for a person.
    pub fn holds_back_creations(&self) -> bool {
        // A brake of zero lets none through in the next cycle either.
        self.cost.creates > 0
            && self
                .steps
                .iter()
                .any(|step| step.withheld.is_some() && matches!(step.action, Action::Create { .. }))
    }
}
