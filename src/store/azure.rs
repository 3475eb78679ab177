//! Blobs in an Azure storage account, through the official crate.
//!
//! Conditional writes are the service's own. A write whose answer was lost is not taken for a lost race: each write
//! carries an id, and when a repetition finds the condition broken by a blob with that very id, it was ours.

use super::{Blob, BlobKey, Condition, Container, ETag, StoreError};
use crate::azure::chain_of;
use crate::retry::{Again, retry};
use azure_core::Bytes as Body;
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::headers::HeaderName;
use azure_core::http::{ClientOptions, Etag, RequestContent, RetryOptions, StatusCode, Transport};
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobClientUploadOptions, BlobContainerClientListBlobsOptions,
    BlockBlobClientCommitBlockListOptions, BlockLookupList,
};
use azure_storage_blob::{BlobClient, BlobServiceClient, BlobServiceClientOptions};
use bytes::Bytes;
use futures::TryStreamExt;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;
use uuid::Uuid;

/// Blobs here are small and parts go in blocks of a megabyte: what takes longer, repetitions included, is an outage.
const LIMIT: Duration = Duration::from_secs(30);
/// One attempt: storage answers in milliseconds, so an answer that is not there by then is lost, and is asked for again.
const ATTEMPT: Duration = Duration::from_secs(8);
/// The metadata that tells our own write from somebody else's.
const WRITE_ID: &str = "writeid";

/// Blobs in an Azure storage account.
#[derive(Clone)]
pub struct AzureStore {
    service: Arc<BlobServiceClient>,
    url: Url,
}

impl std::fmt::Debug for AzureStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AzureStore({})", self.url)
    }
}

impl AzureStore {
    /// The account at this address, such as `https://account.blob.core.windows.net`.
    ///
    /// # Errors
    /// When the address is none of a storage account.
    pub fn new(
        http: reqwest::Client,
        url: Url,
        credential: Arc<dyn TokenCredential>,
    ) -> azure_core::Result<Self> {
        let options = BlobServiceClientOptions { client_options: client_options(http), ..Default::default() };
        let service = BlobServiceClient::new(url.clone(), Some(credential), Some(options))?;
        Ok(Self { service: Arc::new(service), url })
    }

    /// The client of one blob.
    pub(crate) fn blob(&self, key: &BlobKey) -> BlobClient {
        self.service.blob_client(key.container().as_str(), &key.path())
    }

    pub(crate) async fn get(&self, key: &BlobKey) -> Result<Option<Blob>, StoreError> {
        let blob = self.blob(key);
        let read = || async {
            let answer = blob.download(None).await?;
            let etag = answer.headers.get_optional_str(&HeaderName::from_static("etag")).map(str::to_owned);
            Ok((told(etag, "a blob's etag")?, answer.body.collect().await?))
        };
        match call("read", key, read).await {
            Ok((etag, bytes)) => Ok(Some(Blob { bytes, etag: ETag(etag) })),
            Err(Failed::Missing) => Ok(None),
            Err(failed) => Err(failed.into_error("read", key)),
        }
    }

    pub(super) async fn put(
        &self,
        key: &BlobKey,
        bytes: Bytes,
        condition: Condition,
    ) -> Result<ETag, StoreError> {
        let blob = self.blob(key);
        let id = Uuid::new_v4().simple().to_string();
        let (if_match, if_none_match) = headers(&condition);
        let write = || async {
            let options = BlobClientUploadOptions {
                blob_content_type: Some(key.content_type().to_owned()),
                metadata: Some(HashMap::from([(WRITE_ID.to_owned(), id.clone())])),
                if_match: if_match.clone(),
                if_none_match: if_none_match.clone(),
                ..Default::default()
            };
            let answer = blob.upload(content(bytes.clone()), Some(options)).await?;
            told(answer.etag.map(|etag| etag.to_string()), "a blob's etag")
        };
        match call("write", key, write).await {
            Ok(etag) => Ok(ETag(etag)),
            Err(Failed::Lost) => self.own(key, &id).await?.ok_or(StoreError::Conflict { path: key.path() }),
            // With `If-Match` a blob that is gone is a lost race too.
            Err(Failed::Missing) if matches!(condition, Condition::Match(_)) => {
                Err(StoreError::Conflict { path: key.path() })
            }
            Err(failed) => Err(failed.into_error("write", key)),
        }
    }

    pub(super) async fn remove(&self, key: &BlobKey, etag: &ETag) -> Result<bool, StoreError> {
        let blob = self.blob(key);
        let remove = || async {
            let options =
                BlobClientDeleteOptions { if_match: Some(Etag::from(etag.0.clone())), ..Default::default() };
            blob.delete(Some(options)).await.map(|_| ())
        };
        match call("remove", key, remove).await {
            Ok(()) | Err(Failed::Missing) => Ok(true),
            // A condition on a blob that is gone does not hold either.
            Err(Failed::Lost) => Ok(self.get(key).await?.is_none()),
            Err(failed) => Err(failed.into_error("remove", key)),
        }
    }

    pub(super) async fn list(
        &self,
        container: Container,
        below: &str,
    ) -> Result<Vec<(String, ETag)>, StoreError> {
        let prefix = format!("{below}/");
        let place = Place { path: prefix.clone(), container };
        let client = self.service.blob_container_client(container.as_str());
        let list = || async {
            let options =
                BlobContainerClientListBlobsOptions { prefix: Some(prefix.clone()), ..Default::default() };
            let mut items = client.list_blobs(Some(options))?;
            let mut found = Vec::new();
            while let Some(item) = items.try_next().await? {
                let name = told(item.name, "a listed blob's name")?;
                let etag = item.properties.and_then(|properties| properties.etag);
                let etag = quoted(told(etag, "a listed blob's etag")?.as_ref());
                if let Some(name) = name.strip_prefix(&prefix).filter(|name| !name.contains('/')) {
                    found.push((name.to_owned(), ETag(etag)));
                }
            }
            Ok(found)
        };
        let mut found = match attempts("list", &place, list).await {
            Ok(found) => found,
            Err(failed) => return Err(failed.into_store_error("list", &place)),
        };
        found.sort();
        Ok(found)
    }

    pub(super) fn new_blob(&self, key: BlobKey) -> NewAzureBlob {
        NewAzureBlob { store: self.clone(), key, id: Uuid::new_v4().simple().to_string(), blocks: Vec::new() }
    }

    /// The version of a blob if this write made it.
    async fn own(&self, key: &BlobKey, id: &str) -> Result<Option<ETag>, StoreError> {
        let blob = self.blob(key);
        let look = || async {
            let answer = blob.get_properties(None).await?;
            let header =
                |name: &'static str| answer.headers().get_optional_string(&HeaderName::from_static(name));
            Ok((header("x-ms-meta-writeid"), header("etag")))
        };
        match call("read", key, look).await {
            Ok((found, etag)) if found.as_deref() == Some(id) => Ok(etag.map(ETag)),
            Ok(_) | Err(Failed::Missing) => Ok(None),
            Err(failed) => Err(failed.into_error("read", key)),
        }
    }
}

/// A blob in the making: blocks that nobody sees until the list of them is committed. Azure forgets uncommitted blocks
/// after a week.
#[derive(Debug)]
pub struct NewAzureBlob {
    store: AzureStore,
    key: BlobKey,
    id: String,
    blocks: Vec<Vec<u8>>,
}

impl NewAzureBlob {
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let client = self.store.blob(&self.key).block_blob_client();
        // All ids of a blob have one length, and another draft of the same blob has others.
        let id = format!("{}-{:08}", self.id, self.blocks.len()).into_bytes();
        let stage = || async {
            client.stage_block(&id, bytes.len() as u64, content(bytes.clone()), None).await.map(|_| ())
        };
        call("write", &self.key, stage).await.map_err(|failed| failed.into_error("write", &self.key))?;
        self.blocks.push(id);
        Ok(())
    }

    pub(super) async fn publish(self) -> Result<(), StoreError> {
        let client = self.store.blob(&self.key).block_blob_client();
        let commit = || async {
            let list = BlockLookupList { latest: Some(self.blocks.clone()), ..Default::default() };
            let options = BlockBlobClientCommitBlockListOptions {
                blob_content_type: Some(self.key.content_type().to_owned()),
                metadata: Some(HashMap::from([(WRITE_ID.to_owned(), self.id.clone())])),
                if_none_match: Some(Etag::from("*")),
                ..Default::default()
            };
            client.commit_block_list(list.try_into()?, Some(options)).await.map(|_| ())
        };
        match call("publish", &self.key, commit).await {
            Ok(()) => Ok(()),
            Err(Failed::Lost) if self.store.own(&self.key, &self.id).await?.is_some() => Ok(()),
            Err(failed) => Err(failed.into_error("publish", &self.key)),
        }
    }
}

/// What went wrong with a call, as the callers tell it apart.
pub(crate) enum Failed {
    /// There is no such blob.
    Missing,
    /// The condition did not hold.
    Lost,
    /// Somebody holds a lease on it.
    Leased,
    /// All else.
    Store(StoreError),
}

impl Failed {
    pub(crate) fn into_error(self, doing: &'static str, key: &BlobKey) -> StoreError {
        self.into_store_error(doing, &Place { path: key.path(), container: key.container() })
    }

    fn into_store_error(self, doing: &'static str, place: &Place) -> StoreError {
        let path = place.path.clone();
        match self {
            Self::Lost | Self::Leased => StoreError::Conflict { path },
            Self::Missing => {
                StoreError::Unavailable { doing, path, source: std::io::ErrorKind::NotFound.into() }
            }
            Self::Store(error) => error,
        }
    }
}

/// What a call is about.
struct Place {
    path: String,
    container: Container,
}

pub(crate) async fn call<T, F>(
    doing: &'static str,
    key: &BlobKey,
    work: impl Fn() -> F + Sync,
) -> Result<T, Failed>
where
    T: Send,
    F: Future<Output = azure_core::Result<T>> + Send,
{
    attempts(doing, &Place { path: key.path(), container: key.container() }, work).await
}

/// Calls until there is an answer that says something, within the limit.
async fn attempts<T, F>(doing: &'static str, place: &Place, work: impl Fn() -> F + Sync) -> Result<T, Failed>
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
    retry(deadline, again, attempt).await.map_err(|error| sort(doing, place, &error))
}

/// The one place where an answer of the storage becomes an error.
fn sort(doing: &'static str, place: &Place, error: &azure_core::Error) -> Failed {
    let code = match error.kind() {
        ErrorKind::HttpResponse { error_code, .. } => error_code.as_deref().unwrap_or_default(),
        _ => "",
    };
    let path = || place.path.clone();
    let cause = || match error.http_status() {
        // The service's message is long and names the request; its code says it all.
        Some(status) => std::io::Error::other(format!("HTTP {} {code}", u16::from(status))),
        None => std::io::Error::other(chain_of(error)),
    };
    match error.http_status() {
        Some(StatusCode::NotFound) if code == "ContainerNotFound" => {
            Failed::Store(StoreError::NoContainer { container: place.container.as_str() })
        }
        Some(StatusCode::NotFound) => Failed::Missing,
        Some(_) if matches!(code, "LeaseAlreadyPresent" | "LeaseIdMissing") => Failed::Leased,
        // A put that may only make a blob is told 409 when there is one.
        Some(StatusCode::Conflict) if code == "BlobAlreadyExists" => Failed::Lost,
        Some(StatusCode::PreconditionFailed) => Failed::Lost,
        Some(StatusCode::Forbidden | StatusCode::Unauthorized) => {
            Failed::Store(StoreError::Forbidden { path: path(), source: cause() })
        }
        _ => Failed::Store(StoreError::Unavailable { doing, path: path(), source: cause() }),
    }
}

/// What every Azure client is told: our own HTTP client, and no repetitions but ours.
pub(crate) fn client_options(http: reqwest::Client) -> ClientOptions {
    ClientOptions {
        transport: Some(Transport::new(Arc::new(http))),
        // The SDK's own would go on for over a minute, past every deadline.
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    }
}

fn headers(condition: &Condition) -> (Option<Etag>, Option<Etag>) {
    match condition {
        Condition::Any => (None, None),
        Condition::New => (None, Some(Etag::from("*"))),
        Condition::Match(etag) => (Some(Etag::from(etag.0.clone())), None),
    }
}

fn content<T>(bytes: Bytes) -> RequestContent<Body, T> {
    bytes.into()
}

/// What the service leaves out is an error: without a name a list would be short, and without a version the next
/// conditional write would have no condition.
fn told<T>(value: Option<T>, what: &'static str) -> azure_core::Result<T> {
    value.ok_or_else(|| {
        azure_core::Error::with_message(ErrorKind::DataConversion, format!("the service left out {what}"))
    })
}

/// Headers have versions in quotes, listings have them bare.
fn quoted(etag: &str) -> String {
    if etag.starts_with('"') { etag.to_owned() } else { format!("\"{etag}\"") }
}
