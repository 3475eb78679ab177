//! What a cycle did: the report, the status, the audit's lines.
//!
//! Plain data that prints. It also says why nothing was done.

use crate::manifest::{Latest, SnapshotResult};
use crate::model::{CycleId, Name, TenantId, Unreadable, elapsed};
use crate::outcome::{ActionResult, Outcome};
use crate::plan::{Cost, Coverage, Kept, Mode, Step, Withheld};
use crate::state::Used;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A longer wait than the hour of Qualys's usual window is worth a look.
const LONG_WAIT: Duration = Duration::from_mins(65);

/// What a cycle did: `reports/<cycle id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// The version of this shape.
    pub schema_version: u32,
    /// The cycle.
    pub cycle: CycleId,
    /// The tenant.
    pub tenant: TenantId,
    /// The deployment.
    pub deployment: Name,
    /// The version of the program.
    pub tool_version: String,
    /// Whether it was allowed to write to Qualys.
    pub mode: Mode,
    /// When it began.
    #[cfg_attr(test, schemars(with = "String"))]
    pub began: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The inbox items it took, and which of them are settled.
    pub inbox: Vec<InboxLine>,
    /// The plan's hash; none where no plan could be made.
    pub plan: Option<String>,
    /// What was planned.
    pub planned: Cost,
    /// Steps that were planned and withheld, with the reason.
    pub withheld: Vec<Step>,
    /// What became of each step that was begun or due.
    pub outcomes: Vec<Outcome>,
    /// What was left alone, and why.
    pub kept: Vec<Kept>,
    /// Which subscriptions are covered.
    pub coverage: Option<Coverage>,
    /// Scopes that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// What went wrong, and what to do.
    pub problems: Vec<Problem>,
    /// The snapshot it took.
    pub snapshot: Option<SnapshotResult>,
    /// Until when Qualys, or our share of its calls, makes us wait; nothing is called before.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub waits_until: Option<Timestamp>,
    /// The calls to Qualys that it made.
    pub calls: Used,
    /// When the next cycle is due, if one is booked.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub next_wake_up: Option<Timestamp>,
}

/// An inbox item that a cycle took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InboxLine {
    /// Its name.
    pub item: String,
    /// How it is settled; none: it stays.
    pub settled: Option<String>,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Problem {
    /// Where: `inbox items`, `state`, `secrets`, `qualys`, `observe`, `plan`, `snapshot`.
    pub stage: String,
    /// What happened.
    pub error: String,
    /// What to do.
    pub advice: String,
}

impl Report {
    /// How many steps are done (or need not be), failed, unclear and not started.
    pub fn counts(&self) -> (usize, usize, usize, usize) {
        let (mut done, mut failed, mut unclear, mut not_started) = (0, 0, 0, 0);
        for outcome in &self.outcomes {
            *match outcome.result {
                ActionResult::Done { .. } | ActionResult::AlreadyThere { .. } => &mut done,
                ActionResult::Failed { .. } => &mut failed,
                ActionResult::Unclear { .. } => &mut unclear,
                ActionResult::NotStarted { .. } => &mut not_started,
            } += 1;
        }
        (done, failed, unclear, not_started)
    }

    /// What a person should look at.
    pub fn needs_a_person(&self) -> Vec<String> {
        let problems = self.problems.iter().map(|problem| format!("{}: {}", problem.error, problem.advice));
        let is_for_a_person = |step: &&Step| step.withheld.as_ref().is_some_and(Withheld::needs_a_person);
        let withheld = self.withheld.iter().filter(is_for_a_person).map(ToString::to_string);
        let failed = self.outcomes.iter().filter_map(|outcome| match &outcome.result {
            ActionResult::Failed { error, .. } => Some(format!("{} failed: {error}", outcome.action)),
            ActionResult::Done { .. }
            | ActionResult::AlreadyThere { .. }
            | ActionResult::Unclear { .. }
            | ActionResult::NotStarted { .. } => None,
        });
        let kept = self.kept.iter().filter(|kept| kept.why.needs_a_person()).map(ToString::to_string);
        let wait = self.waits_until.filter(|until| elapsed(*until, self.began) > LONG_WAIT);
        let wait =
            wait.map(|until| format!("Qualys asked to wait until {until}: until then nothing is called"));
        let scopes = self
            .unreadable
            .iter()
            .map(|scope| format!("scope {} could not be read: {}", scope.scope, scope.why));
        problems.chain(wait).chain(scopes).chain(failed).chain(withheld).chain(kept).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, failed, unclear, not_started) = self.counts();
        write!(f, "Cycle {} ended: {done} done, {failed} failed", self.cycle)?;
        for (count, what) in
            [(unclear, "unclear"), (not_started, "not started"), (self.withheld.len(), "withheld")]
        {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if let Some(coverage) = &self.coverage {
            write!(f, "; {coverage}")?;
        }
        if let Some(snapshot) = &self.snapshot {
            let state = if snapshot.complete { "complete" } else { "not complete" };
            write!(f, "; snapshot {} {state}, {} rows", snapshot.id, snapshot.rows)?;
        }
        for problem in &self.problems {
            write!(f, "; {}: {}", problem.stage, problem.error)?;
        }
        if let Some(until) = self.waits_until {
            write!(f, "; waits for Qualys until {until}")?;
        }
        write!(f, "; calls to Qualys: {}", self.calls.total)
    }
}

/// How a tenant is: `status.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// The version of this shape.
    pub schema_version: u32,
    /// The tenant.
    pub tenant: TenantId,
    /// The deployment.
    pub deployment: Name,
    /// Whether plans are carried out.
    pub mode: Mode,
    /// The cycle that wrote this, and when it ended.
    pub cycle: CycleId,
    /// When that cycle ended.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// When a cycle last ended without a problem.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_good: Option<Timestamp>,
    /// Which subscriptions are covered, as last known.
    pub coverage: Option<Coverage>,
    /// The newest complete snapshot.
    pub snapshot: Option<Latest>,
    /// When the next cycle is due, if one is booked.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub next_wake_up: Option<Timestamp>,
    /// What a person should look at.
    pub needs_a_person: Vec<String>,
    /// Calls that are left in this hour, the reserve left out.
    pub calls_left: Option<u32>,
}

/// A message of the queue that could not be served: `poison/<id>.json`. Its content is not kept: it may be anybody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poison {
    /// The version of this shape.
    pub schema_version: u32,
    /// When it was met.
    pub at: Timestamp,
    /// The function that met it.
    pub function: String,
    /// Why it could not be served.
    pub why: String,
    /// Its length in bytes.
    pub size_bytes: usize,
    /// The SHA-256 of it, in hexadecimal.
    pub sha256: String,
}

/// An error with all its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
