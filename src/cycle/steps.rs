//! The steps of a pass: sign in, observe, plan, act. Each returns what the next ones take. The last, the snapshot, has a file
//! of its own.

use super::allowed::Allowed;
use super::begin::StoredState;
use super::{Cycle, CycleError, audit, secrets};
use crate::account::{CallsMade, Session, SignIn};
use crate::act::{self, Template};
use crate::inbox::InboxItem;
use crate::model::{Connector, Observed};
use crate::observe::{self, Targets};
use crate::outcome::{Intent, Outcome};
use crate::plan::{self, Plan};
use crate::qualys::QualysError;
use crate::report::{CycleStage, Problem};
use crate::secrets::Secret;
use crate::state::Endpoint;
use crate::store::{BlobKey, Condition, StoreError, Summary};
use jiff::Timestamp;
use serde::de::IgnoredAny;
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
    pub(super) fn session(&self) -> Option<&Session<'_>> {
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
        self.progress.acts(actions.len());
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
}
