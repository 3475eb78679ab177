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
        create_folders(folder)?;
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

    /// Flushes the content to the disk, so that after a power failure no name leads to half a file.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.place.as_ref().map_or(Ok(()), |place| flush(&self.file, place))
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

/// Creates a folder and those above it. A new folder's name survives a power failure.
pub(super) fn create_folders(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        create_folders(above)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.and_then(|()| flush_names_beside(folder)),
    }
}

/// Flushes the folder that holds this file or folder: a rename survives a power failure only then.
pub(super) fn flush_names_beside(place: &Path) -> io::Result<()> {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    flush(&File::open(folder)?, folder)
}

fn flush(file: &File, place: &Path) -> io::Result<()> {
    #[cfg(test)]
    FLUSHED.lock().unwrap().push(place.to_owned());
    #[cfg(not(test))]
    let _ = place;
    file.sync_all()
}

/// What was flushed, in this order: a test cannot cut the power.
#[cfg(test)]
pub(super) static FLUSHED: std::sync::Mutex<Vec<PathBuf>> = std::sync::Mutex::new(Vec::new());

/// The entries of a folder; none of one that does not exist.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
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
    create_folders(container)?;
    let file = File::options().create(true).append(true).open(container.join(format!("{HIDDEN}lock")))?;
    file.lock()?;
    Ok(file)
}
