//! Act: carries a plan out. It makes no choices.
//!
//! Guarantees: creations come first, removals last; an action that fails stops no other and is kept with its error; a
//! write with an unclear answer is looked up, never repeated; nothing is written without the lease, or when too little time is
//! left for its answer.

mod disable;

use crate::account::Session;
use crate::model::{AppId, Connector, ConnectorId, ResponseCode, SubscriptionId, SyncClass, TenantId};
use crate::outcome::{ActionResult, NotStarted, Outcome, Unproved};
use crate::plan::{Action, ActionKind, Policy};
use crate::qualys::{NewConnector, QualysError};
use crate::report::chain;
use crate::state::{Refusal, RefusedAlike};
use futures::stream::{self, StreamExt};
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use tracing::{info, warn};

/// Actions in progress at the same time. The client obeys the account's own limit on calls at the same time.
const AT_ONCE: usize = 4;

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
/// `connectors`: as they were observed, by id. `template`: none while no connector can be created, for want of the secret.
pub async fn act(
    session: &Session<'_>,
    actions: &[Action],
    connectors: &BTreeMap<ConnectorId, Connector>,
    policy: &Policy,
    template: Option<&Template>,
) -> Vec<Outcome> {
    let (stop, alike) = (Mutex::default(), Mutex::default());
    let execution = Execution { session, connectors, policy, template, stop, alike };
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
    policy: &'a Policy,
    template: Option<&'a Template>,
    /// Why no further action begins.
    stop: Mutex<Option<NotStarted>>,
    /// The creates that Qualys has refused alike, with no success in between.
    alike: Mutex<Option<RefusedAlike>>,
}

impl Execution<'_> {
    async fn carry_out(&self, action: Action) -> Outcome {
        let is_creation = action.kind() == ActionKind::Creation;
        let why_stopped = self.why_stopped().or_else(|| self.why_held_back().filter(|_| is_creation));
        let result = match why_stopped {
            Some(because) => ActionResult::NotStarted { because },
            None => self.send(&action).await,
        };
        if is_creation {
            self.count_alike(action.subscription(), &result);
        }
        log(&action, &result);
        Outcome { action, at: self.session.qualys().calls().now(), result }
    }

    async fn send(&self, action: &Action) -> ActionResult {
        match action {
            Action::Create { subscription, name, description, remembered } => {
                let Some(template) = self.template else {
                    return ActionResult::NotStarted { because: NotStarted::NoConnectorSecret };
                };
                match self.existing(*subscription, remembered).await {
                    Ok(Some(id)) => ActionResult::AlreadyThere { id },
                    Ok(None) => self.create(template, *subscription, name, description).await,
                    // Nothing is created, because unknown is not absent.
                    Err(error) => self.look_failed(&error),
                }
            }
            Action::Run { connector, subscription: _, awaited: _ } => self.run(*connector).await,
            Action::Disable { connector, subscription, proof } => {
                match self.stop_before_disable(*connector, *subscription, proof).await {
                    Ok(None) => self.disable(*connector).await,
                    Ok(Some(stopped)) => stopped,
                    // Unknown is not proved.
                    Err(error) => self.look_failed(&error),
                }
            }
        }
    }

    fn why_stopped(&self) -> Option<NotStarted> {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        if stop.is_none() && !self.session.allows_writes() {
            *stop = Some(NotStarted::LeaseLost);
        }
        if stop.is_none() && !self.session.qualys().has_time() {
            *stop = Some(NotStarted::TimeOver);
        }
        stop.clone()
    }

    /// Rule *refusals back off*: why no further create begins.
    fn why_held_back(&self) -> Option<NotStarted> {
        let alike = self.alike.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = alike.as_ref().filter(|alike| alike.until().is_some())?;
        Some(NotStarted::RefusedAlike { code: alike.code.clone(), error: alike.error.clone() })
    }

    fn count_alike(&self, subscription: SubscriptionId, result: &ActionResult) {
        let now = self.session.qualys().calls().now();
        let mut alike = self.alike.lock().unwrap_or_else(PoisonError::into_inner);
        match (result, result.refusal()) {
            (_, Some(Refusal { code: Some(code), error, .. })) => {
                *alike = Some(RefusedAlike::another(alike.take(), subscription, &code, &error, now));
            }
            (ActionResult::Done { .. }, _) => *alike = None,
            _ => {}
        }
    }

    /// The result of a call that failed. An error that every further call would also get stops the actions that have
    /// not begun.
    fn failed(&self, error: &QualysError, is_unclear: bool) -> ActionResult {
        let (code, text) = (error.code(), chain(error));
        let because = match error {
            QualysError::TimeOver { .. } => NotStarted::TimeOver,
            _ => NotStarted::CallsStopped { code: code.clone(), error: text.clone() },
        };
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

    /// The result of an action before which Qualys could not be asked. Its write was not sent, so Qualys has not refused it.
    fn look_failed(&self, error: &QualysError) -> ActionResult {
        match self.failed(error, false) {
            ActionResult::Failed { code, error } if code != ResponseCode::InvalidCredentials => {
                Unproved::LookFailed { error }.into()
            }
            other => other,
        }
    }

    /// The connector that Qualys already has for a subscription although the list lacks it. A list may be short, so it is asked
    /// before each create. Rule *absence is only a suspicion*: one that states another subscription now is none, and one that
    /// does not state any may be this one's.
    async fn existing(
        &self,
        subscription: SubscriptionId,
        remembered: &BTreeSet<ConnectorId>,
    ) -> Result<Option<ConnectorId>, QualysError> {
        for id in remembered {
            if self.may_cover(*id, subscription).await? {
                return Ok(Some(*id));
            }
        }
        // Not found by its id proves nothing: the search must not find one either.
        for found in self.session.qualys().connectors_of(subscription).await? {
            if !remembered.contains(&found.id) && self.may_cover(found.id, subscription).await? {
                return Ok(Some(found.id));
            }
        }
        Ok(None)
    }

    /// Reads a connector by its id: whether it exists and does not state another subscription.
    async fn may_cover(&self, id: ConnectorId, subscription: SubscriptionId) -> Result<bool, QualysError> {
        match self.session.qualys().connector(id).await {
            Ok(connector) => match connector.subscription {
                Some(other) if other != subscription => {
                    info!(
                        connector.id = %id, subscription.id = %subscription,
                        "Connector `{id}` covers subscription `{other}` now, not `{subscription}`"
                    );
                    Ok(false)
                }
                Some(_) | None => Ok(true),
            },
            Err(QualysError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn create(
        &self,
        template: &Template,
        subscription: SubscriptionId,
        name: &str,
        description: &str,
    ) -> ActionResult {
        let new = NewConnector {
            name: name.to_owned(),
            description: description.to_owned(),
            application: template.application,
            directory: template.directory,
            subscription,
            secret: template.secret.clone(),
            apps: template.apps.clone(),
            modules: template.modules.clone(),
            tags: template.tags.clone(),
            run_frequency_minutes: template.run_frequency_minutes,
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
        ActionResult::Stopped { because } => warn!(
            subscription.id = %subscription, because = %because,
            "Did not {} the connector of subscription `{subscription}`: {because}", action.verb
        ),
        ActionResult::AlreadyThere { id } => info!(
            connector.id = %id, subscription.id = %subscription,
            "Qualys has connector `{id}` for subscription `{subscription}`, although the list lacks it"
        ),
        ActionResult::NotStarted { .. } => {}
    }
}
