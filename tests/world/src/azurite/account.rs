//! What a test sets up and reads in the account. It bypasses the proxy and is not recorded.
//!
//! Guarantees: every method is synchronous and may be called inside a runtime or outside.

use std::time::Duration;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;

use super::Azurite;
use crate::net::ask::encoded;
use crate::storage::rest::{Got, Rest, at_once, element, elements, escaped};

impl Azurite {
    fn ask(&self, base: &str, method: Method, path: &str, body: String) -> anyhow::Result<Got> {
        let rest = Rest::new(&self.world, base, "world")?;
        at_once(|| async { rest.send(method, path, &[], body).await })
    }

    /// Creates a container, unless it exists.
    pub fn create_container(&self, name: &str) -> anyhow::Result<()> {
        let path = format!("/{name}?restype=container");
        let made = self.ask(&self.blob_url(), Method::PUT, &path, String::new())?;
        if !made.is_refused("ContainerAlreadyExists") {
            made.good().with_context(|| format!("create container {name}"))?;
        }
        Ok(())
    }

    /// Creates a queue, unless it exists.
    pub fn create_queue(&self, name: &str) -> anyhow::Result<()> {
        let made = self.ask(&self.queue_url(), Method::PUT, &format!("/{name}"), String::new())?;
        if !made.is_refused("QueueAlreadyExists") {
            made.good().with_context(|| format!("create queue {name}"))?;
        }
        Ok(())
    }

    /// Adds a message in base64, which may be received after `delay` (whole seconds).
    pub fn send(&self, queue: &str, text: &str, delay: Duration) -> anyhow::Result<()> {
        self.send_raw(queue, &STANDARD.encode(text), delay)
    }

    /// Adds a message with exactly this text.
    pub fn send_raw(&self, queue: &str, text: &str, delay: Duration) -> anyhow::Result<()> {
        let path = format!("/{queue}/messages?visibilitytimeout={}", delay.as_secs());
        let body = format!("<QueueMessage><MessageText>{}</MessageText></QueueMessage>", escaped(text));
        let sent = self.ask(&self.queue_url(), Method::POST, &path, body)?;
        sent.good().with_context(|| format!("send to {queue}"))?;
        Ok(())
    }

    /// The texts of up to 32 visible messages, decoded where they are base64. Nothing is received. Empty for a missing
    /// queue.
    pub fn peek(&self, queue: &str) -> anyhow::Result<Vec<String>> {
        let path = format!("/{queue}/messages?peekonly=true&numofmessages=32");
        let got = self.ask(&self.queue_url(), Method::GET, &path, String::new())?;
        if got.is_refused("QueueNotFound") {
            return Ok(Vec::new());
        }
        let xml = got.good().with_context(|| format!("peek at {queue}"))?.text();
        let messages = elements(&xml, "QueueMessage").into_iter();
        let text = |message: &str| {
            let text = element(message, "MessageText").unwrap_or_default();
            STANDARD.decode(&text).map_or(text, |bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(messages.map(text).collect())
    }

    /// How many messages a queue has, hidden ones included; 0 for a missing queue.
    pub fn queue_length(&self, queue: &str) -> anyhow::Result<u64> {
        let path = format!("/{queue}?comp=metadata");
        let got = self.ask(&self.queue_url(), Method::GET, &path, String::new())?;
        if got.is_refused("QueueNotFound") {
            return Ok(0);
        }
        let got = got.good().with_context(|| format!("look at {queue}"))?;
        Ok(got.header("x-ms-approximate-messages-count").context("no count")?.parse()?)
    }

    /// The content of a blob; `None` if there is none.
    pub fn blob(&self, container: &str, blob: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let path = format!("/{container}/{}", path_of(blob));
        let got = self.ask(&self.blob_url(), Method::GET, &path, String::new())?;
        if got.status == 404 {
            return Ok(None);
        }
        Ok(Some(got.good().with_context(|| format!("read {container}/{blob}"))?.body.to_vec()))
    }

    /// The names of up to 5,000 blobs that begin with `prefix`, in order.
    pub fn blobs(&self, container: &str, prefix: &str) -> anyhow::Result<Vec<String>> {
        let path = format!("/{container}?restype=container&comp=list&prefix={}", encoded(prefix));
        let got = self.ask(&self.blob_url(), Method::GET, &path, String::new())?;
        let xml = got.good().with_context(|| format!("list {container}"))?.text();
        Ok(elements(&xml, "Blob").into_iter().filter_map(|blob| element(blob, "Name")).collect())
    }
}

/// A blob's name, encoded for a path.
pub(crate) fn path_of(blob: &str) -> String {
    encoded(blob).replace("%2F", "/")
}
