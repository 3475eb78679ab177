//! One future wake-up for each tenant; and the contract of a queue, on a folder and on Azurite.

use crate::azure::{Place as Kind, QueuePlace, places, queues};
use crate::stage::{LIMIT, in_a_minute};
use jiff::Timestamp;
use qualys_azure_inventory::inbox::{Inbox, ItemContent};
use qualys_azure_inventory::model::{SubscriptionId, TenantId, after};
use qualys_azure_inventory::queue::{
    Booked, FolderQueue, Queue, REDELIVERY, Received, Start, WakeUpError, WakeUps,
};
use qualys_azure_inventory::store::{FolderStore, ItemName, Store};
use std::time::{Duration, Instant};
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

    /// What a trigger does: an item, then a wake-up.
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
    assert_eq!(place.inbox.read(tenant(), in_a_minute()).await.unwrap().items.len(), 50);
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
async fn an_earlier_time_books_an_earlier_wake_up_and_a_later_one_does_not_book() {
    let place = place();
    assert_eq!(place.wake_ups.book(tenant(), at(120), at(0)).await.unwrap(), Booked::Sent(at(120)));
    assert_eq!(place.wake_ups.book(tenant(), at(300), at(0)).await.unwrap(), Booked::Pending(at(120)));
    assert_eq!(place.wake_ups.book(tenant(), at(5), at(5)).await.unwrap(), Booked::Sent(at(5)));
}

#[tokio::test]
async fn a_lost_wake_up_is_sent_again_by_the_next_trigger() {
    let place = place();
    place.wake_ups.book(tenant(), at(0), at(0)).await.unwrap();
    assert_eq!(due(place.wake_ups.queue(), 0).await, 1, "taken by a process that died");
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
    assert_eq!(place.inbox.read(tenant(), in_a_minute()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn an_item_that_was_left_again_is_not_settled_with_the_old_one() {
    let place = place();
    let leave = async |seconds| {
        place
            .leave(tenant(), ItemName::Timer, &ItemContent::new(at(seconds), "schedule"), at(seconds))
            .await
            .unwrap();
    };
    leave(0).await;
    let found = place.inbox.read(tenant(), in_a_minute()).await.unwrap().items;
    leave(1).await;
    assert!(!place.inbox.remove(tenant(), &found[0]).await.unwrap());
    let found = place.inbox.read(tenant(), in_a_minute()).await.unwrap().items;
    assert!(place.inbox.remove(tenant(), &found[0]).await.unwrap());
    assert!(place.inbox.read(tenant(), in_a_minute()).await.unwrap().items.is_empty());
}

/// Takes the next message as soon as there is one. Returns with it the time since `since`.
async fn wait_for_message(queue: &Queue, since: Instant) -> (Received, Duration) {
    loop {
        if let Some(taken) = queue.take(REDELIVERY, Timestamp::now()).await.unwrap() {
            return (taken, since.elapsed());
        }
        assert!(since.elapsed() < LIMIT, "waited too long for a message");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Azurite's clock cannot be set. So this asserts that nothing comes too early; on a busy machine anything may come late.
#[tokio::test]
async fn a_message_comes_when_it_is_due_and_again_unless_it_is_finished() {
    for QueuePlace { kind, queue, .. } in &queues() {
        let wait = Duration::from_secs(2);
        // The two clocks are compared here: the one that dates messages and the one that measures.
        let at_least = wait - Duration::from_millis(100);
        let tenant = TenantId::new(Uuid::new_v4());
        let text = format!("{{\"tenant\":\"{tenant}\"}}");
        let take = async |hidden| queue.take(hidden, Timestamp::now()).await.unwrap();
        queue.send(tenant, Duration::ZERO, Timestamp::now()).await.unwrap();
        let since = Instant::now();
        assert_eq!(take(wait).await.unwrap().text, text, "{kind}");
        let (again, after) = wait_for_message(queue, since).await;
        assert_eq!(again.text, text, "{kind}: it was not finished");
        assert!(after >= at_least, "{kind}: it was to stay hidden for two seconds, not {after:?}");
        assert!(take(wait).await.is_none(), "{kind}: taken and hidden");
        queue.finish(again).await.unwrap();
        let since = Instant::now();
        queue.send(tenant, wait, Timestamp::now()).await.unwrap();
        let (due, after) = wait_for_message(queue, since).await;
        assert!(after >= at_least, "{kind}: it was due after two seconds, not {after:?}");
        queue.finish(due).await.unwrap();
        assert!(take(wait).await.is_none(), "{kind}");
    }
}

#[tokio::test]
async fn an_item_stays_and_a_wake_up_arrives_with_either_store() {
    for Kind { kind, store, .. } in places() {
        let folder = tempfile::tempdir().unwrap();
        let queue = FolderQueue::new(folder.path());
        let place = Place::on(store, queue, folder);
        let tenant = TenantId::new(Uuid::new_v4());
        for _ in 0..3 {
            place.leave(tenant, ItemName::Timer, &ItemContent::new(at(0), "test"), at(0)).await.unwrap();
        }
        assert_eq!(due(place.wake_ups.queue(), 0).await, 1, "{kind}");
        assert_eq!(place.wake_ups.start(tenant, at(0)).await.unwrap(), Start::Now, "{kind}");
        let found = place.inbox.read(tenant, in_a_minute()).await.unwrap().items;
        assert!(place.inbox.remove(tenant, &found[0]).await.unwrap(), "{kind}");
        assert!(place.inbox.read(tenant, in_a_minute()).await.unwrap().items.is_empty(), "{kind}");
    }
}
