//! Blobs: everything that outlives a cycle or is published.
//!
//! [`Store`] is an `enum` over its two real implementations, a folder and an Azure storage account; both pass one
//! contract. Guarantees: a blob is seen whole or not at all; a conditional write happens only if its condition holds at
//! that moment; a [`NewBlob`] that is not published leaves nothing that a reader sees.

mod azure;
mod error;
mod folder;
mod json;
mod key;

pub use azure::{AzureStore, NewAzureBlob};
pub(crate) use azure::{Failure, call};
pub use error::StoreError;
pub use folder::{FolderStore, NewFolderBlob};
pub use json::{Replaceable, Summary, correct, decode};
pub use key::{BlobKey, Container, ItemName};

use bytes::Bytes;

/// The version of a stored blob. No two writes have the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ETag(pub String);

/// A blob as it was read.
#[derive(Debug, Clone)]
pub struct Blob {
    pub bytes: Bytes,
    pub etag: ETag,
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Any,
    /// The blob does not exist (`If-None-Match: *`).
    New,
    /// The blob still has this version (`If-Match`).
    Match(ETag),
}

impl Condition {
    /// Nothing was written since a read that found this version, or no blob.
    pub fn unchanged(read: Option<&ETag>) -> Self {
        read.map_or(Self::New, |etag| Self::Match(etag.clone()))
    }
}

/// Where blobs are kept.
#[derive(Debug, Clone)]
pub enum Store {
    /// Files below a folder.
    Folder(FolderStore),
    /// A storage account.
    Azure(AzureStore),
}

impl Store {
    /// The blob, or `None` if it does not exist.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub async fn get(&self, key: &BlobKey) -> Result<Option<Blob>, StoreError> {
        match self {
            Self::Folder(folder) => folder.get(key).await,
            Self::Azure(azure) => azure.get(key).await,
        }
    }

    /// Writes a whole blob, if the condition holds.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the condition does not hold.
    pub async fn put(&self, key: &BlobKey, bytes: Bytes, condition: Condition) -> Result<ETag, StoreError> {
        match self {
            Self::Folder(folder) => folder.put(key, bytes, condition).await,
            Self::Azure(azure) => azure.put(key, bytes, condition).await,
        }
    }

    /// Removes a blob if it still has this version. True when there is no such blob afterwards.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn remove(&self, key: &BlobKey, etag: &ETag) -> Result<bool, StoreError> {
        match self {
            Self::Folder(folder) => folder.remove(key, etag).await,
            Self::Azure(azure) => azure.remove(key, etag).await,
        }
    }

    /// The names and versions of the blobs directly below a path, sorted.
    ///
    /// # Errors
    /// When the listing cannot be read to its end: one that is returned is complete.
    pub async fn list(&self, container: Container, below: &str) -> Result<Vec<(String, ETag)>, StoreError> {
        match self {
            Self::Folder(folder) => folder.list(container, below).await,
            Self::Azure(azure) => azure.list(container, below).await,
        }
    }

    /// The names of the folders directly below a path that hold a blob at any depth, sorted.
    ///
    /// # Errors
    /// When the listing cannot be read to its end: one that is returned is complete.
    pub async fn folders(&self, container: Container, below: &str) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Folder(folder) => folder.folders(container, below).await,
            Self::Azure(azure) => azure.folders(container, below).await,
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
}

/// A blob that is being written. Only [`NewBlob::publish`] makes it appear; dropping it leaves nothing behind.
#[derive(Debug)]
#[must_use = "a blob that is not published is discarded"]
pub enum NewBlob {
    /// A temporary file.
    Folder(NewFolderBlob),
    /// Blocks that are not committed.
    Azure(NewAzureBlob),
}

impl NewBlob {
    /// Appends bytes.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        match self {
            Self::Folder(blob) => blob.write(bytes).await,
            Self::Azure(blob) => blob.write(bytes).await,
        }
    }

    /// Makes the blob appear, if there is none of its name.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one.
    pub async fn publish(self) -> Result<(), StoreError> {
        match self {
            Self::Folder(blob) => blob.publish().await,
            Self::Azure(blob) => blob.publish().await,
        }
    }
}
