//! Several tenants on one account: each gets its turn.
//!
//! A wake-up that finds the account taken by another tenant leaves a small blob that says since when its tenant waits, and
//! books itself again. A tenant that has had a turn since then lets the waiting one go first.

use super::{CycleError, is_of};
use crate::app::App;
use crate::lease::{Holder, Lease};
use crate::model::{TenantId, after, elapsed};
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, Container};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A tenant that waits writes this anew at each try.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Waiting {
    schema_version: u32,
    since: Timestamp,
    seen: Timestamp,
}

/// One that was not seen for so many leases has gone away, and blocks nobody.
const GONE_AFTER_LEASES: u32 = 3;

/// The account is taken: this wake-up is dropped.
///
/// If our own tenant holds it, the end of that cycle looks for our item; unless it looked already, while this wake-up still
/// counted as pending. If another one does, we wait for our turn.
pub(super) async fn wait(app: &App, holder: Option<&Holder>, now: Timestamp) -> Result<(), CycleError> {
    let tenant = app.config.policy.tenant;
    if is_of(holder, tenant) {
        app.wake_ups.dropped(tenant, now).await?;
        if Lease::holder(&app.store, &app.config.account).await?.is_none() {
            app.wake_ups.book(tenant, now, now).await?;
        }
        return Ok(());
    }
    let key = BlobKey::Waiting(app.config.account.clone(), tenant);
    let since = app.store.read_replaceable::<Waiting>(&key).await?.value.map_or(now, |waiting| waiting.since);
    app.store
        .write(&key, &Waiting { schema_version: SCHEMA_VERSION, since, seen: now }, Condition::Any)
        .await?;
    app.wake_ups.dropped(tenant, now).await?;
    app.wake_ups.book(tenant, after(now, app.config.lease), now).await?;
    Ok(())
}

/// The tenant that goes first, if one does; then our wake-up is booked for after it.
pub(super) async fn yield_to(app: &App, now: Timestamp) -> Result<Option<TenantId>, CycleError> {
    let (tenant, account) = (app.config.policy.tenant, &app.config.account);
    let Some(last_turn) = app.wake_ups.booking(tenant).await?.last_start else { return Ok(None) };
    for (name, _) in app.store.list(Container::Control, &BlobKey::waiting(account)).await? {
        let Some(other) = name.strip_suffix(".json").and_then(|id| id.parse::<TenantId>().ok()) else {
            continue;
        };
        if other == tenant {
            continue;
        }
        let key = BlobKey::Waiting(account.clone(), other);
        // Another tenant's blob that cannot be understood stops nobody.
        let Some(waiting) = app.store.read_summary::<Waiting>(&key).await?.value() else { continue };
        let alive = elapsed(now, waiting.seen) < app.config.lease * GONE_AFTER_LEASES;
        if alive && waiting.since <= last_turn {
            app.wake_ups.dropped(tenant, now).await?;
            app.wake_ups.book(tenant, after(now, app.config.lease), now).await?;
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Our turn has come.
pub(super) async fn taken(app: &App) -> Result<(), CycleError> {
    let key = BlobKey::Waiting(app.config.account.clone(), app.config.policy.tenant);
    if let Some(blob) = app.store.get(&key).await? {
        app.store.remove(&key, &blob.etag).await?;
    }
    Ok(())
}
