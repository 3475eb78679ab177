//! Queue invocations and the queue listener: at most `batchSize + newBatchThreshold` at a time, invisibility renewed
//! while the handler runs, poison at `maxDequeueCount`, and no invocation above it.

use super::envelope::{Metadata, Sys, body, encode_bytes, encode_text};
use super::folder_queue::{FolderQueue, Message};
use super::functions::{Function, Trigger};
use super::lines::Level;
use super::shared::Shared;
use super::text::stamp_seconds;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Azure Storage keeps a message for seven days unless told otherwise (Microsoft docs).
const TIME_TO_LIVE: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(super) fn queue_body(function: &Function, message: &Message, sys: &Sys) -> Bytes {
    let receipt = STANDARD.encode(format!("{}{}", message.visible_at_ms, message.dequeue_count));
    let visible = Timestamp::from_millisecond(message.visible_at_ms).unwrap_or(message.inserted);
    let id = uuid::Uuid::parse_str(&message.id).map_or_else(|_| message.id.clone(), |id| id.to_string());
    let mut metadata = Metadata::default();
    metadata.set("DequeueCount", json!(message.dequeue_count.to_string()));
    metadata.set("ExpirationTime", Value::String(stamp_seconds(message.inserted + TIME_TO_LIVE)));
    metadata.set("Id", encode_text(&id));
    metadata.set("InsertionTime", Value::String(stamp_seconds(message.inserted)));
    metadata.set("NextVisibleTime", Value::String(stamp_seconds(visible)));
    metadata.set("PopReceipt", encode_text(&receipt));
    metadata.sys(sys);
    let binary = matches!(function.trigger, Trigger::Queue { binary: true, .. });
    let data = if binary {
        encode_bytes(message.text.as_bytes())
    } else {
        metadata.promote(&message.text);
        encode_text(&message.text)
    };
    body(&function.binding, data, metadata)
}

impl Shared {
    /// Runs for as long as the host: one queue of one function.
    pub(super) async fn listen_to_queue(self: Arc<Self>, function: Function, queue: FolderQueue) {
        let settings = self.config.queues.clone();
        let poll = self.options.poll.min(settings.max_polling_interval);
        let function = Arc::new(function);
        let mut running = JoinSet::new();
        let mut reported = BTreeSet::new();
        loop {
            while running.try_join_next().is_some() {}
            if self.is_stopping() {
                break;
            }
            if running.len() <= settings.new_batch_threshold && self.is_running() {
                let mut strange = BTreeSet::new();
                let received = queue.receive(settings.batch_size, self.options.invisibility, &mut strange);
                for name in strange {
                    if reported.insert(name.clone()) {
                        self.record
                            .say(Level::Warning, format!("queue {}: '{name}' is no message", queue.name()));
                    }
                }
                match received {
                    Ok(messages) => {
                        for message in messages {
                            let (shared, function) = (Arc::clone(&self), Arc::clone(&function));
                            let queue = queue.clone();
                            running.spawn(async move { shared.serve(&function, &queue, message).await });
                        }
                    }
                    Err(error) => self.record.say(Level::Error, format!("queue {}: {error}", queue.name())),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(poll) => {}
                () = self.stop_begun() => {}
                // Serial queues go on at once when their message is done.
                Some(_) = running.join_next() => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn serve(self: &Arc<Self>, function: &Function, queue: &FolderQueue, mut message: Message) {
        let settings = &self.config.queues;
        // A poison queue has no poison queue of its own: its messages come back until their time to live ends.
        let can_poison = !queue.name().ends_with("-poison");
        if can_poison && message.dequeue_count > settings.max_dequeue_count {
            self.settle(queue, &message, queue.poison(&message));
            return;
        }
        let attempt = message.dequeue_count;
        let body = queue_body(function, &message, &Sys::now(&function.name));
        let invocation = self.invoke(function, body, attempt);
        tokio::pin!(invocation);
        let done = loop {
            tokio::select! {
                done = &mut invocation => break done,
                () = tokio::time::sleep(self.options.invisibility / 2) => {
                    if let Err(error) = queue.hide(&mut message, self.options.invisibility) {
                        self.record.say(Level::Error, format!("queue {}: renew {}: {error}", queue.name(), message.id));
                    }
                }
            }
        };
        let settled = if done.succeeded() {
            queue.finish(&message)
        } else if can_poison && message.dequeue_count >= settings.max_dequeue_count {
            queue.poison(&message)
        } else {
            queue.hide(&mut message, settings.visibility_timeout)
        };
        self.settle(queue, &message, settled);
    }

    fn settle(&self, queue: &FolderQueue, message: &Message, result: std::io::Result<()>) {
        if let Err(error) = result {
            self.record.say(Level::Error, format!("queue {}: message {}: {error}", queue.name(), message.id));
        }
    }
}
