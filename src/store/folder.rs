//! Blobs as files below a folder.
//!
//! A write goes to a temporary file that is renamed, so a reader sees a blob whole. Conditional writes are made under one
//! lock file for each container, so that several processes may share a folder. A blob's version is its file's inode and
//! time of writing.

use super::{Blob, BlobKey, Condition, Container, ETag, StoreError};
use bytes::Bytes;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The lock file and temporary files start so; no blob does.
const HIDDEN: &str = ".";

/// Blobs as files below a folder.
#[derive(Debug, Clone)]
pub struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    /// The store below `root`, which is made when it is first written to.
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
                    // What is published must outlive a power cut; what is only remembered may be a write behind.
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
                        // Removed while we looked.
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
        let (file, path, container) = (self.file(&key), key.path(), self.container(key.container()));
        blocking(move || match Temporary::beside(&file) {
            Ok(temporary) => Ok(NewFolderBlob { temporary: Some(temporary), file, path, container }),
            Err(error) => Err(failed("write", path, error)),
        })
        .await
    }

    fn container(&self, container: Container) -> PathBuf {
        self.root.join(container.as_str())
    }
}

/// A file in the making.
#[derive(Debug)]
pub struct NewFolderBlob {
    temporary: Option<Temporary>,
    file: PathBuf,
    path: String,
    container: PathBuf,
}

impl NewFolderBlob {
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let Some(mut temporary) = self.temporary.take() else {
            return Err(failed("write", self.path.clone(), io::Error::other("an earlier write failed")));
        };
        let path = self.path.clone();
        let temporary = blocking(move || match temporary.file.write_all(&bytes) {
            Ok(()) => Ok(temporary),
            Err(error) => Err(failed("write", path, error)),
        })
        .await?;
        self.temporary = Some(temporary);
        Ok(())
    }

    pub(super) async fn publish(self) -> Result<(), StoreError> {
        let Self { temporary, file, path, container } = self;
        blocking(move || {
            let attempt = || -> io::Result<bool> {
                let temporary = temporary.ok_or_else(|| io::Error::other("an earlier write failed"))?;
                temporary.file.sync_all()?;
                let _lock = lock(&container)?;
                let new = holds(&file, &Condition::New)?;
                if new {
                    temporary.stamp()?;
                    temporary.rename(&file)?;
                }
                Ok(new)
            };
            match attempt() {
                Ok(true) => Ok(()),
                Ok(false) => Err(StoreError::Conflict { path }),
                Err(error) => Err(failed("publish", path, error)),
            }
        })
        .await
    }
}

/// A file that removes itself unless it is renamed.
#[derive(Debug)]
struct Temporary {
    file: File,
    place: Option<PathBuf>,
}

impl Temporary {
    fn beside(file: &Path) -> io::Result<Self> {
        let folder = file.parent().ok_or_else(|| io::Error::other("a blob has a folder"))?;
        fs::create_dir_all(folder)?;
        let place = folder.join(format!("{HIDDEN}{}", Uuid::new_v4().simple()));
        Ok(Self { file: File::create_new(&place)?, place: Some(place) })
    }

    /// Gives the file its version. The kernel's own times are as coarse as its tick (4 ms), and an inode may come back
    /// within one, so the exact time is set.
    #[expect(clippy::disallowed_methods, reason = "it names a version and decides nothing")]
    fn stamp(&self) -> io::Result<ETag> {
        self.file.set_modified(std::time::SystemTime::now())?;
        Ok(etag(&self.file.metadata()?))
    }

    fn rename(mut self, to: &Path) -> io::Result<()> {
        match self.place.take() {
            Some(place) => fs::rename(&place, to).inspect_err(|_| self.place = Some(place)),
            None => Ok(()),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            // Best effort: a leftover is hidden and harmless.
            let _ = fs::remove_file(place);
        }
    }
}

fn read(file: &Path) -> io::Result<Blob> {
    let mut open = File::open(file)?;
    let etag = etag(&open.metadata()?);
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut open, &mut bytes)?;
    Ok(Blob { bytes: bytes.into(), etag })
}

fn etag(metadata: &fs::Metadata) -> ETag {
    ETag(format!(
        "{:x}-{:x}",
        metadata.ino(),
        i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
    ))
}

fn holds(file: &Path, condition: &Condition) -> io::Result<bool> {
    let current = match fs::metadata(file) {
        Ok(metadata) => Some(etag(&metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(match condition {
        Condition::Any => true,
        Condition::New => current.is_none(),
        Condition::Match(wanted) => current.as_ref() == Some(wanted),
    })
}

/// Held for a rename only, so nobody waits long.
fn lock(container: &Path) -> io::Result<File> {
    fs::create_dir_all(container)?;
    let file = File::options().create(true).append(true).open(container.join(".lock"))?;
    file.lock()?;
    Ok(file)
}

fn failed(doing: &'static str, path: String, source: io::Error) -> StoreError {
    if source.kind() == io::ErrorKind::PermissionDenied {
        StoreError::Forbidden { path, source }
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
