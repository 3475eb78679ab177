//! Queue invocations and the queue listener: at most `batchSize + newBatchThreshold` at a time; a message stays invisible
//! while the handler runs; at `maxDequeueCount` it becomes poison, and above that there is no invocation.

use super::any_queue::{AnyQueue, Held};
use super::delivery::Delivery;
use super::envelope::{Metadata, Sys, body, encode_bytes, encode_text};
use super::functions::{Function, Trigger};
use super::lines::Level;
use super::shared::Shared;
use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub(super) fn queue_body(function: &Function, delivery: &Delivery, sys: &Sys) -> Bytes {
    let mut metadata = Metadata::default();
    metadata.set("DequeueCount", json!(delivery.dequeue_count.to_string()));
    metadata.set("ExpirationTime", Value::String(delivery.expires.clone()));
    metadata.set("Id", encode_text(&delivery.id));
    metadata.set("InsertionTime", Value::String(delivery.inserted.clone()));
    metadata.set("NextVisibleTime", Value::String(delivery.visible.clone()));
    metadata.set("PopReceipt", encode_text(&delivery.receipt));
    metadata.sys(sys);
    let binary = matches!(function.trigger, Trigger::Queue { binary: true, .. });
    let data = if binary {
        encode_bytes(&delivery.content)
    } else {
        let text = String::from_utf8_lossy(&delivery.content);
        metadata.promote(&text);
        encode_text(&text)
    };
    body(&function.binding, data, metadata)
}

impl Shared {
    /// Listens to one queue for one function, for as long as the host runs.
    pub(super) async fn listen_to_queue(self: Arc<Self>, function: Function, queue: AnyQueue) {
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
                let received =
                    queue.receive(settings.batch_size, self.options.invisibility, &mut strange).await;
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
                    Err(error) => self.record.say(Level::Error, format!("queue {}: {error:#}", queue.name())),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(poll) => {}
                () = self.stop_begun() => {}
                // A serial queue goes on as soon as its message is done.
                Some(_) = running.join_next() => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn serve(self: &Arc<Self>, function: &Function, queue: &AnyQueue, mut message: Held) {
        let settings = &self.config.queues;
        // A poison queue has no poison queue: its messages come back until their time to live ends.
        let can_poison = !queue.name().ends_with("-poison");
        let attempt = message.dequeue_count();
        let too_often = attempt > settings.max_dequeue_count;
        let delivery = match message.delivery() {
            Ok(delivery) if !(can_poison && too_often) => delivery,
            outcome => {
                if let Err(error) = outcome {
                    let text = format!("queue {}: message {}: {error:#}", queue.name(), message.id());
                    self.record.say(Level::Warning, text);
                }
                // There is no invocation.
                let settled = if can_poison {
                    message.poison().await
                } else {
                    message.hide(settings.visibility_timeout).await
                };
                self.settle(queue, &message, settled);
                return;
            }
        };
        let body = queue_body(function, &delivery, &Sys::now(&function.name));
        let ended = Notify::new();
        let run = async {
            let done = self.invoke(function, body, attempt).await;
            ended.notify_one();
            done
        };
        // Waits for a renewal that has begun: without its receipt the message could not be removed.
        let renew = async {
            loop {
                tokio::select! {
                    () = ended.notified() => break,
                    () = tokio::time::sleep(self.options.invisibility / 2) => {}
                }
                if let Err(error) = message.hide(self.options.invisibility).await {
                    let text = format!("queue {}: renew {}: {error:#}", queue.name(), message.id());
                    self.record.say(Level::Error, text);
                }
            }
        };
        let (done, ()) = tokio::join!(run, renew);
        let settled = if done.succeeded() {
            message.finish().await
        } else if can_poison && attempt >= settings.max_dequeue_count {
            message.poison().await
        } else {
            message.hide(settings.visibility_timeout).await
        };
        self.settle(queue, &message, settled);
    }

    fn settle(&self, queue: &AnyQueue, message: &Held, result: Result<()>) {
        if let Err(error) = result {
            self.record
                .say(Level::Error, format!("queue {}: message {}: {error:#}", queue.name(), message.id()));
        }
    }
}
