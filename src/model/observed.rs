//! What one cycle observed of Azure and of Qualys.

use super::{ClockReading, Connector, ConnectorId, RequestId, Subscription, SubscriptionId, TenantId, Turn};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What one cycle observed. The Qualys side is complete; what is missing of the Azure side is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    pub tenant: TenantId,
    /// The subscriptions in scope: those of every list that was read, and those read directly.
    pub subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// The scopes that could not be read completely. While there is one, no removal is planned.
    pub unreadable: Vec<Unreadable>,
    /// A management group of `EXCLUDE` could not be read, so it is not known what is excluded.
    pub exclusion_unknown: bool,
    /// The subscriptions in scope that no list shows yet: only an inbox item led to them.
    pub unlisted: BTreeSet<SubscriptionId>,
    /// Those in scope of which no management group is known, while `EXCLUDE` names some: a new one may be about to be moved into
    /// one of them.
    pub unplaced: BTreeSet<SubscriptionId>,
    /// The subscriptions that ARM reports under another directory.
    pub elsewhere: BTreeSet<SubscriptionId>,
    /// What direct readings of single subscriptions showed.
    pub direct: BTreeMap<SubscriptionId, Direct>,
    /// Whose turn it is next, when more wait than a cycle may read one by one.
    pub turn: Turn,
    /// A subscription that an inbox item named lately still waits to be looked at.
    pub looks_left: bool,
    /// Every Azure connector of the account. Where the list states no subscription of one, it is the one that the connector
    /// stated by its id or earlier; where it does not say whether one is a member, that is as the connector said earlier.
    pub connectors: BTreeMap<ConnectorId, Connector>,
    /// The connectors that were read by their ids for that.
    pub read_by_id: BTreeSet<ConnectorId>,
    /// Qualys's clock when it listed them; none where its answer has no `Date`.
    pub qualys_clock: Option<ClockReading>,
    pub requests: Vec<SyncRequest>,
}

/// A scope that could not be read completely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unreadable {
    /// The management group, `subscriptions` for the list of all that the identity may read, or `subscription <id>` for one
    /// that the settings name.
    pub scope: String,
    /// The error.
    pub why: String,
}

impl Unreadable {
    /// The name of a single subscription as a scope.
    pub fn subscription(id: SubscriptionId) -> String {
        format!("subscription {id}")
    }
}

/// What is known of one subscription that no list describes, or that an inbox item names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Direct {
    /// It exists and is in scope; `Observed::subscriptions` has it.
    InScope,
    OutOfScope(OutOfScope),
    /// It exists, but the management-group tree does not show it yet (ARM caches the tree for up to 30 minutes).
    NotInTreeYet,
    /// 403 or 404: it may not exist, or the identity lost its role. Never a proof of absence.
    AccessLost,
    /// It could not be read.
    Failed(ReadFailure),
}

impl Direct {
    pub const ACCESS_LOST: &str =
        "ARM answered 403 or 404: the identity has no role on it, or it does not exist";
}

/// What puts a subscription outside the scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum OutOfScope {
    /// `EXCLUDE` names it, or a management group above it.
    Excluded,
    OtherDirectory {
        directory: TenantId,
    },
    /// `SCOPE` names only subscriptions, and not this one.
    NotNamed,
    /// A complete reading of the management groups of `SCOPE` does not show it.
    NotInGroups,
}

impl fmt::Display for OutOfScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Excluded => write!(f, "EXCLUDE names it"),
            Self::OtherDirectory { directory } => write!(f, "it belongs to directory {directory}"),
            Self::NotNamed => write!(f, "SCOPE does not name it"),
            Self::NotInGroups => write!(f, "no management group of SCOPE contains it"),
        }
    }
}

/// Why a subscription could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum ReadFailure {
    /// More subscriptions than a cycle may read one by one.
    TooMany,
    /// ARM's answer, or the lack of one.
    Arm { error: String },
}

impl fmt::Display for ReadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "too many subscriptions to read one by one in this cycle"),
            Self::Arm { error } => f.write_str(error),
        }
    }
}

/// A sync or snapshot that a person or a pipeline asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    pub id: RequestId,
    /// When it was made.
    pub at: Timestamp,
    pub asked: Asked,
}

/// What a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Asked {
    /// Sync every connector of ours.
    pub all: bool,
    /// Sync the connectors of these subscriptions.
    pub subscriptions: BTreeSet<SubscriptionId>,
    /// Take a snapshot, after the syncs.
    pub snapshot: bool,
    /// Only plan.
    pub plan_only: bool,
}

impl Asked {
    /// Whether a sync of this subscription is asked for.
    pub fn wants(&self, subscription: SubscriptionId) -> bool {
        !self.plan_only && (self.all || self.subscriptions.contains(&subscription))
    }
}
