//! Observe: reads both sides at the same time, completely, or names what is missing.
//!
//! Guarantees: the Qualys side is complete or an error. On the Azure side a scope that could not be read completely is
//! named in `unreadable`, and what the others say is used. That a list lacks a subscription never proves that it is
//! gone.

mod scope;
mod stated;

use crate::azure::arm::{Arm, ArmError};
use crate::model::{
    Connector, ConnectorId, Direct, Observed, ReadFailure, Scope, Subscription, SubscriptionId, SyncRequest,
    TenantId, Turn, Unreadable, elapsed,
};
use crate::qualys::{Qualys, QualysError};
use crate::report::chain;
use crate::state::ListMemory;
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
pub(crate) use scope::elsewhere;
use scope::{Lists, Read};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// ARM calls at the same time: its token buckets refill 25 reads a second.
pub(crate) const ARM_AT_ONCE: usize = 8;
/// Subscriptions read one by one in a cycle. A bucket holds 250 reads, and the lists need some of them.
const DIRECT_READS: usize = 150;
/// How long they may take together. Eight at a time take some seconds; when ARM hangs, the rest of the cycle needs its time.
const DIRECT_TIME: Duration = Duration::from_mins(1);
/// While an item is so young, a look that did not fit into a cycle is worth a cycle soon. By then the lists have the
/// subscription, or an hour's follow-ups have looked at thousands.
const LOOK_SOON: Duration = Duration::from_hours(1);

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
    /// Whose turn it is, when more wait than a cycle may read one by one.
    pub turn: &'a Turn,
    /// What people asked for.
    pub requests: Vec<SyncRequest>,
    pub now: Timestamp,
    pub deadline: Instant,
}

/// Reads both sides. `memory`: what earlier lists of connectors showed.
///
/// # Errors
/// When the Qualys side could not be read completely.
pub async fn observe(
    arm: &Arm,
    qualys: &Qualys,
    memory: &ListMemory,
    targets: Targets<'_>,
) -> Result<Observed, QualysError> {
    let (read, (azure, looked)) =
        tokio::join!(qualys_side(qualys, memory, targets.now), azure_side(arm, &targets));
    let (connectors, read_by_id) = read?;
    Ok(Observed {
        tenant: targets.tenant,
        subscriptions: azure.found,
        unreadable: azure.unreadable,
        exclusion_unknown: azure.exclusion_unknown,
        direct: azure.direct,
        turn: looked.turn,
        looks_left: looked.left,
        unlisted: azure.unlisted,
        unplaced: azure.unplaced,
        elsewhere: azure.elsewhere,
        connectors,
        read_by_id,
        qualys_clock: qualys.clock(),
        requests: targets.requests,
    })
}

/// Reads the list of connectors, then by id those that state no subscription in it. Returns those, too.
async fn qualys_side(
    qualys: &Qualys,
    memory: &ListMemory,
    now: Timestamp,
) -> Result<(BTreeMap<ConnectorId, Connector>, BTreeSet<ConnectorId>), QualysError> {
    let mut connectors = qualys.connectors().await?;
    let read = stated::fill_in(qualys, &mut connectors, memory, now).await;
    Ok((connectors, read))
}

/// What became of the subscriptions that are read one by one.
struct Looked {
    /// Whose turn it is next.
    turn: Turn,
    /// One that an inbox item named lately still waits.
    left: bool,
}

/// Reads the lists, then one by one the subscriptions that no list describes, and decides what is in scope.
async fn azure_side(arm: &Arm, targets: &Targets<'_>) -> (scope::Sorted, Looked) {
    // Without a token every reading would fail alike, and each would be named.
    if let Err(why) = arm.sign_in(targets.deadline).await {
        let nothing = scope::nothing_read(targets, unreadable(LIST, &ArmError::SignIn(why)));
        return (nothing, Looked { turn: targets.turn.clone(), left: false });
    }
    let (listed, inside, outside) = tokio::join!(
        arm.subscriptions(targets.deadline),
        groups(arm, &targets.scope.groups, targets.deadline),
        groups(arm, &targets.exclude.groups, targets.deadline)
    );
    let lists = Lists::new(targets, named(LIST, listed), each_named(inside), each_named(outside));
    let unknown = lists.unknown(targets);
    let chosen = targets.turn.choose(&unknown, &targets.in_inbox, DIRECT_READS);
    let read = directly(arm, chosen.ids(), targets.deadline.min(Instant::now() + DIRECT_TIME)).await;
    let was_read = |id: &SubscriptionId| read.contains_key(id);
    let is_young = |left: &Timestamp| elapsed(targets.now, *left) < LOOK_SOON;
    let waits = |id: &SubscriptionId| !was_read(id) && targets.in_inbox.get(id).is_some_and(is_young);
    let looked =
        Looked { turn: targets.turn.after(&chosen, was_read, targets.now), left: unknown.iter().any(waits) };
    (scope::sort(targets, lists, read), looked)
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

/// Reads subscriptions one by one, in this order, until all are read or the time is over. A result has those whose reading
/// was begun.
async fn directly(
    arm: &Arm,
    ids: impl Iterator<Item = SubscriptionId>,
    until: Instant,
) -> BTreeMap<SubscriptionId, Result<Subscription, Direct>> {
    let reads = ids.map(|id| {
        let arm = arm.clone();
        async move {
            if Instant::now() >= until {
                return None;
            }
            let result = arm.subscription(id, until).await.map_err(|error| match error {
                // A lost role looks like a deleted subscription, so neither answer proves that it is gone.
                ArmError::Forbidden { .. } | ArmError::NotFound { .. } => Direct::AccessLost,
                other => Direct::Failed(ReadFailure::Arm { error: said(&other) }),
            });
            Some((id, result))
        }
    });
    let read = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(ARM_AT_ONCE);
    read.filter_map(async |read| read).collect().await
}
