//! The account's lease: only its holder calls Qualys for this account.
//!
//! [`Lease`] is an `enum` over its two real kinds. In a folder it is a file lock, which the system frees when the process
//! dies. In a storage account it is a blob's lease, which ends by itself unless it is renewed. [`Lease::keep_renewed`]
//! renews it inside the cycle's own future, so a cycle that is cancelled stops renewing.

mod azure;
mod folder;

use crate::model::{CycleId, Name, TenantId};
use crate::store::{BlobKey, Store, StoreError};
use azure::BlobLease;
use folder::FileLease;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Who holds an account, as written into the lease for others to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub cycle: CycleId,
    pub tenant: TenantId,
    pub since: Timestamp,
}

/// The answer to a request for the lease.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours until it is released, dropped or lost.
    Ours(Lease),
    /// Another cycle holds it; `None` if that cycle's name cannot be read.
    Held(Option<Holder>),
}

/// A lease that this process acquired.
#[derive(Debug)]
pub enum Lease {
    /// A locked file.
    File(FileLease),
    /// A leased blob.
    Blob(Box<BlobLease>),
}

impl Lease {
    /// Asks for the account's lease. `lasts` is how long a blob's lease lasts after its latest renewal.
    ///
    /// # Errors
    /// When the storage cannot be reached. A lease that another cycle holds is not an error.
    pub async fn acquire(
        store: &Store,
        account: &Name,
        holder: &Holder,
        lasts: Duration,
    ) -> Result<Acquired, StoreError> {
        let key = BlobKey::Lease(account.clone());
        match store {
            Store::Folder(folder) => FileLease::acquire(folder.file(&key), holder).await,
            Store::Azure(azure) => BlobLease::acquire(azure, &key, holder, lasts).await,
        }
    }

    /// Who holds the lease now; `None` if it is free, or while its holder cannot be named.
    ///
    /// # Errors
    /// When the storage cannot be reached.
    pub async fn holder(store: &Store, account: &Name) -> Result<Option<Holder>, StoreError> {
        let key = BlobKey::Lease(account.clone());
        match store {
            Store::Folder(folder) => folder::holder(&folder.file(&key)),
            Store::Azure(azure) => azure::holder(azure, &key).await,
        }
    }

    /// Whether no other cycle can hold it now. Checked before each call to Qualys.
    pub fn is_still_ours(&self) -> bool {
        match self {
            Self::File(lease) => lease.is_still_ours(),
            Self::Blob(lease) => lease.is_still_ours(),
        }
    }

    /// Whether it stays ours for as long as a write may take. Checked before each write to Qualys.
    pub fn allows_writes(&self) -> bool {
        match self {
            // A file's lock does not run out.
            Self::File(lease) => lease.is_still_ours(),
            Self::Blob(lease) => lease.allows_writes(),
        }
    }

    /// Renews it for as long as this future runs. Never returns; the future is dropped when the cycle ends.
    pub async fn keep_renewed(&self) -> std::convert::Infallible {
        match self {
            Self::File(_) => std::future::pending().await,
            Self::Blob(lease) => lease.keep_renewed().await,
        }
    }

    /// Releases it. If that fails, it ends by itself.
    pub async fn release(&self) {
        match self {
            Self::File(lease) => lease.release(),
            Self::Blob(lease) => lease.release().await,
        }
    }
}
