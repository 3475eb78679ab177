//! One future bell a tenant, and the queue's contract; the Azure queue must pass it too.

use super::*;
use crate::model::after;
use crate::store::FolderStore;
use uuid::Uuid;

const GAP: Duration = Duration::from_mins(1);

struct Place {
    _folder: tempfile::TempDir,
    wakes: Wakes,
    queue: FolderQueue,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let queue = FolderQueue::new(folder.path().join("queue"));
    let store = Store::Folder(FolderStore::new(folder.path().join("store")));
    Place { wakes: Wakes::new(store, Queue::Folder(queue.clone()), GAP), queue, _folder: folder }
}

fn tenant() -> TenantId {
    TenantId::new(Uuid::from_u128(1))
}

fn at(seconds: u64) -> Timestamp {
    after("2026-11-23T04:05:00Z".parse().unwrap(), Duration::from_secs(seconds))
}

fn due(queue: &FolderQueue, seconds: u64) -> usize {
    let mut count = 0;
    while let Some(taken) = queue.take(Duration::from_secs(100_000), at(seconds)).unwrap() {
        queue.finish(&taken).unwrap();
        count += 1;
    }
    count
}

#[tokio::test]
async fn thousands_of_events_leave_one_note_each_and_one_bell() {
    let place = place();
    for number in 0..500 {
        let subscription = SubscriptionId::new(Uuid::from_u128(number % 50));
        let note = Note::new(at(0), "subscription-event");
        place.wakes.leave(tenant(), NoteName::Subscription(subscription), &note, at(0)).await.unwrap();
    }
    assert_eq!(place.wakes.notes(tenant()).await.unwrap().0.len(), 50);
    assert_eq!(due(&place.queue, 0), 1);
}

#[tokio::test]
async fn a_bell_within_the_gap_is_booked_for_its_end() {
    let place = place();
    assert_eq!(place.wakes.ring(tenant(), at(0), at(0)).await.unwrap(), Rung::Sent(at(0)));
    assert_eq!(place.wakes.start(tenant(), at(1)).await.unwrap(), Start::Now);
    assert_eq!(place.wakes.ring(tenant(), at(10), at(10)).await.unwrap(), Rung::Sent(at(61)));
    assert_eq!(place.wakes.ring(tenant(), at(20), at(20)).await.unwrap(), Rung::Pending(at(61)));
    assert_eq!(
        place.wakes.start(tenant(), at(30)).await.unwrap(),
        Start::Later(at(61)),
        "a stray message changes nothing"
    );
    assert_eq!(due(&place.queue, 60), 1, "the first; the booked one is not due yet");
    assert_eq!(due(&place.queue, 61), 1);
    assert_eq!(place.wakes.start(tenant(), at(61)).await.unwrap(), Start::Now);
}

#[tokio::test]
async fn an_earlier_wish_books_an_earlier_bell_and_a_later_one_waits_for_it() {
    let place = place();
    assert_eq!(place.wakes.ring(tenant(), at(120), at(0)).await.unwrap(), Rung::Sent(at(120)));
    assert_eq!(place.wakes.ring(tenant(), at(300), at(0)).await.unwrap(), Rung::Pending(at(120)));
    assert_eq!(place.wakes.ring(tenant(), at(5), at(5)).await.unwrap(), Rung::Sent(at(5)));
}

#[tokio::test]
async fn a_lost_bell_is_sent_again_by_the_next_trigger() {
    let place = place();
    place.wakes.ring(tenant(), at(0), at(0)).await.unwrap();
    assert_eq!(due(&place.queue, 0), 1, "taken, and its taker died");
    assert_eq!(place.wakes.ring(tenant(), at(60), at(60)).await.unwrap(), Rung::Pending(at(0)));
    assert_eq!(place.wakes.ring(tenant(), at(120), at(120)).await.unwrap(), Rung::Sent(at(120)));
}

#[tokio::test]
async fn a_bell_that_cannot_be_sent_does_not_look_pending_and_the_note_lies() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::Folder(FolderStore::new(folder.path().join("store")));
    std::fs::write(folder.path().join("queue"), "a file where the queue's folder should be").unwrap();
    let queue = FolderQueue::new(folder.path().join("queue"));
    let wakes = Wakes::new(store, Queue::Folder(queue), GAP);
    let note = Note::new(at(0), "schedule");
    assert!(matches!(wakes.leave(tenant(), NoteName::Timer, &note, at(0)).await, Err(WakeError::Queue(_))));
    assert_eq!(wakes.bell(tenant()).await.unwrap().due, None);
    assert_eq!(wakes.notes(tenant()).await.unwrap().0.len(), 1);
}

#[tokio::test]
async fn a_note_left_anew_is_not_settled_with_the_old_one() {
    let place = place();
    let leave = async |seconds| {
        place
            .wakes
            .leave(tenant(), NoteName::Timer, &Note::new(at(seconds), "schedule"), at(seconds))
            .await
            .unwrap();
    };
    leave(0).await;
    let (found, _) = place.wakes.notes(tenant()).await.unwrap();
    leave(1).await;
    assert!(!place.wakes.settle(tenant(), &found[0]).await.unwrap());
    let (found, _) = place.wakes.notes(tenant()).await.unwrap();
    assert!(place.wakes.settle(tenant(), &found[0]).await.unwrap());
    assert!(place.wakes.notes(tenant()).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn a_message_that_is_not_finished_comes_back_and_only_one_taker_wins() {
    let place = place();
    let queue = &place.queue;
    place.wakes.queue().send(tenant(), Duration::ZERO, at(0)).await.unwrap();
    let hidden = Duration::from_secs(90);
    assert!(queue.take(hidden, at(0)).unwrap().is_some());
    assert!(queue.take(hidden, at(89)).unwrap().is_none(), "taken and hidden");
    let again = queue.take(hidden, at(90)).unwrap().unwrap();
    assert_eq!(again.text, format!("{{\"tenant\":\"{}\"}}", tenant()));
    queue.finish(&again).unwrap();
    assert!(queue.take(hidden, at(10_000)).unwrap().is_none());
}
