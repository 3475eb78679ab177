//! What the settings allow, as the plan needs it.

use super::Why;
use crate::model::{AppId, Connector, Name, Subscription, SyncClass, TenantId, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest name that Qualys takes (Qualys's own tenant-connector script).
const NAME_CHARS: usize = 255;

/// What a cycle may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Plans, reports and snapshots; writes nothing to Qualys.
    Observe,
    /// Carries plans out.
    Enforce,
    /// No call to Qualys; inbox items stay.
    Paused,
}

/// What the settings allow.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether plans are carried out.
    pub mode: Mode,
    /// The deployment's name, part of the mark.
    pub deployment: Name,
    /// The directory.
    pub tenant: TenantId,
    /// The application of the connectors' service principal.
    pub application: AppId,
    /// The connectors' name: `{subscription_name}` and `{subscription_id}` are filled in.
    pub name: String,
    /// The connectors' description, filled in the same way; the mark is added.
    pub description: String,
    /// Apps that a new connector switches on (`AI`, `CI`, `CSA`).
    pub apps: Vec<String>,
    /// Modules that it activates for the machines found.
    pub modules: Vec<String>,
    /// Tags, by Qualys id, that it puts on what it finds.
    pub tags: Vec<i64>,
    /// Minutes between the syncs that Qualys starts itself.
    pub run_frequency_minutes: u32,
    /// A sync older than this is due.
    pub sync_max_age: Duration,
    /// How long a new connector may wait for Qualys to start it alone.
    pub follow_up: Duration,
    /// New connectors a cycle.
    pub max_creates: usize,
    /// Removals in 24 hours; none: the greater of 5 and 1 % of our enabled connectors.
    pub max_removals: Option<usize>,
    /// Calls an hour and endpoint that we may use, the reserve left out.
    pub calls_per_hour: u32,
}

impl Policy {
    /// Whether a connector is ours: our deployment, this tenant, and the connector's own subscription.
    pub fn is_ours(&self, connector: &Connector) -> bool {
        !connector.member
            && connector.mark().is_some_and(|mark| {
                mark.deployment == self.deployment
                    && mark.tenant == self.tenant
                    && connector.subscription.is_none_or(|own| own == mark.subscription)
            })
    }

    /// Rule 4's limit.
    pub(super) fn removal_limit(&self, enabled: usize) -> usize {
        self.max_removals.unwrap_or_else(|| (enabled / 100).max(5))
    }

    /// Why somebody else's connector is left alone, and whether it covers its subscription.
    pub(super) fn foreign_cover(&self, other: &Connector, now: Timestamp) -> Why {
        match self.health(other, now) {
            Ok(()) => Why::CoveredByOther { connector: other.id, member: other.member },
            Err(cause) => Why::NotCoveredByOther { connector: other.id, member: other.member, cause },
        }
    }

    /// Whether a connector is enabled, healthy and fresh; else the cause.
    pub(super) fn health(&self, connector: &Connector, now: Timestamp) -> Result<(), String> {
        if connector.disabled {
            return Err("it is disabled".into());
        }
        let state = connector.state.as_str();
        match connector.state.class() {
            SyncClass::EndedBadly => return Err(format!("its last sync failed ({state})")),
            SyncClass::NotPossible => return Err(format!("it cannot run ({state})")),
            SyncClass::Unknown => return Err(format!("its state is not known ({state})")),
            SyncClass::InProgress | SyncClass::EndedWell => {}
        }
        // A connector of somebody else's may rightly run less often than ours.
        let own = connector
            .run_frequency_minutes
            .map_or(Duration::ZERO, |m| Duration::from_secs(u64::from(m) * 60 + 3600));
        match connector.last_sync {
            None => Err("it has never finished a sync".into()),
            Some(last) if elapsed(now, last) > self.sync_max_age.max(own) => {
                Err(format!("its last sync is of {last}"))
            }
            Some(_) => Ok(()),
        }
    }

    /// The name of a new connector: never longer than Qualys takes, and never without the subscription's id if the
    /// template has it.
    pub fn connector_name(&self, subscription: &Subscription) -> String {
        let bare = fill(&self.name, "", subscription).chars().count();
        let places = self.name.matches("{subscription_name}").count().max(1);
        let room = NAME_CHARS.saturating_sub(bare) / places;
        let name: String = subscription.name.chars().take(room).collect();
        fill(&self.name, &name, subscription).trim().chars().take(NAME_CHARS).collect()
    }

    /// The description of a new connector, without the mark.
    pub(super) fn connector_description(&self, subscription: &Subscription) -> String {
        fill(&self.description, &subscription.name, subscription)
    }
}

fn fill(template: &str, name: &str, subscription: &Subscription) -> String {
    // The id first: a subscription may be called `{subscription_id}`.
    let text = template
        .replace("{subscription_id}", &subscription.id.to_string())
        .replace("{subscription_name}", name);
    // A line break in a name could forge a mark.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
