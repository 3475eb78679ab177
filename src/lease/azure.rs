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
    /// When the last renewal was sent that the service granted; `None` once the lease is lost.
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
        // Only a blob that exists can be leased.
        match call("write", key, || upload(&blob, Vec::new(), None)).await {
            // It exists; it may be leased already.
            Ok(()) | Err(Failure::ConditionFailed(_) | Failure::Leased(_)) => {}
            Err(failure) => return Err(failure.into()),
        }
        let seconds = i32::try_from(lasts.as_secs()).unwrap_or(60);
        // We choose the id, so a retry after a lost answer finds our own lease and not one that looks like another cycle's.
        let id = Uuid::new_v4().to_string();
        let acquire = || async {
            let options =
                BlobClientAcquireLeaseOptions { proposed_lease_id: Some(id.clone()), ..Default::default() };
            // The time before the call counts: the service's clock may have started right then.
            let asked = Instant::now();
            blob.acquire_lease(seconds, Some(options)).await.map(|_| asked)
        };
        let asked = match call("lease", key, acquire).await {
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

    /// Until it ends, the service grants it to no one else.
    pub(super) fn is_still_ours(&self) -> bool {
        self.is_younger_than(self.lasts)
    }

    /// At least half of it must be left, since a write to Qualys may take that long.
    pub(super) fn allows_writes(&self) -> bool {
        self.is_younger_than(self.lasts / 2)
    }

    fn is_younger_than(&self, age: Duration) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.is_some_and(|at| at.elapsed() < age)
    }

    /// Renews it after each quarter of its time. When the service answers that it is not ours, it is lost for good. While
    /// there is no answer, writes stop as soon as less than half of its time is left, and go on after the next answer.
    ///
    /// An attempt may take an eighth of its time and the next one follows a sixteenth later, so that a renewal after one lost
    /// answer comes before half of the time is gone.
    pub(super) async fn keep_renewed(&self) -> Infallible {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(renewed) = renewed else { return std::future::pending().await };
        // From the last renewal on: this may go on where another call was stopped.
        let mut wait = (self.lasts / 4).saturating_sub(renewed.elapsed());
        loop {
            sleep(wait).await;
            let asked = Instant::now();
            let renewed = match timeout(self.lasts / 8, self.blob.renew_lease(self.id.clone(), None)).await {
                Ok(Ok(_)) => Some(asked),
                Ok(Err(error)) if is_not_ours(&error) => {
                    error!("The account's lease was lost; this cycle sends nothing more to Qualys");
                    None
                }
                Ok(Err(_)) | Err(_) => {
                    warn!("Could not renew the account's lease; trying again");
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

    /// A failure is retried: the next wake-up may come immediately, and would be dropped if the lease were still held.
    pub(super) async fn release(&self) {
        let release = || async {
            match self.blob.release_lease(self.id.clone(), None).await {
                // An attempt whose answer was lost released it, or it was lost before.
                Err(error) if is_not_ours(&error) => Ok(()),
                answer => answer.map(|_| ()),
            }
        };
        if call("release", &self.key, release).await.is_err() {
            warn!("Could not release the account's lease; it ends by itself");
        }
    }
}

fn is_not_ours(error: &azure_core::Error) -> bool {
    error.http_status().is_some_and(|status| matches!(u16::from(status), 409 | 412))
}

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

/// With a lease id, it overwrites the blob; without one, it only creates it.
async fn upload(blob: &BlobClient, bytes: Vec<u8>, lease_id: Option<String>) -> azure_core::Result<()> {
    let if_none_match = lease_id.is_none().then(|| Etag::from("*"));
    let options = BlobClientUploadOptions { lease_id, if_none_match, ..Default::default() };
    blob.upload(RequestContent::from(bytes), Some(options)).await.map(|_| ())
}
