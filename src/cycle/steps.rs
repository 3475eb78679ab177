//! The steps of a pass: sign in, observe, plan, act, snapshot. Each returns what the next ones take.

use super::allowed::Allowed;
use super::begin::StoredState;
use super::due::{self, Due};
use super::own::OwnSubscriptions;
use super::{Cycle, CycleError, audit, secrets};
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
use crate::secrets::Secret;
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
    Open(Box<Session<'a>>),
}

impl Access<'_> {
    fn session(&self) -> Option<&Session<'_>> {
        if let Self::Open(session) = self { Some(session) } else { None }
    }

    /// Ends the session. Returns its calls, and the waits that it met.
    pub(super) async fn end(self) -> Result<CallsMade, StoreError> {
        match self {
            Self::Open(session) => session.end().await,
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
    /// Reads the user name and the password and signs in. Nothing is sent yet.
    pub(super) async fn sign_in(&self, allowed: Allowed) -> Result<Result<Access<'a>, Problem>, CycleError> {
        if !allowed.calls() {
            return Ok(Ok(Access::None));
        }
        let login = match secrets::login(&self.tenant.secrets, self.time().start).await {
            Ok(login) => login,
            Err(error) => {
                return Ok(Err(Problem::new(CycleStage::Secrets, &error, &error.advice())));
            }
        };
        match self.visit.sign_in(&login).await {
            Ok(SignIn::Open(session)) => Ok(Ok(Access::Open(session))),
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
            turn: &stored.state.turn,
            requests: inbox.iter().filter_map(InboxItem::request).collect(),
            now: self.time().start,
            deadline: self.time().deadline,
        };
        // A sync that ended while the lists were read may be in them or not, so they are as old as their beginning.
        let began = self.time().now();
        let observed = observe::observe(&tenant.arm, session.qualys(), &stored.state.lists, targets).await;
        let observed = observed.map_err(|error| Problem::new(CycleStage::Observe, &error, error.advice()))?;
        let is_ours = |connector: &Connector| tenant.policy.is_ours(connector);
        let rule = tenant.policy.absence;
        stored.state.take_in(&observed, is_ours, rule, self.time().start, began);
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
                return Ok(Err(Problem::new(CycleStage::Plan, &refused, refused.advice())));
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

    /// Reads the secret of new connectors, for a pass that may create some. It is read even if none is planned, so that one
    /// that has expired is named before it is missed.
    pub(super) async fn connector_secret(
        &self,
        access: &Access<'_>,
        allowed: Allowed,
    ) -> Result<Option<Secret>, Problem> {
        if !allowed.acts() || access.session().is_none() {
            return Ok(None);
        }
        let read = secrets::read_connector(&self.tenant.secrets, self.time().now()).await;
        read.map(Some).map_err(|error| {
            let advice =
                format!("{}. Until then no connector is created; everything else goes on", error.advice());
            Problem::new(CycleStage::Secrets, &error, &advice)
        })
    }

    /// Carries the plan out: first the intent is written to the audit, then the actions are taken, then their outcomes go
    /// into the state and the audit.
    pub(super) async fn act(
        &self,
        access: &Access<'_>,
        planned: Option<(&Observed, &Plan)>,
        secret: Option<Secret>,
        allowed: Allowed,
        stored: &mut StoredState,
    ) -> Result<Vec<Outcome>, CycleError> {
        let (Some(session), Some((observed, plan))) = (access.session(), planned) else {
            return Ok(Vec::new());
        };
        if !allowed.acts() || plan.is_empty() {
            return Ok(Vec::new());
        }
        let connectors = &observed.connectors;
        let now = self.time().now();
        let wanted = plan.steps.iter().filter(|step| step.withheld.is_none());
        let intents: Vec<_> = wanted.map(|step| Intent::new(step, connectors, now)).collect();
        audit::intend(self.tenant, &self.id, intents.iter()).await?;
        // What is needed to enable a connector again is in the state before it is disabled. The outcomes then say which of
        // these records stay.
        let disabled_before = stored.state.disabled.clone();
        stored.state.disabled.extend(intents.iter().filter_map(Intent::disabled));
        if stored.state.disabled != disabled_before {
            self.save(stored).await?;
        }
        let actions: Vec<_> = plan.wanted().cloned().collect();
        let policy = &self.tenant.policy;
        let template = secret.map(|secret| Template::new(policy, secret.value));
        let outcomes = act::act(session, &actions, connectors, policy, template.as_ref()).await;
        stored.state.disabled = disabled_before;
        for outcome in &outcomes {
            outcome.record(&mut stored.state, connectors);
        }
        // The state first: after a kill here, the next cycle finds an intent without an outcome, and nothing is
        // forgotten.
        self.save(stored).await?;
        audit::conclude(self.tenant, &self.id, &outcomes).await?;
        Ok(outcomes)
    }

    /// Takes a snapshot, if one is due. Of what was observed it needs the connectors alone: what Azure does not say, the
    /// state remembers. `requested`: when the latest request for one was made whose syncs are over.
    pub(super) async fn snapshot(
        &self,
        access: &Access<'_>,
        observed: Option<&Observed>,
        requested: Option<Timestamp>,
        allowed: Allowed,
        stored: &mut StoredState,
    ) -> SnapshotStep {
        let (Some(session), Some(observed)) = (access.session(), observed) else {
            return SnapshotStep::NotDue;
        };
        // Refused credentials are not tried again.
        if !allowed.snapshots() || session.is_refused() {
            return SnapshotStep::NotDue;
        }
        let Self { tenant, .. } = self;
        let now = self.time().now();
        let why =
            match due::snapshot(&stored.state, requested, tenant.snapshot_every, tenant.snapshot_gap, now) {
                Due::No => return SnapshotStep::NotDue,
                Due::At(at) => return SnapshotStep::DueAt(at),
                Due::Now(why) => why,
            };
        let id = SnapshotId::new(now, chance());
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
