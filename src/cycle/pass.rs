//! One pass, under the lease: take the inbox items, work, close.

mod close;
mod work;

use super::{CycleError, Ran, StartedBy, audit, settle};
use crate::app::App;
use crate::inbox::{InboxItem, RequestStatus};
use crate::lease::Lease;
use crate::manifest::SnapshotResult;
use crate::model::{CycleId, Observed, RequestId, Unreadable, after};
use crate::outcome::Outcome;
use crate::plan::{Mode, Plan};
use crate::report::{Problem, chain};
use crate::state::{LastCycle, SCHEMA_VERSION, TenantState, Used};
use crate::store::{BlobKey, Condition, ETag, StoreError};
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
    started_by: StartedBy,
    lease: &Arc<Lease>,
    time: Time,
) -> Result<Ran, CycleError> {
    let tenant = app.config.policy.tenant;
    let by_hand_plan = started_by == StartedBy::Command { plan_only: true };
    let mut pass = Pass {
        app,
        id,
        lease,
        time,
        dry: by_hand_plan,
        work: Work::default(),
        listed: BTreeMap::new(),
        items: Vec::new(),
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
        pass.listed = app.inbox.list(tenant).await?.into_iter().map(|(name, etag)| (name, etag.0)).collect();
        let (items, unreadable) = app.inbox.read(tenant).await?;
        pass.items = items;
        for item in unreadable {
            let error = StoreError::Unreadable {
                path: format!("inbox/{item}"),
                why: "no item of this program".into(),
            };
            pass.problem("inbox", &error, "remove it, or use the newer program");
        }
        pass.begin(&mut memory).await?;
    }
    let plan_only = by_hand_plan
        || !pass.items.is_empty()
            && pass.items.iter().all(|n| n.request().is_some_and(|r| r.asked.plan_only));
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
    /// The inbox items that lay there before they were read: name and version.
    listed: BTreeMap<String, String>,
    items: Vec<InboxItem>,
    work: Work,
}

/// What a pass has come to know and done.
#[derive(Default)]
struct Work {
    seen: Option<Observed>,
    plan: Option<Plan>,
    outcomes: Vec<Outcome>,
    snapshot: Option<SnapshotResult>,
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
        if let Some(last) = state.last_cycle.clone().filter(|last| last.ended.is_none()) {
            let writes = audit::recover(self.app, &last.id, state, self.time.now).await?;
            warn!(killed = %last.id, writes, "Cycle `{}` did not end; {writes} writes of it are looked after", last.id);
        }
        state.last_cycle = Some(LastCycle { id: self.id.clone(), began: self.time.now, ended: None });
        // Every item that lay there when they were read; those that cannot be read too, so that they book no wake-up.
        state.listed = std::mem::take(&mut self.listed);
        state.listed.extend(self.items.iter().map(|found| (found.name.to_string(), found.etag.0.clone())));
        memory.save(self.app).await?;
        for request in self.items.iter().filter_map(InboxItem::request) {
            self.request_status(&request.id, |request_status| request_status.cycles.push(self.id.clone()))
                .await?;
        }
        Ok(())
    }

    async fn request_status(
        &self,
        id: &RequestId,
        mut change: impl FnMut(&mut RequestStatus) + Send,
    ) -> Result<(), StoreError> {
        let key = BlobKey::Request(self.app.config.policy.tenant, id.clone());
        let told = self.app.store.update(&key, |request_status: &mut RequestStatus| {
            request_status.schema_version = SCHEMA_VERSION;
            change(request_status);
        });
        match told.await {
            // It is only a page on which a request's request_status is told.
            Err(error @ (StoreError::Unreadable { .. } | StoreError::Newer { .. })) => {
                warn!(error = chain(&error), "Could not tell the request_status of request `{id}`");
                Ok(())
            }
            told => told,
        }
    }

    fn facts<'e>(&'e self, state: &'e TenantState) -> settle::CycleFacts<'e> {
        settle::CycleFacts {
            policy: &self.app.config.policy,
            state,
            planned: self.work.seen.as_ref().zip(self.work.plan.as_ref()),
            outcomes: &self.work.outcomes,
            now: self.time.now,
        }
    }
}
