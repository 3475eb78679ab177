//! The account's lease: whoever holds it is the only one who calls Qualys for this account.
//!
//! [`Lease`] is an `enum` over its two real kinds. On a folder it is a file lock, which the system frees when the process
//! dies. In a storage account it is a blob's lease, which ends by itself unless it is renewed; [`Lease::keep`] renews it,
//! inside the cycle's own future, so that a cycle that is cancelled renews nothing.

mod azure;
mod folder;

use crate::model::{CycleId, Name, TenantId};
use crate::store::{BlobKey, Store, StoreError};
use azure::BlobLease;
use folder::FileLease;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Who holds an account, as others read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The cycle.
    pub cycle: CycleId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Since when.
    pub since: Timestamp,
}

/// What came of asking for the lease.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours until it is released, dropped or lost.
    Ours(Lease),
    /// Somebody else has it.
    Held(Option<Holder>),
}

/// A held lease.
#[derive(Debug)]
pub enum Lease {
    /// A locked file.
    File(FileLease),
    /// A leased blob.
    Blob(Box<BlobLease>),
}

impl Lease {
    /// Asks for the account's lease; `lasts` is how long it outlives its holder.
    ///
    /// # Errors
    /// When the storage cannot be reached; a lease that is taken is no error.
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

    /// Who holds the lease now, if anybody does.
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

    /// Whether nobody else can hold it now. Asked before each call to Qualys.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::File(lease) => lease.is_held(),
            Self::Blob(lease) => lease.is_ours(),
        }
    }

    /// Whether it is still ours, for long enough to write. Asked before each write to Qualys.
    pub fn is_held(&self) -> bool {
        match self {
            Self::File(lease) => lease.is_held(),
            Self::Blob(lease) => lease.is_held(),
        }
    }

    /// Keeps it ours. Never returns; it is dropped when the cycle ends.
    pub async fn keep(&self) -> std::convert::Infallible {
        match self {
            Self::File(_) => std::future::pending().await,
            Self::Blob(lease) => lease.keep().await,
        }
    }

    /// Gives it back. One that cannot be given back ends by itself.
    pub async fn release(&self) {
        match self {
            Self::File(lease) => lease.release(),
            Self::Blob(lease) => lease.release().await,
        }
    }
}
