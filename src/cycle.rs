//! The cycle, the spine: observe → plan → act → snapshot → report, for one tenant, inside its account's door.
//!
//! Guarantees: one code path for every trigger. A failed step becomes a problem in the report, and inbox items that are
//! not settled stay. Only storage that cannot be reached is an error of [`run`]. A cycle ends in this order: report,
//! settled items removed, lease released, then a check whether another wake-up is needed; only then its own wake-up is used up.

mod allowed;
mod audit;
mod begin;
mod close;
mod due;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod own;
pub(crate) mod secrets;
mod settle;
mod steps;

use crate::account::{AccountError, CallsMade, Closed, CycleTime, Entry, Visit};
use crate::model::{CycleId, Observed};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::queue::WakeUpError;
use crate::report::{Problem, Report};
use crate::retry::chance;
use crate::store::StoreError;
use crate::tenant::Tenant;
use begin::Begun;
use jiff::Timestamp;
use std::pin::pin;
use std::time::Duration;
use steps::SnapshotStep;
use tracing::{Instrument, info, info_span, warn};

/// Time kept for the report at the end of the budget: a few small blobs.
const CLOSING: Duration = Duration::from_secs(5);

/// Why a cycle could not even write down what it did. The queue delivers its wake-up again.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    #[error("the cycle's outcome could not be written down")]
    Store(#[from] StoreError),
    #[error("the next wake-up could not be booked")]
    WakeUp(#[from] WakeUpError),
    #[error("the Qualys account could not be taken or released")]
    Account(#[from] AccountError),
}

/// The result of a wake-up or a command.
#[derive(Debug)]
pub enum CycleResult {
    /// A cycle ran.
    Ran(Box<Ran>),
    /// No cycle was due, or none could start now. A later wake-up is booked where one is needed.
    Dropped(Closed),
}

/// A cycle that ran.
#[derive(Debug)]
pub struct Ran {
    pub report: Report,
    /// What it planned; none where it did not get that far.
    pub plan: Option<Plan>,
}

/// What started a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedBy {
    /// A wake-up: the gap between cycles and the turns of other tenants are kept.
    WakeUp {
        /// The moment for which its message was sent; an older program's has none.
        due: Option<Timestamp>,
    },
    /// A person at the command line: it starts immediately.
    Command {
        /// Only plan; take no inbox item.
        plan_only: bool,
    },
}

/// Runs one cycle, if one is due.
///
/// # Errors
/// Only when the storage cannot be reached; everything else is in the report.
pub async fn run(tenant: &Tenant, started_by: StartedBy, now: Timestamp) -> Result<CycleResult, CycleError> {
    let id = CycleId::new(now, chance());
    let span = info_span!("cycle", cycle.id = %id, tenant.id = %tenant.id());
    // Boxed: it is large, and what waits for it would be larger.
    Box::pin(run_as(tenant, id, started_by, now)).instrument(span).await
}

async fn run_as(
    tenant: &Tenant,
    id: CycleId,
    started_by: StartedBy,
    now: Timestamp,
) -> Result<CycleResult, CycleError> {
    let time = CycleTime::new(now, tenant.cycle_budget.saturating_sub(CLOSING));
    let entry = match started_by {
        StartedBy::WakeUp { due } => tenant.account.enter_in_turn(&id, tenant.id(), due, time).await?,
        StartedBy::Command { .. } => tenant.account.enter(&id, tenant.id(), time).await?,
    };
    let visit = match entry {
        Entry::Inside(visit) => visit,
        Entry::Closed(closed) => {
            info!("No cycle started: {closed}");
            return Ok(CycleResult::Dropped(closed));
        }
    };
    let cycle = Cycle { tenant, visit: &visit, id };
    let ran = visit.while_inside(pin!(cycle.pass(started_by))).await;
    // However the pass ended, the account is given back.
    let left = visit.leave().await;
    let ran = ran?;
    left?;
    // Only now: until here, a kill or an error brings the message back, and it counts.
    if let StartedBy::WakeUp { due: Some(due) } = started_by {
        tenant.wake_ups.cycle_ended(tenant.id(), due, time.now()).await?;
    }
    Ok(CycleResult::Ran(Box::new(ran)))
}

/// One cycle of one tenant, inside the door of its account.
struct Cycle<'a> {
    tenant: &'a Tenant,
    visit: &'a Visit<'a>,
    id: CycleId,
}

/// What the steps returned, in their order.
struct Results {
    observed: Option<Observed>,
    plan: Option<Plan>,
    outcomes: Vec<Outcome>,
    snapshot: SnapshotStep,
    calls: CallsMade,
    /// What went wrong in any step.
    problems: Vec<Problem>,
}

impl Results {
    /// Adds a problem that was met after the steps.
    fn add(&mut self, problem: Problem) {
        let mut problems = Problems(std::mem::take(&mut self.problems));
        problems.push(problem);
        self.problems = problems.0;
    }
}

impl Cycle<'_> {
    /// Each step takes what the steps before it returned. One that fails is a problem in the report, and those that need
    /// its result return nothing.
    async fn pass(&self, started_by: StartedBy) -> Result<Ran, CycleError> {
        let Begun { mut state, inbox, allowed, mut problems } = self.begin(started_by).await?;
        let access = problems.take_from(self.sign_in(allowed).await?);
        let steps = async {
            let observed = problems.take_from(self.observe(&access, &inbox, &mut state).await);
            let plan = problems.take_from(self.plan(observed.as_ref(), allowed, &state).await?);
            let planned = observed.as_ref().zip(plan.as_ref());
            let outcomes = self.act(&access, planned, allowed, &mut state).await?;
            let snapshot = self.snapshot(&access, planned, &outcomes, allowed, &inbox, &mut state).await;
            Ok::<_, CycleError>((observed, plan, outcomes, snapshot))
        };
        let steps = steps.await;
        // However the steps ended: refused credentials are remembered, and unused calls given back.
        let calls = access.end().await;
        let (observed, plan, outcomes, snapshot) = steps?;
        if let Some(problem) = snapshot.problem() {
            problems.push(problem.clone());
        }
        let results = Results { observed, plan, outcomes, snapshot, calls: calls?, problems: problems.0 };
        self.close(state, &inbox, allowed, results).await
    }

    fn time(&self) -> CycleTime {
        self.visit.time()
    }
}

/// What went wrong so far. Each problem is logged when it is met.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn push(&mut self, problem: Problem) {
        let Problem { stage, error, .. } = &problem;
        warn!(%stage, error, "The cycle met a problem at {stage}: {error}");
        self.0.push(problem);
    }

    /// Takes the problem from a step's result, if it has one. Returns what the step returned, else nothing.
    fn take_from<T: Default>(&mut self, result: Result<T, Problem>) -> T {
        result.unwrap_or_else(|problem| {
            self.push(problem);
            T::default()
        })
    }
}
