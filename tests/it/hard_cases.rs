//! Hard cases: each was a defect once, found by a reader.

use crate::stage::Stage;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::cycle::{self, Ended, Woken};
use qualys_azure_inventory::store::NoteName;
use qualys_azure_inventory::wakes::{Note, Start};
use std::time::Duration;
use world::{Access, CallKind, Fault, Kind, Service};

const MINUTE: Duration = Duration::from_mins(1);

fn still() -> Stage {
    let stage = Stage::new().set("CYCLE_GAP", "1m").set("FOLLOW_UP", "2m").set("SNAPSHOT_GAP", "1h");
    stage.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
    stage
}

async fn bell(app: &App, stage: &Stage) -> usize {
    let queue = app.wakes.queue();
    let mut ran = 0;
    while let Some(taken) = queue.take(Duration::from_secs(90), stage.now()).await.unwrap() {
        if let Ended::Ran(_) = cycle::run(app, Woken::ByBell, stage.now()).await.unwrap() {
            ran += 1;
        }
        queue.finish(taken).await.unwrap();
    }
    ran
}

fn queued(stage: &Stage) -> usize {
    crate::stage::names_in(&stage.folder.path().join("queue/cycles")).len()
}

async fn leave(app: &App, stage: &Stage) {
    let now = stage.now();
    app.wakes.leave(app.config.policy.tenant, NoteName::Timer, &Note::new(now, "test"), now).await.unwrap();
}

#[tokio::test]
async fn a_lost_run_of_a_queued_connector_is_sent_again() {
    let stage = still();
    stage.world.manners(|m| m.auto_start = None);
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorRun, Kind::ResetBefore));
    for _ in 0..24 * 4 {
        stage.cycle(&app).await;
        stage.pass(15 * MINUTE);
    }
    let c = &stage.world.connectors_of(&new)[0];
    assert!(c.syncs >= 1, "never synced in 24 h");
}

#[tokio::test]
async fn an_answer_without_a_count_is_not_an_empty_list() {
    let stage = still();
    let covered = stage.world.subscriptions("s", 3);
    for s in &covered {
        stage.world.connector(s);
    }
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorSearch, Kind::ErrorUnder200("SUCCESS".into())).times(1));
    stage.cycle(&app).await;
    for s in &covered {
        assert_eq!(stage.world.connectors_of(s).len(), 1, "doubled");
    }
}

#[tokio::test]
async fn a_connector_we_made_that_search_shows_late_is_not_doubled() {
    let stage = still();
    stage.world.manners(|m| m.search_lag = jiff::SignedDuration::from_mins(60));
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    for _ in 0..5 {
        stage.cycle(&app).await;
        stage.pass(15 * MINUTE);
    }
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
}

#[tokio::test]
async fn an_unreadable_note_does_not_ring_every_minute() {
    let stage = still();
    let sub = stage.world.subscription("a");
    let app = stage.app().await;
    for _ in 0..8 {
        stage.cycle(&app).await;
        stage.pass(10 * MINUTE);
    }
    let note = stage.control("notes").join(format!("subscription={}", sub.id()));
    std::fs::create_dir_all(stage.control("notes")).unwrap();
    std::fs::write(&note, "{\"schema_version\": 2}").unwrap();
    stage.pass(10 * MINUTE);
    bell(&app, &stage).await;
    leave(&app, &stage).await;
    let mut ran = 0;
    for _ in 0..60 {
        ran += bell(&app, &stage).await;
        stage.pass(MINUTE);
    }
    assert!(ran <= 5, "{ran} cycles in an hour after one tick");
}

#[tokio::test]
async fn the_breaker_is_not_closed_by_another_tenants_good_credentials() {
    let first = still();
    let tenant = first.world.add_tenant();
    let cid = first.world.add_app(&tenant);
    let mut second = Stage::on(first.world.clone());
    second.settings = first.settings.clone();
    let second = second
        .set("TENANT_ID", &tenant)
        .set("CONNECTOR_APP_ID", &cid)
        .set("CONNECTOR_CLIENT_SECRET", &first.world.newest_secret(&cid))
        .set("QUALYS_PASSWORD", "the-old-one");
    first.world.subscription("one");
    let (good, bad) = (first.app().await, second.app().await);
    let mut refused = 0;
    for _ in 0..20 {
        first.cycle(&good).await;
        first.world.clear_calls();
        second.cycle(&bad).await;
        refused += first.world.calls().iter().filter(|c| c.service == Service::Qualys).count();
        first.pass(15 * MINUTE);
    }
    assert_eq!(refused, 1, "sign-ins with the refused password");
}

#[tokio::test]
async fn a_queued_connector_that_a_person_disabled_does_not_ring_for_ever() {
    let stage = still();
    stage.world.manners(|m| m.auto_start = None);
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    stage.cycle(&app).await;
    let id = stage.world.connectors_of(&new)[0].id;
    stage.world.edit_connector(id, |c| c.disabled = true);
    let mut ran = 0;
    for _ in 0..24 * 60 {
        stage.pass(MINUTE);
        ran += bell(&app, &stage).await;
    }
    assert!(ran < 30, "{ran} cycles in a day without any trigger");
}

#[tokio::test]
async fn a_queued_connector_whose_subscription_is_disabled_does_not_ring_for_ever() {
    let stage = still();
    stage.world.manners(|m| m.auto_start = None);
    let new = stage.world.subscription("new");
    stage.world.subscription("other");
    let app = stage.app().await;
    stage.cycle(&app).await;
    stage.world.edit_subscription(&new, |s| s.state = world::SubscriptionState::Disabled);
    let mut ran = 0;
    for _ in 0..24 * 60 {
        stage.pass(MINUTE);
        ran += bell(&app, &stage).await;
    }
    assert!(ran < 30, "{ran} cycles in a day without any trigger");
}

#[tokio::test]
async fn a_requested_run_whose_answer_was_lost_is_repeated() {
    let stage = still();
    let sub = stage.world.subscription("a");
    let app = stage.app().await;
    for _ in 0..8 {
        stage.cycle(&app).await;
        stage.pass(3 * MINUTE);
    }
    stage.pass(10 * MINUTE);
    while bell(&app, &stage).await > 0 {
        stage.pass(3 * MINUTE);
    }
    let before = stage.world.connectors_of(&sub)[0].syncs;
    let now = stage.now();
    let id = "20261123T050000Z-00000001".parse().unwrap();
    let asked = qualys_azure_inventory::model::Asked { all: true, ..Default::default() };
    app.wakes.request(app.config.policy.tenant, &id, &asked, "test", now).await.unwrap();
    stage.world.fault(Fault::new(CallKind::ConnectorRun, Kind::ResetBefore));
    let mut ran = 0;
    for _ in 0..180 {
        ran += bell(&app, &stage).await;
        stage.pass(MINUTE);
    }
    let after = stage.world.connectors_of(&sub)[0].syncs;
    assert!(after > before && ran < 30 && stage.notes().is_empty());
}

#[tokio::test]
async fn a_refused_run_is_not_sent_every_two_minutes() {
    let stage = still();
    stage.world.manners(|m| m.auto_start = None);
    stage.world.subscription("a");
    let app = stage.app().await;
    stage
        .world
        .fault(Fault::new(CallKind::ConnectorRun, Kind::ErrorUnder200("INVALID_REQUEST".into())).always());
    stage.cycle(&app).await;
    for _ in 0..24 * 60 {
        stage.pass(MINUTE);
        bell(&app, &stage).await;
    }
    let runs = stage.world.calls().iter().filter(|c| c.call == CallKind::ConnectorRun).count();
    assert!(runs <= 4, "{runs} runs sent in a day");
}

#[tokio::test]
async fn a_refused_create_does_not_starve_the_others() {
    let stage = still().set("MAX_CREATES", "1");
    let mut subs = stage.world.subscriptions("s", 3);
    subs.sort_by_key(|s| s.id().to_owned());
    let app = stage.app().await;
    stage.world.fault(
        Fault::new(CallKind::ConnectorCreate, Kind::ErrorUnder200("INVALID_REQUEST".into()))
            .containing(subs[0].id())
            .always(),
    );
    leave(&app, &stage).await;
    for _ in 0..24 * 60 {
        bell(&app, &stage).await;
        stage.pass(MINUTE);
    }
    let creates = stage.world.calls().iter().filter(|c| c.call == CallKind::ConnectorCreate).count();
    assert_eq!(stage.world.connectors().len(), 2);
    assert!(creates < 15, "{creates} creates in a day");
}

#[tokio::test]
async fn a_bell_that_meets_a_command_is_not_lost() {
    let stage = still();
    stage.world.subscription("a");
    let app = stage.app().await;
    for _ in 0..8 {
        stage.cycle(&app).await;
        stage.pass(10 * MINUTE);
    }
    bell(&app, &stage).await;
    stage.pass(10 * MINUTE);
    let new = stage.world.subscription("new");
    // While `cycle` (or `plan`) at the command line reads Qualys, an event comes and its bell is delivered.
    let (tx, rx) = std::sync::mpsc::channel::<()>();
    let (tx2, rx2) = std::sync::mpsc::channel::<()>();
    stage.world.on_request(1, move |_| {
        tx.send(()).unwrap();
        let _ = rx2.recv_timeout(Duration::from_secs(10));
    });
    let desk = stage.app().await;
    let now = stage.now();
    let by_hand =
        tokio::spawn(
            async move { cycle::run(&desk, Woken::ByHand { plan_only: true }, now).await.map(|_| ()) },
        );
    tokio::task::spawn_blocking(move || rx.recv().unwrap()).await.unwrap();
    let note = Note::new(now, "event");
    app.wakes
        .leave(app.config.policy.tenant, NoteName::Subscription(new.id().parse().unwrap()), &note, now)
        .await
        .unwrap();
    let dropped = bell(&app, &stage).await;
    assert_eq!(dropped, 0);
    tx2.send(()).unwrap();
    by_hand.await.unwrap().unwrap();
    assert_eq!(stage.notes().len(), 1);
    assert_eq!(queued(&stage), 1, "a bell stands for the note");
}

#[tokio::test]
async fn a_bell_that_was_saved_and_not_sent_does_not_eat_the_redelivered_one() {
    let stage = still();
    stage.world.subscription("a");
    let app = stage.app().await;
    let tenant = app.config.policy.tenant;
    leave(&app, &stage).await;
    let queue = app.wakes.queue();
    let taken = queue.take(Duration::from_secs(90), stage.now()).await.unwrap().unwrap();
    assert_eq!(app.wakes.start(tenant, stage.now()).await.unwrap(), Start::Now);
    // The cycle books its follow-up and is killed between `bell.json` and the message.
    stage.pass(MINUTE);
    let due = stage.now() + jiff::SignedDuration::from_mins(2);
    let mut bell_json: serde_json::Value = stage.json("bell.json").unwrap();
    bell_json["due"] = due.to_string().into();
    std::fs::write(stage.control("bell.json"), bell_json.to_string()).unwrap();
    drop(taken);
    let mut ran = 0;
    for _ in 0..60 {
        stage.pass(MINUTE);
        ran += bell(&app, &stage).await;
    }
    assert!(ran > 0, "no cycle in an hour; {} messages; the note lies: {:?}", queued(&stage), stage.notes());
}

#[tokio::test]
async fn an_absurd_wait_does_not_pause_for_centuries() {
    let stage = still();
    stage.world.subscription("a");
    let app = stage.app().await;
    stage.world.fault(Fault::new(
        CallKind::ConnectorSearch,
        Kind::Conflict409 { code: 1965, wait: Some(99_999_999_999) },
    ));
    stage.cycle(&app).await;
    let status = stage.json("status.json").unwrap();
    assert!(status["needs_a_person"].to_string().contains("Qualys asked to wait until"), "{status}");
    assert!(status["last_good"].is_null());
    stage.pass(Duration::from_hours(24 * 30));
    let ran = stage.cycle(&app).await;
    assert!(ran.report.calls.total > 0, "a month later still paused");
}

#[tokio::test]
async fn refused_credentials_stop_the_cycle_that_met_them() {
    let stage = still();
    stage.world.subscriptions("s", 8);
    let app = stage.app().await;
    for kind in [CallKind::ConnectorCreate, CallKind::HostSearch, CallKind::HostCount] {
        stage.world.fault(Fault::new(kind, Kind::ErrorUnder200("INVALID_CREDENTIALS".into())).always());
    }
    stage.cycle(&app).await;
    let calls = stage.world.calls();
    let refused = calls
        .iter()
        .filter(|c| matches!(c.call, CallKind::ConnectorCreate | CallKind::HostSearch | CallKind::HostCount))
        .count();
    assert!(refused <= 2, "{refused} sign-ins with refused credentials in one cycle");
}

#[tokio::test]
async fn a_snapshot_does_not_lose_rows_because_a_scope_is_unreadable() {
    let stage = still().set("MODE", "observe").set("SNAPSHOT_GAP", "0s").set("SNAPSHOT_EVERY", "1m");
    for group in ["a", "c"] {
        stage.world.group(group, None);
    }
    let one = stage.world.subscription("one").in_group("a");
    let two = stage.world.subscription("two").in_group("c");
    let other_tenant = stage.world.add_tenant();
    let theirs = stage.world.subscription("theirs").in_tenant(&other_tenant);
    let id = stage.world.connector(&theirs);
    stage.world.edit_connector(id, |c| c.directory_id.clone_from(&other_tenant));
    stage.world.hosts(&one, 3);
    stage.world.hosts(&two, 4);
    let stage = stage.set("SCOPE", "a,c");
    let app = stage.app().await;
    stage.cycle(&app).await;
    assert_eq!(stage.latest().unwrap().rows.len(), 7);
    stage.world.group_access("c", Access::Forbidden);
    stage.pass(5 * MINUTE);
    stage.cycle(&app).await;
    let rows = stage.latest().unwrap().rows.len();
    assert_eq!(rows, 7, "complete: true with {rows} rows");
}

#[tokio::test]
async fn rows_of_another_tenant_are_not_kept_because_a_connector_does_not_say_its_directory() {
    let stage = still().set("MODE", "observe").set("SNAPSHOT_GAP", "0s").set("SNAPSHOT_EVERY", "1m");
    let ours = stage.world.subscription("ours");
    let other_tenant = stage.world.add_tenant();
    let theirs = stage.world.subscription("theirs").in_tenant(&other_tenant);
    let id = stage.world.connector(&theirs);
    stage.world.edit_connector(id, |c| {
        c.directory_id.clone_from(&other_tenant);
        c.sparse = true;
    });
    stage.world.hosts(&ours, 3);
    stage.world.hosts(&theirs, 5);
    stage.cycle(&stage.app().await).await;
    assert_eq!(stage.latest().unwrap().rows.len(), 3);
}

#[tokio::test]
async fn one_unreadable_summary_does_not_stop_the_tenant() {
    let mut failed = Vec::new();
    for name in [
        "latest.json",
        "bell.json",
        "requests/20261123T050000Z-00000001.json",
        "../account=default/waiting/aaaaaaaa-0000-0000-0000-000000000009.json",
    ] {
        let stage = still();
        stage.world.subscription("a");
        let app = stage.app().await;
        for _ in 0..3 {
            leave(&app, &stage).await;
            bell(&app, &stage).await;
            stage.pass(3 * MINUTE);
        }
        let id = "20261123T050000Z-00000001".parse().unwrap();
        let asked = qualys_azure_inventory::model::Asked { all: true, ..Default::default() };
        app.wakes.request(app.config.policy.tenant, &id, &asked, "test", stage.now()).await.unwrap();
        let place = stage.control(name);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, "").unwrap();
        stage.pass(5 * MINUTE);
        let by_bell = cycle::run(&app, Woken::ByBell, stage.now()).await;
        if let Err(error) = by_bell {
            failed.push(format!("{name}: {}", qualys_azure_inventory::report::chain(&error)));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn an_unclear_create_is_looked_after_without_a_timer() {
    let stage = still();
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::ResetBefore));
    leave(&app, &stage).await;
    for _ in 0..24 * 60 {
        bell(&app, &stage).await;
        stage.pass(MINUTE);
    }
    assert_eq!(stage.world.connectors_of(&new).len(), 1, "a day later");
}

#[tokio::test]
async fn a_bell_that_comes_three_seconds_early_is_not_lost() {
    let stage = still();
    stage.world.subscription("a");
    let app = stage.app().await;
    leave(&app, &stage).await;
    bell(&app, &stage).await;
    assert_eq!(queued(&stage), 1, "the follow-up");
    // Another instance, whose clock is three seconds slow, gets it when the queue says it is due.
    stage.pass(2 * MINUTE + Duration::from_secs(1));
    let queue = app.wakes.queue();
    let taken = queue.take(Duration::from_secs(90), stage.now()).await.unwrap().unwrap();
    let slow = stage.now() - jiff::SignedDuration::from_secs(4);
    let ended = cycle::run(&app, Woken::ByBell, slow).await.unwrap();
    queue.finish(taken).await.unwrap();
    assert!(matches!(ended, Ended::Ran(_)) || queued(&stage) > 0, "{ended:?}");
}

#[tokio::test]
async fn a_clock_that_was_ahead_once_does_not_stop_the_tenant() {
    let stage = still();
    stage.world.subscription("a");
    let app = stage.app().await;
    leave(&app, &stage).await;
    let ahead = stage.now() + jiff::SignedDuration::from_hours(24);
    cycle::run(&app, Woken::ByBell, ahead).await.unwrap();
    let mut ran = 0;
    for _ in 0..12 {
        leave(&app, &stage).await;
        ran += bell(&app, &stage).await;
        stage.pass(15 * MINUTE);
    }
    assert!(ran > 0, "no cycle in three hours of ticks");
}

#[tokio::test]
async fn garbage_in_the_queue_folder_does_not_end_serve() {
    let stage = still();
    let app = stage.app().await;
    let folder = stage.folder.path().join("queue/cycles");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("0000000000001_x_0.msg"), [0xff, 0xfe]).unwrap();
    let drained =
        tokio::time::timeout(Duration::from_secs(2), qualys_azure_inventory::trigger::drain(&app)).await;
    assert!(drained.is_err(), "it goes on");
    let left = crate::stage::names_in(&folder);
    assert!(left.iter().all(|name| !name.contains("_x_")), "the garbage is gone: {left:?}");
}

#[tokio::test]
async fn a_create_without_calls_left_books_the_windows_end() {
    let stage = still().set("QUALYS_CALLS_PER_HOUR", "10");
    stage.world.subscriptions("s", 8);
    let app = stage.app().await;
    leave(&app, &stage).await;
    for _ in 0..3 * 60 {
        bell(&app, &stage).await;
        stage.pass(MINUTE);
    }
    assert_eq!(stage.world.connectors().len(), 8, "three hours later");
}
#[tokio::test]
async fn memory_of_a_connector_that_misses_one_answer_is_kept() {
    let stage = still();
    let sub = stage.world.subscription("a").app_has_reader(false);
    let app = stage.app().await;
    // Made by a cycle that was killed: found later, so `made` is not known.
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::ResetAfter));
    stage.world.fault(Fault::new(CallKind::ConnectorSearch, Kind::Status(500)).after(1).times(4));
    stage.cycle(&app).await;
    for i in 0..24 * 4 {
        if i % 4 == 3 {
            stage.world.fault(Fault::new(CallKind::ConnectorSearch, Kind::DropRow).times(1));
        }
        stage.cycle(&app).await;
        stage.pass(15 * MINUTE);
    }
    let c = &stage.world.connectors_of(&sub)[0];
    assert!(c.runs <= 4, "{} runs in a day of a failing connector", c.runs);
}

#[tokio::test]
async fn a_limit_of_zero_in_the_headers_does_no_harm() {
    let stage = still();
    stage.world.subscription("a");
    let mut rate = world::Rate::new(0, jiff::SignedDuration::from_hours(1));
    rate.headers = true;
    stage.world.manners(|m| m.rate = Some(rate));
    stage.cycle(&stage.app().await).await;
}

#[tokio::test]
async fn a_create_late_in_a_killed_cycle_is_given_its_ten_minutes() {
    let stage = still();
    stage.world.manners(|m| m.search_lag = jiff::SignedDuration::from_mins(5));
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    let desk = stage.app().await;
    let now = stage.now();
    // Requests until the create: found by trying; the hook sits on the create itself.
    let world = stage.world.clone();
    let (tx, rx) = std::sync::mpsc::channel::<()>();
    let (tx2, rx2) = std::sync::mpsc::channel::<()>();
    let n = {
        // connector search, token(s), subscriptions, create: the create is the last before the first sync
        let probe = still();
        probe.world.subscription("new");
        let a = probe.app().await;
        probe.cycle(&a).await;
        1 + probe.world.calls().iter().position(|c| c.call == CallKind::ConnectorCreate).unwrap() as u64
    };
    stage.world.on_request(n, move |call| {
        assert_eq!(call.call, CallKind::ConnectorCreate);
        world.advance(jiff::SignedDuration::from_mins(7));
    });
    stage.world.on_answer(n, move |_| {
        tx.send(()).unwrap();
        let _ = rx2.recv_timeout(Duration::from_secs(10));
    });
    let killed = tokio::spawn(async move {
        let _ = cycle::run(&desk, Woken::ByHand { plan_only: false }, now).await;
    });
    tokio::task::spawn_blocking(move || rx.recv().unwrap()).await.unwrap();
    killed.abort();
    let _ = killed.await;
    tx2.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
    // The bell comes back and is served 3.5 minutes after the create.
    stage.pass(3 * MINUTE + MINUTE / 2);
    stage.cycle(&app).await;
    assert_eq!(stage.world.connectors_of(&new).len(), 1, "doubled 3.5 minutes after a create");
}

#[tokio::test]
async fn a_noted_subscription_is_looked_after_while_the_list_lags() {
    let stage = still();
    stage.world.manners(|m| m.auto_start = None);
    stage.world.arm_manners(|m| m.list_lag = jiff::SignedDuration::from_mins(30));
    stage.world.subscription("old");
    stage.pass(40 * MINUTE);
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    let now = stage.now();
    app.wakes
        .leave(
            app.config.policy.tenant,
            NoteName::Subscription(new.id().parse().unwrap()),
            &Note::new(now, "e"),
            now,
        )
        .await
        .unwrap();
    let mut minutes = 0;
    let mut ran = 0;
    for _ in 0..60 {
        ran += bell(&app, &stage).await;
        if stage.world.connectors_of(&new).first().is_some_and(|c| c.runs > 0) {
            break;
        }
        stage.pass(MINUTE);
        minutes += 1;
    }
    assert!(minutes <= 6, "first run after {minutes} minutes and {ran} cycles; notes {:?}", stage.notes());
}

#[tokio::test]
async fn a_snapshot_without_calls_does_not_delay_first_syncs() {
    let stage = still().set("QUALYS_CALLS_PER_HOUR", "30");
    stage.world.manners(|m| m.auto_start = None);
    let new = stage.world.subscription("new");
    stage.world.hosts(&new, 25_000);
    let app = stage.app().await;
    leave(&app, &stage).await;
    let mut minutes = 0;
    for _ in 0..120 {
        bell(&app, &stage).await;
        if stage.world.connectors_of(&new).first().is_some_and(|c| c.runs > 0) {
            break;
        }
        stage.pass(MINUTE);
        minutes += 1;
    }
    assert!(minutes <= 6, "first run after {minutes} minutes");
}

#[tokio::test]
async fn an_error_of_qualys_that_repeats_the_key_is_not_kept() {
    let stage = still();
    let secret = stage.world.app_secret();
    stage.world.manners(|m| m.sync_error_text = Some(format!("cannot sign in with {secret}")));
    stage.world.subscription("broken").app_has_reader(false);
    let app = stage.app().await;
    for _ in 0..8 {
        stage.cycle(&app).await;
        stage.pass(15 * MINUTE);
    }
    stage.assert_no_secret();
}

#[tokio::test]
async fn a_response_code_is_not_kept_as_it_comes() {
    let stage = still();
    let secret = stage.world.app_secret();
    stage.world.subscription("a");
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::ErrorUnder200(secret)));
    stage.cycle(&stage.app().await).await;
    stage.assert_no_secret();
}

#[tokio::test]
async fn a_wait_that_was_asked_for_is_kept_by_all_calls() {
    let stage = still();
    stage.world.subscriptions("s", 12);
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::Conflict409 { code: 1965, wait: Some(6) }));
    let now = stage.now();
    let task =
        tokio::spawn(
            async move { cycle::run(&app, Woken::ByHand { plan_only: false }, now).await.map(|_| ()) },
        );
    tokio::time::sleep(Duration::from_secs(3)).await;
    let made = stage.world.connectors().len();
    task.await.unwrap().unwrap();
    assert!(made <= 1, "{made} creates within a wait of six seconds; one was on its way already");
}

#[tokio::test]
async fn a_write_is_not_repeated_after_the_lease_was_lost() {
    let stage = still();
    stage.world.subscription("a");
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::Conflict409 { code: 1965, wait: Some(3) }));
    let now = stage.now();
    let task =
        tokio::spawn(
            async move { cycle::run(&app, Woken::ByHand { plan_only: false }, now).await.map(|_| ()) },
        );
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let lease = stage.folder.path().join("store/control/account=default/lease");
    std::fs::remove_file(&lease).unwrap();
    let _ = task.await.unwrap();
    assert!(stage.world.connectors().is_empty(), "created without the lease");
}

#[tokio::test]
async fn a_request_is_settled_by_a_sync_that_qualys_dates_into_the_same_second() {
    let stage = still();
    stage.world.subscription("new");
    let app = stage.app().await;
    let asked = qualys_azure_inventory::model::Asked { all: true, ..Default::default() };
    let id = "20261123T040000Z-00000001".parse().unwrap();
    app.wakes.request(app.config.policy.tenant, &id, &asked, "test", stage.now()).await.unwrap();
    for _ in 0..30 {
        bell(&app, &stage).await;
        stage.pass(MINUTE);
    }
    assert!(stage.notes().is_empty(), "half an hour later");
}
