//! The main job, end to end: the real binary, started the way the Functions host starts it.

use crate::kills::kill;
use crate::stage::Stage;
use jiff::SignedDuration;
use serde_json::{Value, json};
use world::events::{self, policy_topic};
use world::host::TimerKind;
use world::{CallKind, SubscriptionState};

const VENDING: &str = "/subscriptions/00000000-0000-0000-0000-00000000feed/resourceGroups/r/providers/Microsoft.EventGrid/topics/vending";

#[tokio::test]
async fn a_timer_tick_leads_to_connectors_syncs_and_a_proven_snapshot() {
    let stage = Stage::new();
    let world = &stage.world;
    let first = world.subscription("first").with_machines(3);
    let second = world.subscription("second").with_machines(2);
    let foreign = world.subscription("covered").with_machines(1);
    let off = world.subscription("off").state(SubscriptionState::Disabled);
    let by_hand = world.connector(&foreign);
    let host = stage.host().await;
    assert!(host.fire_timer("schedule", TimerKind::OnTime).await.succeeded());
    let snapshot = stage.wait_for_machines(&[(first.id().to_owned(), 3), (second.id().to_owned(), 2)]).await;
    for subscription in [&first, &second] {
        let made = world.connectors_of(subscription);
        assert_eq!(made.len(), 1);
        assert_eq!((made[0].state.as_str(), made[0].disabled), ("FINISHED_SUCCESS", false));
        assert!(made[0].description.contains("managed-by: qualys-azure-inventory default/"));
    }
    assert_eq!(world.connectors_of(&foreign)[0].id, by_hand);
    assert!(world.connectors_of(&off).is_empty());
    assert!(world.qualys_writes().iter().all(|call| call.connector_id != Some(by_hand)), "never touched");
    let ranges = snapshot.manifest["ranges"].as_array().unwrap();
    assert!(ranges.iter().all(|range| range["declared"] == range["read"] && range["proved"] == true));
    stage.wait_for_empty_inbox().await;
    stage.assert_clean(&host).await;
}

/// Announces a new subscription and expects its machines, with no further event and no timer.
async fn announced(event: impl Fn(&Stage, &str) -> Value, kind: &str) {
    let tenant_root = |stage: &Stage| policy_topic(&stage.world.tenant(), "platform");
    let mut stage = Stage::new();
    let sources = format!("{},{VENDING}", tenant_root(&stage));
    stage = stage.set("EVENT_SOURCES", &sources);
    let old = stage.world.subscription("old").with_machines(1);
    let host = stage.host().await;
    host.fire_timer("schedule", TimerKind::OnTime).await;
    let before = stage.wait_for_machines(&[(old.id().to_owned(), 1)]).await;
    stage.wait_for_empty_inbox().await;
    host.quiet().await;

    let new = stage.world.subscription("new").with_machines(4);
    let event = event(&stage, &new);
    assert_eq!(host.deliver("subscription-event", std::slice::from_ref(&event)).await, 202, "{kind}");
    let after = stage.wait_for_machines(&[(new.id().to_owned(), 4)]).await;
    assert_ne!(after.id, before.id);
    assert_eq!(stage.world.connectors_of(&new)[0].state, "FINISHED_SUCCESS");
    stage.wait_for_empty_inbox().await;
    stage.assert_clean(&host).await;
}

#[tokio::test]
async fn a_policy_event_in_the_event_grid_schema_onboards_a_new_subscription() {
    announced(|s, id| events::policy_state(&s.world.tenant(), "platform", id, "Created", s.now()), "policy")
        .await;
}

#[tokio::test]
async fn a_policy_event_as_a_cloud_event_onboards_a_new_subscription() {
    announced(
        |s, id| events::policy_state_cloud(&s.world.tenant(), "platform", id, "Created", s.now()),
        "policy",
    )
    .await;
}

#[tokio::test]
async fn a_vending_event_onboards_a_new_subscription() {
    announced(|s, id| events::vending(VENDING, id, s.now()), "vending").await;
}

#[tokio::test]
async fn the_same_event_ten_times_and_unknown_events_change_nothing_else() {
    let stage = Stage::new().set("EVENT_SOURCES", VENDING);
    let new = stage.world.subscription("new").with_machines(2);
    let host = stage.host().await;
    let event = events::vending(VENDING, &new, stage.now());
    for _ in 0..10 {
        assert_eq!(host.deliver("subscription-event", std::slice::from_ref(&event)).await, 202);
    }
    let foreign = events::vending("/another/topic", &new, stage.now());
    for event in [
        events::unknown(VENDING, stage.now()),
        events::blob_created(VENDING, stage.now()),
        foreign,
        json!({ "odd": [1, "2"] }),
    ] {
        assert_eq!(host.deliver("subscription-event", &[event]).await, 202);
    }
    stage.wait_for_machines(&[(new.id().to_owned(), 2)]).await;
    stage.wait_for_empty_inbox().await;
    host.quiet().await;
    assert_eq!(stage.world.connectors().len(), 1);
    let creates =
        stage.world.qualys_writes().into_iter().filter(|call| call.call == CallKind::ConnectorCreate).count();
    assert_eq!(creates, 1);
    stage.assert_clean(&host).await;
}

#[tokio::test]
async fn a_manual_sync_is_followed_to_its_end() {
    let stage = Stage::new();
    let new = stage.world.subscription("new").with_machines(2);
    let host = stage.host().await;
    let http = reqwest::Client::new();
    let answer = http.post(format!("{}/api/sync", host.url())).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let request_status = async || -> Value {
        let answer = http.get(format!("{}{location}", host.url())).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    };
    let done = stage.wait("the request to be done", async || {
        let status = request_status().await;
        (status["state"] == "done").then_some(status)
    });
    let done = done.await;
    assert_eq!(done["asked"]["all"], true);
    assert!(!done["cycles"].as_array().unwrap().is_empty());
    assert!(done["settled"].as_str().unwrap().contains("1 syncs ended, 0 left alone; snapshot"), "{done}");
    let snapshot = stage.latest().unwrap();
    assert_eq!(snapshot.rows.len(), 2, "the snapshot was taken after the sync had ended");
    // Qualys states the time of a sync in whole seconds: a request within the same second may count as answered by it.
    let synced = stage.world.connectors_of(&new)[0].last_sync.unwrap();
    let is_past = async || (stage.now().as_second() > synced.as_second() + 1).then_some(());
    stage.wait("the second of the last sync to pass", is_past).await;
    let runs = || stage.world.connectors_of(&new)[0].runs;
    let before = runs();
    let again = http.post(format!("{}/api/sync?subscription={}", host.url(), new.id())).send().await.unwrap();
    assert_eq!(again.status(), 202);
    stage.wait("the requested sync", async || (runs() == before + 1).then_some(())).await;
    stage.wait_for_empty_inbox().await;
    for path in ["/api/status", "/api/plan"] {
        let answer = http.get(format!("{}{path}", host.url())).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    stage.assert_clean(&host).await;
}

#[tokio::test]
async fn a_new_connector_that_qualys_starts_alone_is_joined_and_never_run() {
    // The next cycle looks after a second. By then Qualys has started the sync, and no run is needed.
    let stage = Stage::new().set("FOLLOW_UP", "1s");
    stage.world.manners(|m| m.auto_start = Some(SignedDuration::from_millis(200)));
    let new = stage.world.subscription("new").with_machines(1);
    let host = stage.host().await;
    host.fire_timer("schedule", TimerKind::OnTime).await;
    stage.wait_for_machines(&[(new.id().to_owned(), 1)]).await;
    let connector = &stage.world.connectors_of(&new)[0];
    assert_eq!((connector.runs, connector.syncs), (0, 1));
}

#[tokio::test]
async fn a_new_connector_that_waits_is_run_once() {
    let stage = Stage::new();
    stage.world.manners(|m| m.auto_start = None);
    let new = stage.world.subscription("new").with_machines(1);
    let host = stage.host().await;
    host.fire_timer("schedule", TimerKind::OnTime).await;
    stage.wait_for_machines(&[(new.id().to_owned(), 1)]).await;
    let connector = &stage.world.connectors_of(&new)[0];
    assert_eq!((connector.runs, connector.syncs), (1, 1));
}

#[tokio::test]
async fn a_killed_handler_comes_back_and_the_job_is_done_once() {
    let stage = Stage::new();
    let new = stage.world.subscriptions("s", 5);
    let host = stage.host().await;
    let pid = host.handler_pid().unwrap();
    stage.world.on_answer_to(CallKind::ConnectorCreate, "", 2, move |_| kill(pid));
    host.fire_timer("schedule", TimerKind::OnTime).await;
    // The killed cycle wrote no status. Its message comes back, and the next one does.
    stage.wait("a cycle of the next process", async || stage.json("status.json")).await;
    assert_ne!(host.handler_pid(), Some(pid));
    // What the killed cycle may have made is given ten minutes to show, so here the rest is not made yet.
    assert!(stage.world.connectors().len() >= 2);
    for subscription in &new {
        assert!(stage.world.connectors_of(subscription).len() <= 1, "no duplicate");
    }
    host.assert_no_secret(&stage.world.secrets());
}
