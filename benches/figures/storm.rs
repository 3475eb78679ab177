//! A storm of events: 5,000 at once on 50 connections, each about another subscription, as when a landing zone is rolled out.
//! The real program as the Functions host starts it, and its queue delivered as the host would.

use crate::desk::{Desk, runtime};
use crate::program::Program;
use crate::{Figure, median, quantile};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;
use world::events;

const EVENTS: usize = 5000;
const CONNECTIONS: usize = 50;
/// After the storm the queue is delivered for this long, which is longer than `CYCLE_GAP`: cycles that the storm caused late
/// are counted, too.
const AFTER: Duration = Duration::from_secs(75);
/// The host looks for a message at least this often while there are some.
const POLL: Duration = Duration::from_millis(100);

/// What became of the events and of the wake-ups.
struct Storm {
    milliseconds: Vec<f64>,
    errors: usize,
    cycles: usize,
}

pub(crate) fn figures() -> Vec<Figure> {
    let mut desk = Desk::new();
    let tenant = desk.world.tenant();
    desk.settings.insert("EVENT_SOURCES".to_owned(), events::policy_topic(&tenant, &tenant));
    // Not the desk's short waits: they are what keeps cycles few.
    desk.settings.insert("FOLLOW_UP".to_owned(), "2m".to_owned());
    desk.world.subscriptions("shop", 20);
    let program = Program::start(&desk);
    let idle = program.mib("VmRSS:");
    let Storm { milliseconds, errors, cycles } = runtime().block_on(storm(&desk, &program));
    let items = desk.folder.path().join(format!("store/control/tenant={tenant}/inbox"));
    let items = names(&items).len();
    assert_eq!(items, EVENTS, "each event left its inbox item, which stays until ARM shows the subscription");
    let n = EVENTS;
    let (p50, p99) = (median(milliseconds.clone()), quantile(milliseconds, 0.99));
    vec![
        Figure { name: "storm_p50_ms", value: p50, unit: "ms", target: None, n },
        Figure { name: "storm_p99_ms", value: p99, unit: "ms", target: Some(100.0), n },
        Figure { name: "storm_errors", value: errors as f64, unit: "events", target: Some(0.0), n },
        Figure { name: "storm_cycles", value: cycles as f64, unit: "cycles", target: Some(3.0), n: 1 },
        Figure { name: "storm_idle_mib", value: idle, unit: "MiB", target: None, n: 1 },
        Figure { name: "storm_peak_mib", value: program.mib("VmHWM:"), unit: "MiB", target: None, n: 1 },
    ]
}

/// Sends all events as fast as they are answered, and delivers the queue meanwhile and for a while after.
async fn storm(desk: &Desk, program: &Program) -> Storm {
    let tenant = desk.world.tenant();
    let (storming, over) = watch::channel(true);
    let base = format!("http://127.0.0.1:{}", program.port);
    let queue = desk.folder.path().join("queue/cycles");
    let delivering = tokio::spawn(deliver(base.clone(), queue, over));
    let mut senders = JoinSet::new();
    for sender in 0..CONNECTIONS {
        let bodies: Vec<String> = (sender..EVENTS)
            .step_by(CONNECTIONS)
            .map(|number| {
                let subscription = Uuid::from_u128((number as u128) << 64 | 7).to_string();
                let event =
                    events::policy_state(&tenant, &tenant, &subscription, "Created", desk.world.now());
                json!({ "Data": { "event": event }, "Metadata": {} }).to_string()
            })
            .collect();
        senders.spawn(send(format!("{base}/subscription-event"), bodies));
    }
    let (mut milliseconds, mut errors) = (Vec::new(), 0);
    for (took, failed) in senders.join_all().await {
        milliseconds.extend(took);
        errors += failed;
    }
    tokio::time::sleep(AFTER).await;
    storming.send(false).unwrap();
    Storm { milliseconds, errors, cycles: delivering.await.unwrap() }
}

/// Sends events one after another on one connection. Returns how long each took, and how many failed.
async fn send(url: String, bodies: Vec<String>) -> (Vec<f64>, usize) {
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(1).build().unwrap();
    let (mut took, mut failed) = (Vec::new(), 0);
    for body in bodies {
        let begun = Instant::now();
        let request = http.post(&url).header("content-type", "application/json").body(body);
        let answer = match request.send().await {
            Ok(answer) if answer.status() == 200 => answer.text().await.ok(),
            _ => None,
        };
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
        failed += usize::from(!answer.is_some_and(|answer| answer.contains("inbox items left: 1")));
    }
    (took, failed)
}

/// Delivers each message when it is due, one at a time, as `host.json` says. Returns how many cycles ran.
async fn deliver(base: String, queue: PathBuf, mut storming: watch::Receiver<bool>) -> usize {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut cycles = 0;
    while *storming.borrow_and_update() {
        let Some(message) = names(&queue).into_iter().find(|name| is_due(name)) else {
            tokio::time::sleep(POLL).await;
            continue;
        };
        let text = std::fs::read_to_string(queue.join(&message)).unwrap();
        let envelope = json!({ "Data": { "wakeUp": Value::from(text).to_string() }, "Metadata": { "DequeueCount": "1" } });
        let post = http.post(format!("{base}/cycle")).header("content-type", "application/json");
        let answer = post.body(envelope.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "a cycle could not save its outcome");
        // A wake-up that was dropped is answered so.
        cycles += usize::from(answer.text().await.unwrap().contains("Cycle "));
        std::fs::remove_file(queue.join(&message)).unwrap();
    }
    cycles
}

/// The name of a message begins with the moment from which it is visible, in milliseconds.
fn is_due(name: &str) -> bool {
    let visible = name.split('_').next().and_then(|visible| visible.parse().ok()).unwrap_or(u128::MAX);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    visible <= now.as_millis()
}

/// Files that are not hidden, in their order.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}
