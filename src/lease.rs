//! The account's lease: whoever holds it is the only one who calls Qualys for this account.
//!
//! [`Lease`] is an `enum` over its real kinds. On a folder it is a file lock, which the system frees when the process
//! dies; the blob lease takes its place here with the Azure edges.

use crate::model::{CycleId, Name, TenantId};
use crate::store::{BlobKey, FolderStore, Store, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
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
    /// It is ours until it is dropped.
    Ours(Lease),
    /// Somebody else has it.
    Taken(Option<Holder>),
}

/// A held lease. Dropping it gives it back.
#[derive(Debug)]
pub enum Lease {
    /// A locked file.
    File {
        /// The open file; closing it frees the lock.
        lock: File,
        /// Where it lies, to see whether it is still the same file.
        path: PathBuf,
    },
}

/// Somebody who only looks holds the lock for an instant, so one refusal is not believed.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

impl Lease {
    /// Asks for the account's lease.
    ///
    /// # Errors
    /// When the storage cannot be reached; a lease that is taken is no error.
    pub async fn acquire(store: &Store, account: &Name, holder: &Holder) -> Result<Acquired, StoreError> {
        let Store::Folder(folder) = store;
        let path = folder.file(&BlobKey::Lease(account.clone()));
        for attempt in 1.. {
            match lock(&path)? {
                Some(mut file) => {
                    write(&mut file, holder).map_err(|source| failed("write", &path, source))?;
                    return Ok(Acquired::Ours(Self::File { lock: file, path }));
                }
                None if attempt < TRIES => tokio::time::sleep(BETWEEN_TRIES).await,
                None => break,
            }
        }
        Ok(Acquired::Taken(read(&path)))
    }

    /// Who holds the lease now, if anybody does.
    ///
    /// # Errors
    /// When the storage cannot be reached.
    pub fn holder(folder: &FolderStore, account: &Name) -> Result<Option<Holder>, StoreError> {
        let path = folder.file(&BlobKey::Lease(account.clone()));
        if !path.exists() {
            return Ok(None);
        }
        Ok(match lock(&path)? {
            Some(_) => None,
            None => read(&path),
        })
    }

    /// Whether it is still ours. Asked before each write to Qualys.
    pub fn is_held(&self) -> bool {
        let Self::File { lock, path } = self;
        let same = |held: &std::fs::Metadata, there: &std::fs::Metadata| {
            (held.ino(), held.dev()) == (there.ino(), there.dev())
        };
        matches!((lock.metadata(), std::fs::metadata(path)), (Ok(held), Ok(there)) if same(&held, &there))
    }
}

fn lock(path: &PathBuf) -> Result<Option<File>, StoreError> {
    let open = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        File::options().create(true).read(true).write(true).truncate(false).open(path)
    };
    let file = open().map_err(|source| failed("open", path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed("lock", path, source)),
    }
}

fn write(file: &mut File, holder: &Holder) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&serde_json::to_vec(holder)?)
}

/// The holder's name may be half written at that moment: then nobody is named.
fn read(path: &PathBuf) -> Option<Holder> {
    let mut text = String::new();
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn failed(doing: &'static str, path: &std::path::Path, source: std::io::Error) -> StoreError {
    StoreError::Unavailable { doing, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn holder(number: u128) -> Holder {
        Holder {
            cycle: CycleId::new(Timestamp::UNIX_EPOCH, 1),
            tenant: TenantId::new(Uuid::from_u128(number)),
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn one_holds_it_and_the_other_hears_who() {
        let folder = tempfile::tempdir().unwrap();
        let files = FolderStore::new(folder.path());
        let (store, account) = (Store::Folder(files.clone()), "default".parse::<Name>().unwrap());
        assert_eq!(Lease::holder(&files, &account).unwrap(), None);
        let Acquired::Ours(lease) = Lease::acquire(&store, &account, &holder(1)).await.unwrap() else {
            panic!()
        };
        let Acquired::Taken(other) = Lease::acquire(&store, &account, &holder(2)).await.unwrap() else {
            panic!()
        };
        assert_eq!(other, Some(holder(1)));
        assert_eq!(Lease::holder(&files, &account).unwrap(), Some(holder(1)));
        let elsewhere = "other".parse::<Name>().unwrap();
        assert!(matches!(Lease::acquire(&store, &elsewhere, &holder(2)).await.unwrap(), Acquired::Ours(_)));
        assert!(lease.is_held());
        drop(lease);
        assert_eq!(Lease::holder(&files, &account).unwrap(), None);
        assert!(matches!(Lease::acquire(&store, &account, &holder(2)).await.unwrap(), Acquired::Ours(_)));
    }

    #[tokio::test]
    async fn a_lease_whose_file_was_replaced_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let files = FolderStore::new(folder.path());
        let account = "default".parse::<Name>().unwrap();
        let Acquired::Ours(lease) =
            Lease::acquire(&Store::Folder(files.clone()), &account, &holder(1)).await.unwrap()
        else {
            panic!()
        };
        let path = files.file(&BlobKey::Lease(account));
        std::fs::remove_file(&path).unwrap();
        assert!(!lease.is_held());
        std::fs::write(&path, "").unwrap();
        assert!(!lease.is_held());
    }
}
