//! The queue of a listener: a folder, or a queue of a storage account.

use super::azure_queue::{AzureMessage, AzureQueue};
use super::delivery::Delivery;
use super::folder_queue::{FolderQueue, Message};
use super::shared::Shared;
use crate::storage::rest::Rest;
use anyhow::Result;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) enum AnyQueue {
    Folder(FolderQueue),
    Azure(AzureQueue),
}

/// A message that was received, with its queue.
#[derive(Clone, Debug)]
pub(super) enum Held {
    Folder(FolderQueue, Message),
    Azure(AzureQueue, AzureMessage),
}

impl Shared {
    /// The queue of that name among this host's queues; `None` if the host has no queues.
    pub(super) fn queue(&self, name: &str, account: Option<&Arc<Rest>>) -> Option<AnyQueue> {
        match (account, &self.options.queue_dir) {
            (Some(rest), _) => Some(AnyQueue::Azure(AzureQueue::new(rest, name, self.config.queues.base64))),
            (None, Some(dir)) => Some(AnyQueue::Folder(FolderQueue::new(dir, name))),
            (None, None) => None,
        }
    }
}

impl AnyQueue {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Folder(queue) => queue.name(),
            Self::Azure(queue) => queue.name(),
        }
    }

    /// Takes up to `most` visible messages and hides them for `invisible`. Names of files that are not messages are added
    /// to `strange`.
    pub(super) async fn receive(
        &self,
        most: usize,
        invisible: Duration,
        strange: &mut BTreeSet<String>,
    ) -> Result<Vec<Held>> {
        Ok(match self {
            Self::Folder(queue) => {
                let messages = queue.receive(most, invisible, strange)?.into_iter();
                messages.map(|message| Held::Folder(queue.clone(), message)).collect()
            }
            Self::Azure(queue) => {
                let messages = queue.receive(most, invisible).await?.into_iter();
                messages.map(|message| Held::Azure(queue.clone(), message)).collect()
            }
        })
    }

    /// Adds a message that may be received at once.
    pub(super) async fn send(&self, text: &str) -> Result<()> {
        match self {
            Self::Folder(queue) => Ok(queue.send(text, Duration::ZERO).map(|_| ())?),
            Self::Azure(queue) => queue.send(text).await,
        }
    }
}

impl Held {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Folder(_, message) => &message.id,
            Self::Azure(_, message) => &message.id,
        }
    }

    pub(super) fn dequeue_count(&self) -> u32 {
        match self {
            Self::Folder(_, message) => message.dequeue_count,
            Self::Azure(_, message) => message.dequeue_count,
        }
    }

    /// The content that the function gets; an error if the text cannot be decoded.
    pub(super) fn delivery(&self) -> Result<Delivery> {
        match self {
            Self::Folder(_, message) => Ok(Delivery::from(message)),
            Self::Azure(queue, message) => queue.delivery(message),
        }
    }

    /// Changes when the message becomes visible; an error if the message is no longer ours.
    pub(super) async fn hide(&mut self, time: Duration) -> Result<()> {
        match self {
            Self::Folder(queue, message) => Ok(queue.hide(message, time)?),
            Self::Azure(queue, message) => queue.hide(message, time).await,
        }
    }

    pub(super) async fn finish(&self) -> Result<()> {
        match self {
            Self::Folder(queue, message) => Ok(queue.finish(message)?),
            Self::Azure(queue, message) => queue.finish(message).await,
        }
    }

    /// Copies the message to the poison queue, then removes it.
    pub(super) async fn poison(&self) -> Result<()> {
        match self {
            Self::Folder(queue, message) => Ok(queue.poison(message)?),
            Self::Azure(queue, message) => queue.poison(message).await,
        }
    }
}
