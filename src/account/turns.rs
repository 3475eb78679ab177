//! Several tenants on one account take turns.
//!
//! A wake-up that finds the account held by another tenant leaves a small blob that says since when its tenant has waited,
//! and is booked again. A tenant that has had a turn since then lets the waiting one go first.

use super::{Account, AccountError};
use crate::lease::{Holder, Lease};
use crate::model::{Correction, Dated, TenantId, after, elapsed};
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, Container, correct};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A waiting tenant: `waiting/<directory id>.json`. The tenant writes it again at each try.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Waiting {
    schema_version: u32,
    /// When it first found the account held.
    since: Timestamp,
    /// When it last tried.
    seen: Timestamp,
}

impl Dated for Waiting {
    fn correct(&mut self, correction: &mut Correction) {
        let Self { schema_version: _, since, seen } = self;
        correction.past([since]);
        // Nobody knows when that was. If it has gone away, nobody must wait for it until then.
        if correction.is_ahead(*seen) {
            *seen = Timestamp::MIN;
        }
    }
}

/// A tenant that has not tried again for this many lease lengths has gone away, and no longer goes first.
const GONE_AFTER_LEASES: u32 = 3;

/// The account is held, so the message that was sent for the moment `due` is dropped.
///
/// If a visit of the same tenant holds it, the end of that visit makes up for the message. It may have looked already; then
/// this does. If another tenant holds it, or nobody knows who, this one waits for its turn.
pub(super) async fn wait(
    account: &Account,
    tenant: TenantId,
    due: Timestamp,
    holder: Option<&Holder>,
    now: Timestamp,
) -> Result<(), AccountError> {
    let Account { store, wake_ups, name, .. } = account;
    if let Some(holder) = holder.filter(|holder| holder.tenant == tenant) {
        wake_ups.missed(tenant, due, holder.since, now).await?;
        match Lease::holder(store, name).await? {
            None => return Ok(wake_ups.visit_ended(tenant, false, now).await?),
            Some(holder) if holder.tenant == tenant => return Ok(()),
            // The account went from the one visit to the other, which makes up only for wake-ups of its own tenant.
            Some(_) => {}
        }
    }
    let key = BlobKey::Waiting(name.clone(), tenant);
    let before = store.read_replaceable::<Waiting>(&key).await?.corrected(&key, now).value;
    let since = before.map_or(now, |waiting| waiting.since);
    let waiting = Waiting { schema_version: SCHEMA_VERSION, since, seen: now };
    store.write(&key, &waiting, Condition::Any).await?;
    wake_ups.postpone(tenant, due, after(now, account.lease), now).await?;
    Ok(())
}

/// The tenant that goes first, if one does. Then this tenant's wake-up is booked again, a lease length later.
pub(super) async fn yield_to(
    account: &Account,
    tenant: TenantId,
    due: Timestamp,
    now: Timestamp,
) -> Result<Option<TenantId>, AccountError> {
    let Account { store, wake_ups, name, .. } = account;
    let mut booking = wake_ups.booking(tenant).await?;
    correct(&mut booking, &BlobKey::WakeUp(tenant), now);
    let Some(last_turn) = booking.last_start else { return Ok(None) };
    for (blob, _) in store.list(Container::Control, &BlobKey::waiting(name)).await? {
        let Some(other) = blob.strip_suffix(".json").and_then(|id| id.parse::<TenantId>().ok()) else {
            continue;
        };
        if other == tenant {
            continue;
        }
        // If another tenant's blob cannot be read, this tenant does not wait for it.
        let key = BlobKey::Waiting(name.clone(), other);
        let Some(mut waiting) = store.read_summary::<Waiting>(&key).await?.value() else { continue };
        correct(&mut waiting, &key, now);
        let alive = elapsed(now, waiting.seen) < account.lease * GONE_AFTER_LEASES;
        if alive && waiting.since <= last_turn {
            wake_ups.postpone(tenant, due, after(now, account.lease), now).await?;
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// The tenant has its turn, so it no longer waits.
pub(super) async fn stop_waiting(account: &Account, tenant: TenantId) -> Result<(), AccountError> {
    let key = BlobKey::Waiting(account.name.clone(), tenant);
    if let Some(blob) = account.store.get(&key).await? {
        account.store.remove(&key, &blob.etag).await?;
    }
    Ok(())
}
