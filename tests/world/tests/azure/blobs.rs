//! Azure's blob client against Azurite, signed in with the world's tokens.

use std::collections::HashMap;
use std::sync::Arc;

use azure_core::Bytes;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, Etag, RequestContent, RetryOptions, StatusCode, Transport, Url};
use azure_storage_blob::models::{
    BlobClientAcquireLeaseResultHeaders as _, BlobClientDeleteOptions, BlobClientDownloadOptions,
    BlobClientGetPropertiesResultHeaders as _, BlobClientUploadOptions, BlobContainerClientListBlobsOptions,
    BlockBlobClientCommitBlockListOptions, BlockLookupList, HttpRange, ListBlobsIncludeItem,
};
use azure_storage_blob::{BlobContainerClient, BlobServiceClient, BlobServiceClientOptions};
use futures::TryStreamExt as _;
use world::World;
use world::azurite::{Azurite, blob_host};

use crate::stage::{alone, application, options, storage};

/// The account under its real name.
fn service(world: &World) -> BlobServiceClient {
    let options = BlobServiceClientOptions { client_options: options(world), ..Default::default() };
    let url = Url::parse(&format!("https://{}/", blob_host())).unwrap();
    BlobServiceClient::new(url, Some(application(world)), Some(options)).unwrap()
}

/// A new container.
async fn container(world: &World, name: &str) -> BlobContainerClient {
    let container = service(world).blob_container_client(name);
    container.create(None).await.unwrap();
    container
}

fn content(bytes: impl Into<Vec<u8>>) -> RequestContent<Bytes, azure_core::http::NoFormat> {
    Bytes::from(bytes.into()).into()
}

fn refusal(error: &azure_core::Error) -> (StatusCode, &str) {
    let ErrorKind::HttpResponse { status, error_code, .. } = error.kind() else { panic!("{error:?}") };
    (*status, error_code.as_deref().unwrap_or_default())
}

#[tokio::test]
async fn both_forms_of_the_url_lead_to_the_same_account() {
    let Some((world, azurite)) = storage() else { return };
    let by_name = container(world, "forms").await;
    by_name.blob_client("a/b.json").upload(content("{}"), None).await.unwrap();
    let by_path = {
        let ca = reqwest::Certificate::from_pem(world.ca_pem().as_bytes()).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_merge([ca]).build().unwrap();
        let client_options =
            ClientOptions { transport: Some(Transport::new(Arc::new(http))), ..options(world) };
        let options = BlobServiceClientOptions { client_options, ..Default::default() };
        let url = Url::parse(&azurite.blob_url()).unwrap();
        BlobServiceClient::new(url, Some(application(world)), Some(options)).unwrap()
    };
    let by_path = by_path.blob_container_client("forms");
    assert!(by_path.blob_client("a/b.json").exists().await.unwrap());
}

#[tokio::test]
async fn conditions_hold() {
    let Some((world, _)) = storage() else { return };
    let blob = container(world, "conditions").await.blob_client("state/a.json");

    let missing = blob.download(None).await.unwrap_err();
    assert_eq!(refusal(&missing), (StatusCode::NotFound, "BlobNotFound"));

    let new = BlobClientUploadOptions {
        blob_content_type: Some("application/json".to_owned()),
        metadata: Some(HashMap::from([("writer".to_owned(), "one".to_owned())])),
        ..Default::default()
    };
    let first = blob.upload(content("one"), Some(new.if_not_exists())).await.unwrap().etag.unwrap();
    let again = BlobClientUploadOptions::default().if_not_exists();
    let error = blob.upload(content("other"), Some(again)).await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::Conflict, "BlobAlreadyExists"));

    let matching =
        |etag: &Etag| BlobClientUploadOptions { if_match: Some(etag.clone()), ..Default::default() };
    let second = blob.upload(content("two"), Some(matching(&first))).await.unwrap().etag.unwrap();
    let error = blob.upload(content("three"), Some(matching(&first))).await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::PreconditionFailed, "ConditionNotMet"));

    let got = blob.download(None).await.unwrap();
    assert_eq!(got.properties.etag.as_ref(), Some(&second));
    assert_eq!(got.body.collect().await.unwrap(), "two".as_bytes());

    let unchanged = BlobClientDownloadOptions { if_none_match: Some(second.clone()), ..Default::default() };
    let error = blob.download(Some(unchanged)).await.unwrap_err();
    assert_eq!(refusal(&error).0, StatusCode::NotModified);

    let part = BlobClientDownloadOptions { range: Some(HttpRange::new(1, 2)), ..Default::default() };
    assert_eq!(blob.download(Some(part)).await.unwrap().body.collect().await.unwrap(), "wo".as_bytes());

    let stale = BlobClientDeleteOptions { if_match: Some(first), ..Default::default() };
    assert_eq!(refusal(&blob.delete(Some(stale)).await.unwrap_err()).0, StatusCode::PreconditionFailed);
    let fresh = BlobClientDeleteOptions { if_match: Some(second), ..Default::default() };
    blob.delete(Some(fresh)).await.unwrap();
    assert_eq!(refusal(&blob.delete(None).await.unwrap_err()), (StatusCode::NotFound, "BlobNotFound"));
}

#[tokio::test]
async fn an_empty_blob_and_a_missing_one_are_told_apart() {
    let Some((world, _)) = storage() else { return };
    let container = container(world, "empty").await;
    let blob = container.blob_client("nothing");
    let options = BlobClientUploadOptions {
        metadata: Some(HashMap::from([("writer".to_owned(), "me".to_owned())])),
        ..Default::default()
    };
    let etag = blob.upload(content(""), Some(options)).await.unwrap().etag;
    let got = blob.download(None).await.unwrap();
    assert_eq!(got.properties.etag, etag);
    assert!(got.body.collect().await.unwrap().is_empty());
    let properties = blob.get_properties(None).await.unwrap();
    assert_eq!(properties.etag().unwrap(), etag);
    assert_eq!(properties.metadata().unwrap().get("writer").map(String::as_str), Some("me"));
    assert_eq!(properties.content_length().unwrap(), Some(0));

    let error = container.create(None).await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::Conflict, "ContainerAlreadyExists"));
    let error = container.blob_client("other").get_properties(None).await.err().unwrap();
    assert_eq!(refusal(&error), (StatusCode::NotFound, "BlobNotFound"), "a HEAD has its code in a header");
    let elsewhere = service(world).blob_container_client("no-such").blob_client("a");
    assert_eq!(
        refusal(&elsewhere.download(None).await.unwrap_err()),
        (StatusCode::NotFound, "ContainerNotFound")
    );
    let error = elsewhere.upload(content("x"), None).await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::NotFound, "ContainerNotFound"));
}

#[tokio::test]
async fn a_lease_keeps_others_out() {
    let Some((world, _)) = storage() else { return };
    let blob = container(world, "leases").await.blob_client("lease");
    blob.upload(content(""), Some(BlobClientUploadOptions::default().if_not_exists())).await.unwrap();
    let lease = blob.acquire_lease(60, None).await.unwrap().lease_id().unwrap().unwrap();

    let error = blob.acquire_lease(60, None).await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::Conflict, "LeaseAlreadyPresent"));
    let error = blob.upload(content("x"), None).await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::PreconditionFailed, "LeaseIdMissing"));
    let holder = BlobClientUploadOptions { lease_id: Some(lease.clone()), ..Default::default() };
    blob.upload(content("x"), Some(holder)).await.unwrap();

    blob.renew_lease(lease.clone(), None).await.unwrap();
    blob.release_lease(lease.clone(), None).await.unwrap();
    let error = blob.renew_lease(lease.clone(), None).await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::Conflict, "LeaseIdMismatchWithLeaseOperation"));
    blob.acquire_lease(60, None).await.unwrap();
    let former = BlobClientUploadOptions { lease_id: Some(lease), ..Default::default() };
    let error = blob.upload(content("y"), Some(former)).await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::PreconditionFailed, "LeaseIdMismatchWithBlobOperation"));
}

#[tokio::test]
async fn blocks_become_a_blob_when_they_are_committed() {
    let Some((world, _)) = storage() else { return };
    let container = container(world, "blocks").await;
    let blob = container.blob_client("raw/0001.jsonl.gz");
    let blocks = blob.block_blob_client();
    let mut ids = Vec::new();
    for (n, part) in ["one\n", "two\n", "three\n"].into_iter().enumerate() {
        let id = format!("{n:08}").into_bytes();
        let length = u64::try_from(part.len()).unwrap();
        blocks.stage_block(&id, length, content(part), None).await.unwrap();
        ids.push(id);
    }
    assert!(!blob.exists().await.unwrap(), "nothing shows before the commit");
    let commit = async || {
        let list = BlockLookupList { latest: Some(ids.clone()), ..Default::default() };
        let options = BlockBlobClientCommitBlockListOptions {
            blob_content_type: Some("application/gzip".to_owned()),
            if_none_match: Some("*".into()),
            ..Default::default()
        };
        blocks.commit_block_list(list.try_into().unwrap(), Some(options)).await
    };
    commit().await.unwrap();
    assert_eq!(
        blob.download(None).await.unwrap().body.collect().await.unwrap(),
        "one\ntwo\nthree\n".as_bytes()
    );
    let error = commit().await.unwrap_err();
    assert_eq!(refusal(&error), (StatusCode::Conflict, "BlobAlreadyExists"));
}

#[tokio::test]
async fn names_are_listed_by_prefix_over_pages() {
    let Some((world, _)) = storage() else { return };
    let container = container(world, "lists").await;
    for name in ["a/1", "a/2", "a/3", "b/1"] {
        let metadata = Some(HashMap::from([("n".to_owned(), name.len().to_string())]));
        let options = BlobClientUploadOptions { metadata, ..Default::default() };
        container.blob_client(name).upload(content(name), Some(options)).await.unwrap();
    }
    let options = BlobContainerClientListBlobsOptions {
        prefix: Some("a/".to_owned()),
        maxresults: Some(2),
        include: Some(vec![ListBlobsIncludeItem::Metadata]),
        ..Default::default()
    };
    let items = container.list_blobs(Some(options)).unwrap().try_collect::<Vec<_>>().await.unwrap();
    let names = items.iter().filter_map(|item| item.name.as_deref()).collect::<Vec<_>>();
    assert_eq!(names, ["a/1", "a/2", "a/3"]);
    let first = items[0].properties.as_ref().unwrap();
    assert_eq!(first.content_length, Some(3));
    assert!(first.etag.is_some() && first.last_modified.is_some());
}

#[tokio::test]
async fn a_token_for_something_else_is_refused() {
    let Some((world, _)) = storage() else { return };
    let http = crate::stage::http(world);
    let token = application(world).get_token(&["https://vault.azure.net/.default"], None).await.unwrap();
    let answer = http
        .get(format!("https://{}/?comp=list", blob_host()))
        .header("x-ms-version", "2026-04-06")
        .bearer_auth(token.token.secret())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.headers()["x-ms-error-code"], "AuthenticationFailed");
}

#[test]
fn the_managed_identity_reaches_storage_when_only_the_environment_says_where() {
    let Some((world, _)) = storage() else { return };
    let url = format!("https://{}/", blob_host());
    let (passed, text) = alone("blobs::managed_identity", world, &[("BLOB_URL", &url)]);
    assert!(passed, "{text}");
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn managed_identity() {
    let transport = Some(Transport::new(Arc::new(reqwest::Client::new())));
    let client_options = ClientOptions { retry: RetryOptions::none(), transport, ..ClientOptions::default() };
    let options = azure_identity::ManagedIdentityCredentialOptions {
        client_options: client_options.clone(),
        ..Default::default()
    };
    let credential = azure_identity::ManagedIdentityCredential::new(Some(options)).unwrap();
    let options = BlobServiceClientOptions { client_options, ..Default::default() };
    let url = Url::parse(&std::env::var("BLOB_URL").unwrap()).unwrap();
    let service = BlobServiceClient::new(url, Some(credential), Some(options)).unwrap();
    let container = service.blob_container_client("identity");
    container.create(None).await.unwrap();
    container.blob_client("a").upload(content("x"), None).await.unwrap();
}

#[test]
fn azurite_ends_with_its_handle() {
    let Some((world, shared)) = storage() else { return };
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../azurite");
    let other = crate::stage::world();
    let azurite = Azurite::start(&dir, &other).unwrap();
    let address = azurite.blob_address();
    assert_ne!(azurite.process_id(), shared.process_id());
    assert!(std::net::TcpStream::connect(address).is_ok());
    drop(azurite);
    assert!(std::net::TcpStream::connect(address).is_err());
    let _ = world;
}
