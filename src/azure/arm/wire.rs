//! ARM's answers as they are on the wire, and how they become values of the model. Pure.
//!
//! Guarantees: an error says where an answer is malformed, and repeats nothing from it.

use super::ArmError;
use crate::model::{Subscription, SubscriptionId, SubscriptionState, TenantId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use url::Url;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub(super) value: Vec<T>,
    pub(super) next_link: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireSubscription {
    subscription_id: SubscriptionId,
    tenant_id: Option<TenantId>,
    display_name: Option<String>,
    state: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireDescendant {
    #[serde(rename = "type")]
    kind: String,
    name: String,
}

pub(super) fn subscription(wire: WireSubscription, what: &str) -> Result<Subscription, ArmError> {
    let WireSubscription { subscription_id: id, tenant_id, display_name, state } = wire;
    // Only the directory distinguishes a subscription of the tenant from one that is delegated to it.
    let tenant = tenant_id.ok_or_else(|| malformed(what, "a subscription in it has no directory"))?;
    let state = SubscriptionState::from(state.unwrap_or_default());
    Ok(Subscription { id, tenant, name: display_name.unwrap_or_default(), state })
}

/// The subscriptions among the entries below a management group.
pub(super) fn below(found: Vec<WireDescendant>, what: &str) -> Result<BTreeSet<SubscriptionId>, ArmError> {
    found
        .into_iter()
        .filter(|entry| entry.kind.to_ascii_lowercase().ends_with("/subscriptions"))
        .map(|entry| entry.name.parse().map_err(|_| malformed(what, "a subscription in it has no valid id")))
        .collect()
}

/// The address of the next page; `None` after the last.
pub(super) fn next(link: Option<String>, base: &Url, what: &str) -> Result<Option<Url>, ArmError> {
    let Some(link) = link.filter(|link| !link.is_empty()) else { return Ok(None) };
    let next = Url::parse(&link).map_err(|_| malformed(what, "its next link is not an address"))?;
    // The request carries the token, which no other host may see.
    if next.origin() == base.origin() {
        Ok(Some(next))
    } else {
        Err(malformed(what, "its next link leads to another host"))
    }
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, ArmError> {
    serde_json::from_slice(bytes).map_err(|error| {
        malformed(
            what,
            &format!("{:?} error at line {}, column {}", error.classify(), error.line(), error.column()),
        )
    })
}

pub(super) fn malformed(what: &str, why: &str) -> ArmError {
    ArmError::Malformed { what: what.to_owned(), why: why.to_owned() }
}
