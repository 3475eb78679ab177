//! Kills on Azure's edges: the real binary dies by SIGKILL between two writes to storage that belong together. Its lease is
//! over, its message comes back, and the end is the same as without a kill.

use crate::kills::kill;
use crate::stage::{AzureStage, azure_stage, in_a_minute};
use futures::stream::{self, StreamExt};
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::queue::{FolderQueue, Queue, REDELIVERY, WakeUp, WakeUps};
use qualys_azure_inventory::store::ItemName;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use world::CallKind::{
    self, BlobDelete, BlobLease, BlobPut, BlockListPut, ConnectorCreate, ConnectorRun, QueueSend,
};
use world::events::vending;

const MINUTE: Duration = Duration::from_mins(1);
const VENDING: &str = "/topics/vending";
const HOSTS: usize = 30;
/// Stages at the same time, each with an Azurite of its own.
const AT_ONCE: usize = 4;

/// The program dies when the `n`-th such request has had its effect.
struct Point {
    between: &'static str,
    kind: CallKind,
    part: &'static str,
    n: u64,
}

const fn point(between: &'static str, kind: CallKind, part: &'static str, n: u64) -> Point {
    Point { between, kind, part, n }
}

const POINTS: [Point; 22] = [
    point("item and wake-up", BlobPut, "/inbox/subscription=", 1),
    point("`wake-up.json` and its message", BlobPut, "/wake-up.json", 1),
    point("the message and the note that it was sent", QueueSend, "cycles", 1),
    point("that note and the trigger's answer", BlobPut, "/wake-up.json", 2),
    point("taking the lease and writing the name on it", BlobLease, "/lease", 1),
    point("clearing the booking and the cycle's beginning", BlobPut, "/wake-up.json", 3),
    point("the cycle's beginning and its work", BlobPut, "/state.json", 1),
    point("booking calls and making them", BlobPut, "/account=default/state.json", 2),
    point("plan and intent", BlobPut, "/plan.json", 1),
    point("intent and first write", BlobPut, ".intent.jsonl", 1),
    point("the second create and its answer", ConnectorCreate, "", 2),
    point("a run and its answer", ConnectorRun, "", 1),
    point("state and audit", BlobPut, "/tenant=", 5),
    point("the last part and the manifest", BlockListPut, "/part-", 1),
    point("manifest and `latest.json`", BlobPut, "/manifest.json", 1),
    point("`latest.json` and the next wake-up", BlobPut, "/latest.json", 1),
    point("the next wake-up's `wake-up.json` and its message", BlobPut, "/wake-up.json", 4),
    point("report and status", BlobPut, "/reports/", 1),
    point("report and removal of the item", BlobPut, "/status.json", 1),
    point("removal of the item and the cycle's end", BlobDelete, "/inbox/", 1),
    point("the cycle's end and the end of its message", BlobPut, "/wake-up.json", 6),
    point("the next wake-up's message and the report", QueueSend, "cycles", 2),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_any_two_writes_that_belong_together_loses_and_doubles_nothing() {
    if crate::azure::azure().is_none() {
        return;
    }
    stream::iter(&POINTS).for_each_concurrent(AT_ONCE, |point| async move { killed(point).await }).await;
}

async fn killed(point: &Point) {
    let mut azure = azure_stage().unwrap();
    azure.stage = azure
        .stage
        .set("EVENT_SOURCES", VENDING)
        .set("CYCLE_GAP", "1m")
        .set("FOLLOW_UP", "2m")
        .set("SNAPSHOT_GAP", "10m")
        // The longest, so that a busy machine does not lose it before the kill.
        .set("LEASE", "60s")
        // As in Azure, longer than the lease: the killed one's message comes back to a free account.
        .set("AzureFunctionsJobHost__extensions__queues__visibilityTimeout", "00:01:30");
    let world = azure.stage.world.clone();
    world.manners(|manners| manners.search_lag = jiff::SignedDuration::from_mins(5));
    let new = world.subscriptions("new", 4);
    let stale = world.subscription("stale");
    azure.stage.ours(&stale, 12 * 60 * MINUTE);
    world.hosts(&stale, HOSTS);

    let host = azure.host().await;
    let (dead, pid) = (Arc::new(AtomicBool::new(false)), host.handler_pid().unwrap());
    let died = Arc::clone(&dead);
    world.on_answer_to(point.kind, point.part, point.n, move |_| {
        kill(pid);
        died.store(true, Ordering::SeqCst);
    });
    let event = vending(VENDING, &new[0], world.now());
    let accepted = host.deliver("subscription-event", std::slice::from_ref(&event)).await == 202;
    let end = format!("the end between {}", point.between);
    azure.stage.wait(&end, async || dead.load(Ordering::SeqCst).then_some(())).await;
    host.stop().await;
    drop(host);
    goes_on(&azure, accepted, point).await;

    let covered: BTreeSet<_> = world.connectors().into_iter().map(|one| one.subscription_id).collect();
    let connectors = world.connectors();
    assert_eq!((connectors.len(), covered.len()), (5, 5), "killed between {}", point.between);
    for one in &connectors {
        let shown = (one.state.as_str(), one.disabled);
        assert_eq!(shown, ("FINISHED_SUCCESS", false), "killed between {}", point.between);
    }
    let rows = azure.rows().expect("a snapshot").len();
    assert_eq!(rows, HOSTS, "killed between {}", point.between);
    azure.assert_no_secret();
}

/// What the queue and Event Grid do next, by the world's clock: the message comes back, and an event that was not accepted comes
/// again.
async fn goes_on(azure: &AzureStage, accepted: bool, point: &Point) {
    let stage = &azure.stage;
    let mut app = stage.app().await;
    let tenant = app.tenant.id();
    // The killed one's lease is over. That it ends by itself is a test of leases; waiting for it would take a minute each time.
    if azure.azurite.blob("control", "account=default/lease").unwrap().is_some() {
        let lease = stage.world.steal_lease("control", "account=default/lease");
        stage.world.give_back_lease("control", "account=default/lease", &lease);
    }
    let messages = azure.messages();
    let queue = FolderQueue::new(stage.folder.path().join("queue"));
    let wake_ups = WakeUps::new(app.tenant.store.clone(), Queue::Folder(queue), Duration::from_mins(1));
    (app.tenant.wake_ups, app.tenant.account.wake_ups) = (wake_ups.clone(), wake_ups);
    stage.world.set_time(stage.now());
    let booking = app.tenant.wake_ups.booking(tenant).await.unwrap();
    for number in 0..messages {
        // The killed cycle's message, and the one that it booked.
        let due = if number == 0 { booking.running.or(booking.due) } else { booking.due };
        app.tenant.wake_ups.queue().send(&WakeUp { tenant, due }, REDELIVERY, stage.now()).await.unwrap();
    }
    if !accepted {
        let item = app.tenant.inbox.read(tenant, in_a_minute()).await.unwrap().items.into_iter().next();
        let name = item.map_or(ItemName::Timer, |item| item.name);
        app.leave(tenant, name, &ItemContent::new(stage.now(), "event"), stage.now()).await.unwrap();
    } else {
        assert!(messages > 0, "killed between {}: a wake-up was lost", point.between);
    }
    for minute in 0.. {
        assert!(minute < 60, "killed between {}: no rest; inbox items {:?}", point.between, azure.inbox());
        // A message that was never sent leaves only the timer to find the item.
        if minute % 15 == 14 {
            let now = stage.now();
            app.leave(tenant, ItemName::Timer, &ItemContent::new(now, "schedule"), now).await.unwrap();
        }
        stage.serve_wake_ups(&app).await;
        if stage.queued() == 0 && azure.inbox().is_empty() && !stage.world.syncing() {
            break;
        }
        stage.pass(MINUTE);
    }
}
