//! The plan: pure. `Observed` × `Policy` × `now` → [`Plan`], or a refusal.
//!
//! Guarantees: no I/O, no clock, no `async`; the same input gives the same plan and the same print. A plan changes only
//! connectors that carry our mark. Its removals come last and are braked together.

mod action;
mod cover;
mod creations;
mod health;
mod kept;
mod last_sync;
mod planner;
mod policy;
mod print;
mod reason;
mod refusals;
mod removals;
mod step;
mod syncs;
mod why;

#[cfg(test)]
mod tests;

pub use action::{Action, ActionKind, Summary, Target};
pub use cover::{Coverage, Gap, GapCause};
pub use health::Unhealthy;
pub use kept::{Kept, Subject};
pub use last_sync::{ClockDoubts, SyncTimeDoubt};
pub use policy::{Mode, Policy};
pub use reason::{Reason, Withheld};
pub use step::{Cost, Plan, Step};
pub use why::Why;

use crate::model::Observed;
use crate::state::TenantState;
use jiff::Timestamp;
use planner::Planner;

/// Why no plan may be made at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "no subscription was observed in scope ({unreadable} scopes unreadable, {connectors} connectors of ours), so nothing is planned"
    )]
    NoSubscriptions {
        /// Scopes that could not be read.
        unreadable: usize,
        /// Connectors that carry our mark.
        connectors: usize,
    },
}

impl Refused {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoSubscriptions { unreadable: 0, .. } => {
                "give the identity the role Reader on the management groups and subscriptions of SCOPE, or correct SCOPE or TENANT_ID"
            }
            Self::NoSubscriptions { .. } => "see why the scopes could not be read",
        }
    }
}

/// Plans what to do about what was observed.
///
/// # Errors
/// [`Refused::NoSubscriptions`] when no subscription was observed. It looks as if every connector should be removed, and
/// the usual cause is that the identity lost a role.
pub fn plan(
    observed: &Observed,
    state: &TenantState,
    policy: &Policy,
    now: Timestamp,
) -> Result<Plan, Refused> {
    let mut planner = Planner::new(observed, state, policy, now);
    if observed.subscriptions.is_empty() {
        let (unreadable, connectors) = (observed.unreadable.len(), planner.ours.len());
        return Err(Refused::NoSubscriptions { unreadable, connectors });
    }
    planner.plan_creations();
    planner.hold_back_creations();
    planner.keep_direct_readings();
    planner.plan_syncs();
    planner.plan_removals();
    planner.keep_lost_and_copied_marks();
    planner.keep_double_and_unknown_cover();
    Ok(planner.finish())
}
