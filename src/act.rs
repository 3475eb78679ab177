//! Act: carries a plan out. It makes no choices.
//!
//! Guarantees: creations first, removals last; one failure is kept beside its action and stops nothing else; a write
//! whose answer is unclear is looked up, never repeated; nothing is written without the lease or past the deadline.

use crate::lease::Lease;
use crate::model::{AppId, Connector, ConnectorId, SubscriptionId, SyncClass, TenantId};
use crate::plan::{Action, ActionKind};
use crate::qualys::{NewConnector, Qualys, QualysError};
use crate::report::{Done, Outcome, chain};
use futures::stream::{self, StreamExt};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{info, warn};

/// Actions begun at once. The account's own limit on calls at once is obeyed below this, in the client.
const AT_ONCE: usize = 4;
/// No action begins so shortly before the deadline: it would be cut off in flight.
const LAST_START: Duration = Duration::from_secs(2);

/// What new connectors are made of.
#[derive(Debug, Clone)]
pub struct Template {
    /// The service principal's application.
    pub application: AppId,
    /// The directory.
    pub directory: TenantId,
    /// The service principal's secret.
    pub secret: SecretString,
    /// Apps.
    pub apps: Vec<String>,
    /// Modules.
    pub modules: Vec<String>,
    /// Tags.
    pub tags: Vec<i64>,
    /// Minutes between syncs.
    pub run_frequency_minutes: u32,
}

/// Carries the actions out, in the plan's order.
///
/// `connectors` are those that were observed, by id.
pub async fn act(
    qualys: &Qualys,
    actions: &[Action],
    connectors: &BTreeMap<ConnectorId, Connector>,
    template: &Template,
    lease: &Lease,
    deadline: Instant,
) -> Vec<Outcome> {
    let execution = Execution { qualys, connectors, template, lease, deadline, stop: Mutex::default() };
    let (removals, rest): (Vec<&Action>, Vec<&Action>) =
        actions.iter().partition(|action| action.kind() == ActionKind::Removal);
    let (creations, runs): (Vec<&Action>, Vec<&Action>) =
        rest.into_iter().partition(|action| action.kind() == ActionKind::Creation);
    let mut outcomes = Vec::with_capacity(actions.len());
    for wave in [creations, runs, removals] {
        let begun = wave.into_iter().cloned().enumerate().map(|(number, action)| {
            let outcome = execution.carry_out(action);
            async move { (number, outcome.await) }
        });
        // One that waits for its repetition holds up no other; they are told in the plan's order all the same.
        let mut done: Vec<(usize, Outcome)> = stream::iter(begun).buffer_unordered(AT_ONCE).collect().await;
        done.sort_by_key(|(number, _)| *number);
        outcomes.extend(done.into_iter().map(|(_, outcome)| outcome));
    }
    outcomes
}

struct Execution<'a> {
    qualys: &'a Qualys,
    connectors: &'a BTreeMap<ConnectorId, Connector>,
    template: &'a Template,
    lease: &'a Lease,
    deadline: Instant,
    /// Why nothing more is begun.
    stop: Mutex<Option<String>>,
}

impl Execution<'_> {
    async fn carry_out(&self, action: Action) -> Outcome {
        let result = match self.may_begin() {
            Err(because) => Done::NotStarted { because },
            Ok(()) => match &action {
                Action::Create { subscription, name, description, look_first, known } => {
                    match self.there(*subscription, *look_first, *known).await {
                        Ok(Some(id)) => Done::There { id },
                        Ok(None) => self.create(*subscription, name, description).await,
                        // Without the look there is no create: unknown is not absent.
                        Err(error) => match self.failed(&error) {
                            Done::Unknown { code, error } => Done::Failed { code, error },
                            other => other,
                        },
                    }
                }
                Action::Run { connector, .. } => self.run(*connector).await,
                Action::Disable { connector, .. } => self.disable(*connector).await,
            },
        };
        match &result {
            Done::Done { id, .. } => info!(
                connector.id = %id, subscription.id = %action.subscription(),
                "{} connector `{id}` of subscription `{}`", verb(&action), action.subscription()
            ),
            Done::Failed { error, .. } | Done::Unknown { error, .. } => warn!(
                subscription.id = %action.subscription(), error,
                "Could not {} a connector of subscription `{}`", infinitive(&action), action.subscription()
            ),
            Done::There { .. } | Done::NotStarted { .. } => {}
        }
        Outcome { action, at: self.qualys.calls().now(), result }
    }

    fn may_begin(&self) -> Result<(), String> {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        if stop.is_none() && !self.lease.is_held() {
            *stop = Some("the account's lease was lost".into());
        }
        if stop.is_none() && self.deadline.saturating_duration_since(Instant::now()) < LAST_START {
            *stop = Some("the cycle's time is over".into());
        }
        stop.clone().map_or(Ok(()), Err)
    }

    /// Sorts an error; one that would meet every further call stops them.
    fn failed(&self, error: &QualysError) -> Done {
        let code = error.code().to_string();
        let held_back = matches!(
            *error,
            QualysError::RateLimited { .. }
                | QualysError::NoCallsLeft { .. }
                | QualysError::LeaseLost { .. }
                | QualysError::Account(_)
        );
        let text = chain(error);
        if held_back || matches!(*error, QualysError::BadCredentials { .. }) {
            self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| text.clone());
        }
        if held_back {
            // Refused before any work, or not even sent.
            Done::NotStarted { because: text }
        } else if error.is_unclear() {
            Done::Unknown { code, error: text }
        } else {
            Done::Failed { code, error: text }
        }
    }

    /// A connector that Qualys has for a subscription already, as far as there is a reason to ask.
    async fn there(
        &self,
        subscription: SubscriptionId,
        look_first: bool,
        known: Option<ConnectorId>,
    ) -> Result<Option<ConnectorId>, QualysError> {
        if let Some(id) = known {
            match self.qualys.connector(id).await {
                Ok(connector) => return Ok(Some(connector.id)),
                Err(QualysError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if look_first {
            let found = self.qualys.connectors_of(subscription).await?;
            return Ok(found.first().map(|connector| connector.id));
        }
        Ok(None)
    }

    async fn create(&self, subscription: SubscriptionId, name: &str, description: &str) -> Done {
        let new = NewConnector {
            name: name.to_owned(),
            description: description.to_owned(),
            application: self.template.application,
            directory: self.template.directory,
            subscription,
            secret: self.template.secret.clone(),
            apps: self.template.apps.clone(),
            modules: self.template.modules.clone(),
            tags: self.template.tags.clone(),
            run_frequency_minutes: self.template.run_frequency_minutes,
        };
        let error = match self.qualys.create(&new).await {
            Ok(id) => return Done::Done { id, found: None },
            Err(error) => error,
        };
        // An unclear answer may hide a success, and a refusal may mean that one exists: look, never repeat.
        if (error.is_unclear() || matches!(error, QualysError::Refused { .. }))
            && let Ok(found) = self.qualys.connectors_of(subscription).await
            && let Some(connector) = found.iter().find(|c| c.description == description)
        {
            let found = Some(format!("found after: {}", error.code()));
            return Done::Done { id: connector.id, found };
        }
        self.failed(&error)
    }

    async fn run(&self, id: ConnectorId) -> Done {
        let error = match self.qualys.run(id).await {
            Ok(()) => return Done::Done { id, found: None },
            Err(error) => error,
        };
        if error.is_unclear()
            && let Ok(now) = self.qualys.connector(id).await
            && let before = self.connectors.get(&id)
            && (now.state.class() == SyncClass::InProgress && before.is_none_or(|b| b.state != now.state)
                || before.is_some_and(|b| now.last_sync > b.last_sync))
        {
            return Done::Done { id, found: Some(format!("seen under way after: {}", error.code())) };
        }
        self.failed(&error)
    }

    async fn disable(&self, id: ConnectorId) -> Done {
        let error = match self.qualys.set_disabled(id, true).await {
            Ok(()) => return Done::Done { id, found: None },
            Err(error) => error,
        };
        if error.is_unclear()
            && let Ok(connector) = self.qualys.connector(id).await
            && connector.disabled
        {
            return Done::Done { id, found: Some(format!("seen disabled after: {}", error.code())) };
        }
        self.failed(&error)
    }
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::Create { .. } => "Created",
        Action::Run { .. } => "Started a sync of",
        Action::Disable { .. } => "Disabled",
    }
}

fn infinitive(action: &Action) -> &'static str {
    match action {
        Action::Create { .. } => "create",
        Action::Run { .. } => "run",
        Action::Disable { .. } => "disable",
    }
}
