//! The Azure side of `doctor`: a token, the subscriptions, each management group.

use super::Findings;
use crate::app::App;
use crate::azure::arm::{Arm, ArmError};
use crate::model::{SubscriptionId, TenantId};
use crate::observe::{ARM_AT_ONCE, elsewhere, groups};
use futures::stream::{self, StreamExt};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// A person waits for the answer. ARM answers in seconds, and its own gateway gives up after a minute.
pub(super) const LIMIT: Duration = Duration::from_mins(1);
const CHECK: &str = "ARM, subscriptions";

/// Reads what a cycle would read, and names each part that cannot be read.
pub(super) async fn examine(findings: &mut Findings, app: &App) {
    let (watched, deadline) = (&app.tenant, Instant::now() + LIMIT);
    let tenant = watched.id();
    let listed = match app.tenant.arm.subscriptions(deadline).await {
        Ok(all) => {
            let others = elsewhere(tenant, &all).map(|others| format!(", but {others}")).unwrap_or_default();
            let ours = all.into_iter().filter(|subscription| subscription.tenant == tenant);
            let ours: BTreeSet<_> = ours.map(|subscription| subscription.id).collect();
            match ours.len() {
                0 if watched.scope.is_everything() => findings.failed(
                    CHECK,
                    &Unfit(format!("the identity sees no subscription of directory {tenant}{others}")),
                    "give the identity the role Reader on them, or correct TENANT_ID",
                ),
                seen => findings.ok(CHECK, format!("the identity sees {seen} of directory {tenant}")),
            }
            ours
        }
        // Nothing else would be answered.
        Err(ArmError::SignIn(why)) => return findings.no_token(CHECK, &why),
        Err(error @ ArmError::Unauthorized { .. }) => {
            return findings.failed(CHECK, &error, &error.advice());
        }
        Err(error) => {
            findings.failed(CHECK, &error, &error.advice());
            BTreeSet::new()
        }
    };
    // Lists lag, so a subscription that SCOPE names and no list has is read directly.
    let named = watched.scope.subscriptions.iter().copied().filter(|id| !listed.contains(id));
    let reads: Vec<_> = named.map(|id| directly(&app.tenant.arm, id, deadline)).collect();
    let mut read = stream::iter(reads).buffered(ARM_AT_ONCE);
    while let Some((id, result)) = read.next().await {
        let check = format!("ARM, subscription {id}");
        match result {
            Ok(of) if of == tenant => {
                findings.ok(&check, "it can be read; the list does not have it yet".into());
            }
            Ok(of) => {
                let error = Unfit(format!("it belongs to directory {of}"));
                findings.failed(&check, &error, "take it out of SCOPE, or correct TENANT_ID");
            }
            Err(error) => findings.failed(&check, &error, &error.advice()),
        }
    }
    let named = watched.scope.groups.union(&watched.exclude.groups).cloned().collect();
    for (group, result) in groups(&app.tenant.arm, &named, deadline).await {
        let check = format!("ARM, management group {group}");
        match result {
            Ok(below) => findings.ok(&check, format!("subscriptions below it: {}", below.len())),
            Err(error) => findings.failed(&check, &error, &error.advice()),
        }
    }
}

async fn directly(
    arm: &Arm,
    id: SubscriptionId,
    deadline: Instant,
) -> (SubscriptionId, Result<TenantId, ArmError>) {
    (id, arm.subscription(id, deadline).await.map(|subscription| subscription.tenant))
}

/// An answer that can be read but is not what is needed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unfit(String);
