//! Wake-ups: queue messages that say "a cycle for this tenant", and the one booking of each tenant.
//!
//! [`Queue`] is an `enum` over its two real implementations, a folder and an Azure storage account; both pass one
//! contract.

mod azure;
mod booking;

pub use azure::AzureQueue;
pub use booking::{Booked, Booking, Start, WakeUpError, WakeUps};

use crate::model::{TenantId, after};
use azure::AzureMessage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// The queue's name, as the `cycle` function's binding has it.
pub(crate) const NAME: &str = "cycles";

/// How long a message that was taken stays hidden: `visibilityTimeout` in `host.json`. Longer than the longest lease (60 s), so
/// that the message of a killed cycle comes back when the account is free again.
pub const REDELIVERY: Duration = Duration::from_secs(90);
/// The longest pause between two looks of the host at the queue: `maxPollingInterval` in `host.json`.
pub const LONGEST_POLL: Duration = Duration::from_secs(30);

/// A wake-up on the wire: it carries only a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeUp {
    /// Whose cycle is due.
    pub tenant: TenantId,
}

/// Why a wake-up could not be sent or taken.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} the queue {place}")]
pub struct QueueError {
    doing: &'static str,
    place: String,
    #[source]
    source: io::Error,
}

/// The queue.
#[derive(Debug, Clone)]
pub enum Queue {
    /// Files in a folder.
    Folder(FolderQueue),
    /// A queue in a storage account.
    Azure(AzureQueue),
}

/// A message that was taken, and comes back unless it is finished.
#[derive(Debug)]
pub struct Received {
    /// What it says.
    pub text: String,
    receipt: Receipt,
}

#[derive(Debug)]
enum Receipt {
    Folder(PathBuf),
    Azure(AzureMessage),
}

impl Queue {
    /// Sends a wake-up that becomes visible after `wait`.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub async fn send(&self, tenant: TenantId, wait: Duration, now: Timestamp) -> Result<(), QueueError> {
        match self {
            Self::Folder(folder) => folder.send(tenant, wait, now).await,
            Self::Azure(azure) => azure.send(tenant, wait).await.map_err(failed("write to")),
        }
    }

    /// Takes the next message that is due; it comes back after `hidden` unless it is finished.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn take(&self, hidden: Duration, now: Timestamp) -> Result<Option<Received>, QueueError> {
        match self {
            Self::Folder(folder) => folder.take(hidden, now),
            Self::Azure(azure) => {
                let message = azure.take(hidden).await.map_err(failed("read"))?;
                Ok(message
                    .map(|message| Received { text: message.text.clone(), receipt: Receipt::Azure(message) }))
            }
        }
    }

    /// Whether the queue is there and can be read; no message is taken. A folder that is not there is made, as sending does.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn look(&self) -> Result<(), QueueError> {
        match self {
            Self::Folder(folder) => folder.look(),
            Self::Azure(azure) => azure.look().await.map_err(failed("read")),
        }
    }

    /// Removes a message that was served.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn finish(&self, taken: Received) -> Result<(), QueueError> {
        match (self, taken.receipt) {
            (Self::Folder(folder), Receipt::Folder(place)) => folder.finish(&place),
            (Self::Azure(azure), Receipt::Azure(message)) => {
                azure.finish(&message).await.map_err(failed("remove from"))
            }
            // A message of another queue: there is nothing of it here.
            (Self::Folder(_) | Self::Azure(_), _) => Ok(()),
        }
    }
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> QueueError {
    move |source| QueueError { doing, place: NAME.to_owned(), source }
}

/// A queue of files: `<folder>/cycles/<visible from, ms>_<id>_<times taken>.msg`, the content being the message.
///
/// Taking a message renames it to when it would come back, so that of several takers one wins and a killed one loses
/// nothing.
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

    async fn send(&self, tenant: TenantId, wait: Duration, now: Timestamp) -> Result<(), QueueError> {
        let folder = self.folder();
        let failed = |source| QueueError { doing: "write to", place: folder.display().to_string(), source };
        let text = serde_json::to_vec(&WakeUp { tenant }).map_err(|error| failed(error.into()))?;
        let id = Uuid::new_v4().simple();
        let temporary = folder.join(format!(".{id}"));
        let message = folder.join(name(after(now, wait), &id.to_string(), 0));
        let write = async {
            tokio::fs::create_dir_all(&folder).await?;
            tokio::fs::write(&temporary, text).await?;
            tokio::fs::rename(&temporary, &message).await
        };
        write.await.map_err(failed)
    }

    fn take(&self, hidden: Duration, now: Timestamp) -> Result<Option<Received>, QueueError> {
        let folder = self.folder();
        let failed = |source| QueueError { doing: "read", place: folder.display().to_string(), source };
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(failed)?,
        };
        let mut names: Vec<String> = entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        for old in names {
            let Some((visible, id, count)) = parse(&old) else { continue };
            if visible > now.as_millisecond() {
                continue;
            }
            let place = folder.join(name(after(now, hidden), &id, count + 1));
            match std::fs::rename(folder.join(&old), &place) {
                Ok(()) => {
                    // Whatever it holds: what is no wake-up is told so by its content.
                    let bytes = std::fs::read(&place).map_err(failed)?;
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    return Ok(Some(Received { text, receipt: Receipt::Folder(place) }));
                }
                // Somebody else took it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(None)
    }

    fn look(&self) -> Result<(), QueueError> {
        let folder = self.folder();
        let looked = std::fs::create_dir_all(&folder).and_then(|()| std::fs::read_dir(&folder));
        let failed = |source| QueueError { doing: "read", place: folder.display().to_string(), source };
        looked.map(|_| ()).map_err(failed)
    }

    fn finish(&self, place: &Path) -> Result<(), QueueError> {
        remove(place).map_err(|source| QueueError {
            doing: "remove from",
            place: self.folder().display().to_string(),
            source,
        })
    }
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
