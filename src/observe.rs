//! Observe: both sides at once, whole, or with the name of what is missing.
//!
//! Guarantees: the Qualys side is whole or an error. On the Azure side a scope that could not be read whole is named in
//! `unreadable`; what the others gave is used. Absence from a list is never reported as more than that.

use crate::azure::arm::{Arm, ArmError};
use crate::model::{
    Direct, Observed, OutOfScope, ReadFailure, Scope, Subscription, SubscriptionId, SyncRequest, TenantId,
    Unreadable, elapsed,
};
use crate::qualys::{Qualys, QualysError};
use crate::report::chain;
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// The list of all that the identity sees, as a scope's name.
const SUBSCRIPTIONS: &str = "subscriptions";
/// ARM calls at once: its token buckets refill 25 reads a second.
pub(crate) const ARM_AT_ONCE: usize = 8;
/// Subscriptions read one by one in a cycle. A bucket holds 250 reads, and the lists need some.
const DIRECT_READS: usize = 150;
/// The management-group tree lags by up to 30 minutes; after twice that a whole reading without the subscription counts.
const TREE_SETTLES: Duration = Duration::from_hours(1);

/// What to look at.
#[derive(Debug)]
pub struct Look<'a> {
    /// The tenant.
    pub tenant: TenantId,
    /// What is watched.
    pub scope: &'a Scope,
    /// What of it is not.
    pub exclude: &'a Scope,
    /// The subscriptions that inbox items name, and when.
    pub in_inbox: BTreeMap<SubscriptionId, Timestamp>,
    /// What people asked for.
    pub requests: Vec<SyncRequest>,
    /// The time.
    pub now: Timestamp,
    /// When it must be over.
    pub deadline: Instant,
}

/// Reads both sides.
///
/// # Errors
/// When the Qualys side could not be read whole.
pub async fn observe(arm: &Arm, qualys: &Qualys, look: Look<'_>) -> Result<Observed, QualysError> {
    let (connectors, azure) = tokio::join!(qualys.connectors(), azure_side(arm, &look));
    Ok(Observed {
        tenant: look.tenant,
        subscriptions: azure.found,
        unreadable: azure.unreadable,
        exclusion_unknown: azure.exclusion_unknown,
        direct: azure.direct,
        unlisted: azure.unlisted,
        connectors: connectors?,
        requests: look.requests,
    })
}

#[derive(Default)]
struct AzureSide {
    found: BTreeMap<SubscriptionId, Subscription>,
    unreadable: Vec<Unreadable>,
    exclusion_unknown: bool,
    direct: BTreeMap<SubscriptionId, Direct>,
    unlisted: BTreeSet<SubscriptionId>,
}

impl AzureSide {
    fn unreadable(&mut self, scope: &str, error: &ArmError) {
        let why = chain(error);
        warn!(scope, error = why, "Could not read scope `{scope}` whole");
        self.unreadable.push(Unreadable { scope: scope.to_owned(), why });
    }
}

async fn azure_side(arm: &Arm, look: &Look<'_>) -> AzureSide {
    let mut side = AzureSide::default();
    let (listed, inside, outside) = tokio::join!(
        arm.subscriptions(look.deadline),
        groups(arm, &look.scope.groups, look.deadline),
        groups(arm, &look.exclude.groups, look.deadline)
    );

    // Lists that disagree: the union is used, so a subscription counts as soon as one list has it.
    let mut wanted = look.scope.subscriptions.clone();
    let mut groups_whole = true;
    for (group, result) in inside {
        match result {
            Ok(below) => wanted.extend(below),
            Err(error) => {
                groups_whole = false;
                side.unreadable(&group, &error);
            }
        }
    }
    let mut excluded = look.exclude.subscriptions.clone();
    for (group, result) in outside {
        match result {
            Ok(below) => excluded.extend(below),
            Err(error) => {
                side.exclusion_unknown = true;
                side.unreadable(&group, &error);
            }
        }
    }
    let listed: BTreeMap<SubscriptionId, Subscription> = match listed {
        Ok(listed) => listed.into_iter().map(|subscription| (subscription.id, subscription)).collect(),
        Err(error) => {
            side.unreadable(SUBSCRIPTIONS, &error);
            BTreeMap::new()
        }
    };
    if look.scope.is_everything() {
        wanted.extend(listed.values().filter(|s| s.tenant == look.tenant).map(|s| s.id));
    }

    // What is wanted or noted, and no list describes, is read directly.
    let looked_at: BTreeSet<SubscriptionId> = wanted.iter().chain(look.in_inbox.keys()).copied().collect();
    let unknown: Vec<SubscriptionId> =
        looked_at.iter().copied().filter(|id| !listed.contains_key(id) && !excluded.contains(id)).collect();
    let mut read = directly(arm, &unknown, look.deadline).await;

    for id in looked_at {
        let in_inbox = look.in_inbox.get(&id).copied();
        let known = match listed.get(&id) {
            Some(subscription) => Ok(subscription.clone()),
            None => read.remove(&id).unwrap_or(Err(Direct::Failed(ReadFailure::TooMany))),
        };
        let verdict = match known {
            _ if excluded.contains(&id) => Direct::OutOfScope(OutOfScope::Excluded),
            Err(verdict) => verdict,
            Ok(subscription) if subscription.tenant != look.tenant => {
                Direct::OutOfScope(OutOfScope::OtherDirectory { directory: subscription.tenant })
            }
            Ok(subscription) if wanted.contains(&id) || look.scope.is_everything() => {
                if !listed.contains_key(&id) && !wanted.contains(&id) {
                    side.unlisted.insert(id);
                }
                side.found.insert(id, subscription);
                Direct::InScope
            }
            Ok(_) if look.scope.groups.is_empty() => Direct::OutOfScope(OutOfScope::NotNamed),
            Ok(_) if groups_whole && in_inbox.is_some_and(|left| elapsed(look.now, left) >= TREE_SETTLES) => {
                Direct::OutOfScope(OutOfScope::NotInGroups)
            }
            Ok(_) => Direct::NotInTreeYet,
        };
        // Of those in a list only what somebody asked about is told; of the others everything.
        let told = in_inbox.is_some() || !matches!(verdict, Direct::InScope | Direct::OutOfScope(_));
        if told {
            side.direct.insert(id, verdict);
        }
    }
    side
}

/// A management group, and the subscriptions below it.
pub(crate) type GroupRead = (String, Result<BTreeSet<SubscriptionId>, ArmError>);

/// Reads management groups, each by itself.
pub(crate) async fn groups(arm: &Arm, names: &BTreeSet<String>, deadline: Instant) -> Vec<GroupRead> {
    let reads = names.iter().cloned().map(|name| {
        let arm = arm.clone();
        async move {
            let below = arm.descendants(&name, deadline).await;
            (name, below)
        }
    });
    stream::iter(reads.collect::<Vec<_>>()).buffered(ARM_AT_ONCE).collect().await
}

async fn directly(
    arm: &Arm,
    ids: &[SubscriptionId],
    deadline: Instant,
) -> BTreeMap<SubscriptionId, Result<Subscription, Direct>> {
    let reads = ids.iter().copied().take(DIRECT_READS).map(|id| {
        let arm = arm.clone();
        async move {
            let result = arm.subscription(id, deadline).await.map_err(|error| match error {
                // Neither proves that it is gone: a lost role looks the same.
                ArmError::Forbidden { .. } | ArmError::NotFound { .. } => Direct::AccessLost,
                other => Direct::Failed(ReadFailure::Arm { error: chain(&other) }),
            });
            (id, result)
        }
    });
    stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(ARM_AT_ONCE).collect().await
}
