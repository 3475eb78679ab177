//! Coverage: every subscription in use is covered, healthy and fresh, or is named with a cause.

use super::Policy;
use crate::model::{Observed, SubscriptionId};
use crate::state::TenantState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many subscriptions in use are covered, and the others by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Coverage {
    /// Subscriptions in scope and in use.
    pub in_use: usize,
    /// Those with an enabled, healthy, fresh connector, ours or not.
    pub covered: usize,
    /// The others.
    pub gaps: Vec<Gap>,
}

/// A subscription that no healthy connector covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gap {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its name.
    pub name: String,
    /// Why it is not covered.
    pub cause: String,
}

pub(super) fn coverage(seen: &Observed, state: &TenantState, policy: &Policy, now: Timestamp) -> Coverage {
    let mut coverage = Coverage::default();
    let mut causes = std::collections::BTreeMap::new();
    for connector in seen.connectors.values() {
        let Some(subscription) = connector.covers() else { continue };
        let stuck = state.connectors.get(&connector.id).is_some_and(|sync| sync.is_stuck(now));
        let health = if stuck { Err("its sync is stuck".to_owned()) } else { policy.health(connector, now) };
        let cause = health.err().map(|cause| format!("connector {}: {cause}", connector.id));
        // One healthy connector is enough.
        causes
            .entry(subscription)
            .and_modify(|known: &mut Option<String>| {
                if known.is_some() {
                    known.clone_from(&cause);
                }
            })
            .or_insert(cause);
    }
    for subscription in seen.subscriptions.values().filter(|s| s.state.is_in_use()) {
        coverage.in_use += 1;
        let cause = match causes.get(&subscription.id) {
            Some(None) => {
                coverage.covered += 1;
                continue;
            }
            Some(Some(cause)) => cause.clone(),
            None => "no connector".to_owned(),
        };
        coverage.gaps.push(Gap { subscription: subscription.id, name: subscription.name.clone(), cause });
    }
    coverage
}
