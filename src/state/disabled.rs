//! The connectors that we disabled: what is needed to enable them again.

use crate::model::{Connector, ConnectorId, SubscriptionId, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A list may still show a connector as enabled for a while after we disabled it. Ten minutes is a precaution, as for a new
/// connector; no source states the lag.
const DISABLE_SETTLES: Duration = Duration::from_mins(10);
/// A record is kept for so long after a list last showed its connector: a connector that a list lacks is not gone.
const GONE_AFTER: Duration = Duration::from_hours(30 * 24);

/// What allows a connector to be disabled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DisableProof {
    /// Another connector of ours covers the same subscription: enabled, healthy and fresh.
    Twin { stays: ConnectorId },
    /// An older version planned it and recorded nothing. Such a step is not carried out.
    #[default]
    Unstated,
}

/// A connector that we disabled, or were about to disable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DisabledByUs {
    pub subscription: SubscriptionId,
    /// When it was sent, or about to be.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    pub proof: DisableProof,
    /// When a list last showed the connector, and not as enabled.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub seen: Option<Timestamp>,
}

impl DisabledByUs {
    pub fn new(subscription: SubscriptionId, at: Timestamp, proof: DisableProof) -> Self {
        Self { subscription, at, proof, seen: None }
    }
}

/// Updates the records from a connector that was observed: one that somebody enabled again is no longer disabled by us.
pub(super) fn update(
    records: &mut BTreeMap<ConnectorId, DisabledByUs>,
    connector: &Connector,
    now: Timestamp,
) {
    let Some(record) = records.get_mut(&connector.id) else { return };
    if !connector.is_enabled() {
        record.seen = Some(now);
    } else if elapsed(now, record.at) >= DISABLE_SETTLES {
        records.remove(&connector.id);
    }
}

/// Drops the records of connectors that no list has shown for a long time.
pub(super) fn forget_gone(records: &mut BTreeMap<ConnectorId, DisabledByUs>, now: Timestamp) {
    records.retain(|_, record| elapsed(now, record.seen.unwrap_or(record.at)) < GONE_AFTER);
}
