//! The lease of a blob.

use super::{Acquired, Holder, Lease};
use crate::store::{AzureStore, BlobKey, Failed, StoreError, call};
use azure_core::http::headers::HeaderName;
use azure_core::http::{Etag, RequestContent};
use azure_storage_blob::BlobClient;
use azure_storage_blob::models::{BlobClientAcquireLeaseResultHeaders, BlobClientUploadOptions};
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, warn};

/// A leased blob.
pub struct BlobLease {
    blob: BlobClient,
    id: String,
    lasts: Duration,
    /// When the service last said that it is ours; none: it said that it is not.
    renewed: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for BlobLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobLease").field("lasts", &self.lasts).finish_non_exhaustive()
    }
}

impl BlobLease {
    pub(super) async fn acquire(
        store: &AzureStore,
        key: &BlobKey,
        holder: &Holder,
        lasts: Duration,
    ) -> Result<Acquired, StoreError> {
        let blob = store.blob(key);
        // Only a blob that is there can be leased.
        match call("write", key, || upload(&blob, Vec::new(), None)).await {
            // A leased blob is there too.
            Ok(()) | Err(Failed::Lost | Failed::Leased) => {}
            Err(failed) => return Err(failed.into_error("write", key)),
        }
        let seconds = i32::try_from(lasts.as_secs()).unwrap_or(60);
        // The time before the answer counts: the service's clock began to run then.
        let asked = Instant::now();
        let lease = || async { blob.acquire_lease(seconds, None).await?.lease_id() };
        let id = match call("lease", key, lease).await {
            Ok(Some(id)) => id,
            Ok(None) => {
                let source = std::io::Error::other("the service gave no lease id");
                return Err(StoreError::Unavailable { doing: "lease", path: key.path(), source });
            }
            Err(Failed::Leased) => return Ok(Acquired::Taken(read(store, key).await?)),
            Err(failed) => return Err(failed.into_error("lease", key)),
        };
        let lease = Self { blob, id, lasts, renewed: Mutex::new(Some(asked)) };
        let name = serde_json::to_vec(holder).unwrap_or_default();
        let named = call("write", key, || upload(&lease.blob, name.clone(), Some(lease.id.clone()))).await;
        if let Err(failed) = named {
            lease.release().await;
            return Err(failed.into_error("write", key));
        }
        Ok(Acquired::Ours(Lease::Blob(lease)))
    }

    /// Half of it must be left, since a write to Qualys may take as long.
    pub(super) fn is_held(&self) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.is_some_and(|at| at.elapsed() < self.lasts / 2)
    }

    /// Renews it every quarter. When the service says that it is somebody else's, it is lost for good; when there is no
    /// answer, it is lost as soon as less than half is left, and found again with the next answer.
    pub(super) async fn keep(&self) -> Infallible {
        loop {
            sleep(self.lasts / 4).await;
            let asked = Instant::now();
            let renewed = match timeout(self.lasts / 4, self.blob.renew_lease(self.id.clone(), None)).await {
                Ok(Ok(_)) => Some(asked),
                Ok(Err(error))
                    if error.http_status().is_some_and(|status| matches!(u16::from(status), 409 | 412)) =>
                {
                    error!("The account's lease was lost to somebody else; nothing more is written");
                    None
                }
                Ok(Err(_)) | Err(_) => {
                    warn!("The account's lease could not be renewed; it is tried again");
                    continue;
                }
            };
            *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
            if renewed.is_none() {
                return std::future::pending().await;
            }
        }
    }

    pub(super) async fn release(&self) {
        if self.blob.release_lease(self.id.clone(), None).await.is_err() {
            warn!("The account's lease could not be given back; it ends by itself");
        }
    }
}

/// Who holds it, if it is held.
pub(super) async fn holder(store: &AzureStore, key: &BlobKey) -> Result<Option<Holder>, StoreError> {
    let blob = store.blob(key);
    let look = || async {
        let answer = blob.get_properties(None).await?;
        Ok(answer.headers().get_optional_string(&HeaderName::from_static("x-ms-lease-state")))
    };
    match call("read", key, look).await {
        Ok(Some(state)) if state == "leased" => read(store, key).await,
        Ok(_) | Err(Failed::Missing) => Ok(None),
        Err(failed) => Err(failed.into_error("read", key)),
    }
}

async fn read(store: &AzureStore, key: &BlobKey) -> Result<Option<Holder>, StoreError> {
    let blob = store.get(key).await?;
    Ok(blob.and_then(|blob| serde_json::from_slice(&blob.bytes).ok()))
}

/// With a lease it writes over what is there; without one it only makes the blob.
async fn upload(blob: &BlobClient, bytes: Vec<u8>, lease_id: Option<String>) -> azure_core::Result<()> {
    let if_none_match = lease_id.is_none().then(|| Etag::from("*"));
    let options = BlobClientUploadOptions { lease_id, if_none_match, ..Default::default() };
    blob.upload(RequestContent::from(bytes), Some(options)).await.map(|_| ())
}
