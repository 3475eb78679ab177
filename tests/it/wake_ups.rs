//! One future wake-up a tenant; and the queue's contract, on a folder and on Azurite.

use crate::azure::{Place as Kind, places};
use jiff::Timestamp;
use qualys_azure_inventory::inbox::{Inbox, ItemContent};
use qualys_azure_inventory::model::{SubscriptionId, TenantId, after};
use qualys_azure_inventory::queue::{Booked, FolderQueue, Queue, Start, WakeUpError, WakeUps};
use qualys_azure_inventory::store::{FolderStore, ItemName, Store};
use std::time::Duration;
use uuid::Uuid;

const GAP: Duration = Duration::from_mins(1);

struct Place {
    _folder: tempfile::TempDir,
    inbox: Inbox,
    wake_ups: WakeUps,
}

impl Place {
    fn on(store: Store, queue: FolderQueue, folder: tempfile::TempDir) -> Self {
        let inbox = Inbox::new(store.clone());
        Self { inbox, wake_ups: WakeUps::new(store, Queue::Folder(queue), GAP), _folder: folder }
    }

    /// As a trigger does: an item, then a wake-up.
    async fn leave(
        &self,
        tenant: TenantId,
        name: ItemName,
        content: &ItemContent,
        now: Timestamp,
    ) -> Result<Booked, WakeUpError> {
        self.inbox.put(tenant, name, content).await?;
        self.wake_ups.book(tenant, now, now).await
    }
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let queue = FolderQueue::new(folder.path().join("queue"));
    let store = Store::Folder(FolderStore::new(folder.path().join("store")));
    Place::on(store, queue, folder)
}

fn tenant() -> TenantId {
    TenantId::new(Uuid::from_u128(1))
}

fn at(seconds: u64) -> Timestamp {
    after("2026-11-23T04:05:00Z".parse().unwrap(), Duration::from_secs(seconds))
}

async fn due(queue: &Queue, seconds: u64) -> usize {
    let mut count = 0;
    while let Some(taken) = queue.take(Duration::from_secs(100_000), at(seconds)).await.unwrap() {
        queue.finish(taken).await.unwrap();
        count += 1;
    }
    count
}

#[tokio::test]
async fn thousands_of_events_leave_one_item_each_and_one_wake_up() {
    let place = place();
    for number in 0..500 {
        let subscription = SubscriptionId::new(Uuid::from_u128(number % 50));
        let item = ItemContent::new(at(0), "subscription-event");
        place.leave(tenant(), ItemName::Subscription(subscription), &item, at(0)).await.unwrap();
    }
    assert_eq!(place.inbox.read(tenant()).await.unwrap().0.len(), 50);
    assert_eq!(due(place.wake_ups.queue(), 0).await, 1);
}

#[tokio::test]
async fn a_wake_up_within_the_gap_is_booked_for_its_end() {
    let place = place();
    assert_eq!(place.wake_ups.book(tenant(), at(0), at(0)).await.unwrap(), Booked::Sent(at(0)));
    assert_eq!(place.wake_ups.start(tenant(), at(1)).await.unwrap(), Start::Now);
    assert_eq!(place.wake_ups.book(tenant(), at(10), at(10)).await.unwrap(), Booked::Sent(at(61)));
    assert_eq!(place.wake_ups.book(tenant(), at(20), at(20)).await.unwrap(), Booked::Pending(at(61)));
    assert_eq!(
        place.wake_ups.start(tenant(), at(30)).await.unwrap(),
        Start::Later(at(61)),
        "a stray message changes nothing"
    );
    assert_eq!(due(place.wake_ups.queue(), 60).await, 1, "the first; the booked one is not due yet");
    assert_eq!(
        due(place.wake_ups.queue(), 61).await,
        2,
        "the booked one, and a spare for the stray: it might have been it"
    );
    assert_eq!(place.wake_ups.start(tenant(), at(61)).await.unwrap(), Start::Now);
}

#[tokio::test]
async fn an_earlier_wish_books_an_earlier_wake_up_and_a_later_one_waits_for_it() {
    let place = place();
    assert_eq!(place.wake_ups.book(tenant(), at(120), at(0)).await.unwrap(), Booked::Sent(at(120)));
    assert_eq!(place.wake_ups.book(tenant(), at(300), at(0)).await.unwrap(), Booked::Pending(at(120)));
    assert_eq!(place.wake_ups.book(tenant(), at(5), at(5)).await.unwrap(), Booked::Sent(at(5)));
}

#[tokio::test]
async fn a_lost_wake_up_is_sent_again_by_the_next_trigger() {
    let place = place();
    place.wake_ups.book(tenant(), at(0), at(0)).await.unwrap();
    assert_eq!(due(place.wake_ups.queue(), 0).await, 1, "taken, and its taker died");
    assert_eq!(place.wake_ups.book(tenant(), at(60), at(60)).await.unwrap(), Booked::Pending(at(0)));
    assert_eq!(place.wake_ups.book(tenant(), at(120), at(120)).await.unwrap(), Booked::Sent(at(120)));
}

#[tokio::test]
async fn a_wake_up_that_cannot_be_sent_does_not_look_pending_and_the_item_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::Folder(FolderStore::new(folder.path().join("store")));
    std::fs::write(folder.path().join("queue"), "a file where the queue's folder should be").unwrap();
    let queue = FolderQueue::new(folder.path().join("queue"));
    let place = Place::on(store, queue, folder);
    let item = ItemContent::new(at(0), "schedule");
    assert!(matches!(place.leave(tenant(), ItemName::Timer, &item, at(0)).await, Err(WakeUpError::Queue(_))));
    assert_eq!(place.wake_ups.booking(tenant()).await.unwrap().due, None);
    assert_eq!(place.inbox.read(tenant()).await.unwrap().0.len(), 1);
}

#[tokio::test]
async fn an_item_left_anew_is_not_settled_with_the_old_one() {
    let place = place();
    let leave = async |seconds| {
        place
            .leave(tenant(), ItemName::Timer, &ItemContent::new(at(seconds), "schedule"), at(seconds))
            .await
            .unwrap();
    };
    leave(0).await;
    let (found, _) = place.inbox.read(tenant()).await.unwrap();
    leave(1).await;
    assert!(!place.inbox.remove(tenant(), &found[0]).await.unwrap());
    let (found, _) = place.inbox.read(tenant()).await.unwrap();
    assert!(place.inbox.remove(tenant(), &found[0]).await.unwrap());
    assert!(place.inbox.read(tenant()).await.unwrap().0.is_empty());
}

/// One test for the whole queue: Azurite's is shared.
#[tokio::test]
async fn a_message_comes_when_it_is_due_and_again_unless_it_is_finished() {
    for Kind { kind, queue, .. } in places() {
        let second = Duration::from_secs(1);
        let tenant = TenantId::new(Uuid::new_v4());
        let text = format!("{{\"tenant\":\"{tenant}\"}}");
        let take = async |hidden| queue.take(hidden, Timestamp::now()).await.unwrap();
        queue.send(tenant, Duration::ZERO, Timestamp::now()).await.unwrap();
        assert_eq!(take(2 * second).await.unwrap().text, text, "{kind}");
        assert!(take(2 * second).await.is_none(), "{kind}: taken and hidden");
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let again = take(30 * second).await.unwrap();
        assert_eq!(again.text, text, "{kind}: it was not finished");
        queue.finish(again).await.unwrap();
        queue.send(tenant, 2 * second, Timestamp::now()).await.unwrap();
        assert!(take(second).await.is_none(), "{kind}: not due yet");
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let late = take(30 * second).await.unwrap();
        queue.finish(late).await.unwrap();
        assert!(take(second).await.is_none(), "{kind}");
    }
}

#[tokio::test]
async fn an_item_stays_and_a_wake_up_arrives_on_either_kind() {
    for Kind { kind, store, .. } in places() {
        // A queue of its own: Azurite's is shared.
        let folder = tempfile::tempdir().unwrap();
        let queue = FolderQueue::new(folder.path());
        let place = Place::on(store, queue, folder);
        let tenant = TenantId::new(Uuid::new_v4());
        for _ in 0..3 {
            place.leave(tenant, ItemName::Timer, &ItemContent::new(at(0), "test"), at(0)).await.unwrap();
        }
        assert_eq!(due(place.wake_ups.queue(), 0).await, 1, "{kind}");
        assert_eq!(place.wake_ups.start(tenant, at(0)).await.unwrap(), Start::Now, "{kind}");
        let (found, _) = place.inbox.read(tenant).await.unwrap();
        assert!(place.inbox.remove(tenant, &found[0]).await.unwrap(), "{kind}");
        assert!(place.inbox.read(tenant).await.unwrap().0.is_empty(), "{kind}");
    }
}
