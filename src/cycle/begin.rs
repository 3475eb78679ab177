//! The beginning of a pass: the tenant's state, the inbox, and what the pass may do.

use super::allowed::Allowed;
use super::{Cycle, CycleError, Problems, StartedBy, audit};
use crate::inbox::{InboxItem, RequestStatus};
use crate::model::RequestId;
use crate::report::{CycleStage, Problem, chain};
use crate::state::{LastCycle, SCHEMA_VERSION, TenantState};
use crate::store::{BlobKey, Condition, ETag, StoreError, correct};
use std::collections::BTreeMap;
use tracing::warn;

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
            Ok(None) => (TenantState::default(), None),
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
        let tenant = self.tenant.id();
        // Listed before they are read: an item that arrives in between counts as new when the cycle ends.
        let listed = self.tenant.inbox.list(tenant).await?;
        let (mut items, unreadable) = self.tenant.inbox.read(tenant).await?;
        for item in &mut items {
            self.tenant.inbox.correct(tenant, item, self.time().start).await?;
        }
        for name in unreadable {
            let path = format!("inbox/{name}");
            let error = StoreError::Unreadable { path, why: "this program did not write it".into() };
            begun.problems.push(Problem::new(
                CycleStage::Inbox,
                &error,
                "remove it, or use the newer program that wrote it",
            ));
        }
        let mut listed: BTreeMap<_, _> = listed.into_iter().map(|(name, etag)| (name, etag.0)).collect();
        listed.extend(items.iter().map(|item| (item.name.to_string(), item.etag.0.clone())));
        begun.inbox = items;
        Ok(listed)
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
        for request in begun.inbox.iter().filter_map(InboxItem::request) {
            self.update_request(&request.id, |status| status.cycles.push(self.id.clone())).await?;
        }
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
