//! Answers of Azure storage that are lost: a write that took effect is recognised as our own.

use crate::stage::azure_stage;
use qualys_azure_inventory::lease::{Acquired, Holder, Lease};
use qualys_azure_inventory::model::CycleId;
use qualys_azure_inventory::store::{AzureStore, BlobKey, Condition, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use world::azurite::blob_host;
use world::{CallKind, Fault, Kind, Service, World};

/// A store as the program builds it.
fn store(world: &World) -> Store {
    let identity = Arc::new(crate::stage::WorldIdentity::new(world));
    let url = format!("https://{}", blob_host()).parse().unwrap();
    let store = AzureStore::new(crate::azure::http(world), url, identity);
    Store::Azure(store.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_was_lost_is_recognised_as_our_own() {
    let Some(azure) = azure_stage() else { return };
    let world = &azure.stage.world;
    let store = store(world);
    let key = BlobKey::State(crate::azure::tenant());
    world.fault(Fault::new(CallKind::BlobPut, Kind::ResetAfter));
    let first = store.put(&key, "1".into(), Condition::New).await.unwrap();
    world.fault(Fault::new(CallKind::BlobPut, Kind::ResetAfter));
    let second = store.put(&key, "2".into(), Condition::Match(first.clone())).await.unwrap();
    let lost = store.put(&key, "3".into(), Condition::Match(first)).await;
    assert!(
        matches!(lost, Err(StoreError::Conflict { .. })),
        "a write that lost a race for another reason stays an error"
    );
    let blob = store.get(&key).await.unwrap().unwrap();
    assert_eq!((blob.bytes, blob.etag), ("2".into(), second));
    let part = BlobKey::Raw {
        tenant: crate::azure::tenant(),
        snapshot: "20261123T040500Z-1f2e3d4c".parse().unwrap(),
        resource_type: "VIRTUAL_MACHINE".into(),
        part: 0,
    };
    let mut blob = store.new_blob(part.clone()).await.unwrap();
    blob.write("row\n".into()).await.unwrap();
    world.fault(Fault::new(CallKind::BlockListPut, Kind::ResetAfter));
    blob.publish().await.unwrap();
    assert_eq!(store.get(&part).await.unwrap().unwrap().bytes, "row\n");
    assert!(world.calls().iter().any(|call| call.service == Service::Storage));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_outlives_lost_answers_and_is_given_back_in_spite_of_them() {
    const LASTS: Duration = Duration::from_secs(30);
    let Some(azure) = azure_stage() else { return };
    let world = &azure.stage.world;
    let store = store(world);
    let account = crate::azure::account();
    let holder =
        Holder { cycle: CycleId::new(world.now(), 1), tenant: crate::azure::tenant(), since: world.now() };
    world.fault(Fault::new(CallKind::BlobLease, Kind::ResetAfter));
    let got = Lease::acquire(&store, &account, &holder, LASTS).await.unwrap();
    let Acquired::Ours(lease) = got else { panic!("the answer that was lost had given it to us") };
    // The first renewal fails; half of the lease must still be left at every moment.
    world.fault(Fault::new(CallKind::BlobLease, Kind::ResetBefore));
    let look = async {
        // Longer than a quarter, after which the renewal fails, and a sixteenth, after which it is made again.
        for _ in 0..120 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(lease.allows_writes());
        }
    };
    tokio::select! {
        () = look => {}
        _ = lease.keep_renewed() => {}
    }
    for kind in [Kind::ResetBefore, Kind::ResetAfter] {
        world.fault(Fault::new(CallKind::BlobLease, kind.clone()));
        let got = Lease::acquire(&store, &account, &holder, LASTS).await;
        assert!(matches!(got, Ok(Acquired::Held(_))), "{kind:?}");
    }
    world.fault(Fault::new(CallKind::BlobLease, Kind::ResetBefore));
    lease.release().await;
    assert_eq!(Lease::holder(&store, &account).await.unwrap(), None);
}
