//! What a tenant watches.

use super::SubscriptionId;
use std::collections::BTreeSet;

/// Management groups and subscriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The names of management groups; everything below them is watched.
    pub groups: BTreeSet<String>,
    pub subscriptions: BTreeSet<SubscriptionId>,
}

impl Scope {
    /// Whether it names nothing, which means everything that the identity may read.
    pub fn is_everything(&self) -> bool {
        self.groups.is_empty() && self.subscriptions.is_empty()
    }
}
