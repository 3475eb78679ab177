//! What the list does not state of a connector: its subscription, for which it is read by its id, or whether it is a member.

use crate::model::{Connector, ConnectorId, SubscriptionId, elapsed};
use crate::qualys::Qualys;
use crate::report::chain;
use crate::state::ListMemory;
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tracing::warn;

/// Reads by id in one cycle. If Qualys leaves the subscription out of every row, four cycles an hour use 80 calls of the 210
/// that an account may make by default to this endpoint, and the rest have their turn later.
const READS: usize = 20;
/// How long one reading counts: what a connector covers seldom changes.
const COUNTS_FOR: Duration = Duration::from_hours(1);
/// Reads at the same time; the client obeys the account's own limit.
const AT_ONCE: usize = 4;

/// Fills in the subscription of connectors whose row states none: as the connector states when it is read by its id, else as
/// it last stated. One that does not say whether it belongs to a tenant connector keeps what it last said. Returns those that
/// were read.
pub(super) async fn fill_in(
    qualys: &Qualys,
    connectors: &mut BTreeMap<ConnectorId, Connector>,
    memory: &ListMemory,
    now: Timestamp,
) -> BTreeSet<ConnectorId> {
    for connector in connectors.values_mut() {
        let remembered = memory.connectors.get(&connector.id).and_then(|one| one.member);
        connector.member = connector.member.or(remembered);
    }
    let unstated: Vec<_> = connectors.values().filter(|c| c.subscription.is_none()).map(|c| c.id).collect();
    let asked = |id: &ConnectorId| memory.connectors.get(id).and_then(|one| one.asked);
    let mut due: Vec<_> = unstated.iter().copied().map(|id| (asked(&id), id)).collect();
    due.retain(|(asked, _)| asked.is_none_or(|at| elapsed(now, at) >= COUNTS_FOR));
    due.sort_unstable();
    due.truncate(READS);
    let reads = due.into_iter().map(|(_, id)| async move { (id, read(qualys, id).await) });
    let read: BTreeMap<_, _> = stream::iter(reads).buffer_unordered(AT_ONCE).collect().await;
    for id in unstated {
        let stated = read.get(&id).copied().flatten();
        let remembered = memory.connectors.get(&id).and_then(|one| one.subscription);
        if let Some(connector) = connectors.get_mut(&id) {
            connector.subscription = stated.or(remembered);
        }
    }
    read.into_keys().collect()
}

/// The subscription that a connector states; none if it could not be read, which proves nothing.
async fn read(qualys: &Qualys, id: ConnectorId) -> Option<SubscriptionId> {
    match qualys.connector(id).await {
        Ok(connector) => connector.subscription,
        Err(error) => {
            warn!(connector.id = %id, error = chain(&error), "Could not read which subscription connector `{id}` covers");
            None
        }
    }
}
