//! The beginning of a pass: the tenant's state, the inbox, and what the pass may do.

use super::allowed::Allowed;
use super::{Cycle, CycleError, Problems, StartedBy, audit, rebuild};
use crate::inbox::{AT_ONCE, InboxItem, RequestStatus};
use crate::model::RequestId;
use crate::report::{CycleStage, Problem, chain};
use crate::state::{LastCycle, SCHEMA_VERSION, TenantState};
use crate::store::{BlobKey, Condition, ETag, StoreError, correct};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

/// Inbox items that the time did not allow to read.
#[derive(Debug, thiserror::Error)]
#[error("{not_read} of {of} inbox items could not be read in time: they stay, and the next cycles read them")]
struct NotRead {
    not_read: usize,
    of: usize,
}

/// What a pass begins with.
pub(super) struct Begun {
    pub(super) state: StoredState,
    /// The items that the pass took.
    pub(super) inbox: Vec<InboxItem>,
    pub(super) allowed: Allowed,
    pub(super) problems: Problems,
}

/// The tenant's state and the version that was read. It is saved only if no other process changed it.
pub(super) struct StoredState {
    pub(super) state: TenantState,
    etag: Option<ETag>,
}

impl Begun {
    fn new(state: TenantState, etag: Option<ETag>, allowed: Allowed) -> Self {
        let state = StoredState { state, etag };
        Self { state, inbox: Vec::new(), allowed, problems: Problems::default() }
    }
}

impl Cycle<'_> {
    /// Reads the tenant's state and its inbox, and writes down that the cycle began.
    pub(super) async fn begin(&self, started_by: StartedBy) -> Result<Begun, CycleError> {
        let mode = self.tenant.policy.mode;
        let preview = started_by == StartedBy::Command { plan_only: true };
        let allowed = if preview { Allowed::preview(mode) } else { Allowed::cycle(mode, false) };
        let (state, etag) = match self.tenant.store.read::<TenantState>(&self.state_key()).await {
            Ok(Some((mut state, etag))) => {
                correct(&mut state, &self.state_key(), self.time().start);
                (state, Some(etag))
            }
            Ok(None) => (rebuild::from_inventory(self.tenant, self.time().start).await?, None),
            Err(error @ (StoreError::Unreadable { .. } | StoreError::Newer { .. })) => {
                let mut begun = Begun::new(TenantState::default(), None, allowed.without_state());
                let advice = "do what the error says: without the tenant's state a cycle does nothing";
                begun.problems.push(Problem::new(CycleStage::State, &error, advice));
                return Ok(begun);
            }
            Err(error) => return Err(error.into()),
        };
        let mut begun = Begun::new(state, etag, allowed);
        if !preview {
            let listed = self.take_inbox(&mut begun).await?;
            let plans_only = !begun.inbox.is_empty() && begun.inbox.iter().all(asks_only_for_a_plan);
            begun.allowed = Allowed::cycle(mode, plans_only);
            self.write_down(&mut begun, listed).await?;
        }
        Ok(begun)
    }

    /// Takes the items of the inbox. Returns the names and versions of all that were there, also of those that cannot be
    /// read: they must not book a wake-up again and again.
    async fn take_inbox(&self, begun: &mut Begun) -> Result<BTreeMap<String, String>, CycleError> {
        let mut taken = self.tenant.inbox.read(self.tenant.id(), self.inbox_until()).await?;
        for item in &mut taken.items {
            self.tenant.inbox.correct(self.tenant.id(), item, self.time().start).await?;
        }
        for (name, why) in taken.unreadable {
            let error = StoreError::Unreadable { path: format!("inbox/{name}"), why };
            begun.problems.push(Problem::new(
                CycleStage::Inbox,
                &error,
                "remove it, or use the newer program that wrote it",
            ));
        }
        if taken.not_read > 0 {
            let error = NotRead { not_read: taken.not_read, of: taken.listed.len() };
            begun.problems.push(Problem::new(CycleStage::Inbox, &error, "check why the storage is slow"));
        }
        let mut listed: BTreeMap<_, _> =
            taken.listed.into_iter().map(|(name, etag)| (name, etag.0)).collect();
        listed.extend(taken.items.iter().map(|item| (item.name.to_string(), item.etag.0.clone())));
        begun.inbox = taken.items;
        Ok(listed)
    }

    /// Until when the inbox is read and its requests are shown as taken: a quarter of what is left of the cycle, so that
    /// a slow storage leaves time for what the items are about.
    fn inbox_until(&self) -> Instant {
        let now = Instant::now();
        now + self.time().deadline.saturating_duration_since(now) / 4
    }

    /// Records what a killed cycle may have written, and that this one began.
    async fn write_down(
        &self,
        begun: &mut Begun,
        listed: BTreeMap<String, String>,
    ) -> Result<(), CycleError> {
        let now = self.time().start;
        let state = &mut begun.state.state;
        if let Some(last) = state.last_cycle.clone().filter(|last| last.ended.is_none()) {
            let writes = audit::recover(self.tenant, &last.id, state, now).await?;
            warn!(killed = %last.id, writes, "Cycle `{}` was killed. It may have made {writes} writes, which the state now counts as made", last.id);
        }
        state.last_cycle = Some(LastCycle { id: self.id.clone(), began: now, ended: None });
        state.listed = listed;
        self.save(&mut begun.state).await?;
        self.show_as_taken(&begun.inbox).await
    }

    /// Adds this cycle to the pages of the requests that it took.
    async fn show_as_taken(&self, inbox: &[InboxItem]) -> Result<(), CycleError> {
        let requests = inbox.iter().filter_map(InboxItem::request);
        let updates = requests.map(async |request| {
            self.update_request(&request.id, |status| status.cycles.push(self.id.clone())).await
        });
        let updates = stream::iter(updates.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        if let Ok(updated) = timeout_at(self.inbox_until(), updates.try_collect::<()>()).await {
            return Ok(updated?);
        }
        warn!("The time was over before each request's page named this cycle: the pages are behind");
        Ok(())
    }

    fn state_key(&self) -> BlobKey {
        BlobKey::State(self.tenant.id())
    }

    pub(super) async fn save(&self, stored: &mut StoredState) -> Result<(), StoreError> {
        stored.state.schema_version = SCHEMA_VERSION;
        let unchanged = Condition::unchanged(stored.etag.as_ref());
        stored.etag = Some(self.tenant.store.write(&self.state_key(), &stored.state, unchanged).await?);
        Ok(())
    }

    /// Changes the page that shows the state of a request.
    pub(super) async fn update_request(
        &self,
        id: &RequestId,
        mut change: impl FnMut(&mut RequestStatus) + Send,
    ) -> Result<(), StoreError> {
        let key = BlobKey::Request(self.tenant.id(), id.clone());
        let updated = self.tenant.store.update(&key, |status: &mut RequestStatus| {
            status.schema_version = SCHEMA_VERSION;
            change(status);
        });
        match updated.await {
            // It is only a page to look at, so the cycle goes on without it.
            Err(error @ (StoreError::Unreadable { .. } | StoreError::Newer { .. })) => {
                warn!(error = chain(&error), "Could not update the status of request `{id}`");
                Ok(())
            }
            updated => updated,
        }
    }
}

fn asks_only_for_a_plan(item: &InboxItem) -> bool {
    item.request().is_some_and(|request| request.asked.plan_only)
}
