//! What one cycle saw: both sides, whole, or with the name of what is missing.

use super::{Connector, ConnectorId, RequestId, Subscription, SubscriptionId, TenantId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What one cycle saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The tenant that was looked at.
    pub tenant: TenantId,
    /// The subscriptions in scope: the union of every list that was read, and of those read directly.
    pub subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// The scopes that could not be read whole. While there is one, no removal is planned.
    pub unreadable: Vec<Unreadable>,
    /// A management group of `EXCLUDE` could not be read, so it is not known what is excluded.
    pub exclusion_unknown: bool,
    /// Those of them that no list has yet: only an inbox item led to them.
    pub unlisted: BTreeSet<SubscriptionId>,
    /// Noted subscriptions that no list had, as read directly.
    pub direct: BTreeMap<SubscriptionId, Direct>,
    /// Every Azure connector of the account.
    pub connectors: BTreeMap<ConnectorId, Connector>,
    /// What people asked for by hand.
    pub requests: Vec<SyncRequest>,
}

/// A scope that could not be read whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unreadable {
    /// The management group, or `subscriptions` for the list of all that the identity sees.
    pub scope: String,
    /// What went wrong.
    pub why: String,
}

/// What a direct reading of one noted subscription gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Direct {
    /// It is there and in scope; `Observed::subscriptions` has it.
    InScope,
    /// It is there, and the settings or a whole reading put it outside the scope.
    OutOfScope(String),
    /// It is there, but the management-group tree does not show it yet (ARM caches the tree for up to 30 minutes).
    NotInTreeYet,
    /// 403 or 404: it may not exist, or the identity lost its role. Never proof of absence.
    AccessLost,
    /// The reading failed.
    Failed(String),
}

/// A sync or snapshot that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// The request's id.
    pub id: RequestId,
    /// When it was made.
    pub at: Timestamp,
    /// What it asks for.
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
