//! Kills: the real binary dies by SIGKILL after its n-th request, wherever that is. What bells alone then lead to is the same
//! world as without.

use crate::stage::{Stage, subscription_of};
use futures::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use world::CallKind;
use world::events::vending;
use world::host::{Host, TimerKind};

const MINUTE: Duration = Duration::from_mins(1);
const VENDING: &str = "/topics/vending";
/// Subscriptions without a connector: that many creates.
const NEW: usize = 26;
/// Subscriptions whose connector of ours is due: that many runs.
const STALE: usize = 11;
/// Two pages and a count.
const HOSTS: usize = 1100;
/// Stages that are played at the same time; most of each is waiting.
const AT_ONCE: usize = 4;

/// SIGKILL: nothing of the process runs any more.
pub fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    assert!(killed.unwrap().success());
}

/// What must be the same, however often somebody died on the way.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// Of each subscription, by name: its connectors' names, descriptions, states, and whether they are disabled.
    connectors: BTreeMap<String, Vec<(String, String, String, bool)>>,
    /// Rows of the newest snapshot, by subscription.
    rows: BTreeMap<String, usize>,
    notes: Vec<String>,
}

/// A world in which the next cycle creates, runs and takes a snapshot; and what was asked for lies in notes.
struct Scene {
    stage: Stage,
    names: BTreeMap<String, String>,
    host: Host,
}

async fn scene() -> Scene {
    let stage = Stage::new()
        .set("EVENT_SOURCES", VENDING)
        .set("CYCLE_GAP", "1m")
        .set("FOLLOW_UP", "2m")
        .set("SNAPSHOT_GAP", "10m")
        // What the killed one had taken comes back as late as in Azure.
        .set("AzureFunctionsJobHost__extensions__queues__visibilityTimeout", "00:01:30");
    // Whoever believed the next search would double what the killed one had made.
    stage.world.manners(|manners| manners.search_lag = jiff::SignedDuration::from_mins(5));
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
    let host = stage.host().await;
    Scene { stage, names, host }
}

impl Scene {
    /// Has the handler die when the `n`-th request has had its effect, and its answer has not arrived.
    fn kill_after(&self, n: u64) -> Arc<AtomicBool> {
        let (dead, pid) = (Arc::new(AtomicBool::new(false)), self.host.handler_pid().unwrap());
        let told = Arc::clone(&dead);
        self.stage.world.on_answer(n, move |_| {
            kill(pid);
            told.store(true, Ordering::SeqCst);
        });
        dead
    }

    /// All three triggers leave their notes, and the first bell is served as far as it goes.
    async fn first_cycle(&self, dead: &AtomicBool) {
        let noted = self.names.keys().next().unwrap();
        let asked = format!("{}/api/sync?subscription={noted}&snapshot", self.host.url());
        let event = vending(VENDING, noted, self.stage.now());
        assert_eq!(self.host.deliver("subscription-event", &[event]).await, 202);
        // It may already have died of what that has led to.
        let _ = reqwest::Client::new().post(asked).send().await;
        let _ = self.host.fire_timer("schedule", TimerKind::OnTime).await;
        self.stage
            .wait("the end of the first cycle, or of its process", async || {
                let ended = self.stage.json("status.json").is_some();
                (ended || dead.load(Ordering::SeqCst)).then_some(())
            })
            .await;
    }

    /// Nobody but bells goes on, until there is none.
    async fn until_quiet(self) -> End {
        let Self { stage, names, host } = self;
        let asked = stage.notes();
        host.stop().await;
        drop(host);
        stage.world.set_time(stage.now());
        let app = stage.app().await;
        for minute in 0.. {
            assert!(minute < 90, "it does not become quiet; notes: {:?}\n{}", stage.notes(), stage.tree());
            stage.serve_bells(&app).await;
            if stage.queued() == 0 && !stage.world.syncing() {
                break;
            }
            stage.pass(MINUTE);
        }
        let settled = |note: &String| {
            let id = note.strip_prefix("request=")?;
            Some(stage.json(&format!("requests/{id}.json"))?["settled"].is_string())
        };
        assert!(
            asked.iter().filter_map(settled).all(|settled| settled),
            "what was asked for was done, and told"
        );
        let mut connectors: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for one in stage.world.connectors() {
            let name = names[&one.subscription_id].clone();
            // Ids are given out in the order of requests.
            let description = one.description.replace(&one.subscription_id, &name);
            let made = one.name.replace(&one.subscription_id, &name).replace(&one.id.to_string(), "");
            connectors.entry(name).or_default().push((made, description, one.state, one.disabled));
        }
        let mut rows: BTreeMap<_, usize> = BTreeMap::new();
        for row in &stage.latest().expect("a snapshot").rows {
            *rows.entry(names[&subscription_of(row).unwrap()].clone()).or_default() += 1;
        }
        stage.assert_no_secret();
        End { connectors, rows, notes: stage.notes() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_any_request_ends_in_the_same_world_as_none() {
    let whole = scene().await;
    whole.first_cycle(&AtomicBool::new(false)).await;
    whole.host.quiet().await;
    let calls = whole.stage.world.calls();
    for kind in [CallKind::ConnectorCreate, CallKind::ConnectorRun, CallKind::HostSearch, CallKind::HostCount]
    {
        assert!(calls.iter().any(|call| call.call == kind), "{kind:?} is in the cycle");
    }
    let points = calls.len() as u64;
    assert!(points >= 40, "{points} points");
    let wanted = whole.until_quiet().await;
    assert_eq!(wanted.connectors.len(), NEW + STALE);
    assert!(wanted.connectors.values().all(|of_one| of_one.len() == 1) && wanted.notes.is_empty());
    assert_eq!(wanted.rows.values().sum::<usize>(), HOSTS + NEW);
    let wanted = &wanted;
    stream::iter(1..=points)
        .for_each_concurrent(AT_ONCE, |n| async move {
            let scene = scene().await;
            let dead = scene.kill_after(n);
            scene.first_cycle(&dead).await;
            assert!(dead.load(Ordering::SeqCst), "it lived through request {n}");
            let end = scene.until_quiet().await;
            assert!(end == *wanted, "killed after request {n}:\n{end:#?}\ninstead of\n{wanted:#?}");
        })
        .await;
}
