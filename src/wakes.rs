//! What a trigger leaves: a note (a blob that says where to look first) and a bell (a queue message: "a cycle soon").
//!
//! Guarantees: the note is written before the bell is rung, so a lost bell loses no note; duplicates fold; a tenant has
//! one future bell, whose time is saved before it is sent.

mod azure;
mod bell;
mod queue;

pub use azure::AzureQueue;
pub use bell::{Bell, Rung, Start};
pub use queue::{FolderQueue, Message, Queue, QueueError, Taken};

use crate::model::{Asked, RequestId, SubscriptionId, SyncRequest, TenantId, elapsed};
use crate::state::SCHEMA_VERSION;
use crate::store::{BlobKey, Condition, Container, ETag, NoteName, Store, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A note that no cycle could settle is given up after so long, and that is said: what it stands for is either visible by
/// now, or never will be.
pub const NOTE_LASTS: Duration = Duration::from_hours(24);

/// A note, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Note {
    /// The version of this shape.
    pub schema_version: u32,
    /// When it was left.
    #[cfg_attr(test, schemars(with = "String"))]
    pub left: Timestamp,
    /// What left it: a function's name, and the event's type where there is one.
    pub by: String,
    /// What a request asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

impl Note {
    /// A note left now.
    pub fn new(left: Timestamp, by: impl Into<String>) -> Self {
        Self { schema_version: SCHEMA_VERSION, left, by: by.into(), asked: None }
    }
}

/// A note as a cycle found it.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name.
    pub name: NoteName,
    /// Its version: a note that changed since is a new one.
    pub etag: ETag,
    /// Its content.
    pub note: Note,
}

impl Found {
    /// Whether it has waited too long.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        elapsed(now, self.note.left) >= NOTE_LASTS
    }

    /// The subscription it is about.
    pub fn subscription(&self) -> Option<SubscriptionId> {
        match self.name {
            NoteName::Subscription(id) => Some(id),
            _ => None,
        }
    }

    /// The request it holds.
    pub fn request(&self) -> Option<SyncRequest> {
        match &self.name {
            NoteName::Request(id) => {
                let asked = self.note.asked.clone().unwrap_or_default();
                Some(SyncRequest { id: id.clone(), at: self.note.left, asked })
            }
            _ => None,
        }
    }
}

/// Why a wake could not be left.
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    /// The note or the bell's time could not be written.
    #[error("the note could not be left")]
    Store(#[from] StoreError),
    /// The bell could not be sent. The note lies, and the next bell finds it.
    #[error("the bell could not be sent")]
    Queue(#[from] QueueError),
}

/// Where notes lie and bells ring.
#[derive(Debug, Clone)]
pub struct Wakes {
    store: Store,
    queue: Queue,
    gap: Duration,
}

impl Wakes {
    /// Notes in `store`, bells in `queue`; cycles of a tenant begin at least `gap` apart.
    pub fn new(store: Store, queue: Queue, gap: Duration) -> Self {
        Self { store, queue, gap }
    }

    /// Leaves a note and rings.
    ///
    /// # Errors
    /// When the note cannot be written, or the bell not sent.
    pub async fn leave(
        &self,
        tenant: TenantId,
        name: NoteName,
        note: &Note,
        now: Timestamp,
    ) -> Result<Rung, WakeError> {
        self.store.write(&BlobKey::Note(tenant, name), note, Condition::Any).await?;
        self.ring(tenant, now, now).await
    }

    /// Leaves somebody's request: first the page on which its fate is told, then the note, then the bell.
    ///
    /// # Errors
    /// As [`Wakes::leave`].
    pub async fn request(
        &self,
        tenant: TenantId,
        id: &RequestId,
        asked: &Asked,
        by: &str,
        now: Timestamp,
    ) -> Result<Rung, WakeError> {
        let fate = Fate {
            schema_version: SCHEMA_VERSION,
            left: now,
            asked: asked.clone(),
            cycles: Vec::new(),
            settled: None,
        };
        self.store.write(&BlobKey::Request(tenant, id.clone()), &fate, Condition::New).await?;
        let note = Note { asked: Some(asked.clone()), ..Note::new(now, by) };
        self.leave(tenant, NoteName::Request(id.clone()), &note, now).await
    }

    /// The notes of a tenant. One that cannot be read is named apart, and stays where it is.
    ///
    /// # Errors
    /// When the notes cannot be listed.
    pub async fn notes(&self, tenant: TenantId) -> Result<(Vec<Found>, Vec<String>), StoreError> {
        let (mut found, mut unreadable) = (Vec::new(), Vec::new());
        for (name, _) in self.store.list(Container::Control, &BlobKey::notes(tenant)).await? {
            let Ok(name) = name.parse::<NoteName>() else {
                unreadable.push(name);
                continue;
            };
            match self.store.read::<Note>(&BlobKey::Note(tenant, name.clone())).await {
                Ok(Some((note, etag))) => found.push(Found { name, etag, note }),
                // Settled by nobody else: only the holder of the lease removes notes. Removed by hand, then.
                Ok(None) => {}
                Err(StoreError::Unreadable { .. } | StoreError::Newer { .. }) => {
                    unreadable.push(name.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok((found, unreadable))
    }

    /// The names and versions of the notes, without reading them.
    ///
    /// # Errors
    /// When the notes cannot be listed.
    pub async fn listed(&self, tenant: TenantId) -> Result<Vec<(String, ETag)>, StoreError> {
        self.store.list(Container::Control, &BlobKey::notes(tenant)).await
    }

    /// Removes a settled note, unless it was left anew meanwhile.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn settle(&self, tenant: TenantId, found: &Found) -> Result<bool, StoreError> {
        self.store.remove(&BlobKey::Note(tenant, found.name.clone()), &found.etag).await
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }
}

/// What became of a request: `requests/<id>.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fate {
    /// The version of this shape.
    pub schema_version: u32,
    /// When it was made.
    #[cfg_attr(test, schemars(with = "String"))]
    pub left: Timestamp,
    /// What it asks for.
    pub asked: Asked,
    /// The cycles that took it, in order; each adds itself before it observes.
    pub cycles: Vec<crate::model::CycleId>,
    /// How it was settled; none: it is not yet.
    pub settled: Option<String>,
}
