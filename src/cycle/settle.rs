//! Which inbox items a cycle settled: pure.
//!
//! An item is removed only when it is settled, so a request or an event is never lost: a later cycle looks again.

use crate::inbox::InboxItem;
use crate::model::{Connector, ConnectorId, Direct, Observed, SubscriptionId, SyncRequest};
use crate::outcome::Outcome;
use crate::plan::{Action, ActionKind, Kept, Mode, Plan, Policy, Subject, Why, Withheld};
use crate::state::TenantState;
use crate::store::ItemName;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Decides which inbox items are settled, from all that the cycle knows at its end.
pub(super) struct Settlement<'a> {
    pub(super) policy: &'a Policy,
    pub(super) state: &'a TenantState,
    /// None where Qualys could not be read.
    pub(super) observed: Option<&'a Observed>,
    /// None where no plan could be made, for example because Azure could not be read.
    pub(super) plan: Option<&'a Plan>,
    pub(super) outcomes: &'a [Outcome],
    pub(super) now: Timestamp,
}

impl Settlement<'_> {
    /// How an inbox item is settled; none while it stays.
    pub(super) fn of(&self, item: &InboxItem) -> Option<String> {
        let settled = match &item.name {
            ItemName::Timer | ItemName::Secret => Some("a report was written".to_owned()),
            ItemName::Subscription(id) => self.subscription(*id),
            ItemName::Request(_) => item.request().and_then(|request| self.request(&request)),
        };
        settled.or_else(|| item.is_stale(self.now).then(|| "given up after 24 hours".to_owned()))
    }

    fn subscription(&self, id: SubscriptionId) -> Option<String> {
        let observed = self.observed?;
        if let Some(Direct::OutOfScope(why)) = observed.direct.get(&id) {
            return Some(format!("out of scope: {why}"));
        }
        let subscription = observed.subscriptions.get(&id)?;
        if !subscription.state.is_in_use() {
            return Some(format!("needs no connector: it is {}", subscription.state.as_str()));
        }
        // Until a list has it, only the inbox item leads later cycles to it.
        if observed.unlisted.contains(&id) {
            return None;
        }
        if let Some(connector) = observed.connectors.values().find(|c| c.covers() == Some(id)) {
            return Some(format!("connector {} is there", connector.id));
        }
        if self.policy.mode != Mode::Enforce {
            return self.plan.map(|_| "planned; this mode writes nothing".to_owned());
        }
        let connector = self.outcomes.iter().find_map(|outcome| outcome.connector_for(id))?;
        Some(format!("connector {connector} is there"))
    }

    fn request(&self, request: &SyncRequest) -> Option<String> {
        if request.asked.plan_only {
            return self.plan.map(|plan| format!("planned: {}", plan.hash));
        }
        let syncs = self.syncs(request)?;
        if !request.asked.snapshot {
            return Some(syncs);
        }
        let taken = self.state.last_snapshot.as_ref();
        let taken = taken.filter(|taken| taken.began >= request.at && taken.is_settled())?;
        let proof = if taken.complete { "complete" } else { "not complete" };
        Some(format!("{syncs}; snapshot {} is {proof}", taken.id))
    }

    /// When the latest request was made that asks for a snapshot and whose syncs have all ended.
    pub(super) fn snapshot_requested(&self, inbox: &[InboxItem]) -> Option<Timestamp> {
        let requests = inbox.iter().filter_map(InboxItem::request);
        requests
            .filter(|request| request.asked.snapshot && !request.asked.plan_only)
            .filter(|request| self.syncs(request).is_some())
            .map(|request| request.at)
            .max()
    }

    /// How the syncs of a request ended; none while one of them has not.
    fn syncs(&self, request: &SyncRequest) -> Option<String> {
        let asked = &request.asked;
        if !asked.all && asked.subscriptions.is_empty() {
            return Some("no sync was asked for".to_owned());
        }
        if self.policy.mode != Mode::Enforce {
            return Some("syncs refused: this mode starts none".to_owned());
        }
        // Without a plan it is not known which syncs are to come.
        let (observed, plan) = (self.observed?, self.plan?);
        let (mut ended, mut left_alone, mut withheld) = (0, 0, 0);
        let all: BTreeSet<_> = observed.subscriptions.keys().chain(&asked.subscriptions).collect();
        for id in all.into_iter().filter(|id| asked.wants(**id)) {
            match self.sync(observed, plan, *id, request.at) {
                SyncProgress::Ended => ended += 1,
                SyncProgress::LeftAlone => left_alone += 1,
                SyncProgress::Withheld => withheld += 1,
                SyncProgress::Pending => return None,
            }
        }
        let text = format!("{ended} syncs ended, {left_alone} left alone");
        if withheld == 0 {
            return Some(text);
        }
        Some(format!("{text}, {withheld} withheld by the creation brake"))
    }

    /// The progress of one subscription's sync that was requested at `since`.
    fn sync(&self, observed: &Observed, plan: &Plan, id: SubscriptionId, since: Timestamp) -> SyncProgress {
        let is_ours = |c: &&Connector| self.policy.is_ours(c) && c.covers() == Some(id);
        let mut ours = observed.connectors.values().filter(is_ours);
        if ours.clone().any(|connector| self.ended(connector, since)) {
            return SyncProgress::Ended;
        }
        let is_refused = |id: ConnectorId| self.outcomes.iter().any(|outcome| outcome.is_refused_sync_of(id));
        if ours.any(|connector| is_refused(connector.id)) {
            return SyncProgress::LeftAlone;
        }
        if let Some(progress) = held_back(plan, id) {
            return progress;
        }
        match why_left_alone(plan, id) {
            // It will come, or it is not known yet whether it will.
            Some(
                Why::JustCreated
                | Why::InProgress
                | Why::RunNotVisibleYet
                | Why::CreateUnderWay
                | Why::NotInTreeYet
                | Why::NotPlacedYet { .. }
                | Why::ReadFailed { .. }
                | Why::ExclusionUnknown
                | Why::Fresh { .. }
                | Why::SyncTimeUnknown { .. }
                | Why::RunLately { .. }
                | Why::RunNotAccepted { until: Some(_), .. }
                | Why::FailedWaits { .. }
                | Why::DisableRefused { .. }
                | Why::TwinUnhealthy { .. }
                | Why::TwinNotStated { .. }
                | Why::DisabledNotStated,
            ) => SyncProgress::Pending,
            // A step is planned for it.
            None if observed.subscriptions.contains_key(&id) => SyncProgress::Pending,
            // Covered by someone else, switched off, out of scope or unknown: no sync of ours will come.
            None
            | Some(
                Why::NotInUse { .. }
                | Why::CoveredByOther { .. }
                | Why::NotCoveredByOther { .. }
                | Why::CreateRefused { .. }
                | Why::FoundUnlisted { .. }
                | Why::CoveredTwice { .. }
                | Why::StatesNoSubscription
                | Why::OutOfScope { .. }
                | Why::AccessLost
                | Why::Stuck { .. }
                | Why::FailedTooOften { .. }
                | Why::FailedForADay { .. }
                | Why::RunNotAccepted { until: None, .. }
                | Why::DisabledTwin { .. }
                | Why::Disabled
                | Why::DisabledByUs { .. }
                | Why::RunNotPossible
                | Why::UnknownState { .. }
                | Why::SubscriptionNotSeen
                | Why::LostMark
                | Why::CopiedMark { .. },
            ) => SyncProgress::LeftAlone,
        }
    }

    fn ended(&self, connector: &Connector, since: Timestamp) -> bool {
        self.state.connectors.get(&connector.id).is_some_and(|sync| sync.has_ended_since(since))
    }
}

/// The progress of a requested sync.
enum SyncProgress {
    Ended,
    /// No sync of ours will come.
    LeftAlone,
    /// It needs a connector, and `MAX_CREATES` lets none be made.
    Withheld,
    Pending,
}

/// What becomes of the sync of a subscription whose connector is not made soon; none where it is, or needs none.
fn held_back(plan: &Plan, id: SubscriptionId) -> Option<SyncProgress> {
    let is_its_creation =
        |action: &Action| action.kind() == ActionKind::Creation && action.subscription() == id;
    let step = plan.steps.iter().find(|step| is_its_creation(&step.action))?;
    match step.withheld.as_ref()? {
        Withheld::CreationBrake { limit: 0 } => Some(SyncProgress::Withheld),
        Withheld::RefusedAlike { .. } => Some(SyncProgress::LeftAlone),
        Withheld::CreationBrake { .. }
        | Withheld::FirstLists { .. }
        | Withheld::ConnectorMissing { .. }
        | Withheld::ListDoubtful { .. }
        | Withheld::ScopeUnreadable { .. }
        | Withheld::TooManyRemovals { .. } => None,
    }
}

/// Why the plan leaves a subscription or its connector alone; none where it plans a step.
fn why_left_alone(plan: &Plan, id: SubscriptionId) -> Option<&Why> {
    // A second cover beside ours says nothing about our syncs.
    let tells = |kept: &&Kept| !matches!(kept.why, Why::CoveredTwice { .. });
    plan.kept.iter().filter(tells).find_map(|kept| match kept.subject {
        Subject::Connector { subscription: Some(subscription), .. }
        | Subject::Subscription { subscription }
            if subscription == id =>
        {
            Some(&kept.why)
        }
        _ => None,
    })
}
