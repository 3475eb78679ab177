//! The lease of a blob.

use super::{Acquired, Holder, Lease};
use crate::store::{AzureStore, BlobKey, Failure, StoreError, call};
use azure_core::http::headers::HeaderName;
use azure_core::http::{Etag, RequestContent};
use azure_storage_blob::BlobClient;
use azure_storage_blob::models::{BlobClientAcquireLeaseOptions, BlobClientUploadOptions};
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, warn};
use uuid::Uuid;

/// A leased blob.
pub struct BlobLease {
    blob: BlobClient,
    key: BlobKey,
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
            Ok(()) | Err(Failure::ConditionFailed(_) | Failure::Leased(_)) => {}
            Err(failure) => return Err(failure.into()),
        }
        let seconds = i32::try_from(lasts.as_secs()).unwrap_or(60);
        // The id is ours from the start, so that asking again after a lost answer does not find somebody else's lease.
        let id = Uuid::new_v4().to_string();
        let lease = || async {
            let options =
                BlobClientAcquireLeaseOptions { proposed_lease_id: Some(id.clone()), ..Default::default() };
            // The time before the answer counts: the service's clock began to run then.
            let asked = Instant::now();
            blob.acquire_lease(seconds, Some(options)).await.map(|_| asked)
        };
        let asked = match call("lease", key, lease).await {
            Ok(asked) => asked,
            Err(Failure::Leased(_)) => return Ok(Acquired::Held(read(store, key).await?)),
            Err(failure) => return Err(failure.into()),
        };
        let lease = Self { blob, key: key.clone(), id, lasts, renewed: Mutex::new(Some(asked)) };
        let name = serde_json::to_vec(holder).unwrap_or_default();
        let named = call("write", key, || upload(&lease.blob, name.clone(), Some(lease.id.clone()))).await;
        if let Err(failure) = named {
            lease.release().await;
            return Err(failure.into());
        }
        Ok(Acquired::Ours(Lease::Blob(Box::new(lease))))
    }

    /// The service gives it to nobody else before it ends.
    pub(super) fn is_ours(&self) -> bool {
        self.is_younger_than(self.lasts)
    }

    /// Half of it must be left, since a write to Qualys may take as long.
    pub(super) fn is_held(&self) -> bool {
        self.is_younger_than(self.lasts / 2)
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.is_some_and(|at| at.elapsed() < age)
    }

    /// Renews it every quarter. When the service says that it is somebody else's, it is lost for good; when there is no
    /// answer, it is lost as soon as less than half is left, and found again with the next answer.
    ///
    /// An attempt may take an eighth and the next follows a sixteenth later, so that one lost answer is made good before
    /// half is gone.
    pub(super) async fn keep(&self) -> Infallible {
        let mut wait = self.lasts / 4;
        loop {
            sleep(wait).await;
            let asked = Instant::now();
            let renewed = match timeout(self.lasts / 8, self.blob.renew_lease(self.id.clone(), None)).await {
                Ok(Ok(_)) => Some(asked),
                Ok(Err(error)) if is_not_ours(&error) => {
                    error!("The account's lease was lost to somebody else; nothing more is sent to Qualys");
                    None
                }
                Ok(Err(_)) | Err(_) => {
                    warn!("The account's lease could not be renewed; it is tried again");
                    wait = self.lasts / 16;
                    continue;
                }
            };
            wait = self.lasts / 4;
            *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
            if renewed.is_none() {
                return std::future::pending().await;
            }
        }
    }

    /// The next wake-up may come at once, so a stumble is repeated: it would find the account taken, and be dropped.
    pub(super) async fn release(&self) {
        let release = || async {
            match self.blob.release_lease(self.id.clone(), None).await {
                // Given back by the attempt whose answer was lost, or lost before.
                Err(error) if is_not_ours(&error) => Ok(()),
                answer => answer.map(|_| ()),
            }
        };
        if call("release", &self.key, release).await.is_err() {
            warn!("The account's lease could not be given back; it ends by itself");
        }
    }
}

fn is_not_ours(error: &azure_core::Error) -> bool {
    error.http_status().is_some_and(|status| matches!(u16::from(status), 409 | 412))
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
        Ok(_) | Err(Failure::NotFound(_)) => Ok(None),
        Err(failure) => Err(failure.into()),
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
