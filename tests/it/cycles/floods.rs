//! Thousands of inbox items: each has its turn, and what is new does not wait for them.

use super::MINUTE;
use crate::azure::places;
use crate::stage::{Stage, in_a_minute};
use jiff::{SignedDuration, Timestamp};
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::inbox::{Inbox, ItemContent};
use qualys_azure_inventory::model::{Asked, RequestId, SubscriptionId};
use qualys_azure_inventory::store::ItemName;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use uuid::Uuid;
use world::CallKind;

/// Leaves items of subscriptions that do not exist, with the lowest ids there are.
fn flood(stage: &Stage, count: u128) {
    let inbox = stage.control("inbox");
    std::fs::create_dir_all(&inbox).unwrap();
    let content = serde_json::to_vec(&ItemContent::new(stage.now(), "flood")).unwrap();
    for number in 1..=count {
        std::fs::write(inbox.join(format!("subscription={}", Uuid::from_u128(number))), &content).unwrap();
    }
}

async fn leave(stage: &Stage, app: &App, id: &str) {
    let name = ItemName::Subscription(id.parse().unwrap());
    app.leave(app.tenant.id(), name, &ItemContent::new(stage.now(), "event"), stage.now()).await.unwrap();
}

/// A stage whose lists lag for days, so that only direct readings find what is new.
fn stage() -> Stage {
    let stage = Stage::still();
    stage.world.subscription("old");
    stage.pass(Duration::from_hours(48));
    stage.world.arm_manners(|manners| manners.list_lag = SignedDuration::from_hours(47));
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_subscription_among_1000_unknown_ones_is_found_in_the_next_cycle() {
    let stage = stage();
    let app = stage.app().await;
    flood(&stage, 1000);
    let ran = stage.cycle(&app).await;
    assert!(ran.report.problems.is_empty(), "{:?}", ran.report.problems);
    let soon = ran.report.next_wake_up.expect("the others are looked at soon");
    assert!(soon <= stage.now() + SignedDuration::from_mins(5), "{soon}");
    stage.pass(3 * MINUTE);
    let new = stage.world.subscription("new");
    leave(&stage, &app, new.id()).await;
    let ran = stage.cycle(&app).await;
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
    assert_eq!(ran.report.inbox.len(), 1001);
    assert_eq!(stage.inbox().len(), 1001, "no list shows it yet, and unknown is not absent");
    // What a cycle listed does not wake up another one; the state stays small enough to be written in one piece.
    let state = std::fs::metadata(stage.control("state.json")).unwrap().len();
    assert!(state < 200_000, "{state} bytes");
    stage.pass(Duration::from_hours(24));
    stage.world.arm_manners(|manners| manners.list_lag = SignedDuration::ZERO);
    stage.cycle(&app).await;
    assert!(stage.inbox().is_empty(), "given up after 24 hours, all in one cycle");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_300_unknown_subscriptions_is_looked_at_within_three_cycles() {
    let stage = stage();
    let app = stage.app().await;
    flood(&stage, 300);
    for _ in 0..3 {
        stage.cycle(&app).await;
        stage.pass(3 * MINUTE);
    }
    let calls = stage.world.calls().into_iter().filter(|call| call.call == CallKind::ArmGet);
    let looked: BTreeSet<_> = calls.filter_map(|call| call.subscription).collect();
    assert_eq!(looked.len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nothing_is_known_of_a_request_it_is_named_and_not_settled() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    let id = RequestId::new(stage.now(), 7);
    let content = ItemContent::new(stage.now(), "manual-sync");
    app.leave(app.tenant.id(), ItemName::Request(id.clone()), &content, stage.now()).await.unwrap();
    let ran = stage.cycle(&app).await;
    let problem = &ran.report.problems[0].error;
    assert!(problem.contains(&format!("request={id}")) && problem.contains("`asked`"), "{problem}");
    assert_eq!(stage.inbox(), [format!("request={id}")]);
}

#[tokio::test]
async fn reading_the_inbox_ends_at_its_time_and_what_was_not_read_stays() {
    for place in places() {
        let (tenant, inbox) = (crate::azure::tenant(), Inbox::new(place.store));
        let now = Timestamp::UNIX_EPOCH;
        for number in 0..3 {
            let name = ItemName::Subscription(SubscriptionId::new(Uuid::from_u128(number)));
            inbox.put(tenant, name, &ItemContent::new(now, "event")).await.unwrap();
        }
        let taken = inbox.read(tenant, tokio::time::Instant::now()).await.unwrap();
        assert_eq!((taken.listed.len(), taken.items.len(), taken.not_read), (3, 0, 3), "{}", place.kind);
        let taken = inbox.read(tenant, in_a_minute()).await.unwrap();
        assert_eq!((taken.items.len(), taken.not_read), (3, 0), "{}", place.kind);
    }
}

/// One at a time, each of the three takes a minute.
#[tokio::test(flavor = "multi_thread")]
async fn items_and_the_pages_of_requests_are_read_written_and_removed_side_by_side() {
    let Some(azure) = crate::stage::azure_stage() else { return };
    let stage = &azure.stage;
    stage.world.subscription("a");
    let app = stage.app().await;
    let asked = Asked { plan_only: true, ..Asked::default() };
    for number in 0..120 {
        let id = RequestId::new(stage.now(), number);
        app.leave_request(app.tenant.id(), &id, &asked, "test", stage.now()).await.unwrap();
    }
    for call in [CallKind::BlobGet, CallKind::BlobPut, CallKind::BlobDelete] {
        let slow = world::Kind::Slow(Duration::from_millis(500));
        stage.world.fault(world::Fault::new(call, slow).always().containing("request"));
    }
    let begun = Instant::now();
    let ran = stage.cycle(&app).await;
    assert!(begun.elapsed() < Duration::from_secs(45), "{:?}", begun.elapsed());
    assert!(ran.report.inbox.iter().all(|line| line.settled.is_some()), "{:?}", ran.report.inbox);
    assert!(azure.inbox().is_empty());
}

/// A page that a day of cycles has taken names them all, and reads few reports.
#[tokio::test]
async fn the_page_of_a_request_reads_only_the_latest_reports() {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use qualys_azure_inventory::trigger::{Caller, router};
    use tower::ServiceExt;
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = std::sync::Arc::new(stage.app().await);
    let id = RequestId::new(stage.now(), 7);
    app.leave_request(app.tenant.id(), &id, &Asked { all: true, ..Asked::default() }, "test", stage.now())
        .await
        .unwrap();
    let cycle = stage.cycle(&app).await.report.cycle.to_string();
    // As many as a request has that waits for hours. A report that is not read cannot be in the way.
    let page = stage.control(&format!("requests/{id}.json"));
    let mut status = stage.json(&format!("requests/{id}.json")).unwrap();
    let early: Vec<_> = (0..200).map(|number| format!("20261122T000000Z-{number:08x}")).collect();
    std::fs::write(stage.control(&format!("reports/{}.json", early[0])), "garbage").unwrap();
    status["cycles"] = early.iter().chain([&cycle]).cloned().collect();
    std::fs::write(&page, status.to_string()).unwrap();
    let ask = Request::get(format!("/api/requests/{id}")).body(Body::empty()).unwrap();
    let answer = router(app, &Caller::Host).oneshot(ask).await.unwrap();
    let body = to_bytes(answer.into_body(), 1_000_000).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["state"], "waiting", "{body}");
    assert_eq!(body["earlier_cycles"].as_array().unwrap().len(), 196, "{body}");
    assert_eq!(body["cycles"].as_array().unwrap().len(), 5);
    assert_eq!(body["cycles"][4]["report"]["cycle"], cycle);
}
