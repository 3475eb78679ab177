//! One future wake-up for each tenant; and the contract of a queue, on a folder and on Azurite.

use crate::azure::{Place as Kind, QueuePlace, places, queues};
use crate::stage::{LIMIT, in_a_minute, names_in};
use jiff::Timestamp;
use qualys_azure_inventory::inbox::{Inbox, ItemContent};
use qualys_azure_inventory::model::{SubscriptionId, TenantId, after};
use qualys_azure_inventory::queue::{
    Arrival, Booked, FolderQueue, Queue, REDELIVERY, Received, Start, WakeUp, WakeUpError, WakeUps,
};
use qualys_azure_inventory::store::{BlobKey, FolderStore, ItemName, Store};
use std::collections::BTreeSet;
use std::task::Poll;
use std::time::{Duration, Instant};
use uuid::Uuid;

const GAP: Duration = Duration::from_mins(1);

struct Place {
    folder: tempfile::TempDir,
    inbox: Inbox,
    wake_ups: WakeUps,
}

impl Place {
    fn on(store: Store, queue: FolderQueue, folder: tempfile::TempDir) -> Self {
        let inbox = Inbox::new(store.clone());
        Self { inbox, wake_ups: WakeUps::new(store, Queue::Folder(queue), GAP), folder }
    }

    /// How many messages wait in the queue of [`place`], due or not.
    fn messages(&self) -> usize {
        names_in(&self.folder.path().join("queue/cycles"))
            .iter()
            .filter(|name| name.ends_with(".msg"))
            .count()
    }

    fn lose_booking(&self) {
        let key = BlobKey::WakeUp(tenant());
        // It may be lost already.
        let _ = std::fs::remove_file(self.folder.path().join("store/control").join(key.path()));
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
    let Place { wake_ups, .. } = &place;
    assert_eq!(wake_ups.book(tenant(), at(0), at(0)).await.unwrap(), Booked::Sent(at(0)));
    assert_eq!(wake_ups.start(tenant(), at(0), at(1)).await.unwrap(), Start::Now);
    assert_eq!(wake_ups.book(tenant(), at(10), at(10)).await.unwrap(), Booked::Sent(at(61)));
    assert_eq!(wake_ups.book(tenant(), at(20), at(20)).await.unwrap(), Booked::Pending(at(61)));
    let stray = wake_ups.arrived(tenant(), Some(at(25)), at(30)).await.unwrap();
    assert_eq!(stray, Arrival::Stray);
    let start = wake_ups.start(tenant(), at(25), at(30)).await.unwrap();
    assert_eq!(start, Start::Stray, "a stray message changes nothing");
    assert_eq!(due(wake_ups.queue(), 60).await, 1, "the first; the booked one is not due yet");
    assert_eq!(due(wake_ups.queue(), 61).await, 1, "the booked one, and none for the stray");
    assert_eq!(wake_ups.start(tenant(), at(61), at(61)).await.unwrap(), Start::Now);
}

#[tokio::test]
async fn a_message_says_for_whom_and_for_when_and_nothing_else() {
    let place = place();
    place.wake_ups.book(tenant(), at(30), at(0)).await.unwrap();
    let taken = place.wake_ups.queue().take(REDELIVERY, at(30)).await.unwrap().unwrap();
    let text = r#"{"tenant":"00000000-0000-0000-0000-000000000001","due":"2026-11-23T04:05:30Z"}"#;
    assert_eq!(taken.text, text);
    assert_eq!(WakeUp::parse(text), Ok(WakeUp { tenant: tenant(), due: Some(at(30)) }));
    let older = r#"{"tenant":"00000000-0000-0000-0000-000000000001"}"#;
    assert_eq!(WakeUp::parse(older), Ok(WakeUp { tenant: tenant(), due: None }));
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

/// What the function of the queue does with a message. Returns whether a cycle ran; it books a follow-up if there is one.
async fn serve(
    place: &Place,
    due: Option<Timestamp>,
    follow_up: Option<Duration>,
    listed: &mut BTreeSet<(String, String)>,
    now: Timestamp,
) -> bool {
    let wake_ups = &place.wake_ups;
    let Arrival::Counts(due) = wake_ups.arrived(tenant(), due, now).await.unwrap() else { return false };
    if wake_ups.start(tenant(), due, now).await.unwrap() != Start::Now {
        return false;
    }
    let found = async || {
        let items = place.inbox.list(tenant()).await.unwrap();
        items.into_iter().map(|(name, etag)| (name, etag.0)).collect::<BTreeSet<_>>()
    };
    *listed = found().await;
    if let Some(wait) = follow_up {
        wake_ups.book(tenant(), after(now, wait), now).await.unwrap();
    }
    let has_new_items = !found().await.is_subset(listed);
    wake_ups.visit_ended(tenant(), has_new_items, now).await.unwrap();
    wake_ups.cycle_ended(tenant(), due, now).await.unwrap();
    true
}

#[tokio::test]
async fn stray_messages_die_out_and_cost_one_delivery_each() {
    let place = place();
    let queue = place.wake_ups.queue();
    place.wake_ups.book(tenant(), at(0), at(0)).await.unwrap();
    for number in 0..60 {
        // Old ones, copies, and some of an older program.
        let due = (number % 3 > 0).then(|| at(number / 2));
        let wait = Duration::from_secs(number * 7);
        queue.send(&WakeUp { tenant: tenant(), due }, wait, at(0)).await.unwrap();
    }
    let (mut deliveries, mut cycles, mut listed) = (0, 0, BTreeSet::new());
    let hours = 12;
    for second in (0..hours * 3600).step_by(10) {
        while let Some(taken) = queue.take(REDELIVERY, at(second)).await.unwrap() {
            deliveries += 1;
            let due = WakeUp::parse(&taken.text).unwrap().due;
            // There is always a follow-up.
            let wait = Some(Duration::from_mins(2));
            cycles += usize::from(serve(&place, due, wait, &mut listed, at(second)).await);
            queue.finish(taken).await.unwrap();
        }
    }
    let usual = usize::try_from(hours).unwrap() * 30;
    assert!((usual - 5..usual + 10).contains(&cycles), "{cycles} cycles");
    assert!(deliveries <= cycles + 70, "{deliveries} deliveries for {cycles} cycles");
    assert_eq!(due(queue, u64::MAX / 2).await, 1, "the next follow-up");
}

/// Drops the work after so many polls, if it is not done: a kill at one of its awaits.
async fn killed_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut left = polls;
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// The model of `src/queue/booking/tests/model.rs` has more orders; this has real files.
#[tokio::test]
async fn kills_between_real_files_put_no_tenant_to_sleep() {
    for seed in 1..=25_u64 {
        let place = place();
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut below = |end: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % end
        };
        let (mut listed, mut second) = (BTreeSet::new(), 0);
        for _ in 0..120 {
            second += below(45);
            let now = at(second);
            let polls = if below(3) == 0 { usize::try_from(below(12)).unwrap() } else { usize::MAX };
            let item = ItemContent::new(now, "test");
            match below(12) {
                0..6 => {
                    let trigger = place.leave(tenant(), ItemName::Timer, &item, now);
                    killed_after(polls, trigger).await.transpose().unwrap();
                }
                6..11 => {
                    let queue = place.wake_ups.queue();
                    let Some(taken) = queue.take(REDELIVERY, now).await.unwrap() else { continue };
                    let due = WakeUp::parse(&taken.text).unwrap().due;
                    let wait = (below(2) == 0).then(|| Duration::from_secs(60 * (1 + below(20))));
                    if killed_after(polls, serve(&place, due, wait, &mut listed, now)).await.is_some() {
                        queue.finish(taken).await.unwrap();
                    }
                }
                _ => place.lose_booking(),
            }
            let waiting = place.messages();
            assert!(waiting <= 15, "seed {seed}: {waiting} messages");
        }
        // Quiet for as long as a lost message may look pending; then one trigger is enough.
        second += 200;
        place
            .leave(tenant(), ItemName::Timer, &ItemContent::new(at(second), "last"), at(second))
            .await
            .unwrap();
        let last = place
            .inbox
            .list(tenant())
            .await
            .unwrap()
            .into_iter()
            .map(|(name, etag)| (name, etag.0))
            .next()
            .unwrap();
        for _ in 0..200 {
            while let Some(taken) = place.wake_ups.queue().take(REDELIVERY, at(second)).await.unwrap() {
                let due = WakeUp::parse(&taken.text).unwrap().due;
                serve(&place, due, None, &mut listed, at(second)).await;
                place.wake_ups.queue().finish(taken).await.unwrap();
            }
            second += 10;
        }
        assert!(listed.contains(&last), "seed {seed}: the last item was not listed");
        assert_eq!(place.messages(), 0, "seed {seed}");
    }
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
        let wake_up = WakeUp { tenant, due: Some(at(0)) };
        let text = format!("{{\"tenant\":\"{tenant}\",\"due\":\"{}\"}}", at(0));
        let take = async |hidden| queue.take(hidden, Timestamp::now()).await.unwrap();
        queue.send(&wake_up, Duration::ZERO, Timestamp::now()).await.unwrap();
        let since = Instant::now();
        assert_eq!(take(wait).await.unwrap().text, text, "{kind}");
        let (again, after) = wait_for_message(queue, since).await;
        assert_eq!(again.text, text, "{kind}: it was not finished");
        assert!(after >= at_least, "{kind}: it was to stay hidden for two seconds, not {after:?}");
        assert!(take(wait).await.is_none(), "{kind}: taken and hidden");
        queue.finish(again).await.unwrap();
        let since = Instant::now();
        queue.send(&wake_up, wait, Timestamp::now()).await.unwrap();
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
        assert_eq!(place.wake_ups.start(tenant, at(0), at(0)).await.unwrap(), Start::Now, "{kind}");
        let found = place.inbox.read(tenant, in_a_minute()).await.unwrap().items;
        assert!(place.inbox.remove(tenant, &found[0]).await.unwrap(), "{kind}");
        assert!(place.inbox.read(tenant, in_a_minute()).await.unwrap().items.is_empty(), "{kind}");
    }
}
