//! The queue in an Azure storage account, through the official crate.

use super::{NAME, WakeUp};
use crate::sdk::{self, Limits, SignInError, client_options};
use azure_core::credentials::TokenCredential;
use azure_core::http::StatusCode;
use azure_storage_queue::models::{
    QueueClientReceiveMessagesOptions, QueueClientSendMessageOptions, QueueMessage, ReceivedMessage,
};
use azure_storage_queue::{QueueClient, QueueServiceClient, QueueServiceClientOptions};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A trigger must answer Event Grid within 30 s, of which leaving the inbox item takes its share. Storage answers in
/// milliseconds, so if there is no answer after 4 s, it is lost.
const LIMITS: Limits = Limits { call: Duration::from_secs(10), attempt: Duration::from_secs(4) };
/// The longest delay: a message expires
/// [after 7 days](https://learn.microsoft.com/rest/api/storageservices/put-message) and must become visible before that.
/// Wake-ups are booked a day ahead at most.
const LONGEST_DELAY: Duration = Duration::from_hours(7 * 24 - 1);

/// The queue in an Azure storage account.
#[derive(Clone)]
pub struct AzureQueue {
    client: Arc<QueueClient>,
    url: Url,
}

impl std::fmt::Debug for AzureQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AzureQueue({})", self.url)
    }
}

impl AzureQueue {
    /// The queue `cycles` of the account at this address, for example `https://account.queue.core.windows.net`.
    ///
    /// # Errors
    /// When the address cannot be a storage account's.
    pub fn new(
        http: reqwest::Client,
        url: Url,
        credential: Arc<dyn TokenCredential>,
    ) -> azure_core::Result<Self> {
        let options =
            QueueServiceClientOptions { client_options: client_options(http), ..Default::default() };
        let service = QueueServiceClient::new(url.clone(), Some(credential), Some(options))?;
        Ok(Self { client: Arc::new(service.queue_client(NAME)?), url })
    }

    pub(super) async fn send(&self, wake_up: &WakeUp, wait: Duration) -> io::Result<()> {
        // The Functions host expects base64 in its queues (`messageEncoding` in host.json).
        let text = BASE64_STANDARD.encode(serde_json::to_vec(wake_up)?);
        // Rounded up: a message may arrive a little late, but not early. A zero delay is left out.
        let delay = wait.min(LONGEST_DELAY).as_millis().div_ceil(1000);
        let visibility_timeout = i32::try_from(delay).ok().filter(|seconds| *seconds > 0);
        let send = || async {
            let message = QueueMessage { message_text: Some(text.clone()) };
            let options = QueueClientSendMessageOptions { visibility_timeout, ..Default::default() };
            self.client.send_message(message.try_into()?, Some(options)).await.map(|_| ())
        };
        call(send).await
    }

    pub(super) async fn take(&self, hidden: Duration) -> io::Result<Option<AzureMessage>> {
        let seconds = i32::try_from(hidden.as_secs().max(1)).unwrap_or(i32::MAX);
        let receive = || async {
            let options = QueueClientReceiveMessagesOptions {
                number_of_messages: Some(1),
                visibility_timeout: Some(seconds),
                ..Default::default()
            };
            let messages = self.client.receive_messages(Some(options)).await?.into_model()?;
            Ok(messages.items.unwrap_or_default().into_iter().next())
        };
        let Some(ReceivedMessage { message_id, pop_receipt, message_text, .. }) = call(receive).await? else {
            return Ok(None);
        };
        let message_text = message_text.unwrap_or_default();
        // A message that is not base64 is none of ours. It is recorded by its own text, not as an empty one.
        let text = BASE64_STANDARD.decode(&message_text).unwrap_or(message_text.into_bytes());
        Ok(Some(AzureMessage {
            text: String::from_utf8_lossy(&text).into_owned(),
            id: message_id.unwrap_or_default(),
            receipt: pop_receipt.unwrap_or_default(),
        }))
    }

    pub(super) async fn check(&self) -> io::Result<()> {
        call(|| async { self.client.peek_messages(None).await.map(|_| ()) }).await
    }

    pub(super) async fn finish(&self, message: &AzureMessage) -> io::Result<()> {
        let delete = || async {
            match self.client.delete_message(&message.id, &message.receipt, None).await {
                // It is gone, or another taker has it by now and will finish it.
                Err(error) if error.http_status() == Some(StatusCode::NotFound) => Ok(()),
                result => result.map(|_| ()),
            }
        };
        call(delete).await
    }
}

#[derive(Debug)]
pub(super) struct AzureMessage {
    pub(super) text: String,
    id: String,
    receipt: String,
}

/// Calls the service. If an answer is lost, a wake-up may be sent twice, which is harmless.
async fn call<T, F>(work: impl Fn() -> F + Sync) -> io::Result<T>
where
    T: Send,
    F: Future<Output = azure_core::Result<T>> + Send,
{
    sdk::attempts(LIMITS, sdk::if_transient, work).await.map_err(|error| {
        if let Some(why) = SignInError::behind(&error) {
            return io::Error::other(format!("{why}: {}", why.advice()));
        }
        let advice = match (sdk::refusal(&error), error.http_status()) {
            (Some(refusal), _) => refusal.advice("Storage Queue Data Contributor"),
            (None, Some(StatusCode::NotFound)) => {
                "create the queue `cycles` in the storage account of QUEUE".to_owned()
            }
            (None, _) => sdk::unreached(&error, "QUEUE").unwrap_or_else(|| "check QUEUE".to_owned()),
        };
        io::Error::other(format!("{}: {advice}", sdk::brief(&error)))
    })
}
