//! The lease as a file lock.

use super::{Acquired, Holder, Lease};
use crate::store::StoreError;
use std::fs::{File, Metadata, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A process that only looks who the holder is holds the lock for an instant, so one failure to lock proves nothing.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// A locked file. Closing it frees the lock.
#[derive(Debug)]
pub struct FileLease {
    lock: File,
    path: PathBuf,
}

impl FileLease {
    pub(super) async fn acquire(path: PathBuf, holder: &Holder) -> Result<Acquired, StoreError> {
        for attempt in 1.. {
            match lock(&path)? {
                Some(mut lock) => {
                    write(&mut lock, holder).map_err(|source| failed("write", &path, source))?;
                    return Ok(Acquired::Ours(Lease::File(Self { lock, path })));
                }
                None if attempt < TRIES => tokio::time::sleep(BETWEEN_TRIES).await,
                None => break,
            }
        }
        Ok(Acquired::Held(read(&path)))
    }

    /// Frees the lock now and not only when the file is closed.
    pub(super) fn release(&self) {
        // A lock that cannot be freed now ends with the process.
        let _ = self.lock.unlock();
    }

    /// Whether the locked file is still the one at the path, which others would lock.
    pub(super) fn is_still_ours(&self) -> bool {
        let same = |held: &Metadata, there: &Metadata| (held.ino(), held.dev()) == (there.ino(), there.dev());
        match (self.lock.metadata(), std::fs::metadata(&self.path)) {
            (Ok(held), Ok(there)) => same(&held, &there),
            _ => false,
        }
    }
}

pub(super) fn holder(path: &Path) -> Result<Option<Holder>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    Ok(match lock(path)? {
        Some(_) => None,
        None => read(path),
    })
}

fn lock(path: &Path) -> Result<Option<File>, StoreError> {
    let open = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        File::options().create(true).read(true).write(true).truncate(false).open(path)
    };
    let file = open().map_err(|source| failed("open", path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed("lock", path, source)),
    }
}

fn write(file: &mut File, holder: &Holder) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&serde_json::to_vec(holder)?)
}

/// The holder; `None` while its name is half written.
fn read(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn failed(doing: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Unavailable { doing, path: path.display().to_string(), source }
}
