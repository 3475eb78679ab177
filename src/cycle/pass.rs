//! One pass, under the lease: take the notes, work, close.

mod close;
mod work;

use super::{CycleError, Ran, Woken, audit, settle};
use crate::app::App;
use crate::lease::Lease;
use crate::manifest::Taken;
use crate::model::{CycleId, Observed, RequestId, Unreadable, after};
use crate::plan::{Mode, Plan};
use crate::report::{Outcome, Problem, chain};
use crate::state::{CycleMark, SCHEMA_VERSION, TenantState, Used};
use crate::store::{BlobKey, Condition, ETag, StoreError};
use crate::wakes::{Fate, Found};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::warn;

/// The cycle's time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    /// When it began.
    pub(super) now: Timestamp,
    /// The same, as the machine measures.
    pub(super) begun: Instant,
    /// When it must be closed.
    pub(super) deadline: Instant,
}

impl Time {
    /// The time now.
    pub(super) fn at(&self) -> Timestamp {
        after(self.now, self.begun.elapsed())
    }
}

/// Runs one pass.
pub(super) async fn run(
    app: &App,
    id: CycleId,
    woken: Woken,
    lease: &Arc<Lease>,
    time: Time,
) -> Result<Ran, CycleError> {
    let tenant = app.config.policy.tenant;
    let by_hand_plan = woken == Woken::ByHand { plan_only: true };
    let mut pass = Pass {
        app,
        id,
        lease,
        time,
        dry: by_hand_plan,
        work: Work::default(),
        listed: BTreeMap::new(),
        notes: Vec::new(),
    };
    let (memory, etag) = match app.store.read::<TenantState>(&BlobKey::State(tenant)).await {
        Ok(Some((memory, etag))) => (memory, Some(etag)),
        Ok(None) => (TenantState::default(), None),
        Err(error @ (StoreError::Unreadable { .. } | StoreError::Newer { .. })) => {
            pass.problem("state", &error, "without its memory a cycle does nothing; see the message");
            return pass.close(Memory { state: TenantState::default(), etag: None, frozen: true }).await;
        }
        Err(error) => return Err(error.into()),
    };
    let mut memory = Memory { state: memory, etag, frozen: by_hand_plan };
    if !by_hand_plan {
        pass.listed =
            app.wakes.listed(tenant).await?.into_iter().map(|(name, etag)| (name, etag.0)).collect();
        let (notes, unreadable) = app.wakes.notes(tenant).await?;
        pass.notes = notes;
        for note in unreadable {
            let error = StoreError::Unreadable {
                path: format!("notes/{note}"),
                why: "no note of this program".into(),
            };
            pass.problem("notes", &error, "remove it, or use the newer program");
        }
        pass.begin(&mut memory).await?;
    }
    let plan_only = by_hand_plan
        || !pass.notes.is_empty()
            && pass.notes.iter().all(|n| n.request().is_some_and(|r| r.asked.plan_only));
    if app.config.policy.mode != Mode::Paused {
        pass.work(&mut memory, plan_only).await?;
    }
    pass.close(memory).await
}

/// The tenant's state and its version; a frozen one is never written.
struct Memory {
    state: TenantState,
    etag: Option<ETag>,
    frozen: bool,
}

impl Memory {
    async fn save(&mut self, app: &App) -> Result<(), StoreError> {
        if self.frozen {
            return Ok(());
        }
        self.state.schema_version = SCHEMA_VERSION;
        let key = BlobKey::State(app.config.policy.tenant);
        self.etag = Some(app.store.write(&key, &self.state, Condition::unchanged(self.etag.as_ref())).await?);
        Ok(())
    }
}

struct Pass<'a> {
    app: &'a App,
    id: CycleId,
    lease: &'a Arc<Lease>,
    time: Time,
    /// Only a plan for a person's eyes: nothing is written but the account's call window.
    dry: bool,
    /// The notes that lay there before they were read: name and version.
    listed: BTreeMap<String, String>,
    notes: Vec<Found>,
    work: Work,
}

/// What a pass has come to know and done.
#[derive(Default)]
struct Work {
    seen: Option<Observed>,
    plan: Option<Plan>,
    outcomes: Vec<Outcome>,
    snapshot: Option<Taken>,
    /// A snapshot was begun and is to be gone on with soon.
    snapshot_unfinished: bool,
    /// When a snapshot that must wait is due.
    snapshot_at: Option<Timestamp>,
    /// Until when Qualys makes us wait.
    wait_until: Option<Timestamp>,
    /// When our share of the calls that was used up has one again.
    window_until: Option<Timestamp>,
    unreadable: Vec<Unreadable>,
    problems: Vec<Problem>,
    /// Qualys refused the credentials.
    refused: bool,
    calls: Used,
}

impl Pass<'_> {
    fn problem(&mut self, stage: &str, error: &dyn std::error::Error, advice: &str) {
        let problem = Problem { stage: stage.to_owned(), error: chain(error), advice: advice.to_owned() };
        warn!(stage, error = problem.error, "The cycle met a problem at {stage}: {}", problem.error);
        self.work.problems.push(problem);
    }

    /// Writes down that the cycle began, and looks after one that was killed.
    async fn begin(&mut self, memory: &mut Memory) -> Result<(), CycleError> {
        let state = &mut memory.state;
        if let Some(last) = state.cycle.clone().filter(|last| last.ended.is_none()) {
            let writes = audit::recover(self.app, &last.id, state, self.time.now).await?;
            warn!(killed = %last.id, writes, "Cycle `{}` did not end; {writes} writes of it are looked after", last.id);
        }
        state.cycle = Some(CycleMark { id: self.id.clone(), began: self.time.now, ended: None });
        // Every note that lay there when they were read; those that cannot be read too, so that they ring no bell.
        state.listed = std::mem::take(&mut self.listed);
        state.listed.extend(self.notes.iter().map(|found| (found.name.to_string(), found.etag.0.clone())));
        memory.save(self.app).await?;
        for request in self.notes.iter().filter_map(Found::request) {
            self.fate(&request.id, |fate| fate.cycles.push(self.id.clone())).await?;
        }
        Ok(())
    }

    async fn fate(&self, id: &RequestId, mut change: impl FnMut(&mut Fate) + Send) -> Result<(), StoreError> {
        let key = BlobKey::Request(self.app.config.policy.tenant, id.clone());
        let told = self.app.store.update(&key, |fate: &mut Fate| {
            fate.schema_version = SCHEMA_VERSION;
            change(fate);
        });
        match told.await {
            // It is only a page on which a request's fate is told.
            Err(error @ (StoreError::Unreadable { .. } | StoreError::Newer { .. })) => {
                warn!(error = chain(&error), "Could not tell the fate of request `{id}`");
                Ok(())
            }
            told => told,
        }
    }

    fn evidence<'e>(&'e self, state: &'e TenantState) -> settle::Evidence<'e> {
        settle::Evidence {
            policy: &self.app.config.policy,
            state,
            planned: self.work.seen.as_ref().zip(self.work.plan.as_ref()),
            outcomes: &self.work.outcomes,
            now: self.time.now,
        }
    }
}
