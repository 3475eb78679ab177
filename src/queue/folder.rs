//! The queue as files: `<root>/cycles/<visible from, ms>_<id>_<times taken>.msg`, with the message as content.
//!
//! Taking a message renames its file to the time at which it comes back: of several takers only one succeeds, and a taker
//! that is killed loses nothing.

use super::{NAME, QueueError, Receipt, Received, WakeUp};
use crate::model::after;
use jiff::Timestamp;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// The queue below a root folder.
#[derive(Debug, Clone)]
pub struct FolderQueue {
    root: PathBuf,
}

impl FolderQueue {
    /// The queue below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn folder(&self) -> PathBuf {
        self.root.join(NAME)
    }

    pub(super) async fn send(
        &self,
        wake_up: &WakeUp,
        wait: Duration,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        let folder = self.folder();
        let failed = |source| QueueError { doing: "write to", place: folder.display().to_string(), source };
        let text = serde_json::to_vec(wake_up).map_err(|error| failed(error.into()))?;
        let id = Uuid::new_v4().simple();
        let temporary = folder.join(format!(".{id}"));
        let message = folder.join(name(after(now, wait), &id.to_string(), 0));
        let write = async {
            tokio::fs::create_dir_all(&folder).await?;
            tokio::fs::write(&temporary, text).await?;
            // Flushed before and after it has its name, so that a power failure leaves a whole message or none.
            flush(&temporary).await?;
            tokio::fs::rename(&temporary, &message).await?;
            flush(&folder).await
        };
        write.await.map_err(failed)
    }

    pub(super) fn take(&self, hidden: Duration, now: Timestamp) -> Result<Option<Received>, QueueError> {
        let folder = self.folder();
        let failed = |source| QueueError { doing: "read", place: folder.display().to_string(), source };
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // A name that is not UTF-8 is not a message's.
            names.extend(entry.map_err(failed)?.file_name().into_string().ok());
        }
        names.sort();
        for old in names {
            let Some((visible, id, count)) = parse(&old) else { continue };
            if visible > now.as_millisecond() {
                continue;
            }
            let place = folder.join(name(after(now, hidden), &id, count + 1));
            match std::fs::rename(folder.join(&old), &place) {
                Ok(()) => {
                    // A file may hold anything. Whether it is a wake-up is decided where the text is parsed.
                    let bytes = std::fs::read(&place).map_err(failed)?;
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    return Ok(Some(Received { text, receipt: Receipt::Folder(place) }));
                }
                // Another process took it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(None)
    }

    pub(super) fn check(&self) -> Result<(), QueueError> {
        let folder = self.folder();
        let looked = std::fs::create_dir_all(&folder).and_then(|()| std::fs::read_dir(&folder));
        let failed = |source| QueueError { doing: "read", place: folder.display().to_string(), source };
        looked.map(|_| ()).map_err(failed)
    }

    pub(super) fn finish(&self, place: &Path) -> Result<(), QueueError> {
        remove(place).map_err(|source| QueueError {
            doing: "remove from",
            place: self.folder().display().to_string(),
            source,
        })
    }
}

/// Flushes a file, or the names in a folder, to the disk.
async fn flush(place: &Path) -> io::Result<()> {
    tokio::fs::File::open(place).await?.sync_all().await
}

fn remove(place: &Path) -> io::Result<()> {
    match std::fs::remove_file(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn name(visible: Timestamp, id: &str, count: u32) -> String {
    format!("{:013}_{id}_{count}.msg", visible.as_millisecond().max(0))
}

fn parse(name: &str) -> Option<(i64, String, u32)> {
    let mut parts = name.strip_suffix(".msg")?.split('_');
    let visible = parts.next()?.parse().ok()?;
    let id = parts.next()?.to_owned();
    let count = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((visible, id, count))
}
