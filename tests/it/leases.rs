//! The contract of the account's lease, on a folder and on Azurite.

use crate::azure::{Place, account, places};
use crate::stage::LIMIT;
use jiff::Timestamp;
use qualys_azure_inventory::lease::{Acquired, Holder, Lease};
use qualys_azure_inventory::model::{CycleId, Name, TenantId};
use qualys_azure_inventory::store::{BlobKey, FolderStore, Store};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The shortest that Azure takes.
const SHORTEST: Duration = Duration::from_secs(15);
/// The longest: it does not end while a test looks.
const LONGEST: Duration = Duration::from_mins(1);

fn holder(number: u128) -> Holder {
    Holder {
        cycle: CycleId::new(Timestamp::UNIX_EPOCH, 1),
        tenant: TenantId::new(Uuid::from_u128(number)),
        since: Timestamp::UNIX_EPOCH,
    }
}

async fn acquire(store: &Store, account: &Name, number: u128, lasts: Duration) -> Acquired {
    Lease::acquire(store, account, &holder(number), lasts).await.unwrap()
}

async fn ours(store: &Store, account: &Name, number: u128, lasts: Duration) -> Lease {
    match acquire(store, account, number, lasts).await {
        Acquired::Ours(lease) => lease,
        Acquired::Held(by) => panic!("held by {by:?}"),
    }
}

/// The holder, as a refused caller is told.
async fn held_by(store: &Store, account: &Name) -> Option<Holder> {
    match acquire(store, account, 9, LONGEST).await {
        Acquired::Ours(_) => panic!("nobody held it"),
        Acquired::Held(by) => by,
    }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !is_so().await {
        assert!(since.elapsed() < LIMIT, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn one_holds_it_and_the_other_is_told_who() {
    for Place { store, .. } in places() {
        let (account, elsewhere) = (crate::azure::account(), crate::azure::account());
        assert_eq!(Lease::holder(&store, &account).await.unwrap(), None);
        let lease = ours(&store, &account, 1, LONGEST).await;
        assert_eq!(held_by(&store, &account).await, Some(holder(1)));
        assert_eq!(Lease::holder(&store, &account).await.unwrap(), Some(holder(1)));
        ours(&store, &elsewhere, 2, LONGEST).await.release().await;
        assert!(lease.allows_writes());
        lease.release().await;
        assert_eq!(Lease::holder(&store, &account).await.unwrap(), None);
        let again = ours(&store, &account, 2, LONGEST).await;
        assert_eq!(Lease::holder(&store, &account).await.unwrap(), Some(holder(2)));
        again.release().await;
    }
}

#[tokio::test]
async fn a_blob_lease_lives_while_it_is_kept_and_ends_when_it_is_not() {
    let Some(Place { store, .. }) = places().into_iter().nth(1) else { return };
    let (kept, left) = (account(), account());
    let since = Instant::now();
    let (one, other) = (ours(&store, &kept, 1, SHORTEST).await, ours(&store, &left, 2, SHORTEST).await);
    let look = async {
        until("half of the lease that nobody renews to pass", async || !other.allows_writes()).await;
        assert!(since.elapsed() >= SHORTEST / 2, "until then a write may begin");
        until("the other one to be renewed", async || one.allows_writes()).await;
        let has_ended = async || match acquire(&store, &left, 3, SHORTEST).await {
            Acquired::Ours(lease) => {
                lease.release().await;
                true
            }
            Acquired::Held(_) => false,
        };
        until("the lease that nobody renews to end", has_ended).await;
        assert!(since.elapsed() >= SHORTEST, "until then it keeps others out");
        assert_eq!(held_by(&store, &kept).await, Some(holder(1)), "taken before, and still held");
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
    let lease = ours(&Store::Folder(files.clone()), &account, 1, LONGEST).await;
    let path = files.file(&BlobKey::Lease(account));
    std::fs::remove_file(&path).unwrap();
    assert!(!lease.allows_writes());
    std::fs::write(&path, "").unwrap();
    assert!(!lease.allows_writes());
}
