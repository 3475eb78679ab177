//! The contract of the account's lease, on a folder and on Azurite.

use crate::azure::{Place, account, places};
use jiff::Timestamp;
use qualys_azure_inventory::lease::{Acquired, Holder, Lease};
use qualys_azure_inventory::model::{CycleId, Name, TenantId};
use qualys_azure_inventory::store::{BlobKey, FolderStore, Store};
use std::time::Duration;
use uuid::Uuid;

/// The shortest that Azure takes.
const LASTS: Duration = Duration::from_secs(15);

fn holder(number: u128) -> Holder {
    Holder {
        cycle: CycleId::new(Timestamp::UNIX_EPOCH, 1),
        tenant: TenantId::new(Uuid::from_u128(number)),
        since: Timestamp::UNIX_EPOCH,
    }
}

async fn ours(store: &Store, account: &Name, number: u128) -> Lease {
    match Lease::acquire(store, account, &holder(number), LASTS).await.unwrap() {
        Acquired::Ours(lease) => lease,
        Acquired::Held(by) => panic!("taken by {by:?}"),
    }
}

async fn taken(store: &Store, account: &Name) -> Option<Holder> {
    match Lease::acquire(store, account, &holder(9), LASTS).await.unwrap() {
        Acquired::Ours(_) => panic!("it should be taken"),
        Acquired::Held(by) => by,
    }
}

#[tokio::test]
async fn one_holds_it_and_the_other_hears_who() {
    for Place { store, .. } in places() {
        let (account, elsewhere) = (crate::azure::account(), crate::azure::account());
        assert_eq!(Lease::holder(&store, &account).await.unwrap(), None);
        let lease = ours(&store, &account, 1).await;
        assert_eq!(taken(&store, &account).await, Some(holder(1)));
        assert_eq!(Lease::holder(&store, &account).await.unwrap(), Some(holder(1)));
        ours(&store, &elsewhere, 2).await.release().await;
        assert!(lease.allows_writes());
        lease.release().await;
        assert_eq!(Lease::holder(&store, &account).await.unwrap(), None);
        let again = ours(&store, &account, 2).await;
        assert_eq!(Lease::holder(&store, &account).await.unwrap(), Some(holder(2)));
        again.release().await;
    }
}

#[tokio::test]
async fn a_blob_lease_lives_while_it_is_kept_and_ends_when_nobody_does() {
    let Some(Place { store, .. }) = places().into_iter().nth(1) else { return };
    let (kept, left) = (account(), account());
    let (one, other) = (ours(&store, &kept, 1).await, ours(&store, &left, 2).await);
    let look = async {
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert!(one.allows_writes(), "renewed every quarter");
        assert!(!other.allows_writes(), "less than half of it is left, so nothing may be written");
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(taken(&store, &kept).await, Some(holder(1)));
        ours(&store, &left, 3).await.release().await;
    };
    tokio::select! {
        () = look => {}
        never = one.keep_renewed() => match never {},
    }
    one.release().await;
}

#[tokio::test]
async fn a_lease_whose_file_was_replaced_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let files = FolderStore::new(folder.path());
    let account = account();
    let lease = ours(&Store::Folder(files.clone()), &account, 1).await;
    let path = files.file(&BlobKey::Lease(account));
    std::fs::remove_file(&path).unwrap();
    assert!(!lease.allows_writes());
    std::fs::write(&path, "").unwrap();
    assert!(!lease.allows_writes());
}
