//! What the settings allow, as the plan needs it.

use crate::model::{AppId, Connector, Name, Subscription, TenantId};
use crate::state::AbsenceRule;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest name that Qualys accepts, by Qualys's own tenant-connector script.
const NAME_CHARS: usize = 255;

/// What a cycle may do in a tenant.
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
    pub mode: Mode,
    /// Part of the mark.
    pub deployment: Name,
    pub tenant: TenantId,
    /// The application of the connectors' service principal.
    pub application: AppId,
    /// The connectors' name: `{subscription_name}` and `{subscription_id}` are filled in.
    pub name: String,
    /// The connectors' description, filled in the same way; the mark is added.
    pub description: String,
    /// Apps that a new connector switches on (`AI`, `CI`, `CSA`).
    pub apps: Vec<String>,
    /// Modules that a new connector activates for the machines it finds.
    pub modules: Vec<String>,
    /// Qualys ids of the tags that a new connector puts on what it finds.
    pub tags: Vec<i64>,
    /// Minutes between the syncs that Qualys starts itself.
    pub run_frequency_minutes: u32,
    /// A sync older than this is due.
    pub sync_max_age: Duration,
    /// How long Qualys has to start a new connector itself, before we do.
    pub follow_up: Duration,
    /// The most new connectors a cycle.
    pub max_creates: usize,
    /// The most removals in 24 hours; without it the greater of 5 and 1 % of our enabled connectors.
    pub max_removals: Option<usize>,
    /// When the absence of a connector is proved.
    pub absence: AbsenceRule,
    /// The calls that we may make to each endpoint in an hour, without the reserve.
    pub calls_per_hour: u32,
}

impl Policy {
    /// Whether a connector is ours: our deployment, this tenant, and the connector's own subscription.
    pub fn is_ours(&self, connector: &Connector) -> bool {
        !connector.is_member()
            && connector.mark().is_some_and(|mark| {
                mark.deployment == self.deployment
                    && mark.tenant == self.tenant
                    && connector.subscription.is_none_or(|own| own == mark.subscription)
            })
    }

    /// Rule *removals brake*: the most removals in 24 hours.
    pub(super) fn removal_limit(&self, enabled: usize) -> usize {
        self.max_removals.unwrap_or_else(|| (enabled / 100).max(5))
    }

    /// The name of a new connector: never longer than Qualys accepts, and never without the subscription's id if the
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
