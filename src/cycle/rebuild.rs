//! A tenant's state when there is none: on the first day, or when `control/` was lost. What `inventory/` still knows of
//! earlier cycles goes into it.
//!
//! A manifest knows the connectors of its moment, and the audit what we did since, but nobody what others did since. So the
//! first lists must agree here too, as for a tenant of which nothing is known.

use crate::manifest::Manifest;
use crate::model::{CycleId, SnapshotId};
use crate::outcome::{Intent, Outcome};
use crate::state::TenantState;
use crate::store::{BlobKey, Container, StoreError};
use crate::tenant::Tenant;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use std::collections::BTreeSet;
use tracing::{info, warn};

/// Blobs read at the same time. Once in a deployment's life there may be thousands.
const AT_ONCE: usize = 8;

/// The state that `inventory/` can tell.
pub(super) async fn from_inventory(tenant: &Tenant, now: Timestamp) -> Result<TenantState, StoreError> {
    let mut state = TenantState::unknown(now);
    let mut manifest_of = None;
    if let Some(manifest) = newest_manifest(tenant).await? {
        // Rows came from connectors, so something covered these subscriptions.
        state.observed = manifest.rows_by_subscription.into_keys().collect();
        state.covered.clone_from(&state.observed);
        state.covered.extend(manifest.connectors.values().filter_map(|connector| connector.subscription));
        // An older version's manifest names no connectors.
        manifest_of = Some(manifest.ended).filter(|_| !manifest.connectors.is_empty());
        state.lists.recall(manifest.connectors);
    }
    let cycles = audited(tenant).await?;
    let read: Vec<_> = cycles.iter().map(|cycle| audit_of(tenant, cycle)).collect();
    let audits: Vec<_> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
    let newest = audits.len().saturating_sub(1);
    for (number, audit) in audits.iter().enumerate() {
        match audit {
            Audit::Ended(outcomes) => {
                for outcome in outcomes {
                    outcome.recall(&mut state, manifest_of, now);
                }
            }
            // What it meant to do may have been done just now.
            Audit::Killed(intents) if number == newest => {
                for intent in intents {
                    intent.recover(&mut state, now);
                }
            }
            // What it did, the lists show.
            Audit::Killed(_) => {}
        }
    }
    if !state.covered.is_empty() {
        let covered = state.covered.len();
        info!(
            covered,
            "The tenant had no state. `inventory` knows {covered} subscriptions that a connector covered"
        );
    }
    Ok(state)
}

/// The newest manifest of a complete snapshot that can be read: one that is not complete may lack what was covered.
async fn newest_manifest(tenant: &Tenant) -> Result<Option<Manifest>, StoreError> {
    let below = BlobKey::snapshots(tenant.id());
    let names = tenant.store.folders(Container::Inventory, &below).await?;
    let ids: BTreeSet<SnapshotId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    for id in ids.into_iter().rev() {
        match tenant.store.read::<Manifest>(&BlobKey::Manifest(tenant.id(), id)).await {
            Ok(Some((manifest, _))) if manifest.complete => return Ok(Some(manifest)),
            // One that was cut short has none.
            Ok(_) => {}
            Err(error @ (StoreError::Unreadable { .. } | StoreError::Newer { .. })) => warn!("{error}"),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The cycles that meant to write something, from the oldest.
async fn audited(tenant: &Tenant) -> Result<BTreeSet<CycleId>, StoreError> {
    let below = BlobKey::audits(tenant.id());
    let mut cycles = BTreeSet::new();
    for date in tenant.store.folders(Container::Inventory, &below).await? {
        for (name, _) in tenant.store.list(Container::Inventory, &format!("{below}/{date}")).await? {
            cycles.extend(name.strip_suffix(".intent.jsonl").and_then(|id| id.parse::<CycleId>().ok()));
        }
    }
    Ok(cycles)
}

/// What the audit has of a cycle. Lines of other versions are left out.
enum Audit {
    Ended(Vec<Outcome>),
    /// It wrote down no outcomes.
    Killed(Vec<Intent>),
}

async fn audit_of(tenant: &Tenant, cycle: &CycleId) -> Result<Audit, StoreError> {
    let id = tenant.id();
    if let Some(blob) = tenant.store.get(&BlobKey::Audit(id, cycle.clone())).await? {
        let text = String::from_utf8_lossy(&blob.bytes);
        return Ok(Audit::Ended(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()));
    }
    let blob = tenant.store.get(&BlobKey::Intent(id, cycle.clone())).await?;
    Ok(Audit::Killed(blob.map(|blob| Intent::read_lines(&blob.bytes).0).unwrap_or_default()))
}
