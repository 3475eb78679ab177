//! The plan as data: its steps, and what they cost.

use super::{Action, ActionKind, ClockDoubts, Coverage, Kept, Mode, Policy, Reason, Withheld};
use crate::model::{TenantId, Unreadable};
use crate::state::Doubt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a cycle would do, in order, and what it leaves alone; each with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Plan {
    pub schema_version: u32,
    pub tenant: TenantId,
    /// Whether the steps are carried out.
    pub mode: Mode,
    #[cfg_attr(test, schemars(with = "String"))]
    pub made: Timestamp,
    /// SHA-256 of the sorted steps, in hexadecimal: two plans with the same hash do the same.
    pub hash: String,
    /// Creations first, removals last.
    pub steps: Vec<Step>,
    pub kept: Vec<Kept>,
    pub coverage: Coverage,
    #[serde(default)]
    pub clock: ClockDoubts,
    pub cost: Cost,
    /// The scopes that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// Why the list of connectors is doubtful; none when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// An action and why it is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Step {
    #[serde(flatten)]
    pub action: Action,
    #[serde(flatten)]
    pub reason: Reason,
    /// Why it is not carried out although it is wanted; absent when it is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Withheld>,
}

/// What the steps need, and what they switch on that may cost licences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cost {
    /// Connectors to make.
    pub creates: usize,
    /// Syncs to start.
    pub runs: usize,
    /// Connectors to disable.
    pub removals: usize,
    /// Steps that are withheld; the other numbers leave them out.
    pub withheld: usize,
    /// Calls to Qualys for all steps.
    pub calls: usize,
    /// Full hours that the account's call limit makes of it; 0 when the calls fit into one hour.
    pub hours: usize,
    /// What each new connector switches on: apps, then modules.
    pub switches_on: Vec<String>,
}

impl Cost {
    pub(super) fn of(steps: &[Step], policy: &Policy) -> Self {
        let mut cost = Self::default();
        for step in steps {
            if step.withheld.is_some() {
                cost.withheld += 1;
                continue;
            }
            let action = step.action.summary();
            cost.calls += action.calls;
            match action.kind {
                ActionKind::Creation => cost.creates += 1,
                ActionKind::Sync => cost.runs += 1,
                ActionKind::Removal => cost.removals += 1,
            }
        }
        let Self { creates, runs, removals, withheld: _, calls: _, hours: _, switches_on: _ } = cost;
        // Qualys limits each kind of call by itself, so the hours are those of the most frequent kind. A new connector may
        // need a run too.
        cost.hours = (creates + runs).max(removals) / policy.calls_per_hour.max(1) as usize;
        if creates > 0 {
            cost.switches_on = policy.apps.iter().chain(&policy.modules).cloned().collect();
        }
        cost
    }
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.wanted().next().is_none()
    }

    /// The actions that are carried out.
    pub fn wanted(&self) -> impl Iterator<Item = &Action> {
        self.steps.iter().filter(|step| step.withheld.is_none()).map(|step| &step.action)
    }

    /// Whether the next cycle goes on with steps that this one withheld, so that it should come soon.
    pub fn holds_back_creations(&self) -> bool {
        let goes_on = |withheld: &Withheld| matches!(withheld, Withheld::CreationBrake { .. });
        // A brake of zero lets nothing through in the next cycle either.
        self.cost.creates > 0 && self.steps.iter().any(|step| step.withheld.as_ref().is_some_and(goes_on))
    }

    /// When the first absence that a step waits for may be proved.
    pub fn absence_proved_at(&self) -> Option<Timestamp> {
        self.steps.iter().filter_map(|step| step.withheld.as_ref()?.proved_at()).min()
    }
}
