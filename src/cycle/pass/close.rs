//! The end of a pass: the next wake-up, the report, the status; then the settled inbox items go.

use super::{CycleError, Memory, Pass};
use crate::cycle::{Ran, earliest, in_a_while};
use crate::manifest::Latest;
use crate::model::after;
use crate::plan::{Kept, Mode, Plan, Step, Subject, Why};
use crate::queue::Booked;
use crate::report::{InboxLine, Report, Status};
use crate::state::{CREATE_SETTLES, SCHEMA_VERSION};
use crate::store::{BlobKey, Condition, ItemName, StoreError};
use jiff::Timestamp;
use tracing::info;

impl Pass<'_> {
    /// The next wake-up, the report, the status; then the settled inbox items go.
    pub(super) async fn close(self, mut memory: Memory) -> Result<Ran, CycleError> {
        let app = self.app;
        let policy = &app.config.policy;
        let paused = policy.mode == Mode::Paused;
        let settled: Vec<Option<String>> = {
            let facts = self.facts(&memory.state);
            self.items.iter().map(|found| if paused { None } else { facts.settles(found) }).collect()
        };
        let next_wake_up = self.book_next(&memory).await?;
        let now = self.time.at();
        let items = self.items.iter().zip(&settled);
        let lines = items
            .clone()
            .map(|(found, settled)| InboxLine { item: found.name.to_string(), settled: settled.clone() });
        let plan = self.work.plan.as_ref();
        let report = Report {
            schema_version: SCHEMA_VERSION,
            cycle: self.id.clone(),
            tenant: policy.tenant,
            deployment: policy.deployment.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: policy.mode,
            began: self.time.now,
            duration_ms: u64::try_from(self.time.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            inbox: lines.collect(),
            plan: plan.map(|plan| plan.hash.clone()),
            planned: plan.map(|plan| plan.cost.clone()).unwrap_or_default(),
            withheld: plan.map(withheld).unwrap_or_default(),
            outcomes: self.work.outcomes.clone(),
            kept: plan.map(|plan| plan.kept.clone()).unwrap_or_default(),
            coverage: plan.map(|plan| plan.coverage.clone()),
            unreadable: self.work.unreadable.clone(),
            problems: self.work.problems.clone(),
            snapshot: self.work.snapshot.clone(),
            waits_until: self.work.wait_until.filter(|until| *until > now),
            calls: self.work.calls.clone(),
            next_wake_up,
        };
        if self.dry {
            return Ok(Ran { report, plan: self.work.plan });
        }
        log(&report);
        let only_timer = self.items.iter().all(|found| found.name == ItemName::Timer);
        let quiet = only_timer
            && report.outcomes.is_empty()
            && report.snapshot.is_none()
            && report.problems.is_empty();
        if !quiet {
            app.store
                .write(&BlobKey::Report(policy.tenant, self.id.clone()), &report, Condition::New)
                .await?;
        }
        // Whoever holds the account now writes the tenant's status.
        if self.lease.is_ours() {
            self.write_status(&report, now).await?;
        }
        if memory.frozen {
            return Ok(Ran { report, plan: self.work.plan });
        }
        for (found, settled) in items {
            let Some(how) = settled else { continue };
            if let Some(request) = found.request() {
                self.request_status(&request.id, |request_status| request_status.settled = Some(how.clone()))
                    .await?;
            }
            app.inbox.remove(policy.tenant, found).await?;
        }
        if let Some(cycle) = &mut memory.state.last_cycle {
            cycle.ended = Some(now);
        }
        memory.save(app).await?;
        Ok(Ran { report, plan: self.work.plan })
    }

    /// Books the earliest moment at which something waits to be gone on with. The timer is the safety net for the rest.
    async fn book_next(&self, memory: &Memory) -> Result<Option<Timestamp>, CycleError> {
        let policy = &self.app.config.policy;
        let now = self.time.at();
        let tenant = policy.tenant;
        if memory.frozen || policy.mode == Mode::Paused {
            return Ok(self.app.wake_ups.booking(tenant).await.ok().and_then(|wake_up| wake_up.due));
        }
        let enforced = policy.mode == Mode::Enforce;
        let held_back = self.work.plan.as_ref().is_some_and(Plan::holds_back_creations)
            || self.work.outcomes.iter().any(|outcome| outcome.result.is_open());
        let in_use = |id| {
            self.work
                .seen
                .as_ref()
                .is_some_and(|seen| seen.subscriptions.get(&id).is_some_and(|s| s.state.is_in_use()))
        };
        let follow_up = |so| in_a_while(so, now, policy.follow_up);
        // A call window holds up only what needs those calls; a pause holds up everything.
        let window = |so: bool| if so { self.work.window_until.or_else(|| follow_up(true)) } else { None };
        let soon = earliest([
            window(self.work.snapshot_unfinished || enforced && held_back),
            follow_up(enforced && memory.state.awaits_sync(in_use, now)),
            self.create_settles(memory).filter(|_| enforced),
            self.work.snapshot_at,
        ]);
        let wait = self.work.wait_until.filter(|until| *until > now);
        let Some(at) = wait.or(soon) else {
            return Ok(self.app.wake_ups.booking(tenant).await?.due);
        };
        let (Booked::Sent(at) | Booked::Pending(at)) = self.app.wake_ups.book(tenant, at, now).await?;
        Ok(Some(at))
    }

    /// When a create with an unclear answer, which something waits for, has had its time.
    fn create_settles(&self, memory: &Memory) -> Option<Timestamp> {
        let waiting = |kept: &&Kept| kept.why == Why::CreateUnderWay;
        let kept = self.work.plan.iter().flat_map(|plan| &plan.kept).filter(waiting);
        let since = kept.filter_map(|kept| match kept.subject {
            Subject::Subscription { subscription } => memory.state.creates.get(&subscription),
            Subject::Connector { .. } => None,
        });
        since.min().map(|at| after(*at, CREATE_SETTLES))
    }

    async fn write_status(&self, report: &Report, now: Timestamp) -> Result<(), StoreError> {
        let store = &self.app.store;
        let key = BlobKey::Status(report.tenant);
        // A status is only a summary: what cannot be understood is told anew, and a newer program's stays.
        let (before, ours) = store.read_or_leave::<Status>(&key).await?;
        if !ours {
            return Ok(());
        }
        let (latest, _) = store.read_or_leave::<Latest>(&BlobKey::Latest(report.tenant)).await?;
        let good = report.problems.is_empty() && report.counts().1 == 0 && report.waits_until.is_none();
        let status = Status {
            schema_version: SCHEMA_VERSION,
            tenant: report.tenant,
            deployment: report.deployment.clone(),
            mode: report.mode,
            cycle: report.cycle.clone(),
            at: now,
            last_good: if good { Some(now) } else { before.as_ref().and_then(|b| b.last_good) },
            coverage: report.coverage.clone().or_else(|| before.and_then(|b| b.coverage)),
            snapshot: latest,
            next_wake_up: report.next_wake_up,
            needs_a_person: report.needs_a_person(),
            calls_left: report.calls.left,
        };
        store.write(&key, &status, Condition::Any).await?;
        Ok(())
    }
}

fn withheld(plan: &Plan) -> Vec<Step> {
    plan.steps.iter().filter(|step| step.withheld.is_some()).cloned().collect()
}

/// The one log line of a cycle; metrics are made of it.
fn log(report: &Report) {
    let (done, failed, unknown, not_started) = report.counts();
    let coverage = report.coverage.clone().unwrap_or_default();
    let snapshot = report.snapshot.as_ref();
    info!(
        event = "cycle", mode = ?report.mode, duration_ms = report.duration_ms,
        done, failed, unknown, not_started, withheld = report.withheld.len(),
        creates = report.planned.creates, runs = report.planned.runs, removals = report.planned.removals,
        subscriptions = coverage.in_use, covered = coverage.covered,
        inbox = report.inbox.len(), problems = report.problems.len(), unreadable = report.unreadable.len(),
        snapshot.rows = snapshot.map(|s| s.rows), snapshot.bytes = snapshot.map(|s| s.bytes),
        snapshot.complete = snapshot.map(|s| s.complete),
        calls = report.calls.total, calls_left = report.calls.left,
        "{report}"
    );
}
