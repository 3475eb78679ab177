//! A thousand new subscriptions, until nothing is left to do: how many calls it takes, both if Qualys starts the first
//! syncs and if it does not. The counts are asserted, because they do not depend on the machine.

use crate::Figure;
use crate::desk::{Desk, runtime};
use qualys_azure_inventory::cycle::StartedBy;
use qualys_azure_inventory::report::Report;
use std::time::{Duration, Instant};
use world::{CallKind, Service};

const SUBSCRIPTIONS: usize = 1000;
/// A create and at most one run for each subscription; the rest is for reading.
const TARGET: f64 = 2100.0;
/// Calls that only read: in each of three cycles a page of connectors, and in two of them a page of machines and its
/// count. This is twice that number, because a slow machine may need another cycle.
const HANDFUL: usize = 14;

pub(crate) fn figures() -> Vec<Figure> {
    vec![figure("new_1000_calls", true), figure("new_1000_run_calls", false)]
}

fn figure(name: &'static str, starts_alone: bool) -> Figure {
    let mut desk = Desk::new();
    // Short waits change when a call is made, not whether it is made.
    for (name, value) in [
        ("MAX_CREATES", "1000"),
        ("QUALYS_CALLS_PER_HOUR", "5000"),
        ("CYCLE_GAP", "100ms"),
        ("FOLLOW_UP", "2s"),
    ] {
        desk.settings.insert(name.to_owned(), value.to_owned());
    }
    if !starts_alone {
        desk.world.manners(|manners| manners.auto_start = None);
    }
    for subscription in desk.world.subscriptions("shop", SUBSCRIPTIONS) {
        desk.world.machines(&subscription, 1);
    }
    let last = runtime().block_on(cycles(&desk));

    assert!(last.coverage.is_some_and(|coverage| coverage.covered == SUBSCRIPTIONS), "each is covered");
    let snapshot = last.snapshot.unwrap();
    assert!(snapshot.complete && snapshot.rows == SUBSCRIPTIONS as u64, "each machine is in the snapshot");
    let connectors = desk.world.connectors();
    assert_eq!(connectors.len(), SUBSCRIPTIONS, "one connector each");
    assert!(
        connectors.iter().all(|one| one.syncs == 1 && one.runs <= 1),
        "its first sync ended, run at most once"
    );
    let calls: Vec<_> =
        desk.world.calls().into_iter().filter(|call| call.service == Service::Qualys).collect();
    let count = |kind| calls.iter().filter(|call| call.call == kind).count();
    let (creates, runs) = (count(CallKind::ConnectorCreate), count(CallKind::ConnectorRun));
    assert_eq!(creates, SUBSCRIPTIONS, "one create each");
    assert!(runs <= SUBSCRIPTIONS, "at most one run for each subscription");
    let read = calls.len() - creates - runs;
    assert!(read <= HANDFUL, "a handful of pages, not {read}");
    Figure { name, value: calls.len() as f64, unit: "calls", target: Some(TARGET), n: 1 }
}

/// Runs each cycle when the one before has booked it, until none is booked. Returns the report of the last.
async fn cycles(desk: &Desk) -> Report {
    let app = desk.app().await;
    let (begun, now) = (Instant::now(), desk.world.now());
    app.tenant.wake_ups.book(app.tenant.id(), now, now).await.unwrap();
    loop {
        let booking = app.tenant.wake_ups.booking(app.tenant.id()).await.unwrap();
        let report = desk.cycle_started_by(&app, StartedBy::WakeUp { due: booking.due }).await.report;
        assert!(report.problems.is_empty() && report.counts().failed == 0, "{report}");
        let Some(wake_up) = report.next_wake_up else { return report };
        assert!(begun.elapsed() < Duration::from_secs(180), "there is always another cycle: {report}");
        let wait = wake_up.duration_since(desk.world.now());
        tokio::time::sleep(wait.try_into().unwrap_or_default()).await;
    }
}
