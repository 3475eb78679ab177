//! The steps of a pass: sign in, observe, plan, act, snapshot. Each returns what the next ones take.

use super::allowed::Allowed;
use super::begin::StoredState;
use super::due::{self, Due};
use super::own::OwnSubscriptions;
use super::secrets::CycleSecrets;
use super::settle::Settlement;
use super::{Cycle, CycleError, audit};
use crate::account::{CallsMade, Session, SignIn};
use crate::act::{self, Template};
use crate::inbox::InboxItem;
use crate::manifest::SnapshotResult;
use crate::model::{Connector, Observed, SnapshotId};
use crate::observe::{self, Targets};
use crate::outcome::{Intent, Outcome};
use crate::plan::{self, Plan};
use crate::qualys::QualysError;
use crate::report::{CycleStage, Problem};
use crate::retry::chance;
use crate::snapshot::{self, SnapshotError, SnapshotJob};
use crate::state::{Endpoint, LastSnapshot};
use crate::store::{BlobKey, Condition, StoreError, Summary};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use std::error::Error;
use tracing::info;

/// Whether the pass may call Qualys.
#[derive(Default)]
pub(super) enum Access<'a> {
    /// It may not, or could not sign in: no call is made.
    #[default]
    None,
    /// Qualys asked the account to wait until then.
    Waits(Timestamp),
    Open(SignedIn<'a>),
}

/// A session, and the secrets that the pass may send in it.
pub(super) struct SignedIn<'a> {
    session: Box<Session<'a>>,
    secrets: CycleSecrets,
}

impl Access<'_> {
    fn session(&self) -> Option<&Session<'_>> {
        if let Self::Open(signed_in) = self { Some(&signed_in.session) } else { None }
    }

    /// Ends the session. Returns its calls, and the waits that it met.
    pub(super) async fn end(self) -> Result<CallsMade, StoreError> {
        match self {
            Self::Open(signed_in) => signed_in.session.end().await,
            Self::Waits(until) => Ok(CallsMade { paused_until: Some(until), ..CallsMade::default() }),
            Self::None => Ok(CallsMade::default()),
        }
    }
}

/// The result of the snapshot step.
#[derive(Debug)]
pub(super) enum SnapshotStep {
    NotDue,
    /// One is wanted, and not due before then.
    DueAt(Timestamp),
    Taken(SnapshotResult),
    /// One was due and could not be taken. `soon`: a later cycle may take it without a person's help.
    Failed {
        problem: Problem,
        soon: bool,
    },
}

impl SnapshotStep {
    pub(super) fn problem(&self) -> Option<&Problem> {
        if let Self::Failed { problem, .. } = self { Some(problem) } else { None }
    }

    fn failed(error: &SnapshotError) -> Self {
        let problem = |error: &dyn Error, advice| Problem::new(CycleStage::Snapshot, error, advice);
        let (problem, soon) = match error {
            SnapshotError::Qualys(error) => {
                let soon = matches!(error, QualysError::RateLimited { .. } | QualysError::NoCallsLeft { .. });
                (problem(error, error.advice()), soon)
            }
            SnapshotError::Time { .. } => {
                (problem(error, "raise CYCLE_BUDGET: this version cannot resume a snapshot"), true)
            }
            SnapshotError::Store(_) => (problem(error, "check the storage"), false),
        };
        Self::Failed { problem, soon }
    }
}

impl<'a> Cycle<'a> {
    /// Reads the secrets and signs in. Nothing is sent yet.
    pub(super) async fn sign_in(&self, allowed: Allowed) -> Result<Result<Access<'a>, Problem>, CycleError> {
        if !allowed.calls() {
            return Ok(Ok(Access::None));
        }
        let secrets = match CycleSecrets::read(&self.tenant.secrets, self.time().start).await {
            Ok(secrets) => secrets,
            Err(error) => {
                let advice = "store the secret under that name, or correct SECRETS";
                return Ok(Err(Problem::new(CycleStage::Secrets, &error, advice)));
            }
        };
        match self.visit.sign_in(&secrets.login).await {
            Ok(SignIn::Open(session)) => Ok(Ok(Access::Open(SignedIn { session, secrets }))),
            Ok(SignIn::Refused) => {
                let error = QualysError::BadCredentials { endpoint: Endpoint::ConnectorSearch };
                Ok(Err(Problem::new(CycleStage::Qualys, &error, error.advice())))
            }
            Ok(SignIn::Waits(until)) => {
                info!(%until, "Qualys asked to wait until {until}: no call is made before then");
                Ok(Ok(Access::Waits(until)))
            }
            Err(error @ (StoreError::Unreadable { .. } | StoreError::Newer { .. })) => {
                let advice = "do what the error says: without the account's state no call is made";
                Ok(Err(Problem::new(CycleStage::State, &error, advice)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads both sides, and takes them into the state.
    pub(super) async fn observe(
        &self,
        access: &Access<'_>,
        inbox: &[InboxItem],
        stored: &mut StoredState,
    ) -> Result<Option<Observed>, Problem> {
        let Some(session) = access.session() else { return Ok(None) };
        let Self { tenant, .. } = self;
        let left = |item: &InboxItem| Some((item.subscription()?, item.content.left));
        let targets = Targets {
            tenant: tenant.id(),
            scope: &tenant.scope,
            exclude: &tenant.exclude,
            in_inbox: inbox.iter().filter_map(left).collect(),
            requests: inbox.iter().filter_map(InboxItem::request).collect(),
            now: self.time().start,
            deadline: self.time().deadline,
        };
        let observed = observe::observe(&tenant.arm, session.qualys(), targets).await;
        let observed = observed.map_err(|error| Problem::new(CycleStage::Observe, &error, error.advice()))?;
        let is_ours = |connector: &Connector| tenant.policy.is_ours(connector);
        stored.state.take_in(&observed, is_ours, self.time().now());
        Ok(Some(observed))
    }

    /// Plans, and stores the plan as the tenant's newest.
    pub(super) async fn plan(
        &self,
        observed: Option<&Observed>,
        allowed: Allowed,
        stored: &StoredState,
    ) -> Result<Result<Option<Plan>, Problem>, CycleError> {
        let Some(observed) = observed else { return Ok(Ok(None)) };
        let Self { tenant, .. } = self;
        let plan = match plan::plan(observed, &stored.state, &tenant.policy, self.time().now()) {
            Ok(plan) => plan,
            Err(refused) => {
                let advice = "restore the identity's role, or correct SCOPE and TENANT_ID";
                return Ok(Err(Problem::new(CycleStage::Plan, &refused, advice)));
            }
        };
        // Once the lease is lost, the newest plan is written by whoever holds the account now.
        if allowed.stores_state() && self.visit.is_ours() {
            let key = BlobKey::Plan(plan.tenant);
            if let Summary::Replaceable(_) = tenant.store.read_summary::<IgnoredAny>(&key).await? {
                tenant.store.write(&key, &plan, Condition::Any).await?;
            }
        }
        Ok(Ok(Some(plan)))
    }

    /// Carries the plan out: first the intent is written to the audit, then the actions are taken, then their outcomes go
    /// into the state and the audit.
    pub(super) async fn act(
        &self,
        access: &Access<'_>,
        planned: Option<(&Observed, &Plan)>,
        allowed: Allowed,
        stored: &mut StoredState,
    ) -> Result<Vec<Outcome>, CycleError> {
        let (Access::Open(signed_in), Some((observed, plan))) = (access, planned) else {
            return Ok(Vec::new());
        };
        if !allowed.acts() || plan.is_empty() {
            return Ok(Vec::new());
        }
        let connectors = &observed.connectors;
        let now = self.time().now();
        let wanted = plan.steps.iter().filter(|step| step.withheld.is_none());
        let intents = wanted.map(|step| Intent::new(step, connectors, now));
        audit::intend(self.tenant, &self.id, intents).await?;
        let actions: Vec<_> = plan.wanted().cloned().collect();
        self.progress.acts(actions.len());
        let template = Template::new(&self.tenant.policy, signed_in.secrets.connector.value.clone());
        let deadline = self.time().deadline;
        let outcomes = act::act(&signed_in.session, &actions, connectors, &template, deadline).await;
        for outcome in &outcomes {
            outcome.record(&mut stored.state, connectors);
        }
        // The state first: after a kill here, the next cycle finds an intent without an outcome, and nothing is
        // forgotten.
        self.save(stored).await?;
        audit::conclude(self.tenant, &self.id, &outcomes).await?;
        Ok(outcomes)
    }

    /// Takes a snapshot, if one is due.
    pub(super) async fn snapshot(
        &self,
        access: &Access<'_>,
        planned: Option<(&Observed, &Plan)>,
        outcomes: &[Outcome],
        allowed: Allowed,
        inbox: &[InboxItem],
        stored: &mut StoredState,
    ) -> SnapshotStep {
        let (Some(session), Some((observed, _))) = (access.session(), planned) else {
            return SnapshotStep::NotDue;
        };
        // Refused credentials are not tried again.
        if !allowed.snapshots() || session.is_refused() {
            return SnapshotStep::NotDue;
        }
        let Self { tenant, .. } = self;
        let now = self.time().now();
        let settlement = Settlement { policy: &tenant.policy, state: &stored.state, planned, outcomes, now };
        let requested = settlement.snapshot_requested(inbox);
        let why =
            match due::snapshot(&stored.state, requested, tenant.snapshot_every, tenant.snapshot_gap, now) {
                Due::No => return SnapshotStep::NotDue,
                Due::At(at) => return SnapshotStep::DueAt(at),
                Due::Now(why) => why,
            };
        let id = SnapshotId::new(now, chance());
        self.progress.takes_a_snapshot();
        info!(snapshot.id = %id, "Taking snapshot `{id}`: {why}");
        let own = OwnSubscriptions::of(observed, &stored.state, &tenant.policy);
        let job = SnapshotJob {
            qualys: session.qualys(),
            store: &tenant.store,
            tenant: tenant.id(),
            id: id.clone(),
            cycle: self.id.clone(),
            subscriptions: &own.ids,
            sole_tenant: own.sole_tenant,
            doubt: own.doubt.clone(),
            began: now,
            deadline: self.time().deadline,
        };
        match snapshot::take(&job).await {
            Ok(taken) => {
                let last = LastSnapshot { id, began: now, complete: taken.complete };
                stored.state.last_snapshot = Some(last);
                SnapshotStep::Taken(taken)
            }
            Err(error) => SnapshotStep::failed(&error),
        }
    }
}
