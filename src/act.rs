//! Act: carries a plan out. It makes no choices.
//!
//! Guarantees: creations come first, removals last; an action that fails stops no other and is kept with its error; a
//! write with an unclear answer is looked up, never repeated; nothing is written without the lease or past the deadline.

use crate::account::Session;
use crate::model::{AppId, Connector, ConnectorId, SubscriptionId, SyncClass, TenantId};
use crate::outcome::{ActionResult, NotStarted, Outcome};
use crate::plan::{Action, Policy};
use crate::qualys::{NewConnector, QualysError};
use crate::report::chain;
use futures::stream::{self, StreamExt};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{info, warn};

/// Actions in progress at the same time. The client obeys the account's own limit on calls at the same time.
const AT_ONCE: usize = 4;
/// No action begins so shortly before the deadline: it would be cut off in the middle.
const LAST_START: Duration = Duration::from_secs(2);

/// What all new connectors have in common.
#[derive(Debug, Clone)]
pub struct Template {
    /// The application of the service principal that Qualys signs in with.
    pub application: AppId,
    pub directory: TenantId,
    /// The service principal's secret.
    pub secret: SecretString,
    pub apps: Vec<String>,
    pub modules: Vec<String>,
    /// Qualys ids.
    pub tags: Vec<i64>,
    /// Minutes between syncs.
    pub run_frequency_minutes: u32,
}

impl Template {
    /// What the policy says of new connectors, and the service principal's secret.
    pub fn new(policy: &Policy, secret: SecretString) -> Self {
        Self {
            application: policy.application,
            directory: policy.tenant,
            secret,
            apps: policy.apps.clone(),
            modules: policy.modules.clone(),
            tags: policy.tags.clone(),
            run_frequency_minutes: policy.run_frequency_minutes,
        }
    }
}

/// Carries the actions out, one kind after another. Returns their outcomes in that order, and in the plan's order within a
/// kind.
///
/// `connectors`: as they were observed, by id.
pub async fn act(
    session: &Session<'_>,
    actions: &[Action],
    connectors: &BTreeMap<ConnectorId, Connector>,
    template: &Template,
    deadline: Instant,
) -> Vec<Outcome> {
    let execution = Execution { session, connectors, template, deadline, stop: Mutex::default() };
    let mut sorted = actions.to_vec();
    sorted.sort_by_key(Action::kind);
    let mut outcomes = Vec::with_capacity(sorted.len());
    for same_kind in sorted.chunk_by(|a, b| a.kind() == b.kind()) {
        let begun = same_kind.iter().cloned().enumerate().map(|(number, action)| {
            let outcome = execution.carry_out(action);
            async move { (number, outcome.await) }
        });
        // An action that waits before it repeats a call does not hold up the others, so actions end in any order.
        let mut ended: Vec<(usize, Outcome)> = stream::iter(begun).buffer_unordered(AT_ONCE).collect().await;
        ended.sort_by_key(|(number, _)| *number);
        outcomes.extend(ended.into_iter().map(|(_, outcome)| outcome));
    }
    outcomes
}

struct Execution<'a> {
    session: &'a Session<'a>,
    connectors: &'a BTreeMap<ConnectorId, Connector>,
    template: &'a Template,
    deadline: Instant,
    /// Why no further action begins.
    stop: Mutex<Option<NotStarted>>,
}

impl Execution<'_> {
    async fn carry_out(&self, action: Action) -> Outcome {
        let result = match self.why_stopped() {
            Some(because) => ActionResult::NotStarted { because },
            None => self.send(&action).await,
        };
        log(&action, &result);
        Outcome { action, at: self.session.qualys().calls().now(), result }
    }

    async fn send(&self, action: &Action) -> ActionResult {
        match action {
            Action::Create { subscription, name, description, look_first, known } => {
                match self.existing(*subscription, *look_first, *known).await {
                    Ok(Some(id)) => ActionResult::AlreadyThere { id },
                    Ok(None) => self.create(*subscription, name, description).await,
                    // If the search failed, nothing is created, because unknown is not absent. Nothing was sent.
                    Err(error) => self.failed(&error, false),
                }
            }
            Action::Run { connector, subscription: _, awaited: _ } => self.run(*connector).await,
            Action::Disable { connector, subscription: _ } => self.disable(*connector).await,
        }
    }

    fn why_stopped(&self) -> Option<NotStarted> {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        if stop.is_none() && !self.session.allows_writes() {
            *stop = Some(NotStarted::LeaseLost);
        }
        if stop.is_none() && self.deadline.saturating_duration_since(Instant::now()) < LAST_START {
            *stop = Some(NotStarted::TimeOver);
        }
        stop.clone()
    }

    /// The result of a call that failed. An error that every further call would also get stops the actions that have
    /// not begun.
    fn failed(&self, error: &QualysError, is_unclear: bool) -> ActionResult {
        let (code, text) = (error.code(), chain(error));
        let because = NotStarted::CallsStopped { code: code.clone(), error: text.clone() };
        if error.was_not_tried() || matches!(*error, QualysError::BadCredentials { .. }) {
            let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
            stop.get_or_insert_with(|| because.clone());
        }
        if error.was_not_tried() {
            ActionResult::NotStarted { because }
        } else if is_unclear {
            ActionResult::Unclear { code, error: text }
        } else {
            ActionResult::Failed { code, error: text }
        }
    }

    /// The connector that Qualys already has for a subscription, if there is a reason to ask for one.
    async fn existing(
        &self,
        subscription: SubscriptionId,
        look_first: bool,
        known: Option<ConnectorId>,
    ) -> Result<Option<ConnectorId>, QualysError> {
        if let Some(id) = known {
            match self.session.qualys().connector(id).await {
                Ok(connector) => return Ok(Some(connector.id)),
                Err(QualysError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if look_first {
            let found = self.session.qualys().connectors_of(subscription).await?;
            return Ok(found.first().map(|connector| connector.id));
        }
        Ok(None)
    }

    async fn create(&self, subscription: SubscriptionId, name: &str, description: &str) -> ActionResult {
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
        let error = match self.session.qualys().create(&new).await {
            Ok(id) => return ActionResult::Done { id, found_after: None },
            Err(error) => error,
        };
        // An unclear answer may hide a success, and a refusal may mean that the connector exists: look, never repeat.
        if (error.is_unclear() || matches!(error, QualysError::Refused { .. }))
            && let Ok(found) = self.session.qualys().connectors_of(subscription).await
            && let Some(connector) = found.iter().find(|c| c.description == description)
        {
            return ActionResult::Done { id: connector.id, found_after: Some(error.code()) };
        }
        self.failed(&error, error.is_unclear())
    }

    async fn run(&self, id: ConnectorId) -> ActionResult {
        let error = match self.session.qualys().run(id).await {
            Ok(()) => return ActionResult::Done { id, found_after: None },
            Err(error) => error,
        };
        // An unclear answer may hide a success, and a refusal may mean that a sync is in progress: look, never repeat.
        if (error.is_unclear() || matches!(error, QualysError::Refused { .. }))
            && let Ok(now) = self.session.qualys().connector(id).await
            && let before = self.connectors.get(&id)
            && (now.state.class() == SyncClass::InProgress && before.is_none_or(|b| b.state != now.state)
                || before.is_some_and(|b| now.stated_sync().is_some_and(|at| at.moved_from(b.stated_sync()))))
        {
            return ActionResult::Done { id, found_after: Some(error.code()) };
        }
        self.failed(&error, error.is_unclear())
    }

    async fn disable(&self, id: ConnectorId) -> ActionResult {
        let error = match self.session.qualys().set_disabled(id, true).await {
            Ok(()) => return ActionResult::Done { id, found_after: None },
            Err(error) => error,
        };
        if error.is_unclear()
            && let Ok(connector) = self.session.qualys().connector(id).await
            && connector.disabled
        {
            return ActionResult::Done { id, found_after: Some(error.code()) };
        }
        self.failed(&error, error.is_unclear())
    }
}

fn log(action: &Action, result: &ActionResult) {
    let (action, subscription) = (action.summary(), action.subscription());
    match result {
        ActionResult::Done { id, found_after: _ } => info!(
            connector.id = %id, subscription.id = %subscription,
            "{} connector `{id}` of subscription `{subscription}`", action.past
        ),
        ActionResult::Failed { code: _, error } => warn!(
            subscription.id = %subscription, error,
            "Could not {} the connector of subscription `{subscription}`", action.verb
        ),
        ActionResult::Unclear { code: _, error } => warn!(
            subscription.id = %subscription, error,
            "It is unclear whether Qualys could {} the connector of subscription `{subscription}`", action.verb
        ),
        ActionResult::AlreadyThere { .. } | ActionResult::NotStarted { .. } => {}
    }
}
