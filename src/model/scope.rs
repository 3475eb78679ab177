//! What a tenant watches: management groups and subscriptions.

use super::SubscriptionId;
use std::collections::BTreeSet;

/// Management groups and subscriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Names of management groups; everything below them.
    pub groups: BTreeSet<String>,
    /// Single subscriptions.
    pub subscriptions: BTreeSet<SubscriptionId>,
}

impl Scope {
    /// Whether it names nothing, which stands for all that the identity sees.
    pub fn is_everything(&self) -> bool {
        self.groups.is_empty() && self.subscriptions.is_empty()
    }
}
