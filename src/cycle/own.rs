//! Which rows of the account's inventory are this tenant's: pure.

use crate::model::{Connector, Observed, SubscriptionId};
use crate::plan::Policy;
use crate::state::TenantState;
use std::collections::BTreeSet;

/// The subscriptions whose rows a snapshot keeps.
#[derive(Debug)]
pub(super) struct OwnSubscriptions {
    /// Those ever observed in scope, and those of connectors with our directory, listed now or missing from lists.
    pub(super) ids: BTreeSet<SubscriptionId>,
    /// Those that were, until ARM reported them under another directory: their rows are not kept.
    pub(super) moved_away: BTreeSet<SubscriptionId>,
    /// The account has no other tenant, so rows of unknown subscriptions are ours, too. A connector of another tenant that
    /// lists lack is not gone, and a doubtful list does not show who else there is.
    pub(super) sole_tenant: bool,
    /// Why rows of ours may be dropped, so that the snapshot cannot be complete.
    pub(super) doubt: Option<String>,
}

impl OwnSubscriptions {
    pub(super) fn of(observed: &Observed, state: &TenantState, policy: &Policy) -> Self {
        let is_of_tenant = |c: &&Connector| c.directory == Some(observed.tenant) || policy.is_ours(c);
        let connectors = observed.connectors.values();
        let of_connectors = connectors.clone().filter(is_of_tenant).filter_map(Connector::covers);
        let remembered = state.lists.connectors.values().filter(|one| !one.gone);
        let of_remembered = remembered.clone().filter(|one| one.of_tenant).filter_map(|one| one.subscription);
        let moved_away = state.moved_away.clone();
        let ids = state.observed.iter().copied().chain(of_connectors).chain(of_remembered);
        let ids = ids.filter(|id| !moved_away.contains(id)).collect();
        // A connector that does not state its directory may be another tenant's.
        let shows_no_other = connectors.clone().all(|connector| is_of_tenant(&connector))
            && remembered.clone().all(|one| one.of_tenant);
        let sole_tenant = shows_no_other && state.lists.doubt.is_none();
        let scopes: Vec<_> = observed.unreadable.iter().map(|scope| scope.scope.as_str()).collect();
        let doubt = if shows_no_other {
            (!sole_tenant).then(|| {
                "the list of connectors is doubtful, so the rows of unknown subscriptions may be another tenant's"
                    .to_owned()
            })
        } else {
            (!scopes.is_empty()).then(|| {
                format!(
                    "the account has several tenants, and the scopes that say which subscriptions are ours could not be read completely: {}",
                    scopes.join(", ")
                )
            })
        };
        Self { ids, moved_away, sole_tenant, doubt }
    }
}
