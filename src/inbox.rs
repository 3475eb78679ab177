//! The inbox: small blobs that triggers leave for the next cycle.
//!
//! Guarantees: an item with the same name replaces the one before, so duplicates fold; an item that changed since a cycle
//! read it is not removed; one that cannot be read is named and stays.

use crate::model::{
    Asked, Correction, CycleId, Dated, RequestId, SubscriptionId, SyncRequest, TenantId, elapsed,
};
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, Container, ETag, ItemName, Store, StoreError, correct};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An item that no cycle could settle is given up after this time, and the report says so. By then, what it points at is
/// either visible in the lists or will never be.
pub const ITEM_LASTS: Duration = Duration::from_hours(24);

/// The content of an inbox item, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ItemContent {
    pub schema_version: u32,
    /// When the trigger left it.
    #[cfg_attr(test, schemars(with = "String"))]
    pub left: Timestamp,
    /// Which trigger left it: a function's name, with the event's type where there is one.
    pub by: String,
    /// What a request asks for; other items have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

impl ItemContent {
    pub fn new(left: Timestamp, by: impl Into<String>) -> Self {
        Self { schema_version: SCHEMA_VERSION, left, by: by.into(), asked: None }
    }
}

impl Dated for ItemContent {
    fn correct(&mut self, correction: &mut Correction) {
        let Self { schema_version: _, left, by: _, asked: _ } = self;
        correction.past([left]);
    }
}

/// An inbox item, as a cycle read it.
#[derive(Debug, Clone)]
pub struct InboxItem {
    pub name: ItemName,
    /// The version that was read. A later version is a new item.
    pub etag: ETag,
    pub content: ItemContent,
}

impl InboxItem {
    /// Whether it has waited longer than [`ITEM_LASTS`].
    pub fn is_stale(&self, now: Timestamp) -> bool {
        elapsed(now, self.content.left) >= ITEM_LASTS
    }

    pub fn subscription(&self) -> Option<SubscriptionId> {
        match self.name {
            ItemName::Subscription(id) => Some(id),
            _ => None,
        }
    }

    pub fn request(&self) -> Option<SyncRequest> {
        match &self.name {
            ItemName::Request(id) => {
                let asked = self.content.asked.clone().unwrap_or_default();
                Some(SyncRequest { id: id.clone(), at: self.content.left, asked })
            }
            _ => None,
        }
    }
}

/// The state of a request: `requests/<id>.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RequestStatus {
    pub schema_version: u32,
    /// When the request was made.
    #[cfg_attr(test, schemars(with = "String"))]
    pub left: Timestamp,
    pub asked: Asked,
    /// The cycles that took it, oldest first. Each adds its id before it observes.
    pub cycles: Vec<CycleId>,
    /// How it was settled; none while it is open.
    pub settled: Option<String>,
}

/// The inboxes of all tenants.
#[derive(Debug, Clone)]
pub struct Inbox {
    store: Store,
}

impl Inbox {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Leaves an item. It replaces an item of the same name.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn put(
        &self,
        tenant: TenantId,
        name: ItemName,
        content: &ItemContent,
    ) -> Result<(), StoreError> {
        self.store.write(&BlobKey::InboxItem(tenant, name), content, Condition::Any).await?;
        Ok(())
    }

    /// Leaves a request: first the page that shows its state, then the item.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn put_request(
        &self,
        tenant: TenantId,
        id: &RequestId,
        asked: &Asked,
        by: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let status = RequestStatus {
            schema_version: SCHEMA_VERSION,
            left: now,
            asked: asked.clone(),
            cycles: Vec::new(),
            settled: None,
        };
        self.store.write(&BlobKey::Request(tenant, id.clone()), &status, Condition::New).await?;
        let content = ItemContent { asked: Some(asked.clone()), ..ItemContent::new(now, by) };
        self.put(tenant, ItemName::Request(id.clone()), &content).await
    }

    /// Every item of a tenant, and the names of the blobs that cannot be read as one. Those stay where they are.
    ///
    /// # Errors
    /// When the inbox cannot be listed.
    pub async fn read(&self, tenant: TenantId) -> Result<(Vec<InboxItem>, Vec<String>), StoreError> {
        let (mut items, mut unreadable) = (Vec::new(), Vec::new());
        for (name, _) in self.list(tenant).await? {
            let Ok(name) = name.parse::<ItemName>() else {
                unreadable.push(name);
                continue;
            };
            match self.store.read::<ItemContent>(&BlobKey::InboxItem(tenant, name.clone())).await {
                Ok(Some((content, etag))) => items.push(InboxItem { name, etag, content }),
                // Only the holder of the account's lease removes items, so someone removed this one by hand.
                Ok(None) => {}
                Err(StoreError::Unreadable { .. } | StoreError::Newer { .. }) => {
                    unreadable.push(name.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok((items, unreadable))
    }

    /// Corrects an item that was left after `now`, by a clock that was ahead. It is also written again: if it were as new at each
    /// reading, no cycle's work would come after it, and it would never be given up.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn correct(
        &self,
        tenant: TenantId,
        item: &mut InboxItem,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = BlobKey::InboxItem(tenant, item.name.clone());
        if !correct(&mut item.content, &key, now) {
            return Ok(());
        }
        match self.store.write(&key, &item.content, Condition::Match(item.etag.clone())).await {
            Ok(etag) => item.etag = etag,
            // It was left again meanwhile. Then it is a new item, for the next cycle.
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The names and versions of the items. Their content is not read.
    ///
    /// # Errors
    /// When the inbox cannot be listed.
    pub async fn list(&self, tenant: TenantId) -> Result<Vec<(String, ETag)>, StoreError> {
        self.store.list(Container::Control, &BlobKey::inbox(tenant)).await
    }

    /// Removes an item, unless it was left again since it was read. True when it is gone.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn remove(&self, tenant: TenantId, item: &InboxItem) -> Result<bool, StoreError> {
        self.store.remove(&BlobKey::InboxItem(tenant, item.name.clone()), &item.etag).await
    }
}
