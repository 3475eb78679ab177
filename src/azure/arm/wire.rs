//! ARM's answers as they are on the wire: pure.
//!
//! Guarantees: an error says where an answer stops being understood, and repeats nothing of it.

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
    // Without its directory a subscription cannot be told from one that is only delegated to us.
    let tenant = tenant_id.ok_or_else(|| malformed(what, "a subscription has no directory"))?;
    let state = SubscriptionState::from(state.unwrap_or_default());
    Ok(Subscription { id, tenant, name: display_name.unwrap_or_default(), state })
}

/// The subscriptions among the entries below a management group.
pub(super) fn below(found: Vec<WireDescendant>, what: &str) -> Result<BTreeSet<SubscriptionId>, ArmError> {
    found
        .into_iter()
        .filter(|entry| entry.kind.to_ascii_lowercase().ends_with("/subscriptions"))
        .map(|entry| entry.name.parse().map_err(|_| malformed(what, "a subscription in it has no GUID")))
        .collect()
}

/// Where the next page is; none: this was the last.
pub(super) fn next(link: Option<String>, base: &Url, what: &str) -> Result<Option<Url>, ArmError> {
    let Some(link) = link.filter(|link| !link.is_empty()) else { return Ok(None) };
    let next = Url::parse(&link).map_err(|_| malformed(what, "its next link is no address"))?;
    // The token goes along with the request, so a foreign host must never get one.
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
