//! Blobs as files below a folder.
//!
//! A write goes to a temporary file that is then renamed, so a reader sees a blob whole. Conditional writes are made under
//! one lock file in each container, so that several processes can share a folder. A blob's version is its file's inode and
//! time of writing.

mod files;
mod new_blob;

pub use new_blob::NewFolderBlob;

use super::{Blob, BlobKey, Condition, Container, ETag, StoreError};
use crate::sdk::Refusal;
use bytes::Bytes;
use files::{HIDDEN, Temporary, etag, holds, lock, read};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// Blobs as files below a folder.
#[derive(Debug, Clone)]
pub struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    /// The store below `root`, a folder that the first write creates.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a blob's file is.
    pub fn file(&self, key: &BlobKey) -> PathBuf {
        self.root.join(key.container().as_str()).join(key.path())
    }

    pub(super) async fn get(&self, key: &BlobKey) -> Result<Option<Blob>, StoreError> {
        let (file, path) = (self.file(key), key.path());
        blocking(move || match read(&file) {
            Ok(blob) => Ok(Some(blob)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", path, error)),
        })
        .await
    }

    pub(super) async fn put(
        &self,
        key: &BlobKey,
        bytes: Bytes,
        condition: Condition,
    ) -> Result<ETag, StoreError> {
        let (file, path, container) = (self.file(key), key.path(), self.container(key.container()));
        let durable = key.container() == Container::Inventory;
        blocking(move || {
            let attempt = || -> io::Result<Option<ETag>> {
                let mut temporary = Temporary::beside(&file)?;
                temporary.file.write_all(&bytes)?;
                if durable {
                    // What is published must survive a power failure; state may be one write behind.
                    temporary.file.sync_all()?;
                }
                let _lock = lock(&container)?;
                if !holds(&file, &condition)? {
                    return Ok(None);
                }
                let etag = temporary.stamp()?;
                temporary.rename(&file)?;
                Ok(Some(etag))
            };
            match attempt() {
                Ok(Some(etag)) => Ok(etag),
                Ok(None) => Err(StoreError::Conflict { path }),
                Err(error) => Err(failed("write", path, error)),
            }
        })
        .await
    }

    pub(super) async fn remove(&self, key: &BlobKey, etag: &ETag) -> Result<bool, StoreError> {
        let (file, path, container) = (self.file(key), key.path(), self.container(key.container()));
        let condition = Condition::Match(etag.clone());
        blocking(move || {
            let attempt = || -> io::Result<bool> {
                let _lock = lock(&container)?;
                if holds(&file, &condition)? {
                    fs::remove_file(&file)?;
                    return Ok(true);
                }
                Ok(!file.try_exists()?)
            };
            attempt().map_err(|error| failed("remove", path, error))
        })
        .await
    }

    pub(super) async fn list(
        &self,
        container: Container,
        below: &str,
    ) -> Result<Vec<(String, ETag)>, StoreError> {
        let (folder, path) = (self.container(container).join(below), below.to_owned());
        blocking(move || {
            let attempt = || -> io::Result<Vec<(String, ETag)>> {
                let entries = match fs::read_dir(&folder) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                    entries => entries?,
                };
                let mut found = Vec::new();
                for entry in entries {
                    let entry = entry?;
                    let name = entry.file_name().to_string_lossy().into_owned();
                    match entry.metadata() {
                        Ok(metadata) if metadata.is_file() && !name.starts_with(HIDDEN) => {
                            found.push((name, etag(&metadata)));
                        }
                        Ok(_) => {}
                        // Removed since the folder was read.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
                found.sort();
                Ok(found)
            };
            attempt().map_err(|error| failed("list", path, error))
        })
        .await
    }

    pub(super) async fn new_blob(&self, key: BlobKey) -> Result<NewFolderBlob, StoreError> {
        NewFolderBlob::begin(self, &key).await
    }

    fn container(&self, container: Container) -> PathBuf {
        self.root.join(container.as_str())
    }
}

fn failed(doing: &'static str, path: String, source: io::Error) -> StoreError {
    if source.kind() == io::ErrorKind::PermissionDenied {
        StoreError::Forbidden { path, cause: source.to_string(), refusal: Refusal::Process }
    } else {
        StoreError::Unavailable { doing, path, source }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(failed("work on", "folder".into(), io::Error::other(error))),
    }
}
