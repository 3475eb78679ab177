//! A queue of a storage account, over REST, with the requests of the host's storage extension and the world's managed
//! identity.
//!
//! Times are whole seconds, as the service requires.

use super::delivery::Delivery;
use crate::storage::HOST_AGENT;
use crate::storage::rest::{Rest, element, elements, escaped};
use crate::world::World;
use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::civil::DateTime;
use reqwest::Method;
use std::sync::Arc;
use std::time::Duration;

/// A storage account with the queues that the host listens to, instead of folders.
#[derive(Clone, Debug)]
pub struct AzureQueues {
    /// Issues the tokens, and its proxy leads to the account.
    pub world: World,
    /// The queue service by its real name (`https://devstoreaccount1.queue.core.windows.net`), or by address
    /// ([`Azurite::queue_url`](crate::azurite::Azurite::queue_url)), which does not go through the proxy.
    pub url: String,
}

impl AzureQueues {
    pub(super) fn connect(&self) -> Result<Arc<Rest>> {
        Ok(Arc::new(Rest::new(&self.world, &self.url, HOST_AGENT)?))
    }
}

#[derive(Clone, Debug)]
pub(super) struct AzureQueue {
    rest: Arc<Rest>,
    name: String,
    base64: bool,
}

/// A message that was received.
#[derive(Clone, Debug)]
pub(super) struct AzureMessage {
    pub(super) id: String,
    receipt: String,
    pub(super) dequeue_count: u32,
    text: String,
    inserted: DateTime,
    expires: DateTime,
    visible: DateTime,
}

impl AzureMessage {
    fn parse(xml: &str) -> Option<Self> {
        let time = |name: &str| {
            // Not a timestamp: a message that never expires has the last second of the year 9999.
            DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", element(xml, name)?).ok()
        };
        Some(Self {
            id: element(xml, "MessageId")?,
            receipt: element(xml, "PopReceipt")?,
            dequeue_count: element(xml, "DequeueCount")?.parse().ok()?,
            text: element(xml, "MessageText").unwrap_or_default(),
            inserted: time("InsertionTime")?,
            expires: time("ExpirationTime")?,
            visible: time("TimeNextVisible")?,
        })
    }
}

impl AzureQueue {
    pub(super) fn new(rest: &Arc<Rest>, name: &str, base64: bool) -> Self {
        Self { rest: Arc::clone(rest), name: name.to_owned(), base64 }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes up to `most` visible messages and hides them. A queue that does not exist is empty, as for the real listener.
    pub(super) async fn receive(&self, most: usize, invisible: Duration) -> Result<Vec<AzureMessage>> {
        let seconds = invisible.as_secs().max(1);
        let path = format!("/{}/messages?numofmessages={most}&visibilitytimeout={seconds}", self.name);
        let got = self.rest.send(Method::GET, &path, &[], "").await?;
        if got.is_refused("QueueNotFound") {
            return Ok(Vec::new());
        }
        let text = got.good()?.text();
        let messages = elements(&text, "QueueMessage").into_iter();
        messages.map(|xml| AzureMessage::parse(xml).with_context(|| format!("no message: {xml}"))).collect()
    }

    /// The content that the function gets; an error if the text is not encoded as host.json says.
    pub(super) fn delivery(&self, message: &AzureMessage) -> Result<Delivery> {
        let content = if self.base64 {
            // .NET's decoder skips white space.
            let text = message.text.split_ascii_whitespace().collect::<String>();
            STANDARD.decode(text).context("the text is not base64")?
        } else {
            message.text.clone().into_bytes()
        };
        let stamp = |time: DateTime| format!("{}+00:00", time.strftime("%Y-%m-%dT%H:%M:%S"));
        Ok(Delivery {
            id: message.id.clone(),
            receipt: message.receipt.clone(),
            dequeue_count: message.dequeue_count,
            content,
            inserted: stamp(message.inserted),
            expires: stamp(message.expires),
            visible: stamp(message.visible),
        })
    }

    fn path_of(&self, message: &AzureMessage) -> String {
        let receipt = crate::net::ask::encoded(&message.receipt);
        format!("/{}/messages/{}?popreceipt={receipt}", self.name, message.id)
    }

    /// Changes when the message becomes visible; an error if the message is no longer ours.
    pub(super) async fn hide(&self, message: &mut AzureMessage, time: Duration) -> Result<()> {
        let path = format!("{}&visibilitytimeout={}", self.path_of(message), time.as_secs());
        let got = self.rest.send(Method::PUT, &path, &[], "").await?.good().context("update")?;
        got.header("x-ms-popreceipt").context("no new receipt")?.clone_into(&mut message.receipt);
        Ok(())
    }

    pub(super) async fn finish(&self, message: &AzureMessage) -> Result<()> {
        self.rest.send(Method::DELETE, &self.path_of(message), &[], "").await?.good().context("delete")?;
        Ok(())
    }

    /// Copies the message to `<queue>-poison`, then removes it.
    pub(super) async fn poison(&self, message: &AzureMessage) -> Result<()> {
        let poison = Self { name: format!("{}-poison", self.name), ..self.clone() };
        poison.put(&message.text).await?;
        self.finish(message).await
    }

    /// Adds a message that may be received at once.
    pub(super) async fn send(&self, text: &str) -> Result<()> {
        if self.base64 { self.put(&STANDARD.encode(text)).await } else { self.put(text).await }
    }

    /// Adds a text as it is. Creates the queue if it is missing.
    async fn put(&self, text: &str) -> Result<()> {
        let path = format!("/{}/messages", self.name);
        let body = format!("<QueueMessage><MessageText>{}</MessageText></QueueMessage>", escaped(text));
        let sent = self.rest.send(Method::POST, &path, &[], body.clone()).await?;
        if !sent.is_refused("QueueNotFound") {
            sent.good().with_context(|| format!("send to {}", self.name))?;
            return Ok(());
        }
        let made = self.rest.send(Method::PUT, &format!("/{}", self.name), &[], "").await?;
        if !made.is_refused("QueueAlreadyExists") {
            made.good().with_context(|| format!("create {}", self.name))?;
        }
        let sent = self.rest.send(Method::POST, &path, &[], body).await?;
        sent.good().with_context(|| format!("send to {}", self.name))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_never_expires_is_read() {
        let xml = "<MessageId>0c9e3a9c-3f5c-4c39-9e7f-8f3a1b6b2d10</MessageId>\
            <InsertionTime>Sun, 01 Mar 2026 02:15:00 GMT</InsertionTime>\
            <ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime><PopReceipt>a+b/c=</PopReceipt>\
            <TimeNextVisible>Sun, 01 Mar 2026 02:25:00 GMT</TimeNextVisible><DequeueCount>3</DequeueCount>\
            <MessageText>a&amp;b</MessageText>";
        let message = AzureMessage::parse(xml).unwrap();
        assert_eq!((message.dequeue_count, message.text.as_str()), (3, "a&b"));
        assert_eq!(message.expires.to_string(), "9999-12-31T23:59:59");
        assert!(AzureMessage::parse("<MessageId>x</MessageId>").is_none());
    }
}
