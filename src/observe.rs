//! Observe: reads both sides at the same time, completely, or names what is missing.
//!
//! Guarantees: the Qualys side is complete or an error. On the Azure side a scope that could not be read completely is
//! named in `unreadable`, and what the others say is used. That a list lacks a subscription never proves that it is
//! gone.

mod scope;

use crate::azure::arm::{Arm, ArmError};
use crate::model::{
    Direct, Observed, ReadFailure, Scope, Subscription, SubscriptionId, SyncRequest, TenantId, Unreadable,
};
use crate::qualys::{Qualys, QualysError};
use crate::report::chain;
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
pub(crate) use scope::elsewhere;
use scope::{Lists, Read};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;
use tracing::warn;

/// ARM calls at the same time: its token buckets refill 25 reads a second.
pub(crate) const ARM_AT_ONCE: usize = 8;
/// Subscriptions read one by one in a cycle. A bucket holds 250 reads, and the lists need some of them.
const DIRECT_READS: usize = 150;

/// What to read.
#[derive(Debug)]
pub struct Targets<'a> {
    pub tenant: TenantId,
    /// What is watched.
    pub scope: &'a Scope,
    /// What is left out of that.
    pub exclude: &'a Scope,
    /// The subscriptions in the inbox, and when each item was left.
    pub in_inbox: BTreeMap<SubscriptionId, Timestamp>,
    /// What people asked for.
    pub requests: Vec<SyncRequest>,
    pub now: Timestamp,
    pub deadline: Instant,
}

/// Reads both sides.
///
/// # Errors
/// When the Qualys side could not be read completely.
pub async fn observe(arm: &Arm, qualys: &Qualys, targets: Targets<'_>) -> Result<Observed, QualysError> {
    let (connectors, azure) = tokio::join!(qualys.connectors(), azure_side(arm, &targets));
    Ok(Observed {
        tenant: targets.tenant,
        subscriptions: azure.found,
        unreadable: azure.unreadable,
        exclusion_unknown: azure.exclusion_unknown,
        direct: azure.direct,
        unlisted: azure.unlisted,
        connectors: connectors?,
        requests: targets.requests,
    })
}

/// Reads the lists, then one by one the subscriptions that no list describes, and decides what is in scope.
async fn azure_side(arm: &Arm, targets: &Targets<'_>) -> scope::Sorted {
    // Without a token every reading would fail alike, and each would be named.
    if let Err(why) = arm.sign_in(targets.deadline).await {
        return scope::nothing_read(targets, unreadable(LIST, &ArmError::SignIn(why)));
    }
    let (listed, inside, outside) = tokio::join!(
        arm.subscriptions(targets.deadline),
        groups(arm, &targets.scope.groups, targets.deadline),
        groups(arm, &targets.exclude.groups, targets.deadline)
    );
    let lists = Lists::new(targets, named(LIST, listed), each_named(inside), each_named(outside));
    let read = directly(arm, &lists.unknown(targets), targets.deadline).await;
    scope::sort(targets, lists, read)
}

/// The name of the list of all subscriptions that the identity sees, beside the names of management groups.
const LIST: &str = "subscriptions";

/// A reading, or the scope that could not be read.
fn named<T>(scope: &str, read: Result<T, ArmError>) -> Read<T> {
    read.map_err(|error| unreadable(scope, &error))
}

fn unreadable(scope: &str, error: &ArmError) -> Unreadable {
    let why = said(error);
    warn!(scope, error = why, "Could not read scope `{scope}` completely");
    Unreadable { scope: scope.to_owned(), why }
}

/// An error with what to do about it.
fn said(error: &ArmError) -> String {
    format!("{}: {}", chain(error), error.advice())
}

fn each_named(groups: Vec<GroupRead>) -> Vec<Read<BTreeSet<SubscriptionId>>> {
    groups.into_iter().map(|(group, read)| named(&group, read)).collect()
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
                // A lost role looks like a deleted subscription, so neither answer proves that it is gone.
                ArmError::Forbidden { .. } | ArmError::NotFound { .. } => Direct::AccessLost,
                other => Direct::Failed(ReadFailure::Arm { error: said(&other) }),
            });
            (id, result)
        }
    });
    stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(ARM_AT_ONCE).collect().await
}
