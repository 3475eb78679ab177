//! Kills: the real binary dies by SIGKILL after its n-th request, whichever that is. Wake-ups alone then lead to the same world
//! as without a kill.

use crate::stage::{Stage, subscription_of};
use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::model::{Asked, RequestId, SubscriptionId};
use qualys_azure_inventory::store::ItemName;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use world::CallKind;

const MINUTE: Duration = Duration::from_mins(1);
/// Subscriptions without a connector: that many creates.
const NEW: usize = 26;
/// Subscriptions whose connector of ours is due: that many runs.
const STALE: usize = 11;
/// Two pages and a count.
const HOSTS: usize = 1100;
/// Stages at the same time; most of each is waiting.
const AT_ONCE: usize = 4;

/// Sends SIGKILL: nothing of the process runs any more.
pub fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    assert!(killed.unwrap().success());
}

/// What must be the same after a kill as without one.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// By the subscription's name: name, description and state of each connector, and whether it is disabled.
    connectors: BTreeMap<String, Vec<(String, String, String, bool)>>,
    /// Rows of the newest snapshot, by subscription.
    rows: BTreeMap<String, usize>,
    items: Vec<String>,
}

/// A world in which the next cycle creates, runs and takes a snapshot, with inbox items of every kind.
struct Scene {
    stage: Stage,
    names: BTreeMap<String, String>,
    request: RequestId,
}

async fn scene() -> Scene {
    let stage = Stage::new()
        .set("CYCLE_GAP", "1m")
        .set("FOLLOW_UP", "2m")
        .set("SNAPSHOT_GAP", "10m")
        // The killed one's message comes back as late as in Azure.
        .set("AzureFunctionsJobHost__extensions__queues__visibilityTimeout", "00:01:30");
    stage.world.manners(|manners| {
        // A cycle that believed its search would make a second connector beside the killed one's.
        manners.search_lag = SignedDuration::from_mins(5);
        manners.auto_start = Some(SignedDuration::from_mins(1));
    });
    let mut names = BTreeMap::new();
    let new = stage.world.subscriptions("new", NEW);
    let stale = stage.world.subscriptions("stale", STALE);
    for (number, subscription) in new.iter().enumerate() {
        names.insert(subscription.id().to_owned(), format!("new {number}"));
        stage.world.machines(subscription, 1);
    }
    for (number, subscription) in stale.iter().enumerate() {
        names.insert(subscription.id().to_owned(), format!("stale {number}"));
        stage.ours(subscription, 12 * 60 * MINUTE);
    }
    stage.world.hosts(&stale[0], HOSTS);
    // The world's clock stands still, so no machine turns up while the first cycle counts, however slow it is: a range would be
    // read again, and requests would have other numbers.
    stage.world.set_time(stage.now());
    // All that triggers leave is there before the program starts, so that each first cycle is the same.
    let app = stage.app().await;
    let (tenant, now) = (app.tenant.id(), stage.now());
    let in_inbox: SubscriptionId = stale[0].id().parse().unwrap();
    let asked = Asked { subscriptions: [in_inbox].into(), snapshot: true, ..Asked::default() };
    let request = RequestId::new(now, 1);
    app.leave_request(tenant, &request, &asked, "manual-sync", now).await.unwrap();
    for item in [ItemName::Timer, ItemName::Secret, ItemName::Subscription(in_inbox)] {
        app.leave(tenant, item, &ItemContent::new(now, "test"), now).await.unwrap();
    }
    assert_eq!((stage.inbox().len(), stage.queued()), (4, 1));
    Scene { stage, names, request }
}

impl Scene {
    /// The first cycle: to its end, or until the `n`-th request has had its effect, whose answer never arrives.
    async fn first_cycle(&self, n: Option<u64>) {
        let (dead, pid) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
        if let Some(n) = n {
            let (died, victim) = (Arc::clone(&dead), Arc::clone(&pid));
            self.stage.world.on_answer(n, move |_| {
                kill(*victim.wait());
                died.store(true, Ordering::SeqCst);
            });
        }
        let host = self.stage.host().await;
        pid.set(host.handler_pid().unwrap()).unwrap();
        self.stage
            .wait("the end of the first cycle, or of its process", async || {
                let ended = self.stage.json("status.json").is_some();
                (ended || dead.load(Ordering::SeqCst)).then_some(())
            })
            .await;
        assert_eq!(dead.load(Ordering::SeqCst), n.is_some(), "request {n:?}");
        host.stop().await;
    }

    /// Serves wake-ups, without any other trigger, until there is none.
    async fn until_quiet(self) -> End {
        let Self { stage, names, request } = self;
        stage.world.set_time(Timestamp::now());
        let app = stage.app().await;
        for minute in 0.. {
            assert!(
                minute < 90,
                "it does not come to rest; inbox items: {:?}\n{}",
                stage.inbox(),
                stage.tree()
            );
            stage.serve_wake_ups(&app).await;
            if stage.queued() == 0 && !stage.world.syncing() {
                break;
            }
            stage.pass(MINUTE);
        }
        let request_status = stage.json(&format!("requests/{request}.json")).unwrap();
        assert!(
            request_status["settled"].is_string(),
            "what was asked for was done, and its page says so: {request_status}"
        );
        let mut connectors: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for one in stage.world.connectors() {
            let name = names[&one.subscription_id].clone();
            // Ids depend on the order of requests.
            let description = one.description.replace(&one.subscription_id, &name);
            let made = one.name.replace(&one.subscription_id, &name).replace(&one.id.to_string(), "");
            connectors.entry(name).or_default().push((made, description, one.state, one.disabled));
        }
        let mut rows: BTreeMap<_, usize> = BTreeMap::new();
        for row in &stage.latest().expect("a snapshot").rows {
            *rows.entry(names[&subscription_of(row).unwrap()].clone()).or_default() += 1;
        }
        stage.assert_no_secret();
        End { connectors, rows, items: stage.inbox() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_any_request_ends_in_the_same_world_as_none() {
    let whole = scene().await;
    whole.first_cycle(None).await;
    let calls = whole.stage.world.calls();
    for kind in [CallKind::ConnectorCreate, CallKind::ConnectorRun, CallKind::HostSearch, CallKind::HostCount]
    {
        assert!(calls.iter().any(|call| call.call == kind), "{kind:?} is in the cycle");
    }
    let points = calls.len() as u64;
    assert!(points >= 40, "{points} points");
    let wanted = whole.until_quiet().await;
    assert_eq!(wanted.connectors.len(), NEW + STALE);
    assert!(wanted.connectors.values().all(|of_one| of_one.len() == 1) && wanted.items.is_empty());
    assert_eq!(wanted.rows.values().sum::<usize>(), HOSTS + NEW);
    let wanted = &wanted;
    stream::iter(1..=points)
        .for_each_concurrent(AT_ONCE, |n| async move {
            let scene = scene().await;
            scene.first_cycle(Some(n)).await;
            let end = scene.until_quiet().await;
            assert!(end == *wanted, "killed after request {n}:\n{end:#?}\ninstead of\n{wanted:#?}");
        })
        .await;
}
