//! Blobs in an Azure storage account, through the official crate.
//!
//! The service itself checks the conditions of writes. A write whose answer was lost must not look like a lost race: each
//! write carries an id, and when a retry finds its condition broken by a blob with that very id, the write was ours.

mod call;
mod new_blob;

pub(crate) use call::{Failure, call};
pub use new_blob::NewAzureBlob;

use super::{Blob, BlobKey, Condition, Container, ETag, StoreError};
use crate::sdk::client_options;
use azure_core::Bytes as Body;
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::headers::HeaderName;
use azure_core::http::{Etag, RequestContent};
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobClientUploadOptions, BlobContainerClientListBlobsOptions,
};
use azure_storage_blob::{BlobClient, BlobServiceClient, BlobServiceClientOptions};
use bytes::Bytes;
use call::call_about;
use futures::TryStreamExt;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

/// The metadata that distinguishes a write of ours from any other.
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
    /// The account at this address, for example `https://account.blob.core.windows.net`.
    ///
    /// # Errors
    /// When the address cannot be a storage account's.
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
            Ok((required(etag, "a blob's etag")?, answer.body.collect().await?))
        };
        match call("read", key, read).await {
            Ok((etag, bytes)) => Ok(Some(Blob { bytes, etag: ETag(etag) })),
            Err(Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure.into()),
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
            required(answer.etag.map(|etag| etag.to_string()), "a blob's etag")
        };
        match call("write", key, write).await {
            Ok(etag) => Ok(ETag(etag)),
            Err(Failure::ConditionFailed(conflict)) => {
                self.etag_if_written_by(key, &id).await?.ok_or(conflict)
            }
            // Our own write, repeated after its answer was lost, or by a cycle that goes on after a kill.
            Err(Failure::WriteOnce(refused)) => match self.get(key).await? {
                Some(found) if found.bytes == bytes => Ok(found.etag),
                _ => Err(refused),
            },
            // With `If-Match`, a blob that is gone is a lost race too.
            Err(Failure::NotFound(_)) if matches!(condition, Condition::Match(_)) => {
                Err(StoreError::Conflict { path: key.path() })
            }
            Err(failure) => Err(failure.into()),
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
            Ok(()) | Err(Failure::NotFound(_)) => Ok(true),
            // The condition fails for a blob that is gone, too.
            Err(Failure::ConditionFailed(_)) => Ok(self.get(key).await?.is_none()),
            Err(failure) => Err(failure.into()),
        }
    }

    pub(super) async fn list(
        &self,
        container: Container,
        below: &str,
    ) -> Result<Vec<(String, ETag)>, StoreError> {
        let mut found = self.everything(container, below).await?;
        found.retain(|(name, _)| !name.contains('/'));
        Ok(found)
    }

    /// From a listing of every blob below, since this version of the crate lists no folders. It is needed once, when a state was
    /// lost.
    pub(super) async fn folders(&self, container: Container, below: &str) -> Result<Vec<String>, StoreError> {
        let found = self.everything(container, below).await?;
        let folder = |(name, _): &(String, ETag)| name.split_once('/').map(|(folder, _)| folder.to_owned());
        let folders: BTreeSet<_> = found.iter().filter_map(folder).collect();
        Ok(folders.into_iter().collect())
    }

    /// Every blob below, by its path from there, in order.
    async fn everything(&self, container: Container, below: &str) -> Result<Vec<(String, ETag)>, StoreError> {
        let prefix = format!("{below}/");
        let client = self.service.blob_container_client(container.as_str());
        let list = || async {
            let options =
                BlobContainerClientListBlobsOptions { prefix: Some(prefix.clone()), ..Default::default() };
            let mut items = client.list_blobs(Some(options))?;
            let mut found = Vec::new();
            while let Some(item) = items.try_next().await? {
                let name = required(item.name, "a listed blob's name")?;
                let etag = item.properties.and_then(|properties| properties.etag);
                let etag = quoted(required(etag, "a listed blob's etag")?.as_ref());
                found.extend(name.strip_prefix(&prefix).map(|name| (name.to_owned(), ETag(etag))));
            }
            Ok(found)
        };
        let mut found = call_about("list", &prefix, container, list).await?;
        found.sort();
        Ok(found)
    }

    pub(super) fn new_blob(&self, key: BlobKey) -> NewAzureBlob {
        NewAzureBlob::new(self.clone(), key)
    }

    /// The version of the blob, if the write with this id made it.
    async fn etag_if_written_by(&self, key: &BlobKey, id: &str) -> Result<Option<ETag>, StoreError> {
        let blob = self.blob(key);
        let look = || async {
            let answer = blob.get_properties(None).await?;
            let header =
                |name: &'static str| answer.headers().get_optional_string(&HeaderName::from_static(name));
            Ok((header("x-ms-meta-writeid"), header("etag")))
        };
        match call("read", key, look).await {
            Ok((found, etag)) if found.as_deref() == Some(id) => Ok(etag.map(ETag)),
            Ok(_) | Err(Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
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

/// What the service leaves out is an error: without a name a listing would be too short, and without a version the next
/// conditional write would have no condition.
fn required<T>(value: Option<T>, what: &'static str) -> azure_core::Result<T> {
    value.ok_or_else(|| {
        azure_core::Error::with_message(ErrorKind::DataConversion, format!("the service left out {what}"))
    })
}

/// Versions are in quotes in headers, and bare in listings.
fn quoted(etag: &str) -> String {
    if etag.starts_with('"') { etag.to_owned() } else { format!("\"{etag}\"") }
}
