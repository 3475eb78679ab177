//! Blobs as files below a folder.
//!
//! A write goes to a temporary file that is flushed and then renamed, and its folder is flushed, so a reader sees a blob whole,
//! also after a power failure. A removal is not flushed: what comes back is removed again. Conditional writes are made under
//! one lock file in each container, so that several processes can share a folder. A blob's version is its file's inode and
//! time of writing.

mod files;
mod new_blob;

pub use new_blob::NewFolderBlob;

use super::{Blob, BlobKey, Condition, Container, ETag, StoreError};
use crate::sdk::Refusal;
use bytes::Bytes;
use files::{HIDDEN, Temporary, entries, etag, flush_names_beside, holds, lock, read};
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
        blocking(move || {
            let attempt = || -> io::Result<Option<ETag>> {
                let mut temporary = Temporary::beside(&file)?;
                temporary.file.write_all(&bytes)?;
                temporary.flush()?;
                let lock = lock(&container)?;
                if !holds(&file, &condition)? {
                    return Ok(None);
                }
                let etag = temporary.stamp()?;
                temporary.rename(&file)?;
                // Other writers need not wait for the disk.
                drop(lock);
                flush_names_beside(&file)?;
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
                let mut found = Vec::new();
                for entry in entries(&folder)? {
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

    pub(super) async fn folders(&self, container: Container, below: &str) -> Result<Vec<String>, StoreError> {
        let (folder, path) = (self.container(container).join(below), below.to_owned());
        blocking(move || {
            let attempt = || -> io::Result<Vec<String>> {
                let mut found = Vec::new();
                for entry in entries(&folder)? {
                    if entry.file_type()?.is_dir() {
                        found.push(entry.file_name().to_string_lossy().into_owned());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantId;
    use uuid::Uuid;

    /// What was flushed below a folder, from there on: `.` is a temporary file.
    fn flushed(below: &std::path::Path) -> Vec<String> {
        let places = files::FLUSHED.lock().unwrap();
        let names = places.iter().filter_map(|place| place.strip_prefix(below).ok());
        let shown = |place: &std::path::Path| {
            let name = place.display().to_string();
            if name.contains("/.") { ".".to_owned() } else { name }
        };
        names.map(shown).collect()
    }

    #[tokio::test]
    async fn content_is_flushed_before_its_name_and_the_folder_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::new(folder.path());
        let tenant = TenantId::new(Uuid::from_u128(1));
        let key = BlobKey::State(tenant);
        let place = format!("control/tenant={tenant}");
        store.put(&key, Bytes::from_static(b"1"), Condition::New).await.unwrap();
        let first = flushed(folder.path());
        assert_eq!(first, ["", "control", ".", place.as_str()], "each new folder in the one above it");
        store.put(&key, Bytes::from_static(b"2"), Condition::Any).await.unwrap();
        assert_eq!(flushed(folder.path())[first.len()..], [".", place.as_str()]);
        store.put(&key, Bytes::from_static(b"3"), Condition::New).await.unwrap_err();
        assert_eq!(flushed(folder.path()).len(), first.len() + 3, "a write that lost has no name to flush");
    }

    #[tokio::test]
    async fn a_part_is_flushed_before_it_appears_and_its_folder_after_that() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::new(folder.path());
        let key = BlobKey::Manifest(
            TenantId::new(Uuid::from_u128(1)),
            "20261123T040500Z-00000001".parse().unwrap(),
        );
        let mut part = store.new_blob(key.clone()).await.unwrap();
        part.write(Bytes::from_static(b"1")).await.unwrap();
        let before = flushed(folder.path()).len();
        part.publish().await.unwrap();
        let place = format!("inventory/{}", key.path().trim_end_matches("/manifest.json"));
        assert_eq!(flushed(folder.path())[before..], [".", place.as_str()]);
    }
}
