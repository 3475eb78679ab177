//! The cycle, the spine: observe → plan → act → snapshot → report, for one tenant, inside its account's door.
//!
//! Guarantees: one code path for every trigger. A failed step becomes a problem in the report, and inbox items that are
//! not settled stay. Only storage that cannot be reached is an error of [`run`]. A cycle ends in this order: report,
//! settled items removed, lease released, then a check whether another wake-up is needed; only then its own wake-up is used up.

mod allowed;
mod audit;
mod begin;
mod close;
#[cfg(test)]
mod days;
mod doubt;
mod due;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod own;
mod progress;
mod rebuild;
pub(crate) mod secrets;
mod settle;
mod snapshot;
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
use progress::Progress;
pub use progress::Stopped;
use snapshot::SnapshotStep;
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;
use tracing::{Instrument, info, info_span, warn};

/// Time kept for the report at the end of the budget: a few small blobs.
const CLOSING: Duration = Duration::from_secs(5);

/// Why a cycle could not even write down what it did. The queue delivers its wake-up again.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    #[error("the cycle could not begin")]
    Begin(#[source] StoreError),
    #[error("the cycle's outcome could not be written down")]
    Store(#[from] StoreError),
    /// Nothing was sent to Qualys that the audit would not show.
    #[error("a line of the audit could not be written")]
    Audit(#[source] serde_json::Error),
    #[error("the next wake-up could not be booked")]
    WakeUp(#[from] WakeUpError),
    #[error("the lease on the Qualys account could not be taken or given back")]
    Account(#[from] AccountError),
}

impl CycleError {
    /// At the beginning there is no outcome yet.
    fn at_the_beginning(self) -> Self {
        if let Self::Store(error) = self { Self::Begin(error) } else { self }
    }
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
    match run_until(tenant, started_by, now, pending::<Infallible>()).await? {
        Ok(result) => Ok(result),
        Err((never, _)) => match never {},
    }
}

/// As [`run`], until `stop`: then the account is left, and what was begun is as after a kill.
///
/// # Errors
/// As [`run`].
pub async fn run_until<S: Send>(
    tenant: &Tenant,
    started_by: StartedBy,
    now: Timestamp,
    stop: impl Future<Output = S> + Send,
) -> Result<Result<CycleResult, (S, Stopped)>, CycleError> {
    let id = CycleId::new(now, chance());
    let span = info_span!("cycle", cycle.id = %id, tenant.id = %tenant.id());
    // Boxed: it is large, and what waits for it would be larger.
    Box::pin(run_as(tenant, id, started_by, now, stop)).instrument(span).await
}

async fn run_as<S: Send>(
    tenant: &Tenant,
    id: CycleId,
    started_by: StartedBy,
    now: Timestamp,
    stop: impl Future<Output = S> + Send,
) -> Result<Result<CycleResult, (S, Stopped)>, CycleError> {
    let time = CycleTime::new(now, tenant.cycle_budget.saturating_sub(CLOSING));
    let entry = match started_by {
        StartedBy::WakeUp { due } => tenant.account.enter_in_turn(&id, tenant.id(), due, time).await?,
        StartedBy::Command { .. } => tenant.account.enter(&id, tenant.id(), time).await?,
    };
    let visit = match entry {
        Entry::Inside(visit) => visit,
        Entry::Closed(closed) => {
            info!("No cycle started: {closed}");
            return Ok(Ok(CycleResult::Dropped(closed)));
        }
    };
    let ended = {
        let cycle = Cycle { tenant, visit: &visit, id, progress: Progress::default() };
        // Boxed, since two places wait for it and it is large.
        let mut pass = Box::pin(cycle.pass(started_by));
        tokio::select! {
            ran = visit.while_inside(pass.as_mut()) => Ok(ran),
            why = stop => {
                if cycle.progress.is_closing() {
                    Ok(visit.while_inside(pass.as_mut()).await)
                } else {
                    Err((why, cycle.progress.stopped(&tenant.account.name)))
                }
            }
        }
    };
    // However the pass ended, the account is given back.
    let left = visit.leave().await;
    let ran = match ended {
        Ok(ran) => ran?,
        Err(stopped) => return left.map(|()| Err(stopped)).map_err(CycleError::from),
    };
    left?;
    // Only now: until here, a kill or an error brings the message back, and it counts.
    if let StartedBy::WakeUp { due: Some(due) } = started_by {
        tenant.wake_ups.cycle_ended(tenant.id(), due, time.now()).await?;
    }
    Ok(Ok(CycleResult::Ran(Box::new(ran))))
}

/// One cycle of one tenant, inside the door of its account.
struct Cycle<'a> {
    tenant: &'a Tenant,
    visit: &'a Visit<'a>,
    id: CycleId,
    progress: Progress,
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
        let Begun { mut state, inbox, allowed, mut problems } =
            self.begin(started_by).await.map_err(CycleError::at_the_beginning)?;
        let access = problems.take_from(self.sign_in(allowed).await?);
        let steps = async {
            let observed = problems.take_from(self.observe(&access, &inbox, &mut state).await);
            if observed.is_some() {
                self.heed_doubt(&mut state, allowed, &mut problems).await;
            }
            let plan = problems.take_from(self.plan(observed.as_ref(), allowed, &state).await?);
            let secret = problems.take_from(self.connector_secret(&access, allowed).await);
            let planned = observed.as_ref().zip(plan.as_ref());
            let outcomes = self.act(&access, planned, secret, allowed, &mut state).await?;
            let asked = self.settlement(&state, observed.as_ref(), plan.as_ref(), &outcomes);
            let asked = asked.snapshot_requested(&inbox);
            let snapshot = self.snapshot(&access, observed.as_ref(), asked, allowed, &mut state).await?;
            Ok::<_, CycleError>((observed, plan, outcomes, snapshot))
        };
        let steps = steps.await;
        self.progress.closes();
        // However the steps ended: refused credentials are remembered, and unused calls given back.
        let calls = access.end().await;
        let (observed, plan, outcomes, snapshot) = steps?;
        if let Some(problem) = snapshot::problem(&state.state).filter(|_| allowed.snapshots()) {
            problems.push(problem);
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
        warn!(%stage, "The cycle met a problem at {stage}: {error}");
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
