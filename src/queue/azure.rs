//! The queue in an Azure storage account, through the official crate.

use super::{NAME, WakeUp};
use crate::azure::chain_of;
use crate::model::TenantId;
use crate::retry::{Again, retry};
use crate::store::client_options;
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::StatusCode;
use azure_storage_queue::models::{
    QueueClientReceiveMessagesOptions, QueueClientSendMessageOptions, QueueMessage, ReceivedMessage,
};
use azure_storage_queue::{QueueClient, QueueServiceClient, QueueServiceClientOptions};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// A trigger must answer Event Grid within 30 s, and the item takes its share.
const LIMIT: Duration = Duration::from_secs(10);
/// One attempt; see the store's.
const ATTEMPT: Duration = Duration::from_secs(4);
/// The longest delay that the service takes; a longer wait wakes up early, and is booked again.
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
    /// The queue `cycles` of the account at this address, such as `https://account.queue.core.windows.net`.
    ///
    /// # Errors
    /// When the address is none of a storage account.
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

    pub(super) async fn send(&self, tenant: TenantId, wait: Duration) -> Result<(), std::io::Error> {
        // The Functions host expects base64 in its queues (`messageEncoding` in host.json).
        let text = BASE64_STANDARD.encode(serde_json::to_vec(&WakeUp { tenant })?);
        // Zero is not taken with a delay; a part of a second arrives a little late rather than early.
        let delay = wait.min(LONGEST_DELAY).as_millis().div_ceil(1000);
        let visibility_timeout = i32::try_from(delay).ok().filter(|seconds| *seconds > 0);
        let send = || async {
            let message = QueueMessage { message_text: Some(text.clone()) };
            let options = QueueClientSendMessageOptions { visibility_timeout, ..Default::default() };
            self.client.send_message(message.try_into()?, Some(options)).await.map(|_| ())
        };
        attempts(send).await
    }

    pub(super) async fn take(&self, hidden: Duration) -> Result<Option<AzureMessage>, std::io::Error> {
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
        let Some(ReceivedMessage { message_id, pop_receipt, message_text, .. }) = attempts(receive).await?
        else {
            return Ok(None);
        };
        let text = BASE64_STANDARD.decode(message_text.unwrap_or_default()).unwrap_or_default();
        Ok(Some(AzureMessage {
            text: String::from_utf8_lossy(&text).into_owned(),
            id: message_id.unwrap_or_default(),
            receipt: pop_receipt.unwrap_or_default(),
        }))
    }

    pub(super) async fn look(&self) -> Result<(), std::io::Error> {
        attempts(|| async { self.client.peek_messages(None).await.map(|_| ()) }).await
    }

    pub(super) async fn finish(&self, message: &AzureMessage) -> Result<(), std::io::Error> {
        let delete = || async {
            match self.client.delete_message(&message.id, &message.receipt, None).await {
                // Gone, or taken by somebody else meanwhile: it is theirs to finish.
                Err(error) if error.http_status() == Some(StatusCode::NotFound) => Ok(()),
                result => result.map(|_| ()),
            }
        };
        attempts(delete).await
    }
}

/// A message that was taken.
#[derive(Debug)]
pub(super) struct AzureMessage {
    pub(super) text: String,
    id: String,
    receipt: String,
}

/// Calls until there is an answer that says something, within the limit. A wake-up that is sent twice is one too many, and
/// harmless.
async fn attempts<T, F>(work: impl Fn() -> F + Sync) -> Result<T, std::io::Error>
where
    T: Send,
    F: Future<Output = azure_core::Result<T>> + Send,
{
    let deadline = Instant::now() + LIMIT;
    let again = |error: &azure_core::Error| match error.http_status().map(u16::from) {
        None | Some(408 | 429 | 500..) => Again::Soon,
        Some(_) => Again::No,
    };
    let attempt = |_| async {
        let late = |_| azure_core::Error::with_message(ErrorKind::Io, "no answer in time");
        timeout_at(deadline.min(Instant::now() + ATTEMPT), work()).await.map_err(late).flatten()
    };
    retry(deadline, again, attempt).await.map_err(|error| {
        let code = match error.kind() {
            ErrorKind::HttpResponse { error_code, .. } => error_code.clone().unwrap_or_default(),
            _ => return std::io::Error::other(chain_of(&error)),
        };
        let advice = match error.http_status() {
            Some(StatusCode::Forbidden | StatusCode::Unauthorized) => {
                ": give the identity the role `Storage Queue Data Contributor`"
            }
            Some(StatusCode::NotFound) => ": make the queue `cycles` in the storage account of QUEUE",
            _ => "",
        };
        let status = error.http_status().map(u16::from).unwrap_or_default();
        std::io::Error::other(format!("HTTP {status} {code}{advice}"))
    })
}
