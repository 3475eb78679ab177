//! A blob that is written piece by piece into a temporary file and appears when it is published.

use super::files::{Temporary, flush_names_beside, holds, lock};
use super::{FolderStore, blocking, failed};
use crate::store::{BlobKey, Condition, StoreError};
use bytes::Bytes;
use std::io::{self, Write};
use std::path::PathBuf;

/// A temporary file that becomes the blob when it is published.
#[derive(Debug)]
pub struct NewFolderBlob {
    /// None after a failed write.
    temporary: Option<Temporary>,
    file: PathBuf,
    path: String,
    container: PathBuf,
}

impl NewFolderBlob {
    pub(super) async fn begin(folder: &FolderStore, key: &BlobKey) -> Result<Self, StoreError> {
        let (file, path, container) = (folder.file(key), key.path(), folder.container(key.container()));
        blocking(move || match Temporary::beside(&file) {
            Ok(temporary) => Ok(Self { temporary: Some(temporary), file, path, container }),
            Err(error) => Err(failed("write", path, error)),
        })
        .await
    }

    pub(in crate::store) async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
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

    pub(in crate::store) async fn publish(self) -> Result<(), StoreError> {
        let Self { temporary, file, path, container } = self;
        blocking(move || {
            let attempt = || -> io::Result<bool> {
                let temporary = temporary.ok_or_else(|| io::Error::other("an earlier write failed"))?;
                temporary.flush()?;
                let lock = lock(&container)?;
                let new = holds(&file, &Condition::New)?;
                if new {
                    temporary.stamp()?;
                    temporary.rename(&file)?;
                    drop(lock);
                    flush_names_beside(&file)?;
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
