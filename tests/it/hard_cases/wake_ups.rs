//! No wake-up is lost, and none repeats for ever.

use super::MINUTE;
use crate::stage::{Hold, Stage, names_in, started_by};
use axum::body::Body;
use axum::http::Request;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::config::Config;
use qualys_azure_inventory::cycle::{self, CycleResult, StartedBy};
use qualys_azure_inventory::doctor;
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::queue::{REDELIVERY, Start};
use qualys_azure_inventory::store::ItemName;
use qualys_azure_inventory::trigger::{Caller, router};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tower::ServiceExt;
use world::CallKind;

/// An app whose `setting` (STORAGE or QUEUE) is an account that takes connections and never says a word; with what keeps
/// it listening.
async fn hung(setting: &str) -> (Stage, App, tokio::net::TcpListener) {
    #[derive(Debug)]
    struct Token;
    #[async_trait::async_trait]
    impl azure_core::credentials::TokenCredential for Token {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<azure_core::credentials::TokenRequestOptions<'_>>,
        ) -> azure_core::Result<azure_core::credentials::AccessToken> {
            let expires_on =
                azure_core::time::OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1);
            Ok(azure_core::credentials::AccessToken { token: "token".into(), expires_on })
        }
    }
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Stage::still().set(setting, "https://hung.core.windows.net");
    let http = reqwest::Client::builder().resolve("hung.core.windows.net", silent.local_addr().unwrap());
    let config = Config::from_lookup(|name| stage.settings.get(name).cloned()).unwrap();
    let app = App::with_client(config, http.build().unwrap(), Arc::new(Token)).unwrap();
    (stage, app, silent)
}

/// Event Grid waits 30 s for an answer. Time is virtual here.
#[tokio::test(start_paused = true)]
async fn a_trigger_answers_within_20_seconds_when_storage_or_the_queue_hangs() {
    for setting in ["STORAGE", "QUEUE"] {
        let (stage, app, _silent) = hung(setting).await;
        let begun = Instant::now();
        let item = ItemContent::new(stage.now(), "schedule");
        app.leave(app.tenant.id(), ItemName::Timer, &item, stage.now()).await.unwrap_err();
        assert!(begun.elapsed() <= Duration::from_millis(20_100), "{setting}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_storage_keeps_waiting_is_answered_503_and_says_what_to_do() {
    let (_stage, app, _silent) = hung("STORAGE").await;
    let begun = Instant::now();
    let ask = Request::post("/api/sync").body(Body::empty()).unwrap();
    let answer = router(Arc::new(app), &Caller::Host).oneshot(ask).await.unwrap();
    assert!(begun.elapsed() <= Duration::from_millis(20_100), "{:?}", begun.elapsed());
    assert_eq!(answer.status(), 503);
    let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("within 20 s") && body.contains("send the request again"), "{body}");
}

#[tokio::test]
async fn an_inbox_item_that_cannot_be_left_is_named_as_such_and_books_nothing() {
    let stage = Stage::still();
    let app = stage.app().await;
    std::fs::create_dir_all(stage.control("")).unwrap();
    std::fs::write(stage.control("inbox"), "a file where the folder should be").unwrap();
    let item = ItemContent::new(stage.now(), "schedule");
    let error = app.leave(app.tenant.id(), ItemName::Timer, &item, stage.now()).await.unwrap_err();
    assert_eq!(error.to_string(), "the inbox item could not be left");
    assert_eq!(stage.queued(), 0);
}

#[tokio::test]
async fn an_unreadable_item_does_not_wake_up_every_minute() {
    let stage = Stage::still();
    let sub = stage.world.subscription("a");
    let app = stage.app().await;
    for _ in 0..8 {
        stage.cycle(&app).await;
        stage.pass(10 * MINUTE);
    }
    let item = stage.control("inbox").join(format!("subscription={}", sub.id()));
    std::fs::create_dir_all(stage.control("inbox")).unwrap();
    std::fs::write(&item, "{\"schema_version\": 2}").unwrap();
    stage.pass(10 * MINUTE);
    stage.serve_wake_ups(&app).await;
    stage.tick(&app).await;
    let mut ran = 0;
    for _ in 0..60 {
        ran += stage.serve_wake_ups(&app).await;
        stage.pass(MINUTE);
    }
    assert!(ran <= 5, "{ran} cycles in an hour after one tick");
}

#[tokio::test]
async fn a_wake_up_that_meets_a_command_is_not_lost() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    for _ in 0..8 {
        stage.cycle(&app).await;
        stage.pass(10 * MINUTE);
    }
    stage.serve_wake_ups(&app).await;
    stage.pass(10 * MINUTE);
    let new = stage.world.subscription("new");
    // While `plan` at the command line works, an event comes and its wake-up is delivered.
    let hold = Hold::new();
    stage.world.on_request(1, hold.hook());
    let (desk, now) = (stage.app().await, stage.now());
    let by_hand = tokio::spawn(async move {
        cycle::run(&desk.tenant, StartedBy::Command { plan_only: true }, now).await.map(|_| ())
    });
    hold.wait().await;
    let item = ItemContent::new(now, "event");
    app.leave(app.tenant.id(), ItemName::Subscription(new.id().parse().unwrap()), &item, now).await.unwrap();
    assert_eq!(stage.serve_wake_ups(&app).await, 0);
    hold.release();
    by_hand.await.unwrap().unwrap();
    assert_eq!(stage.inbox().len(), 1);
    assert_eq!(stage.queued(), 1, "a wake-up stands for the item");
}

#[tokio::test]
async fn a_wake_up_that_meets_doctor_is_not_lost() {
    // On the day of its installation a tenant has no state yet.
    for cycles in [0, 8] {
        a_wake_up_meets_doctor(cycles).await;
    }
}

async fn a_wake_up_meets_doctor(cycles: usize) {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    for _ in 0..cycles {
        stage.cycle(&app).await;
        stage.pass(10 * MINUTE);
    }
    stage.serve_wake_ups(&app).await;
    stage.pass(10 * MINUTE);
    let hold = Hold::new();
    stage.world.on_answer_to(CallKind::ConnectorSearch, "", 1, hold.hook());
    let (desk, now) = (stage.app().await, stage.now());
    let looking = tokio::spawn(async move { doctor::examine(&desk, now).await.exit_code() });
    hold.wait().await;
    stage.tick(&app).await;
    assert_eq!((stage.serve_wake_ups(&app).await, stage.queued()), (0, 0));
    hold.release();
    assert_eq!(looking.await.unwrap(), 0);
    assert_eq!(stage.queued(), 1, "a wake-up stands for the item, after {cycles} cycles");
}

#[tokio::test]
async fn a_follow_up_that_meets_a_visit_is_not_lost_though_nothing_is_new_in_the_inbox() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    let tenant = app.tenant.id();
    for _ in 0..8 {
        stage.cycle(&app).await;
        stage.pass(10 * MINUTE);
    }
    stage.serve_wake_ups(&app).await;
    stage.pass(10 * MINUTE);
    let hold = Hold::new();
    stage.world.on_answer_to(CallKind::ConnectorSearch, "", 1, hold.hook());
    let (desk, now) = (stage.app().await, stage.now());
    let looking = tokio::spawn(async move { doctor::examine(&desk, now).await.exit_code() });
    hold.wait().await;
    app.tenant.wake_ups.book(tenant, now, now).await.unwrap();
    assert_eq!((stage.serve_wake_ups(&app).await, stage.queued()), (0, 0));
    hold.release();
    assert_eq!(looking.await.unwrap(), 0);
    assert_eq!(stage.queued(), 1, "the end of the visit noticed that a wake-up was dropped");
    stage.pass(MINUTE);
    assert_eq!(stage.serve_wake_ups(&app).await, 1);
}

#[tokio::test]
async fn a_pause_of_half_a_day_leaves_one_message_and_not_one_for_each_cycle() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    stage.cycle(&app).await;
    stage.pass(10 * MINUTE);
    let mut account: serde_json::Value =
        serde_json::from_slice(&std::fs::read(stage.account("state.json")).unwrap()).unwrap();
    let until = stage.now() + jiff::SignedDuration::from_hours(12);
    account["pause_until"] = until.to_string().into();
    std::fs::write(stage.account("state.json"), account.to_string()).unwrap();
    let mut most = 0;
    for _ in 0..4 * 11 {
        stage.tick(&app).await;
        assert!(stage.serve_wake_ups(&app).await <= 1);
        most = most.max(stage.queued());
        stage.pass(15 * MINUTE);
    }
    assert!(most <= 2, "{most} messages at once");
    assert_eq!(stage.json("wake-up.json").unwrap()["due"], until.to_string());
    stage.world.set_time(until);
    assert_eq!(stage.serve_wake_ups(&app).await, 1);
}

#[tokio::test]
async fn a_cycle_that_could_not_save_its_outcome_starts_again_with_the_same_message() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    stage.tick(&app).await;
    let queue = app.tenant.wake_ups.queue();
    let taken = queue.take(REDELIVERY, stage.now()).await.unwrap().unwrap();
    std::fs::write(stage.control("reports"), "a file where the folder should be").unwrap();
    cycle::run(&app.tenant, started_by(&taken), stage.now()).await.unwrap_err();
    std::fs::remove_file(stage.control("reports")).unwrap();
    stage.pass(2 * MINUTE);
    assert!(stage.serve_wake_ups(&app).await >= 1, "the message came back and counts");
}

#[tokio::test]
async fn a_wake_up_that_was_booked_and_not_sent_does_not_stop_the_redelivered_one() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    let tenant = app.tenant.id();
    stage.tick(&app).await;
    let queue = app.tenant.wake_ups.queue();
    let taken = queue.take(REDELIVERY, stage.now()).await.unwrap().unwrap();
    let StartedBy::WakeUp { due: Some(due) } = started_by(&taken) else { panic!() };
    assert_eq!(app.tenant.wake_ups.start(tenant, due, stage.now()).await.unwrap(), Start::Now);
    // The cycle books its follow-up and is killed between `wake-up.json` and the message.
    stage.pass(MINUTE);
    let due = stage.now() + jiff::SignedDuration::from_mins(2);
    let mut wake_up_json: serde_json::Value = stage.json("wake-up.json").unwrap();
    wake_up_json["due"] = due.to_string().into();
    std::fs::write(stage.control("wake-up.json"), wake_up_json.to_string()).unwrap();
    drop(taken);
    let mut ran = 0;
    for _ in 0..60 {
        stage.pass(MINUTE);
        ran += stage.serve_wake_ups(&app).await;
    }
    assert!(ran > 0, "no cycle in an hour; {} messages; inbox items: {:?}", stage.queued(), stage.inbox());
}

#[tokio::test]
async fn one_unreadable_summary_does_not_stop_the_tenant() {
    let mut failed = Vec::new();
    for name in [
        "latest.json",
        "wake-up.json",
        "requests/20261123T050000Z-00000001.json",
        "../account=default/waiting/aaaaaaaa-0000-0000-0000-000000000009.json",
    ] {
        let stage = Stage::still();
        stage.world.subscription("a");
        let app = stage.app().await;
        for _ in 0..3 {
            stage.tick(&app).await;
            stage.serve_wake_ups(&app).await;
            stage.pass(3 * MINUTE);
        }
        let id = "20261123T050000Z-00000001".parse().unwrap();
        let asked = qualys_azure_inventory::model::Asked { all: true, ..Default::default() };
        app.leave_request(app.tenant.id(), &id, &asked, "test", stage.now()).await.unwrap();
        let place = stage.control(name);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, "").unwrap();
        stage.pass(5 * MINUTE);
        let taken = app.tenant.wake_ups.queue().take(REDELIVERY, stage.now()).await.unwrap().unwrap();
        let by_wake_up = cycle::run(&app.tenant, started_by(&taken), stage.now()).await;
        if let Err(error) = by_wake_up {
            failed.push(format!("{name}: {}", qualys_azure_inventory::report::chain(&error)));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn a_wake_up_that_comes_three_seconds_early_is_not_lost() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    stage.tick(&app).await;
    stage.serve_wake_ups(&app).await;
    assert_eq!(stage.queued(), 1, "the follow-up");
    // Another instance, whose clock is three seconds slow, gets it when the queue says that it is due.
    let due = app.tenant.wake_ups.booking(app.tenant.id()).await.unwrap().due.unwrap();
    stage.world.set_time(due);
    let queue = app.tenant.wake_ups.queue();
    let taken = queue.take(REDELIVERY, stage.now()).await.unwrap().unwrap();
    let slow = stage.now() - jiff::SignedDuration::from_secs(3);
    let ended = cycle::run(&app.tenant, started_by(&taken), slow).await.unwrap();
    queue.finish(taken).await.unwrap();
    assert!(matches!(ended, CycleResult::Ran(_)) || stage.queued() > 0, "{ended:?}");
}

#[tokio::test]
async fn a_clock_that_was_ahead_once_does_not_stop_the_tenant() {
    let stage = Stage::still();
    stage.world.subscription("a");
    let app = stage.app().await;
    stage.tick(&app).await;
    let ahead = stage.now() + jiff::SignedDuration::from_hours(24);
    let queue = app.tenant.wake_ups.queue();
    let taken = queue.take(REDELIVERY, stage.now()).await.unwrap().unwrap();
    let ended = cycle::run(&app.tenant, started_by(&taken), ahead).await.unwrap();
    assert!(matches!(ended, CycleResult::Ran(_)));
    queue.finish(taken).await.unwrap();
    let mut ran = 0;
    for _ in 0..12 {
        stage.tick(&app).await;
        ran += stage.serve_wake_ups(&app).await;
        stage.pass(15 * MINUTE);
    }
    assert!(ran > 0, "no cycle in three hours of ticks");
}

#[tokio::test]
async fn garbage_in_the_queue_folder_does_not_end_serve() {
    let stage = Stage::still();
    let app = stage.app().await;
    let folder = stage.queue_folder();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("0000000000001_x_0.msg"), [0xff, 0xfe]).unwrap();
    let goes_on = async || {
        let is_garbage_gone = !names_in(&folder).iter().any(|name| name.contains("_x_"));
        (is_garbage_gone && stage.json("status.json").is_some()).then_some(())
    };
    tokio::select! {
        never = qualys_azure_inventory::trigger::drain(&app) => match never {},
        () = stage.wait("the garbage to go and a cycle to run", goes_on) => {}
    }
}
