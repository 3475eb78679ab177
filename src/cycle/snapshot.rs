//! The last step of a pass: a snapshot, if one is due.
//!
//! Guarantees: an attempt is recorded before its reading begins, so that one that fails or is killed is not repeated within
//! `SNAPSHOT_GAP`, unless a person asks; what hinders a snapshot is named in every report until one was published.

use super::allowed::Allowed;
use super::begin::StoredState;
use super::due::{self, Due};
use super::own::OwnSubscriptions;
use super::steps::Access;
use super::{Cycle, CycleError};
use crate::account::Session;
use crate::manifest::SnapshotResult;
use crate::model::{Observed, SnapshotId};
use crate::report::{CycleStage, Problem, chain};
use crate::retry::chance;
use crate::snapshot::{self, SnapshotError, SnapshotJob};
use crate::state::{LastSnapshot, Progress, TenantState};
use jiff::Timestamp;
use tracing::info;

/// The result of the snapshot step.
#[derive(Debug, Default)]
pub(super) struct SnapshotStep {
    /// None where none was due, or it could not be finished.
    pub(super) taken: Option<SnapshotResult>,
    /// Whether the next one is wanted already.
    pub(super) due: Due,
}

impl Cycle<'_> {
    /// Takes a snapshot, if one is due. Of what was observed it needs the connectors alone: what Azure does not say, the
    /// state remembers. `requested`: when the latest request for one was made whose syncs are over.
    pub(super) async fn snapshot(
        &self,
        access: &Access<'_>,
        observed: Option<&Observed>,
        requested: Option<Timestamp>,
        allowed: Allowed,
        stored: &mut StoredState,
    ) -> Result<SnapshotStep, CycleError> {
        let (Some(session), Some(observed)) = (access.session(), observed) else {
            return Ok(SnapshotStep::default());
        };
        // Refused credentials are not tried again.
        if !allowed.snapshots() || session.is_refused() {
            return Ok(SnapshotStep::default());
        }
        let (every, gap) = (self.tenant.snapshot_every, self.tenant.snapshot_gap);
        let due = |state: &TenantState| due::snapshot(state, requested, every, gap, self.time().now());
        let mut step = SnapshotStep { taken: None, due: due(&stored.state) };
        if let Due::Now(why) = step.due {
            step.taken = self.take_snapshot(session, observed, why, stored).await?;
            step.due = due(&stored.state);
        }
        Ok(step)
    }

    async fn take_snapshot(
        &self,
        session: &Session<'_>,
        observed: &Observed,
        why: &str,
        stored: &mut StoredState,
    ) -> Result<Option<SnapshotResult>, CycleError> {
        let Self { tenant, .. } = self;
        let began = self.time().now();
        let id = SnapshotId::new(began, chance());
        self.progress.takes_a_snapshot();
        info!(snapshot.id = %id, "Taking snapshot `{id}`: {why}");
        let mut last = LastSnapshot::begin(id.clone(), began, stored.state.last_snapshot.as_ref());
        stored.state.last_snapshot = Some(last.clone());
        self.save(stored).await?;
        let own = OwnSubscriptions::of(observed, &stored.state, &tenant.policy);
        let connectors = stored.state.lists.known();
        let job = SnapshotJob {
            qualys: session.qualys(),
            store: &tenant.store,
            tenant: tenant.id(),
            id,
            cycle: self.id.clone(),
            subscriptions: &own.ids,
            moved_away: &own.moved_away,
            sole_tenant: own.sole_tenant,
            connectors: &connectors,
            doubt: own.doubt.clone(),
            first_reading: last.doubt.as_ref().map(|doubt| doubt.collapse.rows),
            began,
            deadline: self.time().deadline,
        };
        let taken = snapshot::take(&job).await;
        match &taken {
            Ok(taken) => last.end(taken.complete, taken.doubted),
            Err(error) => {
                let (error, advice) = (chain(error), advice(error).to_owned());
                last.progress = Progress::Failed { error, advice };
            }
        }
        stored.state.last_snapshot = Some(last);
        Ok(taken.ok())
    }
}

fn advice(error: &SnapshotError) -> &str {
    match error {
        SnapshotError::Qualys(error) => error.advice(),
        SnapshotError::Time { .. } => "raise CYCLE_BUDGET: this version cannot resume a snapshot",
        SnapshotError::Store(_) => "check the storage",
    }
}

/// What hinders the newest snapshot, if anything does.
pub(super) fn problem(state: &TenantState) -> Option<Problem> {
    let LastSnapshot { id, progress, doubt, .. } = state.last_snapshot.as_ref()?;
    let (error, advice) = match (progress, doubt) {
        (Progress::Failed { error, advice }, _) => (format!("snapshot {id}: {error}"), advice.clone()),
        (Progress::Reading | Progress::Ended, Some(doubt)) => {
            let advice = "nothing at first: it is read again. If you removed no machines, check the scope of the Qualys user";
            (doubt.collapse.to_string(), advice.to_owned())
        }
        (Progress::Reading | Progress::Ended, None) => return None,
    };
    Some(Problem { stage: CycleStage::Snapshot, error, advice })
}
