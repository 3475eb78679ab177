//! A snapshot of 100,000 machines, compared with a plain download of the same pages.
//!
//! The download is the time of the simulated Qualys and of copying what it sends. As the ratio shows, that is a small
//! part of the snapshot's time. The rest is the program's own: reading JSON, compressing, hashing. On a real network both
//! would mostly wait for Qualys.

use crate::desk::{Desk, runtime};
use crate::{Figure, median};
use jiff::Timestamp;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::model::{CycleId, SnapshotId, SubscriptionId};
use qualys_azure_inventory::qualys::{CallBudget, Qualys, Setup};
use qualys_azure_inventory::snapshot::{SnapshotJob, take};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use world::{Call, Service};

const SUBSCRIPTIONS: usize = 100;
const MACHINES: usize = 1000;
const TIMES: usize = 5;

pub(crate) fn figures() -> Vec<Figure> {
    runtime().block_on(async {
        let desk = Desk::new();
        let ids = desk.world.subscriptions("shop", SUBSCRIPTIONS);
        for id in &ids {
            desk.world.machines_with_hosts(id, MACHINES);
        }
        let ids: BTreeSet<SubscriptionId> = ids.iter().map(|id| id.parse().unwrap()).collect();
        let app = desk.app().await;
        // One unmeasured run fills the caches on both sides.
        snapshot(&desk, &app, &ids, 0).await;
        let mut ratios = Vec::new();
        let mut seconds = Vec::new();
        for number in 1..=TIMES {
            desk.world.clear_calls();
            let begun = Instant::now();
            snapshot(&desk, &app, &ids, number).await;
            let took = begun.elapsed().as_secs_f64();
            let calls = desk.world.calls();
            let begun = Instant::now();
            download(&desk, &app, &calls).await;
            ratios.push(took / begun.elapsed().as_secs_f64());
            seconds.push(took);
        }
        vec![
            Figure {
                name: "snapshot_100000_ratio",
                value: median(ratios),
                unit: "times",
                target: None,
                n: TIMES,
            },
            Figure {
                name: "snapshot_100000_seconds",
                value: median(seconds),
                unit: "s",
                target: None,
                n: TIMES,
            },
        ]
    })
}

async fn snapshot(desk: &Desk, app: &App, ids: &BTreeSet<SubscriptionId>, number: usize) {
    let App { tenant, .. } = app;
    let now = Timestamp::now();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(300);
    let qualys = Qualys::new(Setup {
        http: tenant.account.http.clone(),
        base: tenant.account.api.clone(),
        username: desk.world.qualys_user().into(),
        password: desk.world.qualys_password().into(),
        write_timeout: tenant.account.lease / 2,
        deadline,
        calls: CallBudget::new(
            tenant.store.clone(),
            tenant.account.name.clone(),
            tenant.account.limits,
            (now, tokio::time::Instant::now()),
        ),
        may_send: std::sync::Arc::new(|_| true),
    });
    let number = u32::try_from(number).unwrap();
    let job = SnapshotJob {
        qualys: &qualys,
        store: &tenant.store,
        tenant: tenant.id(),
        id: SnapshotId::new(now, number),
        cycle: CycleId::new(now, number),
        subscriptions: ids,
        moved_away: &BTreeSet::new(),
        sole_tenant: true,
        connectors: &BTreeMap::new(),
        doubt: None,
        first_reading: None,
        began: now,
        deadline,
    };
    let taken = take(&job).await.unwrap();
    assert!(taken.complete && taken.rows == (SUBSCRIPTIONS * MACHINES) as u64);
}

/// Sends the same requests in the same order, and only reads the answers.
async fn download(desk: &Desk, app: &App, calls: &[Call]) {
    let (user, password) = (desk.world.qualys_user(), desk.world.qualys_password());
    for call in calls.iter().filter(|call| call.service == Service::Qualys) {
        let request = app.tenant.account.http.post(format!("{}{}", desk.world.qualys_url(), call.path));
        let request = request.basic_auth(&user, Some(&password)).header("accept", "application/json");
        let request = request.header("content-type", "application/json");
        let body = call.sent.as_ref().map(ToString::to_string).unwrap_or_default();
        let answer = request.body(body).send().await.unwrap();
        assert!(answer.status().is_success());
        std::hint::black_box(answer.bytes().await.unwrap());
    }
}
