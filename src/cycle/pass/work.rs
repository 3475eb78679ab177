//! The work of a pass: secrets, then observe, plan, act, snapshot. What fails is a problem in the report.

use super::{CycleError, Memory, Pass, audit};
use crate::act::{self, Template};
use crate::cycle::due;
use crate::cycle::keys::Keys;
use crate::cycle::sign_in::{self, SignIn};
use crate::inbox::InboxItem;
use crate::model::{Connector, ConnectorId, Observed, SnapshotId, SubscriptionId};
use crate::observe::{self, Look};
use crate::outcome::Intent;
use crate::plan::{self, Action, Mode, Plan};
use crate::qualys::{Qualys, QualysError};
use crate::retry::chance;
use crate::snapshot::{self, SnapshotError, SnapshotJob};
use crate::state::{Endpoint, LastSnapshot, TenantState};
use crate::store::{BlobKey, Condition, StoreError};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use tracing::info;

impl Pass<'_> {
    /// Secrets, then observe, plan, act, snapshot. What fails is a problem in the report.
    pub(super) async fn work(&mut self, memory: &mut Memory, plan_only: bool) -> Result<(), CycleError> {
        let keys = match Keys::read(&self.app.secrets, self.time.now).await {
            Ok(keys) => keys,
            Err(error) => {
                self.problem("secrets", &error, "put the secret there under that name, or correct SECRETS");
                return Ok(());
            }
        };
        let known = match SignIn::look(self.app, &keys.login).await {
            Ok(known) => known,
            Err(error @ (StoreError::Unreadable { .. } | StoreError::Newer { .. })) => {
                self.problem(
                    "state",
                    &error,
                    "without the account's call window no call is made; see the message",
                );
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if known.was_refused {
            let refused = QualysError::BadCredentials { endpoint: Endpoint::ConnectorSearch };
            self.qualys_problem("qualys", &refused);
            return Ok(());
        }
        if let Some(until) = known.pause_until.filter(|until| *until > self.time.now) {
            info!(%until, "Qualys asked to wait until {until}: nothing is called");
            self.work.wait_until = Some(until);
            return Ok(());
        }
        let qualys = sign_in::client(self.app, &keys.login, self.lease, self.time);
        self.with_qualys(&qualys, &keys, memory, plan_only).await?;
        self.work.calls = qualys.calls().finish().await?;
        self.work.wait_until = self.work.wait_until.max(qualys.calls().paused_until());
        self.work.window_until = qualys.calls().window_until();
        known.keep(self.app, self.were_refused(), self.time.at()).await?;
        Ok(())
    }

    async fn with_qualys(
        &mut self,
        qualys: &Qualys,
        keys: &Keys,
        memory: &mut Memory,
        plan_only: bool,
    ) -> Result<(), CycleError> {
        let config = &self.app.config;
        let look = Look {
            tenant: config.policy.tenant,
            scope: &config.scope,
            exclude: &config.exclude,
            in_inbox: self
                .items
                .iter()
                .filter_map(|found| Some((found.subscription()?, found.content.left)))
                .collect(),
            requests: self.items.iter().filter_map(InboxItem::request).collect(),
            now: self.time.now,
            deadline: self.time.deadline,
        };
        let seen = match observe::observe(&self.app.arm, qualys, look).await {
            Ok(seen) => seen,
            Err(error) => {
                self.qualys_problem("observe", &error);
                return Ok(());
            }
        };
        self.work.unreadable.clone_from(&seen.unreadable);
        let now = self.time.at();
        memory.state.observed.extend(seen.subscriptions.keys());
        memory.state.update_from(seen.connectors.values().filter(|c| config.policy.is_ours(c)), now);
        memory.state.covered.extend(
            seen.connectors
                .values()
                .filter_map(Connector::covers)
                .filter(|id| seen.subscriptions.contains_key(id)),
        );
        let plan = match plan::plan(&seen, &memory.state, &config.policy, now) {
            Ok(plan) => plan,
            Err(refused) => {
                self.problem("plan", &refused, "restore the identity's role, or correct SCOPE and TENANT_ID");
                return Ok(());
            }
        };
        // Whoever holds the account now writes the tenant's newest plan.
        if !memory.frozen && self.lease.is_ours() {
            let key = BlobKey::Plan(plan.tenant);
            if self.app.store.read_or_leave::<IgnoredAny>(&key).await?.1 {
                self.app.store.write(&key, &plan, Condition::Any).await?;
            }
        }
        if !plan_only && plan.mode == Mode::Enforce && !plan.is_empty() {
            self.act(qualys, keys, &plan, &seen.connectors, memory).await?;
        }
        let subscriptions = self.ours(&seen, &memory.state);
        (self.work.seen, self.work.plan) = (Some(seen), Some(plan));
        // What was refused once is not tried again.
        if !plan_only && !self.were_refused() {
            self.snapshot(qualys, &subscriptions, memory).await?;
        }
        Ok(())
    }

    async fn act(
        &mut self,
        qualys: &Qualys,
        keys: &Keys,
        plan: &Plan,
        connectors: &BTreeMap<ConnectorId, Connector>,
        memory: &mut Memory,
    ) -> Result<(), CycleError> {
        let policy = &self.app.config.policy;
        let wanted = plan.steps.iter().filter(|step| step.withheld.is_none());
        let now = self.time.at();
        let intents = wanted.map(|step| Intent::new(step.clone(), connectors, now));
        audit::intend(self.app, &self.id, intents).await?;
        let template = Template {
            application: policy.application,
            directory: policy.tenant,
            secret: keys.connector.value.clone(),
            apps: policy.apps.clone(),
            modules: policy.modules.clone(),
            tags: policy.tags.clone(),
            run_frequency_minutes: policy.run_frequency_minutes,
        };
        let actions: Vec<Action> = plan.wanted().cloned().collect();
        let outcomes =
            act::act(qualys, &actions, connectors, &template, self.lease, self.time.deadline).await;
        for outcome in &outcomes {
            outcome.record(&mut memory.state, connectors);
        }
        // The memory first: if we are killed here, the intent without an outcome is looked after, and nothing is forgotten.
        memory.save(self.app).await?;
        audit::conclude(self.app, &self.id, &outcomes).await?;
        self.work.outcomes = outcomes;
        Ok(())
    }

    async fn snapshot(
        &mut self,
        qualys: &Qualys,
        subscriptions: &Subscriptions,
        memory: &mut Memory,
    ) -> Result<(), CycleError> {
        let config = &self.app.config;
        let facts = self.facts(&memory.state);
        let requests = self
            .items
            .iter()
            .filter_map(InboxItem::request)
            .filter(|r| r.asked.snapshot && !r.asked.plan_only);
        let requested =
            requests.filter(|request| facts.syncs(request).is_some()).map(|request| request.at).max();
        let now = self.time.at();
        let why =
            match due::snapshot(&memory.state, requested, config.snapshot_every, config.snapshot_gap, now) {
                due::Due::No => return Ok(()),
                due::Due::At(at) => {
                    self.work.snapshot_at = Some(at);
                    return Ok(());
                }
                due::Due::Now(why) => why,
            };
        let id = SnapshotId::new(now, chance());
        info!(snapshot.id = %id, "Taking snapshot `{id}`: {why}");
        let job = SnapshotJob {
            qualys,
            store: &self.app.store,
            tenant: config.policy.tenant,
            id: id.clone(),
            cycle: self.id.clone(),
            subscriptions: &subscriptions.ids,
            sole_tenant: subscriptions.sole_tenant,
            doubt: subscriptions.doubt.clone(),
            began: now,
            deadline: self.time.deadline,
        };
        match snapshot::take(&job).await {
            Ok(taken) => {
                memory.state.last_snapshot = Some(LastSnapshot { id, began: now, complete: taken.complete });
                self.work.snapshot = Some(taken);
            }
            Err(SnapshotError::Qualys(error)) => {
                self.work.snapshot_unfinished =
                    matches!(error, QualysError::RateLimited { .. } | QualysError::NoCallsLeft { .. });
                self.qualys_problem("snapshot", &error);
            }
            Err(error @ SnapshotError::Time { .. }) => {
                self.work.snapshot_unfinished = true;
                self.problem("snapshot", &error, "raise CYCLE_BUDGET; a snapshot is not resumed yet");
            }
            Err(error @ SnapshotError::Store(_)) => self.problem("snapshot", &error, "check the storage"),
        }
        Ok(())
    }

    /// Those ever observed, and those of connectors with our directory.
    fn ours(&self, seen: &Observed, memory: &TenantState) -> Subscriptions {
        let is_of_tenant =
            |c: &&Connector| c.directory == Some(seen.tenant) || self.app.config.policy.is_ours(c);
        let of_connectors = seen.connectors.values().filter(is_of_tenant).filter_map(Connector::covers);
        let ids = memory.observed.iter().copied().chain(of_connectors).collect();
        // A connector that does not say its directory may be another tenant's.
        let sole_tenant = seen.connectors.values().all(|connector| is_of_tenant(&connector));
        let scopes: Vec<&str> = seen.unreadable.iter().map(|scope| scope.scope.as_str()).collect();
        let doubt = (!sole_tenant && !scopes.is_empty()).then(|| {
            format!("the account has several tenants, and which subscriptions are ours could not be read whole: {}", scopes.join(", "))
        });
        Subscriptions { ids, sole_tenant, doubt }
    }

    /// Whether Qualys refused the credentials in this pass.
    fn were_refused(&self) -> bool {
        self.work.refused || self.work.outcomes.iter().any(|outcome| outcome.result.refused_credentials())
    }

    fn qualys_problem(&mut self, stage: &str, error: &QualysError) {
        self.work.refused |= matches!(error, QualysError::BadCredentials { .. });
        self.problem(stage, error, sign_in::advice(error));
    }
}

/// The subscriptions whose rows a snapshot keeps.
struct Subscriptions {
    ids: BTreeSet<SubscriptionId>,
    sole_tenant: bool,
    doubt: Option<String>,
}
