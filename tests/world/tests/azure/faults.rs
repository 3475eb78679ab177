//! What a client of storage meets when the world is between it and Azurite: faults, the record, hooks, and stolen leases.

use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use azure_core::Bytes;
use azure_core::error::ErrorKind;
use azure_core::http::{RequestContent, Url};
use azure_storage_blob::models::{
    BlobClientAcquireLeaseResultHeaders as _, BlobClientGetPropertiesResultHeaders as _,
    BlobClientUploadOptions, BlockLookupList,
};
use azure_storage_blob::{BlobContainerClient, BlobServiceClient, BlobServiceClientOptions};
use azure_storage_queue::{QueueServiceClient, QueueServiceClientOptions, models::QueueMessage};
use futures::TryStreamExt as _;
use serde_json::json;
use world::azurite::{Azurite, blob_host, queue_host};
use world::{CallKind, Fault, Kind, Service, World};

use crate::stage::{application, http, options, until};

/// An Azurite whose requests the world sees; each test has a container of its own.
static WATCHED: LazyLock<Option<(World, Azurite)>> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../azurite");
    if let Err(error) = Azurite::is_ready(&dir) {
        assert!(std::env::var_os("CI").is_none(), "{error:#}");
        // Written past the test harness, which does not show what a test that passes prints. Without a standard error it is lost.
        let _ = writeln!(std::io::stderr(), "NOT TESTED, there is no Azurite: {error:#}");
        return None;
    }
    let world = crate::stage::world();
    let azurite = Azurite::start(&dir, &world).unwrap();
    world.storage(&azurite);
    Some((world, azurite))
});

fn container(name: &str) -> Option<(&'static World, &'static Azurite, BlobContainerClient)> {
    let (world, azurite) = WATCHED.as_ref()?;
    azurite.create_container(name).unwrap();
    Some((world, azurite, client(world, name)))
}

fn client(world: &World, name: &str) -> BlobContainerClient {
    let options = BlobServiceClientOptions { client_options: options(world), ..Default::default() };
    let url = Url::parse(&format!("https://{}/", blob_host())).unwrap();
    let service = BlobServiceClient::new(url, Some(application(world)), Some(options)).unwrap();
    service.blob_container_client(name)
}

fn content(bytes: impl Into<Vec<u8>>) -> RequestContent<Bytes, azure_core::http::NoFormat> {
    Bytes::from(bytes.into()).into()
}

fn refusal(error: &azure_core::Error) -> (u16, &str) {
    let ErrorKind::HttpResponse { status, error_code, .. } = error.kind() else { panic!("{error:?}") };
    (u16::from(*status), error_code.as_deref().unwrap_or_default())
}

/// Kind, status and code of the calls whose path contains `part`.
fn record(world: &World, part: &str) -> Vec<(CallKind, Option<u16>, Option<String>)> {
    let calls = world.calls().into_iter();
    let ours = calls.filter(|call| call.service == Service::Storage && call.path.contains(part));
    ours.map(|call| (call.call, call.status, call.code)).collect()
}

#[tokio::test]
async fn what_no_fault_strikes_passes_unchanged_and_is_recorded_by_operation() {
    let Some((world, azurite, container)) = container("passing") else { return };
    let blob = container.blob_client("a/ü b.json");
    let big = vec![7_u8; 8 * 1024 * 1024];
    blob.upload(content(r#"{"n":1}"#), None).await.unwrap();
    assert_eq!(blob.get_properties(None).await.unwrap().content_length().unwrap(), Some(7));
    assert_eq!(blob.download(None).await.unwrap().body.collect().await.unwrap(), r#"{"n":1}"#.as_bytes());
    let lease = blob.acquire_lease(60, None).await.unwrap().lease_id().unwrap().unwrap();
    blob.release_lease(lease, None).await.unwrap();
    let blocks = container.blob_client("blocks").block_blob_client();
    let id = b"00000000".to_vec();
    blocks.stage_block(&id, u64::try_from(big.len()).unwrap(), content(big.clone()), None).await.unwrap();
    let list = BlockLookupList { latest: Some(vec![id]), ..Default::default() };
    blocks.commit_block_list(list.try_into().unwrap(), None).await.unwrap();
    let names = container.list_blobs(None).unwrap().try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(names.len(), 2);
    blob.delete(None).await.unwrap();
    let error = blob.get_properties(None).await.err().unwrap();
    assert_eq!(refusal(&error), (404, "BlobNotFound"));

    assert_eq!(azurite.blob("passing", "blocks").unwrap(), Some(big));
    assert_eq!(azurite.blobs("passing", "").unwrap(), ["blocks"]);
    let kinds = record(world, "/passing").into_iter().map(|(kind, _, _)| kind).collect::<Vec<_>>();
    let expected = [
        CallKind::BlobPut,
        CallKind::BlobProperties,
        CallKind::BlobGet,
        CallKind::BlobLease,
        CallKind::BlobLease,
        CallKind::BlockPut,
        CallKind::BlockListPut,
        CallKind::BlobList,
        CallKind::BlobDelete,
        CallKind::BlobProperties,
    ];
    assert_eq!(kinds, expected);
    let calls = world.calls();
    let put = calls.iter().find(|call| call.path.starts_with("/passing/a/")).unwrap();
    assert_eq!((put.sent.as_ref(), put.status), (Some(&json!({"n": 1})), Some(201)));
    let last = calls.iter().rfind(|call| call.path.starts_with("/passing/a/")).unwrap();
    assert_eq!((last.status, last.code.as_deref()), (Some(404), Some("BlobNotFound")));
}

#[tokio::test]
async fn a_status_comes_with_the_services_own_code_and_has_no_effect() {
    let Some((world, azurite, container)) = container("refused") else { return };
    let blob = container.blob_client("one");
    for (status, code) in [
        (403, "AuthorizationPermissionMismatch"),
        (404, "ContainerNotFound"),
        (409, "BlobAlreadyExists"),
        (412, "ConditionNotMet"),
        (429, "ServerBusy"),
        (500, "InternalError"),
        (503, "ServerBusy"),
    ] {
        world.fault(Fault::new(CallKind::BlobPut, Kind::Status(status)).containing("/refused/"));
        let error = blob.upload(content("x"), None).await.unwrap_err();
        assert_eq!(refusal(&error), (status, code));
    }
    world.fault(
        Fault::new(CallKind::BlobPut, Kind::StorageCode(409, "SnapshotsPresent")).containing("/refused/"),
    );
    let error = blob.upload(content("x"), None).await.unwrap_err();
    assert_eq!(refusal(&error), (409, "SnapshotsPresent"));
    world.fault(Fault::new(CallKind::BlobProperties, Kind::Status(403)).containing("/refused/"));
    let error = blob.get_properties(None).await.err().unwrap();
    assert_eq!(refusal(&error), (403, "AuthorizationPermissionMismatch"), "a HEAD has it in a header");
    assert_eq!(azurite.blob("refused", "one").unwrap(), None);
    let (_, status, code) = record(world, "/refused/").remove(0);
    assert_eq!((status, code.as_deref()), (Some(403), Some("AuthorizationPermissionMismatch")));

    let busy = Kind::TooMany429 { retry_after: Some(7) };
    world.fault(Fault::new(CallKind::AnyStorage, busy).containing("/refused/raw"));
    let url = format!("https://{}/refused/raw", blob_host());
    let answer = http(world).get(url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(answer.headers()["content-type"], "application/xml");
    assert!(answer.text().await.unwrap().contains("<Code>ServerBusy</Code>"));
}

#[tokio::test]
async fn a_reset_before_has_no_effect_and_one_after_has() {
    let Some((world, azurite, container)) = container("resets") else { return };
    world.fault(Fault::new(CallKind::BlobPut, Kind::ResetBefore).containing("/before"));
    world.fault(Fault::new(CallKind::BlobPut, Kind::ResetAfter).containing("/after"));
    for name in ["before", "after"] {
        let error = container.blob_client(name).upload(content("x"), None).await.unwrap_err();
        assert!(!matches!(error.kind(), ErrorKind::HttpResponse { .. }), "{error:?}");
    }
    assert_eq!(azurite.blob("resets", "before").unwrap(), None);
    assert_eq!(azurite.blob("resets", "after").unwrap(), Some(b"x".to_vec()));
}

#[tokio::test]
async fn an_answer_may_be_late_missing_empty_or_torn() {
    let Some((world, azurite, container)) = container("answers") else { return };
    let blob = container.blob_client("one");
    let slow = Duration::from_millis(150);
    world.fault(Fault::new(CallKind::BlobPut, Kind::Slow(slow)).containing("/answers/"));
    let began = Instant::now();
    blob.upload(content("first"), None).await.unwrap();
    assert!(began.elapsed() >= slow);

    world.fault(Fault::new(CallKind::BlobPut, Kind::TimeoutAfter).containing("/answers/"));
    let stored = async || azurite.blob("answers", "one").unwrap() == Some(b"second".to_vec());
    tokio::select! {
        answer = blob.upload(content("second"), None) => panic!("{answer:?}"),
        () = until("the effect", stored) => {}
    }

    let url = format!("https://{}/answers/one", blob_host());
    let get = async || {
        let request = http(world).get(&url).bearer_auth(world.storage_token());
        let answer = request.header("x-ms-version", "2025-11-05").send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.map_err(|error| error.is_decode() || error.is_body()))
    };
    world.fault(Fault::new(CallKind::BlobGet, Kind::Empty200).containing("/answers/"));
    assert_eq!(get().await, (200, Ok("".into())));
    world.fault(Fault::new(CallKind::BlobGet, Kind::TruncatedJson).containing("/answers/"));
    assert_eq!(get().await, (200, Ok("sec".into())));
    world.fault(Fault::new(CallKind::BlobGet, Kind::TornBody).containing("/answers/"));
    assert_eq!(get().await, (200, Err(true)));
    assert_eq!(get().await, (200, Ok("second".into())));
}

#[tokio::test]
async fn a_fault_may_choose_one_action_of_a_lease() {
    let Some((world, _, container)) = container("actions") else { return };
    let blob = container.blob_client("actions-lease");
    blob.upload(content(""), None).await.unwrap();
    world.fault(Fault::new(CallKind::BlobLease, Kind::Status(409)).containing("renew"));
    let lease = blob.acquire_lease(60, None).await.unwrap().lease_id().unwrap().unwrap();
    let error = blob.renew_lease(lease.clone(), None).await.unwrap_err();
    assert_eq!(refusal(&error), (409, "LeaseAlreadyPresent"));
    blob.renew_lease(lease, None).await.unwrap();
    let sent = world.calls().into_iter().filter(|call| call.path.contains("actions-lease"));
    let actions = sent.filter(|call| call.call == CallKind::BlobLease).filter_map(|call| call.sent);
    let action = |name: &str| json!({ "x-ms-lease-action": name });
    assert_eq!(actions.collect::<Vec<_>>(), [action("acquire"), action("renew"), action("renew")]);
}

#[tokio::test]
async fn a_stolen_lease_is_refused_to_its_holder() {
    let Some((world, _, container)) = container("stolen") else { return };
    let blob = container.blob_client("locks/the lease");
    blob.upload(content(""), None).await.unwrap();
    let before = blob.acquire_lease(60, None).await.unwrap().lease_id().unwrap().unwrap();
    let thief = world.steal_lease("stolen", "locks/the lease");
    let error = blob.renew_lease(before.clone(), None).await.unwrap_err();
    assert_eq!(refusal(&error), (409, "LeaseIdMismatchWithLeaseOperation"));
    let former = BlobClientUploadOptions { lease_id: Some(before), ..Default::default() };
    let error = blob.upload(content("x"), Some(former)).await.unwrap_err();
    assert_eq!(refusal(&error), (412, "LeaseIdMismatchWithBlobOperation"));
    let error = blob.acquire_lease(60, None).await.unwrap_err();
    assert_eq!(refusal(&error), (409, "LeaseAlreadyPresent"));
    world.give_back_lease("stolen", "locks/the lease", &thief);
    blob.acquire_lease(60, None).await.unwrap();
}

#[tokio::test]
async fn a_list_may_lack_a_row() {
    let Some((world, _, container)) = container("rows") else { return };
    for name in ["a", "b", "c"] {
        container.blob_client(name).upload(content("x"), None).await.unwrap();
    }
    let names = async || {
        let items = container.list_blobs(None).unwrap().try_collect::<Vec<_>>().await.unwrap();
        items.into_iter().filter_map(|item| item.name).collect::<Vec<_>>()
    };
    world.fault(Fault::new(CallKind::BlobList, Kind::DropRow).containing("/rows"));
    assert_eq!(names().await, ["a", "c"]);
    assert_eq!(names().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_is_an_error_and_one_that_was_sent_is_recorded() {
    let Some((world, azurite)) = WATCHED.as_ref() else { return };
    azurite.create_queue("wake-ups").unwrap();
    let options = QueueServiceClientOptions { client_options: options(world), ..Default::default() };
    let url = Url::parse(&format!("https://{}/", queue_host())).unwrap();
    let service = QueueServiceClient::new(url, Some(application(world)), Some(options)).unwrap();
    let queue = service.queue_client("wake-ups").unwrap();
    let send = async || {
        let message = QueueMessage { message_text: Some("eyJhIjoxfQ==".to_owned()) };
        queue.send_message(message.try_into()?, None).await.map(|_| ())
    };
    world.fault(Fault::new(CallKind::QueueSend, Kind::Status(404)).containing("/wake-ups"));
    assert_eq!(refusal(&send().await.unwrap_err()), (404, "QueueNotFound"));
    send().await.unwrap();
    assert_eq!(azurite.peek("wake-ups").unwrap(), [r#"{"a":1}"#]);
    let calls = world.calls();
    let last = calls.iter().rfind(|call| call.path.starts_with("/wake-ups")).unwrap();
    assert_eq!(
        (last.call, &last.sent, last.status),
        (CallKind::QueueSend, &Some(json!({"a": 1})), Some(201))
    );
}

#[tokio::test]
async fn hooks_count_requests_to_storage() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../azurite");
    if WATCHED.is_none() {
        return;
    }
    let world = crate::stage::world();
    let azurite = Azurite::start(&dir, &world).unwrap();
    world.storage(&azurite);
    azurite.create_container("hooks").unwrap();
    let container = client(&world, "hooks");
    container.blob_client("first").upload(content("x"), None).await.unwrap();
    let (told, heard) = mpsc::channel();
    let tell = told.clone();
    world.on_request(1, move |call| tell.send((call.call, call.status, call.path.clone())).unwrap());
    world.on_answer(2, move |call| told.send((call.call, call.status, call.path.clone())).unwrap());
    container.blob_client("a").upload(content("x"), None).await.unwrap();
    container.blob_client("b").upload(content("x"), None).await.unwrap();
    let heard = heard.try_iter().collect::<Vec<_>>();
    let expected = [
        (CallKind::BlobPut, None, "/hooks/a".to_owned()),
        (CallKind::BlobPut, Some(201), "/hooks/b".to_owned()),
    ];
    assert_eq!(heard, expected);
    drop(azurite);
    let error = container.blob_client("c").upload(content("x"), None).await.unwrap_err();
    assert_eq!(refusal(&error).0, 502, "Azurite is gone");
}
