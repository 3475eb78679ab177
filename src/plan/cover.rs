//! Coverage: every subscription in use is covered, healthy and fresh, or is named with a cause.

use super::{Policy, Unhealthy, last_sync};
use crate::model::{ConnectorId, Observed, SubscriptionId};
use crate::state::TenantState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How many subscriptions in use are covered, and which are not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Coverage {
    /// Subscriptions in scope and in use.
    pub in_use: usize,
    /// Those with an enabled, healthy, fresh connector, ours or not.
    pub covered: usize,
    /// The others.
    pub gaps: Vec<Gap>,
}

/// A subscription that no healthy connector covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gap {
    pub subscription: SubscriptionId,
    /// As ARM shows it.
    pub name: String,
    #[serde(flatten)]
    pub cause: GapCause,
}

/// Why a subscription is not covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum GapCause {
    NoConnector,
    /// It had none, and this cycle made one: its first sync is awaited.
    Made {
        connector: ConnectorId,
    },
    /// It has connectors, and none is healthy; one of them is named.
    Unhealthy {
        connector: ConnectorId,
        #[serde(flatten)]
        health: Unhealthy,
    },
}

pub(super) fn coverage(
    observed: &Observed,
    state: &TenantState,
    policy: &Policy,
    now: Timestamp,
) -> Coverage {
    // For each subscription that has connectors: nothing when one is healthy, else what is wrong with the last.
    let mut causes: BTreeMap<SubscriptionId, Option<GapCause>> = BTreeMap::new();
    for connector in observed.connectors.values() {
        let Some(subscription) = connector.covers() else { continue };
        let stuck = state.connectors.get(&connector.id).is_some_and(|sync| sync.is_stuck(now));
        let synced = last_sync::of(observed, state, policy, connector);
        let health = if stuck { Err(Unhealthy::Stuck) } else { policy.health(connector, synced, now) };
        let cause = health.err().map(|health| GapCause::Unhealthy { connector: connector.id, health });
        match causes.get(&subscription) {
            Some(None) => {}
            Some(Some(_)) | None => {
                causes.insert(subscription, cause);
            }
        }
    }
    let mut coverage = Coverage::default();
    for subscription in observed.subscriptions.values().filter(|s| s.state.is_in_use()) {
        coverage.in_use += 1;
        let cause = match causes.remove(&subscription.id) {
            Some(None) => {
                coverage.covered += 1;
                continue;
            }
            Some(Some(cause)) => cause,
            None => GapCause::NoConnector,
        };
        coverage.gaps.push(Gap { subscription: subscription.id, name: subscription.name.clone(), cause });
    }
    coverage
}

impl Coverage {
    /// With the connectors that were made since: they are no cover yet, and no longer missing.
    #[must_use]
    pub fn with_made(mut self, made: &BTreeMap<SubscriptionId, ConnectorId>) -> Self {
        for gap in &mut self.gaps {
            if gap.cause == GapCause::NoConnector
                && let Some(connector) = made.get(&gap.subscription)
            {
                gap.cause = GapCause::Made { connector: *connector };
            }
        }
        self
    }
}

impl fmt::Display for GapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnector => write!(f, "no connector"),
            Self::Made { connector } => write!(f, "connector {connector} was made, first sync awaited"),
            Self::Unhealthy { connector, health } => write!(f, "connector {connector}: {health}"),
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} subscriptions in use are covered", self.covered, self.in_use)
    }
}
