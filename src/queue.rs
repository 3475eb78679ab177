//! Wake-ups: queue messages that say "a cycle for this tenant", and the one booking of each tenant.
//!
//! [`Queue`] is an `enum` over its two real implementations, a folder and an Azure storage account; both pass one
//! contract.

mod azure;
mod booking;
mod folder;
mod wake_ups;

pub use azure::AzureQueue;
pub use booking::{Arrival, Booked, Booking, Start};
pub use folder::FolderQueue;
pub use wake_ups::{WakeUpError, WakeUps};

use crate::model::TenantId;
use azure::AzureMessage;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The queue's name; the binding of the function `cycle` has the same.
pub(crate) const NAME: &str = "cycles";

/// How long a message that was taken stays hidden: `visibilityTimeout` in `host.json`. Longer than the longest lease (60 s), so
/// that the message of a killed cycle comes back when the account is free again.
pub const REDELIVERY: Duration = Duration::from_secs(90);
/// The longest pause between two looks of the host at the queue: `maxPollingInterval` in `host.json`.
pub const LONGEST_POLL: Duration = Duration::from_secs(30);

/// A wake-up on the wire: a tenant and a time, nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeUp {
    /// Whose cycle is due.
    pub tenant: TenantId,
    /// When it was booked for. It tells this message from others: only the booked one counts. An older program's message has
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

/// A message that is not a wake-up. It does not repeat the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message that is not a wake-up")]
pub struct NotAWakeUp;

impl WakeUp {
    /// Reads a message of the queue.
    ///
    /// # Errors
    /// When it is not a wake-up.
    pub fn parse(text: &str) -> Result<Self, NotAWakeUp> {
        serde_json::from_str(text).map_err(|_| NotAWakeUp)
    }
}

/// Why a wake-up could not be sent, taken or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} the queue {place}")]
pub struct QueueError {
    doing: &'static str,
    place: String,
    #[source]
    source: io::Error,
}

/// Where wake-ups wait.
#[derive(Debug, Clone)]
pub enum Queue {
    /// Files in a folder.
    Folder(FolderQueue),
    /// A queue in a storage account.
    Azure(AzureQueue),
}

/// A message that was taken. It comes back unless it is finished.
#[derive(Debug)]
pub struct Received {
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
    pub async fn send(&self, wake_up: &WakeUp, wait: Duration, now: Timestamp) -> Result<(), QueueError> {
        match self {
            Self::Folder(folder) => folder.send(wake_up, wait, now).await,
            Self::Azure(azure) => azure.send(wake_up, wait).await.map_err(failed("write to")),
        }
    }

    /// Takes a message that is due, if there is one. It comes back after `hidden` unless it is finished.
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

    /// Checks that the queue exists and can be read, without taking a message. A missing folder is created, as by sending.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn check(&self) -> Result<(), QueueError> {
        match self {
            Self::Folder(folder) => folder.check(),
            Self::Azure(azure) => azure.check().await.map_err(failed("read")),
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
            // A message from the other kind of queue: it is not in this one.
            (Self::Folder(_) | Self::Azure(_), _) => Ok(()),
        }
    }
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> QueueError {
    move |source| QueueError { doing, place: NAME.to_owned(), source }
}
