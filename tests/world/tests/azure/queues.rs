//! Azure's queue client against Azurite, signed in with the world's tokens.

use azure_core::error::ErrorKind;
use azure_core::http::headers::HeaderName;
use azure_core::http::{StatusCode, Url};
use azure_storage_queue::models::{
    QueueClientGetPropertiesResultHeaders as _, QueueClientReceiveMessagesOptions,
    QueueClientSendMessageOptions, QueueMessage,
};
use azure_storage_queue::{QueueClient, QueueServiceClient, QueueServiceClientOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::{Duration, Instant};
use world::World;
use world::azurite::queue_host;

use crate::stage::{application, options, storage, until};

async fn queue(world: &World, name: &str) -> QueueClient {
    let options = QueueServiceClientOptions { client_options: options(world), ..Default::default() };
    let url = Url::parse(&format!("https://{}/", queue_host())).unwrap();
    let service = QueueServiceClient::new(url, Some(application(world)), Some(options)).unwrap();
    let queue = service.queue_client(name).unwrap();
    queue.create(None).await.unwrap();
    queue
}

fn refusal(error: &azure_core::Error) -> (StatusCode, &str) {
    let ErrorKind::HttpResponse { status, error_code, .. } = error.kind() else { panic!("{error:?}") };
    (*status, error_code.as_deref().unwrap_or_default())
}

async fn send(queue: &QueueClient, text: &str, delay: i32) -> azure_core::Result<String> {
    let message = QueueMessage { message_text: Some(STANDARD.encode(text)) };
    let options = QueueClientSendMessageOptions {
        visibility_timeout: Some(delay),
        message_time_to_live: Some(-1),
        ..Default::default()
    };
    let sent = queue.send_message(message.try_into()?, Some(options)).await?.into_model()?.into_message()?;
    Ok(sent.message_id.unwrap_or_default())
}

async fn receive(queue: &QueueClient) -> Vec<azure_storage_queue::models::ReceivedMessage> {
    let options = QueueClientReceiveMessagesOptions {
        number_of_messages: Some(16),
        visibility_timeout: Some(30),
        ..Default::default()
    };
    queue.receive_messages(Some(options)).await.unwrap().into_model().unwrap().items.unwrap_or_default()
}

#[tokio::test]
async fn a_message_comes_back_until_it_is_deleted() {
    let Some((world, _)) = storage() else { return };
    let queue = queue(world, "messages").await;
    assert!(receive(&queue).await.is_empty());
    let id = send(&queue, "{\"a\":\"<&>\"}", 0).await.unwrap();
    let got = receive(&queue).await;
    let [message] = got.as_slice() else { panic!("{} messages", got.len()) };
    assert_eq!((message.message_id.as_deref(), message.dequeue_count), (Some(id.as_str()), Some(1)));
    let text = STANDARD.decode(message.message_text.as_deref().unwrap()).unwrap();
    assert_eq!(text, "{\"a\":\"<&>\"}".as_bytes());
    assert!(receive(&queue).await.is_empty(), "it is hidden for a while");

    let old = message.pop_receipt.as_deref().unwrap();
    let answer = queue.update_message(&id, old, 0, None).await.unwrap();
    let new = answer.headers().get_optional_string(&HeaderName::from_static("x-ms-popreceipt")).unwrap();
    let error = queue.delete_message(&id, old, None).await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::BadRequest, "PopReceiptMismatch"));
    queue.delete_message(&id, &new, None).await.unwrap();
    assert!(receive(&queue).await.is_empty());
}

#[tokio::test]
async fn a_delayed_message_is_hidden_until_its_time() {
    let Some((world, _)) = storage() else { return };
    let queue = queue(world, "delays").await;
    send(&queue, "much later", 3600).await.unwrap();
    assert!(receive(&queue).await.is_empty());
    let count = queue.get_properties(None).await.unwrap().approximate_messages_count().unwrap();
    assert_eq!(count, Some(1), "hidden ones count");
    let since = Instant::now();
    send(&queue, "later", 1).await.unwrap();
    until("the message", async || !receive(&queue).await.is_empty()).await;
    // The two clocks are compared here: the one that dates messages and the one that measures.
    assert!(since.elapsed() > Duration::from_millis(900), "after {:?}", since.elapsed());
}

#[tokio::test]
async fn a_message_that_is_too_large_and_a_missing_queue_are_errors() {
    let Some((world, _)) = storage() else { return };
    let queue = queue(world, "refusals").await;
    let error = send(&queue, &"x".repeat(49_200), 0).await.unwrap_err();
    assert_eq!(refusal(&error).0, StatusCode::PayloadTooLarge);
    queue.create(None).await.unwrap();
    queue.delete(None).await.unwrap();
    let error = send(&queue, "x", 0).await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::NotFound, "QueueNotFound"));
}
