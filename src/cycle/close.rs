//! The end of a pass: the next wake-up, the report, the status; then the settled items go.

use super::allowed::Allowed;
use super::begin::StoredState;
use super::due::Unfinished;
use super::settle::Settlement;
use super::{CLOSING, Cycle, CycleError, Ran, Results};
use crate::inbox::{AT_ONCE, InboxItem};
use crate::manifest::Latest;
use crate::model::Observed;
use crate::outcome::Outcome;
use crate::plan::{Plan, Step};
use crate::queue::Booked;
use crate::report::{Counts, CycleStage, InboxLine, Problem, Report, Status};
use crate::state::{SCHEMA_VERSION, TenantState};
use crate::store::{BlobKey, Condition, ItemName, StoreError, Summary, correct};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

/// An item, and how it is settled; none while it stays.
type Settled<'a> = (&'a InboxItem, Option<String>);

impl Cycle<'_> {
    pub(super) async fn close(
        &self,
        mut stored: StoredState,
        inbox: &[InboxItem],
        allowed: Allowed,
        mut results: Results,
    ) -> Result<Ran, CycleError> {
        let settled = self.settled(&stored, inbox, allowed, &results);
        let next_wake_up = self.book_next(&stored.state, allowed, &mut results).await?;
        let now = self.time().now();
        let report = self.report(&settled, &results, next_wake_up, now);
        if allowed.stores_report() {
            self.write_report(&report, inbox, now).await?;
        }
        if allowed.stores_state() {
            self.remove_settled(settled).await?;
            if let Some(cycle) = &mut stored.state.last_cycle {
                cycle.ended = Some(now);
            }
            self.save(&mut stored).await?;
        }
        Ok(Ran { report, plan: results.plan })
    }

    /// What decides which items are settled, from the results so far.
    pub(super) fn settlement<'r>(
        &'r self,
        state: &'r StoredState,
        observed: Option<&'r Observed>,
        plan: Option<&'r Plan>,
        outcomes: &'r [Outcome],
    ) -> Settlement<'r> {
        let (policy, state) = (&self.tenant.policy, &state.state);
        Settlement { policy, state, observed, plan, outcomes, now: self.time().start }
    }

    fn settled<'i>(
        &self,
        state: &StoredState,
        inbox: &'i [InboxItem],
        allowed: Allowed,
        results: &Results,
    ) -> Vec<Settled<'i>> {
        let Results { observed, plan, outcomes, .. } = results;
        let settlement = self.settlement(state, observed.as_ref(), plan.as_ref(), outcomes);
        inbox.iter().map(|item| (item, settlement.of(item).filter(|_| allowed.settles()))).collect()
    }

    /// Books the next wake-up, if something waits for one. Returns when the next one is due.
    async fn book_next(
        &self,
        state: &TenantState,
        allowed: Allowed,
        results: &mut Results,
    ) -> Result<Option<Timestamp>, CycleError> {
        let (tenant, wake_ups) = (self.tenant.id(), &self.tenant.wake_ups);
        if !allowed.settles() {
            return Ok(wake_ups.next_due(tenant).await.unwrap_or_else(|error| {
                let advice = "do what the error says; when the next wake-up is due is not known until then";
                results.add(Problem::new(CycleStage::State, &error, advice));
                None
            }));
        }
        let (policy, now) = (&self.tenant.policy, self.time().now());
        let Some(at) = Unfinished::of(results, state, policy, now).next_wake_up(policy.follow_up, now) else {
            return Ok(wake_ups.booking(tenant).await?.due);
        };
        let (Booked::Sent(at) | Booked::Pending(at)) = wake_ups.book(tenant, at, now).await?;
        Ok(Some(at))
    }

    fn report(
        &self,
        settled: &[Settled<'_>],
        results: &Results,
        next_wake_up: Option<Timestamp>,
        now: Timestamp,
    ) -> Report {
        let Results { observed, plan, outcomes, snapshot, calls, problems } = results;
        let policy = &self.tenant.policy;
        let plan = plan.as_ref();
        let made = outcomes.iter().filter_map(Outcome::made).collect();
        let line = |(item, settled): &Settled<'_>| InboxLine {
            item: item.name.to_string(),
            settled: settled.clone(),
        };
        Report {
            schema_version: SCHEMA_VERSION,
            cycle: self.id.clone(),
            tenant: policy.tenant,
            deployment: policy.deployment.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: policy.mode,
            began: self.time().start,
            duration_ms: self.time().elapsed_ms(),
            inbox: settled.iter().map(line).collect(),
            plan: plan.map(|plan| plan.hash.clone()),
            planned: plan.map(|plan| plan.cost.clone()).unwrap_or_default(),
            withheld: plan.map(withheld).unwrap_or_default(),
            outcomes: outcomes.clone(),
            kept: plan.map(|plan| plan.kept.clone()).unwrap_or_default(),
            coverage: plan.map(|plan| plan.coverage.clone().with_made(&made)),
            clock: plan.map(|plan| plan.clock.clone()).unwrap_or_default(),
            unreadable: observed.as_ref().map(|observed| observed.unreadable.clone()).unwrap_or_default(),
            problems: problems.clone(),
            snapshot: snapshot.taken.clone(),
            waits_until: calls.paused_until.filter(|until| *until > now),
            calls: calls.used.clone(),
            next_wake_up,
        }
    }

    async fn write_report(
        &self,
        report: &Report,
        inbox: &[InboxItem],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        log(report);
        let only_timer = inbox.iter().all(|item| item.name == ItemName::Timer);
        let quiet = only_timer
            && report.outcomes.is_empty()
            && report.snapshot.is_none()
            && report.problems.is_empty();
        if !quiet {
            let key = BlobKey::Report(report.tenant, self.id.clone());
            self.tenant.store.write(&key, report, Condition::New).await?;
        }
        // Once the lease is lost, the status is written by whoever holds the account now.
        if self.visit.is_ours() {
            self.write_status(report, now).await?;
        }
        Ok(())
    }

    async fn write_status(&self, report: &Report, now: Timestamp) -> Result<(), StoreError> {
        let store = &self.tenant.store;
        let key = BlobKey::Status(report.tenant);
        // A status is only a summary: one that cannot be read is written again, and one of a newer program stays.
        let Summary::Replaceable(mut before) = store.read_summary::<Status>(&key).await? else {
            return Ok(());
        };
        let latest_key = BlobKey::Latest(report.tenant);
        let mut latest = store.read_summary::<Latest>(&latest_key).await?.value();
        if let Some(before) = &mut before {
            correct(before, &key, now);
        }
        if let Some(latest) = &mut latest {
            correct(latest, &latest_key, now);
        }
        let status = Status {
            schema_version: SCHEMA_VERSION,
            tenant: report.tenant,
            deployment: report.deployment.clone(),
            mode: report.mode,
            cycle: report.cycle.clone(),
            at: now,
            last_good: if report.is_good() { Some(now) } else { before.as_ref().and_then(|b| b.last_good) },
            coverage: report.coverage.clone().or_else(|| before.and_then(|b| b.coverage)),
            snapshot: latest,
            next_wake_up: report.next_wake_up,
            needs_a_person: report.needs_a_person(),
            calls_left: report.calls.left,
        };
        store.write(&key, &status, Condition::Any).await?;
        Ok(())
    }

    /// Removes the settled items, many at a time; the page of a request says how it was settled. What the time does not allow
    /// stays, and the next cycle settles it again.
    async fn remove_settled(&self, settled: Vec<Settled<'_>>) -> Result<(), StoreError> {
        let settled = settled.into_iter().filter_map(|(item, how)| Some((item, how?)));
        let removals = settled.map(async |(item, how)| {
            if let Some(request) = item.request() {
                self.update_request(&request.id, |status| status.settled = Some(how.clone())).await?;
            }
            self.tenant.inbox.remove(self.tenant.id(), item).await.map(|_| ())
        });
        let removals = stream::iter(removals.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        // The steps may have used all of their time, so the closing has some of its own.
        let until = self.time().deadline.max(Instant::now()) + CLOSING;
        if let Ok(removed) = timeout_at(until, removals.try_collect::<()>()).await {
            return removed;
        }
        warn!("The time was over before each settled inbox item was removed: the next cycle goes on");
        Ok(())
    }
}

fn withheld(plan: &Plan) -> Vec<Step> {
    plan.steps.iter().filter(|step| step.withheld.is_some()).cloned().collect()
}

/// The one log line of a cycle. Metrics are made of it.
fn log(report: &Report) {
    let Counts { done, failed, unclear, not_started } = report.counts();
    let coverage = report.coverage.clone().unwrap_or_default();
    let snapshot = report.snapshot.as_ref();
    info!(
        event = "cycle", mode = ?report.mode, duration_ms = report.duration_ms,
        done, failed, unclear, not_started, withheld = report.withheld.len(),
        creates = report.planned.creates, runs = report.planned.runs, removals = report.planned.removals,
        subscriptions = coverage.in_use, covered = coverage.covered,
        inbox = report.inbox.len(), problems = report.problems.len(), unreadable = report.unreadable.len(),
        not_seen = report.not_seen(),
        snapshot.rows = snapshot.map(|s| s.rows), snapshot.bytes = snapshot.map(|s| s.bytes),
        snapshot.complete = snapshot.map(|s| s.complete),
        calls = report.calls.total, calls_left = report.calls.left,
        "{report}"
    );
}
