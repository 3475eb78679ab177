//! Which inbox items a cycle settled: pure.

use crate::inbox::InboxItem;
use crate::model::{Connector, ConnectorId, Direct, Observed, SubscriptionId, SyncRequest};
use crate::outcome::Outcome;
use crate::plan::{Mode, Plan, Policy, Subject, Why};
use crate::state::TenantState;
use crate::store::ItemName;
use jiff::Timestamp;

/// All that a cycle knows at its end.
pub(super) struct CycleFacts<'a> {
    pub(super) policy: &'a Policy,
    pub(super) state: &'a TenantState,
    /// None when the cycle did not get so far.
    pub(super) planned: Option<(&'a Observed, &'a Plan)>,
    pub(super) outcomes: &'a [Outcome],
    pub(super) now: Timestamp,
}

impl CycleFacts<'_> {
    /// How an inbox item is settled; none: it stays.
    pub(super) fn settles(&self, found: &InboxItem) -> Option<String> {
        let settled = match &found.name {
            ItemName::Timer | ItemName::Secret => Some("a report was written".to_owned()),
            ItemName::Subscription(id) => self.subscription(*id),
            ItemName::Request(_) => found.request().and_then(|request| self.request(&request)),
        };
        settled.or_else(|| found.is_stale(self.now).then(|| "given up after 24 hours".to_owned()))
    }

    fn subscription(&self, id: SubscriptionId) -> Option<String> {
        let (seen, plan) = self.planned?;
        if let Some(Direct::OutOfScope(why)) = seen.direct.get(&id) {
            return Some(format!("out of scope: {why}"));
        }
        let subscription = seen.subscriptions.get(&id)?;
        if !subscription.state.is_in_use() {
            return Some(format!("needs no connector: it is {}", subscription.state.as_str()));
        }
        // Until a list has it, only the item leads later cycles to it.
        if seen.unlisted.contains(&id) {
            return None;
        }
        if let Some(connector) = seen.connectors.values().find(|c| c.covers() == Some(id)) {
            return Some(format!("connector {} is there", connector.id));
        }
        if plan.mode != Mode::Enforce {
            return Some("planned; this mode writes nothing".to_owned());
        }
        let connector = self.outcomes.iter().find_map(|outcome| outcome.connector_for(id))?;
        Some(format!("connector {connector} is there"))
    }

    fn request(&self, request: &SyncRequest) -> Option<String> {
        let (_, plan) = self.planned?;
        if request.asked.plan_only {
            return Some(format!("planned: {}", plan.hash));
        }
        let syncs = self.syncs(request)?;
        if !request.asked.snapshot {
            return Some(syncs);
        }
        let taken = self.state.last_snapshot.as_ref().filter(|snapshot| snapshot.began >= request.at)?;
        let proof = if taken.complete { "complete" } else { "not complete" };
        Some(format!("{syncs}; snapshot {} is {proof}", taken.id))
    }

    /// How the syncs of a request ended; none: not all of them have.
    pub(super) fn syncs(&self, request: &SyncRequest) -> Option<String> {
        let (seen, plan) = self.planned?;
        if !request.asked.all && request.asked.subscriptions.is_empty() {
            return Some("no sync was asked for".to_owned());
        }
        if plan.mode != Mode::Enforce {
            return Some("syncs refused: this mode starts none".to_owned());
        }
        let (mut ended, mut refused) = (0, 0);
        let wanted = seen
            .subscriptions
            .keys()
            .chain(&request.asked.subscriptions)
            .collect::<std::collections::BTreeSet<_>>();
        for id in wanted.into_iter().filter(|id| request.asked.wants(**id)) {
            match self.sync(seen, plan, *id, request.at) {
                Some(true) => ended += 1,
                Some(false) => refused += 1,
                None => return None,
            }
        }
        Some(format!("{ended} syncs ended, {refused} left alone"))
    }

    /// Whether the sync of one subscription ended (true), was refused (false), or has yet to end (none).
    fn sync(&self, seen: &Observed, plan: &Plan, id: SubscriptionId, since: Timestamp) -> Option<bool> {
        let mut ours = seen.connectors.values().filter(|c| self.policy.is_ours(c) && c.covers() == Some(id));
        if ours.clone().any(|connector| self.ended(connector, since)) {
            return Some(true);
        }
        let refused_run = |connector: ConnectorId| {
            self.outcomes.iter().any(|outcome| outcome.is_refused_sync_of(connector))
        };
        if ours.any(|connector| refused_run(connector.id)) {
            return Some(false);
        }
        let why = plan.kept.iter().find_map(|kept| match kept.subject {
            Subject::Connector { subscription: Some(subscription), .. }
            | Subject::Subscription { subscription }
                if subscription == id =>
            {
                Some(&kept.why)
            }
            _ => None,
        });
        match why {
            // On its way, or not known yet.
            Some(
                Why::JustCreated
                | Why::InProgress
                | Why::RunNotVisibleYet
                | Why::CreateUnderWay
                | Why::NotInTreeYet
                | Why::ReadFailed { .. }
                | Why::ExclusionUnknown
                | Why::Fresh { .. }
                | Why::FailedWaits { .. },
            ) => None,
            // A step is planned for it.
            None if seen.subscriptions.contains_key(&id) => None,
            // Somebody else's, switched off, out of scope, unknown: no sync of ours will come.
            Some(_) | None => Some(false),
        }
    }

    fn ended(&self, connector: &Connector, since: Timestamp) -> bool {
        let sync = self.state.connectors.get(&connector.id);
        let ended = sync.and_then(|sync| sync.ended.as_ref());
        // Qualys's clock, which tells seconds only, is not asked about a connector that is younger than the request.
        let made_since = sync.is_some_and(|sync| sync.made.is_some_and(|made| made >= since));
        connector.last_sync.is_some_and(|last| last > since)
            || ended.is_some_and(|ended| {
                ended.at >= since && (made_since || ended.run.is_some_and(|run| run >= since))
            })
    }
}
