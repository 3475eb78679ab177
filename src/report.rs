//! What a cycle did: the report and the status. Plain data that prints.
//!
//! A report also says why nothing was done.

use crate::manifest::{Latest, SnapshotResult};
use crate::model::{Correction, CycleId, Dated, Name, ResponseCode, TenantId, Unreadable, elapsed};
use crate::outcome::{ActionResult, NotStarted, Outcome};
use crate::plan::{ClockDoubts, Cost, Coverage, Kept, Mode, Step, Subject, Why, Withheld};
use crate::state::Used;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Qualys's usual window is an hour. A longer wait is worth a person's attention.
const LONG_WAIT: Duration = Duration::from_mins(65);

/// What a cycle did: `reports/<cycle id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    pub schema_version: u32,
    pub cycle: CycleId,
    pub tenant: TenantId,
    pub deployment: Name,
    /// The version of the program.
    pub tool_version: String,
    pub mode: Mode,
    #[cfg_attr(test, schemars(with = "String"))]
    pub began: Timestamp,
    pub duration_ms: u64,
    /// The inbox items that the cycle took.
    pub inbox: Vec<InboxLine>,
    /// The plan's hash; none where no plan could be made.
    pub plan: Option<String>,
    pub planned: Cost,
    /// Steps that were planned and withheld, with the reason.
    pub withheld: Vec<Step>,
    /// The outcome of each action that was taken or due.
    pub outcomes: Vec<Outcome>,
    /// What was left alone, with the reason.
    pub kept: Vec<Kept>,
    /// None where no plan could be made.
    pub coverage: Option<Coverage>,
    /// What is odd about Qualys's clock and its times of syncs.
    #[serde(default)]
    pub clock: ClockDoubts,
    /// Scopes that could not be read completely.
    pub unreadable: Vec<Unreadable>,
    pub problems: Vec<Problem>,
    /// The snapshot that the cycle took; none if it took none.
    pub snapshot: Option<SnapshotResult>,
    /// Until when Qualys asked the account to wait. No call is made before then.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub waits_until: Option<Timestamp>,
    /// The calls to Qualys that the cycle made.
    pub calls: Used,
    /// When the next cycle is due; none when only the timer will start it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub next_wake_up: Option<Timestamp>,
}

/// An inbox item that a cycle took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InboxLine {
    /// The item's name.
    pub item: String,
    /// How it was settled; none while it stays.
    pub settled: Option<String>,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Problem {
    pub stage: CycleStage,
    /// What happened, with its causes.
    pub error: String,
    /// What to do about it.
    pub advice: String,
}

impl Problem {
    pub fn new(stage: CycleStage, error: &dyn std::error::Error, advice: &str) -> Self {
        Self { stage, error: chain(error), advice: advice.to_owned() }
    }
}

/// The part of a cycle that met a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CycleStage {
    Inbox,
    State,
    Secrets,
    Qualys,
    Observe,
    Plan,
    Snapshot,
}

impl fmt::Display for CycleStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inbox => "inbox",
            Self::State => "state",
            Self::Secrets => "secrets",
            Self::Qualys => "qualys",
            Self::Observe => "observe",
            Self::Plan => "plan",
            Self::Snapshot => "snapshot",
        })
    }
}

/// How many actions ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Done, or there already.
    pub done: usize,
    pub failed: usize,
    /// Qualys may or may not have done them.
    pub unclear: usize,
    pub not_started: usize,
}

impl Report {
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for outcome in &self.outcomes {
            match outcome.result {
                ActionResult::Done { .. } | ActionResult::AlreadyThere { .. } => counts.done += 1,
                ActionResult::Failed { .. } => counts.failed += 1,
                ActionResult::Unclear { .. } => counts.unclear += 1,
                ActionResult::Stopped { .. } | ActionResult::NotStarted { .. } => counts.not_started += 1,
            }
        }
        counts
    }

    /// Why actions were not begun, each reason once: there is one, seldom two.
    fn not_started(&self) -> BTreeSet<String> {
        let why = |outcome: &Outcome| match &outcome.result {
            ActionResult::NotStarted { because } => Some(because.to_string()),
            _ => None,
        };
        self.outcomes.iter().filter_map(why).collect()
    }

    /// Whether something failed: a step, an action, or the reading of a scope.
    pub fn has_failed(&self) -> bool {
        !self.problems.is_empty() || self.counts().failed > 0 || !self.unreadable.is_empty()
    }

    /// Whether a person need not look: nothing failed, no wait.
    pub fn is_good(&self) -> bool {
        !self.has_failed() && self.waits_until.is_none()
    }

    /// How many connectors of ours cover a subscription that was not observed.
    pub fn not_seen(&self) -> usize {
        self.kept.iter().filter(|kept| kept.why == Why::SubscriptionNotSeen).count()
    }

    /// What a person should look at.
    pub fn needs_a_person(&self) -> Vec<String> {
        let problems = self.problems.iter().map(|problem| format!("{}: {}", problem.error, problem.advice));
        let is_for_a_person = |step: &&Step| {
            let is_told_together = matches!(step.withheld, Some(Withheld::RefusedAlike { .. }));
            !is_told_together && step.withheld.as_ref().is_some_and(Withheld::needs_a_person)
        };
        let withheld = self.withheld.iter().filter(is_for_a_person).map(ToString::to_string);
        let withheld = self.held_back().into_iter().chain(withheld);
        let failed = self.outcomes.iter().filter_map(|outcome| match &outcome.result {
            ActionResult::Failed { error, .. } => Some(format!("{} failed: {error}", outcome.action)),
            ActionResult::Unclear { code: ResponseCode::Other(_), error } => {
                Some(format!("{} may have failed: {error}", outcome.action))
            }
            ActionResult::Stopped { because } => Some(format!("{} was stopped: {because}", outcome.action)),
            ActionResult::Done { .. }
            | ActionResult::AlreadyThere { .. }
            | ActionResult::Unclear { .. }
            | ActionResult::NotStarted { .. } => None,
        });
        // A subscription that is an unreadable scope is named as such.
        let is_scope = |subject: &Subject| match subject {
            Subject::Subscription { subscription } => {
                let name = Unreadable::subscription(*subscription);
                self.unreadable.iter().any(|scope| scope.scope == name)
            }
            Subject::Connector { .. } => false,
        };
        let kept = self.kept.iter().filter(|kept| kept.why.needs_a_person() && !is_scope(&kept.subject));
        let kept = kept.map(ToString::to_string);
        let wait = self.waits_until.filter(|until| elapsed(*until, self.began) > LONG_WAIT);
        let wait =
            wait.map(|until| format!("Qualys asked to wait until {until}: no call is made before then"));
        let scopes = self
            .unreadable
            .iter()
            .map(|scope| format!("scope {} could not be read: {}", scope.scope, scope.why));
        let clock = self.clock.lines().into_iter();
        problems.chain(wait).chain(scopes).chain(clock).chain(failed).chain(withheld).chain(kept).collect()
    }

    /// The creates that are held back because Qualys refused others alike, in one line.
    fn held_back(&self) -> Option<String> {
        let not_started = self.outcomes.iter().filter_map(|outcome| match &outcome.result {
            ActionResult::NotStarted { because: because @ NotStarted::RefusedAlike { .. } } => {
                Some(format!("held back: {because}"))
            }
            _ => None,
        });
        let withheld = self.withheld.iter().filter_map(|step| match &step.withheld {
            Some(withheld @ Withheld::RefusedAlike { .. }) => Some(withheld.to_string()),
            _ => None,
        });
        let all: Vec<_> = not_started.chain(withheld).collect();
        Some(format!("{} creates are {}", all.len(), all.first()?))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { done, failed, unclear, not_started } = self.counts();
        write!(f, "Cycle {} ended: {done} done, {failed} failed", self.cycle)?;
        if unclear > 0 {
            write!(f, ", {unclear} unclear")?;
        }
        if not_started > 0 {
            let why = self.not_started().into_iter().collect::<Vec<_>>().join("; ");
            write!(f, ", {not_started} not started ({why})")?;
        }
        if !self.withheld.is_empty() {
            write!(f, ", {} withheld", self.withheld.len())?;
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

/// How a tenant is doing: `status.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    pub schema_version: u32,
    pub tenant: TenantId,
    pub deployment: Name,
    pub mode: Mode,
    /// The cycle that wrote this.
    pub cycle: CycleId,
    /// When that cycle ended.
    #[cfg_attr(test, schemars(with = "String"))]
    pub at: Timestamp,
    /// When a cycle last ended without a problem, a failed action, an unreadable scope or a wait.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_good: Option<Timestamp>,
    /// As last known.
    pub coverage: Option<Coverage>,
    /// The newest complete snapshot.
    pub snapshot: Option<Latest>,
    /// When the next cycle is due; none when only the timer will start it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub next_wake_up: Option<Timestamp>,
    /// What a person should look at.
    pub needs_a_person: Vec<String>,
    /// Calls to Qualys that are left in this hour, without the reserve.
    pub calls_left: Option<u32>,
}

impl Dated for Status {
    fn correct(&mut self, correction: &mut Correction) {
        let Self {
            schema_version: _,
            tenant: _,
            deployment: _,
            mode: _,
            cycle: _,
            at,
            last_good,
            coverage: _,
            snapshot,
            // In the future, as it should be.
            next_wake_up: _,
            needs_a_person: _,
            calls_left: _,
        } = self;
        correction.past(last_good.iter_mut().chain([at]));
        if let Some(latest) = snapshot {
            latest.correct(correction);
        }
    }
}

/// A message or body that a function could not use: `poison/<id>.json`. Its content is not kept, since it may hold
/// anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poison {
    pub schema_version: u32,
    pub at: Timestamp,
    /// The function that received it.
    pub function: String,
    /// Why it could not be used.
    pub why: String,
    pub size_bytes: usize,
    /// In hexadecimal.
    pub sha256: String,
}

/// An error with all its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Whether a certificate that is not trusted is behind an error.
pub fn is_untrusted(error: &dyn std::error::Error) -> bool {
    chain(error).contains("certificate")
}

/// What to do about a certificate that is not trusted.
pub const UNTRUSTED: &str =
    "if a proxy inspects TLS, name the file with its CA's certificate in SSL_CERT_FILE";
