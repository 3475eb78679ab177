//! The contract of a store, on a folder and on Azurite.

use crate::azure::{Place, places, tenant};
use bytes::Bytes;
use jiff::Timestamp;
use qualys_azure_inventory::model::{RequestId, SnapshotId, SubscriptionId};
use qualys_azure_inventory::state::TenantState;
use qualys_azure_inventory::store::*;

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[tokio::test]
async fn a_blob_that_is_not_there_is_none_and_a_place_without_blobs_is_empty() {
    for Place { store, .. } in places() {
        let tenant = tenant();
        assert!(store.get(&BlobKey::State(tenant)).await.unwrap().is_none());
        assert!(store.list(Container::Control, &BlobKey::inbox(tenant)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn each_write_has_a_version_of_its_own_even_with_the_same_content() {
    for Place { store, .. } in places() {
        let tenant = tenant();
        let key = BlobKey::InboxItem(tenant, ItemName::Timer);
        let first = store.put(&key, text("{}"), Condition::Any).await.unwrap();
        let second = store.put(&key, text("{}"), Condition::Any).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(store.get(&key).await.unwrap().unwrap().etag, second);
        let listed = store.list(Container::Control, &BlobKey::inbox(tenant)).await.unwrap();
        assert_eq!(listed, [("timer".to_owned(), second.clone())], "a listing has the same version");
        assert!(!store.remove(&key, &first).await.unwrap(), "a newer version stays");
        assert!(store.remove(&key, &second).await.unwrap());
        assert!(store.remove(&key, &second).await.unwrap(), "gone is gone");
    }
}

#[tokio::test]
async fn a_conditional_write_loses_to_an_earlier_one() {
    for Place { store, .. } in places() {
        let tenant = tenant();
        let key = BlobKey::State(tenant);
        let first = store.put(&key, text("1"), Condition::New).await.unwrap();
        assert!(matches!(store.put(&key, text("2"), Condition::New).await, Err(StoreError::Conflict { .. })));
        store.put(&key, text("3"), Condition::Match(first.clone())).await.unwrap();
        assert!(matches!(
            store.put(&key, text("4"), Condition::Match(first)).await,
            Err(StoreError::Conflict { .. })
        ));
        assert_eq!(store.get(&key).await.unwrap().unwrap().bytes, "3");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_updates_at_once_none_is_lost() {
    for Place { store, .. } in places() {
        let tenant = tenant();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..8 {
            let store = store.clone();
            tasks.spawn(async move {
                let key = BlobKey::State(tenant);
                store
                    .update(&key, |state: &mut TenantState| {
                        state.schema_version = 1;
                        state.listed.insert(number.to_string(), String::new());
                    })
                    .await
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
        let (state, _) = store.read::<TenantState>(&BlobKey::State(tenant)).await.unwrap().unwrap();
        assert_eq!(state.listed.len(), 8);
    }
}

#[tokio::test]
async fn a_new_blob_shows_nothing_until_it_is_published_and_never_replaces() {
    for Place { store, folder, .. } in places() {
        let tenant = tenant();
        let snapshot = SnapshotId::new(Timestamp::UNIX_EPOCH, 1);
        let key = BlobKey::Raw { tenant, snapshot, resource_type: "VIRTUAL_MACHINE".into(), part: 0 };
        let mut dropped = store.new_blob(key.clone()).await.unwrap();
        dropped.write(text("half")).await.unwrap();
        drop(dropped);
        assert!(store.get(&key).await.unwrap().is_none());
        let mut new = store.new_blob(key.clone()).await.unwrap();
        new.write(text("one ")).await.unwrap();
        new.write(text("two")).await.unwrap();
        assert!(store.get(&key).await.unwrap().is_none());
        new.publish().await.unwrap();
        assert_eq!(store.get(&key).await.unwrap().unwrap().bytes, "one two");
        let second = store.new_blob(key.clone()).await.unwrap();
        assert!(matches!(second.publish().await, Err(StoreError::Conflict { .. })));
        if let Some(folder) = &folder {
            let part = folder.path().join("store/inventory").join(key.path());
            let left: Vec<_> = std::fs::read_dir(part.parent().unwrap()).unwrap().collect();
            assert_eq!(left.len(), 1, "no temporary file stays");
        }
    }
}

#[tokio::test]
async fn a_listing_has_names_in_order_and_nothing_deeper() {
    for Place { store, .. } in places() {
        let tenant = tenant();
        for item in [ItemName::Timer, ItemName::Secret] {
            store.put(&BlobKey::InboxItem(tenant, item), text("{}"), Condition::Any).await.unwrap();
        }
        store.put(&BlobKey::Status(tenant), text("{}"), Condition::Any).await.unwrap();
        let names = |found: Vec<(String, ETag)>| found.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(
            names(store.list(Container::Control, &BlobKey::inbox(tenant)).await.unwrap()),
            ["secret", "timer"]
        );
        let above = store.list(Container::Control, &format!("tenant={}", tenant)).await.unwrap();
        assert_eq!(names(above), ["status.json"]);
        let folders = store.folders(Container::Control, &format!("tenant={tenant}")).await.unwrap();
        assert_eq!(folders, ["inbox"]);
        assert!(store.folders(Container::Control, "tenant=none").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn garbage_and_newer_versions_are_named_and_stay_where_they_are() {
    for Place { store, .. } in places() {
        let tenant = tenant();
        let key = BlobKey::State(tenant);
        store.put(&key, text("not json, s3cret"), Condition::Any).await.unwrap();
        let error = store.update(&key, |_: &mut TenantState| ()).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Unreadable { .. }) && !error.to_string().contains("s3cret"),
            "{error}"
        );
        store.put(&key, text("{\"schema_version\": 99}"), Condition::Any).await.unwrap();
        let error = store.update(&key, |_: &mut TenantState| ()).await.unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
        assert_eq!(store.get(&key).await.unwrap().unwrap().bytes, "{\"schema_version\": 99}");
    }
}

#[test]
fn item_names_read_back_as_they_are_written() {
    let id = RequestId::new(Timestamp::UNIX_EPOCH, 7);
    let subscription = SubscriptionId::new(uuid::Uuid::from_u128(9));
    for item in
        [ItemName::Timer, ItemName::Secret, ItemName::Subscription(subscription), ItemName::Request(id)]
    {
        assert_eq!(item.to_string().parse(), Ok(item));
    }
    assert_eq!("subscription=../../x".parse::<ItemName>(), Err(()));
    // Its blob is looked for under the lower-case spelling, so the item would stay unread for ever.
    assert_eq!("subscription=AAAAAAAA-0000-0000-0000-000000000001".parse::<ItemName>(), Err(()));
}

#[tokio::test]
async fn a_part_of_many_pieces_is_joined_in_their_order() {
    for Place { store, .. } in places() {
        let snapshot = SnapshotId::new(Timestamp::UNIX_EPOCH, 2);
        let key =
            BlobKey::Raw { tenant: tenant(), snapshot, resource_type: "VIRTUAL_MACHINE".into(), part: 0 };
        let pieces: Vec<Vec<u8>> = (0..20_u8).map(|number| vec![number; 100_000]).collect();
        let mut new = store.new_blob(key.clone()).await.unwrap();
        for piece in &pieces {
            new.write(piece.clone().into()).await.unwrap();
        }
        new.publish().await.unwrap();
        assert_eq!(store.get(&key).await.unwrap().unwrap().bytes, pieces.concat());
    }
}
