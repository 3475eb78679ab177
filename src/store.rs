//! Blobs: where everything that is remembered or published lives.
//!
//! [`Store`] is an `enum` over its two real implementations, a folder and an Azure storage account; both pass one
//! contract. Guarantees: a blob is seen whole or not at all; a conditional write happens only if its condition held at that
//! moment; a [`NewBlob`] that was not published leaves nothing that a reader sees.

mod azure;
mod error;
mod folder;
mod key;

pub use azure::{AzureStore, NewAzureBlob};
pub(crate) use azure::{Failure, call};
pub use error::StoreError;
pub use folder::{FolderStore, NewFolderBlob};
pub use key::{BlobKey, Container, ItemName};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

/// What a stored blob's version is called. Two writes never give the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ETag(pub String);

/// A blob as it was read.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its content.
    pub bytes: Bytes,
    /// Its version.
    pub etag: ETag,
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Any,
    /// The blob does not exist (`If-None-Match: *`).
    New,
    /// The blob is still this version (`If-Match`).
    Match(ETag),
}

impl Condition {
    /// The condition that what was read is still so.
    pub fn unchanged(read: Option<&ETag>) -> Self {
        read.map_or(Self::New, |etag| Self::Match(etag.clone()))
    }
}

/// The blobs.
#[derive(Debug, Clone)]
pub enum Store {
    /// Files below a folder.
    Folder(FolderStore),
    /// A storage account.
    Azure(AzureStore),
}

impl Store {
    /// The blob, or none if there is none.
    ///
    /// # Errors
    /// When the storage cannot be read; never for a blob that does not exist.
    pub async fn get(&self, key: &BlobKey) -> Result<Option<Blob>, StoreError> {
        match self {
            Self::Folder(folder) => folder.get(key).await,
            Self::Azure(azure) => azure.get(key).await,
        }
    }

    /// Writes a blob whole, if the condition holds.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the condition does not hold.
    pub async fn put(&self, key: &BlobKey, bytes: Bytes, condition: Condition) -> Result<ETag, StoreError> {
        match self {
            Self::Folder(folder) => folder.put(key, bytes, condition).await,
            Self::Azure(azure) => azure.put(key, bytes, condition).await,
        }
    }

    /// Removes a blob if it is still this version. True when it is gone afterwards.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn remove(&self, key: &BlobKey, etag: &ETag) -> Result<bool, StoreError> {
        match self {
            Self::Folder(folder) => folder.remove(key, etag).await,
            Self::Azure(azure) => azure.remove(key, etag).await,
        }
    }

    /// The names and versions of the blobs directly below a place, sorted.
    ///
    /// # Errors
    /// When the storage cannot be read whole: a listing is never shorter than the truth.
    pub async fn list(&self, container: Container, below: &str) -> Result<Vec<(String, ETag)>, StoreError> {
        match self {
            Self::Folder(folder) => folder.list(container, below).await,
            Self::Azure(azure) => azure.list(container, below).await,
        }
    }

    /// Begins a blob that is written piece by piece and appears only when it is published.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn new_blob(&self, key: BlobKey) -> Result<NewBlob, StoreError> {
        match self {
            Self::Folder(folder) => folder.new_blob(key).await.map(NewBlob::Folder),
            Self::Azure(azure) => Ok(NewBlob::Azure(azure.new_blob(key))),
        }
    }

    /// Reads a blob of ours, checking its schema version.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a newer version, [`StoreError::Unreadable`] for anything that is not ours.
    pub async fn read<T: DeserializeOwned>(&self, key: &BlobKey) -> Result<Option<(T, ETag)>, StoreError> {
        let Some(blob) = self.get(key).await? else { return Ok(None) };
        let value = decode(&blob.bytes, &key.path())?;
        Ok(Some((value, blob.etag)))
    }

    /// Reads a blob of ours that may be written over when it cannot be understood: what it says can be told anew.
    ///
    /// # Errors
    /// As [`Store::read`], but for [`StoreError::Unreadable`]: then there is no value, and the version to replace.
    pub async fn read_or_replace<T: DeserializeOwned>(
        &self,
        key: &BlobKey,
    ) -> Result<(Option<T>, Option<ETag>), StoreError> {
        let Some(blob) = self.get(key).await? else { return Ok((None, None)) };
        match decode(&blob.bytes, &key.path()) {
            Ok(value) => Ok((Some(value), Some(blob.etag))),
            Err(StoreError::Unreadable { path, why }) => {
                warn!(
                    path,
                    why, "`{path}` is not what it should be: {why}. It counts for nothing and is told anew"
                );
                Ok((None, Some(blob.etag)))
            }
            Err(error) => Err(error),
        }
    }

    /// As [`Store::read_or_replace`], for a summary: a newer program's is named, gives nothing, and may not be written over,
    /// which the second value says.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub async fn read_or_leave<T: DeserializeOwned>(
        &self,
        key: &BlobKey,
    ) -> Result<(Option<T>, bool), StoreError> {
        match self.read_or_replace(key).await {
            Ok((value, _)) => Ok((value, true)),
            Err(error @ StoreError::Newer { .. }) => {
                warn!("{error}");
                Ok((None, false))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn write(
        &self,
        key: &BlobKey,
        value: &(impl Serialize + Sync),
        condition: Condition,
    ) -> Result<ETag, StoreError> {
        self.put(key, encode(value, &key.path())?, condition).await
    }

    /// Changes a shared blob: reads it, lets `change` work on it, writes it if nobody was faster, and else tries again.
    ///
    /// # Errors
    /// As [`Store::read`] and [`Store::put`]; [`StoreError::Conflict`] after many lost races.
    pub async fn update<T, R>(
        &self,
        key: &BlobKey,
        mut change: impl FnMut(&mut T) -> R + Send,
    ) -> Result<R, StoreError>
    where
        T: DeserializeOwned + Serialize + Default + Send + Sync,
        R: Send,
    {
        /// Each lost race means that somebody else got through; twenty in a row do not happen with a handful of writers.
        const RACES: usize = 20;
        for _ in 0..RACES {
            let (mut value, etag) = match self.read::<T>(key).await? {
                Some((value, etag)) => (value, Some(etag)),
                None => (T::default(), None),
            };
            let result = change(&mut value);
            match self.write(key, &value, Condition::unchanged(etag.as_ref())).await {
                Ok(_) => return Ok(result),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict { path: key.path() })
    }
}

/// A blob in the making. Dropping it leaves nothing behind; only [`NewBlob::publish`] shows it.
#[derive(Debug)]
#[must_use = "a draft that is not published is thrown away"]
pub enum NewBlob {
    /// A temporary file.
    Folder(NewFolderBlob),
    /// Blocks that are not committed.
    Azure(NewAzureBlob),
}

impl NewBlob {
    /// Adds bytes.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        match self {
            Self::Folder(draft) => draft.write(bytes).await,
            Self::Azure(draft) => draft.write(bytes).await,
        }
    }

    /// Shows the blob, if there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one.
    pub async fn publish(self) -> Result<(), StoreError> {
        match self {
            Self::Folder(draft) => draft.publish().await,
            Self::Azure(draft) => draft.publish().await,
        }
    }
}

/// A value of ours from JSON, its schema version checked first.
///
/// # Errors
/// [`StoreError::Newer`], [`StoreError::Unreadable`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8], path: &str) -> Result<T, StoreError> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema_version: u64,
    }
    let unreadable = |error: serde_json::Error| StoreError::Unreadable {
        path: path.to_owned(),
        // The position, never the content: a blob may hold what somebody else put there.
        why: format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()),
    };
    // A parser that passes over what it does not know would not see it there.
    let text = std::str::from_utf8(bytes).map_err(|error| StoreError::Unreadable {
        path: path.to_owned(),
        why: format!("no UTF-8 at byte {}", error.valid_up_to()),
    })?;
    let Version { schema_version } = serde_json::from_str(text).map_err(unreadable)?;
    if schema_version > u64::from(crate::state::SCHEMA_VERSION) {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found: schema_version,
            known: crate::state::SCHEMA_VERSION,
        });
    }
    serde_json::from_str(text).map_err(unreadable)
}

fn encode(value: &(impl Serialize + Sync), path: &str) -> Result<Bytes, StoreError> {
    serde_json::to_vec_pretty(value)
        .map(Bytes::from)
        .map_err(|error| StoreError::Unreadable { path: path.to_owned(), why: error.to_string() })
}
