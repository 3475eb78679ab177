//! Files as blobs: temporary files, versions, conditions, and the lock of a container.

use crate::store::{Blob, Condition, ETag};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The names of the lock file and of temporary files start with this; no blob's name does.
pub(super) const HIDDEN: &str = ".";

/// A file that removes itself unless it is renamed.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) file: File,
    place: Option<PathBuf>,
}

impl Temporary {
    /// A new hidden file in the same folder.
    pub(super) fn beside(file: &Path) -> io::Result<Self> {
        let folder = file.parent().ok_or_else(|| io::Error::other("the path has no folder"))?;
        fs::create_dir_all(folder)?;
        let place = folder.join(format!("{HIDDEN}{}", Uuid::new_v4().simple()));
        Ok(Self { file: File::create_new(&place)?, place: Some(place) })
    }

    /// Sets the file's time, and so its version, exactly. The kernel's own times are as coarse as its tick (4 ms), and
    /// within one tick an inode may be used again.
    #[expect(clippy::disallowed_methods, reason = "it names a version; nothing is decided by it")]
    pub(super) fn stamp(&self) -> io::Result<ETag> {
        self.file.set_modified(std::time::SystemTime::now())?;
        Ok(etag(&self.file.metadata()?))
    }

    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        match self.place.take() {
            Some(place) => fs::rename(&place, to).inspect_err(|_| self.place = Some(place)),
            None => Ok(()),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            // Best effort: a file that stays is hidden and does no harm.
            let _ = fs::remove_file(place);
        }
    }
}

pub(super) fn read(file: &Path) -> io::Result<Blob> {
    let mut open = File::open(file)?;
    let etag = etag(&open.metadata()?);
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut open, &mut bytes)?;
    Ok(Blob { bytes: bytes.into(), etag })
}

/// A blob's version: its file's inode and time of writing.
pub(super) fn etag(metadata: &fs::Metadata) -> ETag {
    ETag(format!(
        "{:x}-{:x}",
        metadata.ino(),
        i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
    ))
}

/// Whether the condition of a write holds now.
pub(super) fn holds(file: &Path, condition: &Condition) -> io::Result<bool> {
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

/// The container's lock, until the file is dropped. It is held for one rename, so no writer waits long.
pub(super) fn lock(container: &Path) -> io::Result<File> {
    fs::create_dir_all(container)?;
    let file = File::options().create(true).append(true).open(container.join(format!("{HIDDEN}lock")))?;
    file.lock()?;
    Ok(file)
}
