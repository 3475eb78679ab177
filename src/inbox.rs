//! The inbox: small blobs that triggers leave for the next cycle.
//!
//! Guarantees: an item with the same name replaces the one before, so duplicates fold; an item that changed since a cycle
//! read it is not removed; one that cannot be read is named and stays.

use crate::model::{
    Asked, Correction, CycleId, Dated, RequestId, SubscriptionId, SyncRequest, TenantId, elapsed,
};
use crate::retry::chance;
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, Container, ETag, ItemName, Store, StoreError, correct};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// An item that no cycle could settle is given up after this time, and the report says so. By then, what it points at is
/// either visible in the lists or will never be.
pub const ITEM_LASTS: Duration = Duration::from_hours(24);

/// Items that are read, written or removed at the same time. A blob takes some 10 ms, so 5,000 items take a few seconds; a
/// storage account serves [20,000 calls a second](https://learn.microsoft.com/azure/storage/common/scalability-targets-standard-account).
pub const AT_ONCE: usize = 32;

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
        match (&self.name, &self.content.asked) {
            (ItemName::Request(id), Some(asked)) => {
                Some(SyncRequest { id: id.clone(), at: self.content.left, asked: asked.clone() })
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

/// What a cycle took from an inbox.
#[derive(Debug)]
pub struct Taken {
    /// The names and versions of all that was there.
    pub listed: Vec<(String, ETag)>,
    pub items: Vec<InboxItem>,
    /// The names of the blobs that are no items, and why. They stay where they are.
    pub unreadable: Vec<(String, String)>,
    /// How many the time did not allow to read. They stay for the next cycles.
    pub not_read: usize,
}

/// What reading one blob of an inbox led to.
enum Blob {
    Item(InboxItem),
    Unreadable(String, String),
    Gone,
    /// The time was over.
    Late,
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

    /// Lists a tenant's inbox and reads its items, many at a time, until all are read or the time is over.
    ///
    /// # Errors
    /// When the inbox cannot be listed, or the storage cannot be read.
    pub async fn read(&self, tenant: TenantId, until: Instant) -> Result<Taken, StoreError> {
        // Listed before they are read: an item that arrives in between counts as new when the cycle ends.
        let listed = self.list(tenant).await?;
        let mut names: Vec<_> = listed.iter().map(|(name, _)| name.clone()).collect();
        // A storage that is too slow for all of them must not leave out the same ones each time.
        let start = chance() as usize % names.len().max(1);
        names.rotate_left(start);
        let reads = names.into_iter().map(|name| self.read_one(tenant, name, until));
        let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        let mut taken = Taken { listed, items: Vec::new(), unreadable: Vec::new(), not_read: 0 };
        while let Some(read) = reads.try_next().await? {
            match read {
                Blob::Item(item) => taken.items.push(item),
                Blob::Unreadable(name, why) => taken.unreadable.push((name, why)),
                Blob::Late => taken.not_read += 1,
                // Only the holder of the account's lease removes items, so someone removed this one by hand.
                Blob::Gone => {}
            }
        }
        drop(reads);
        taken.items.sort_by(|a, b| a.name.cmp(&b.name));
        taken.unreadable.sort();
        Ok(taken)
    }

    async fn read_one(&self, tenant: TenantId, text: String, until: Instant) -> Result<Blob, StoreError> {
        let Ok(name) = text.parse::<ItemName>() else {
            return Ok(Blob::Unreadable(text, "this program did not write it".into()));
        };
        if Instant::now() >= until {
            return Ok(Blob::Late);
        }
        let key = BlobKey::InboxItem(tenant, name.clone());
        let Ok(read) = timeout_at(until, self.store.read::<ItemContent>(&key)).await else {
            return Ok(Blob::Late);
        };
        Ok(match read {
            Ok(Some((ItemContent { asked: None, .. }, _))) if matches!(name, ItemName::Request(_)) => {
                Blob::Unreadable(text, "it does not say what the request asks for (`asked`)".into())
            }
            Ok(Some((content, etag))) => Blob::Item(InboxItem { name, etag, content }),
            Ok(None) => Blob::Gone,
            Err(StoreError::Unreadable { why, .. }) => Blob::Unreadable(text, why),
            Err(StoreError::Newer { found, known, .. }) => Blob::Unreadable(
                text,
                format!("it has schema version {found}, and this program knows {known}"),
            ),
            Err(error) => return Err(error),
        })
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
