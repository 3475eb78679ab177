//! Whole cycles in this process, with the world's clock standing still: rules that need hours.

use crate::stage::Stage;
use qualys_azure_inventory::report::Counts;
use qualys_azure_inventory::report::CycleStage;
use serde_json::Value;
use std::time::Duration;
use world::{Access, CallKind, Fault, Kind, Service};

const MINUTE: Duration = Duration::from_mins(1);

/// A stage whose clock stands still.
fn still() -> Stage {
    let stage = Stage::new().set("CYCLE_GAP", "1m").set("FOLLOW_UP", "2m").set("SNAPSHOT_GAP", "1h");
    stage.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
    stage
}

/// Cycles three minutes apart until one does nothing.
async fn until_quiet(stage: &Stage, app: &qualys_azure_inventory::app::App) {
    for _ in 0..20 {
        let ran = stage.cycle(app).await;
        assert!(ran.report.problems.is_empty(), "{:?}", ran.report.problems);
        stage.pass(3 * MINUTE);
        if ran.report.outcomes.is_empty() && ran.report.snapshot.is_none() && !stage.world.syncing() {
            return;
        }
    }
    panic!("it does not become quiet");
}

#[tokio::test]
async fn a_second_cycle_with_nothing_new_does_nothing() {
    let stage = still();
    stage.world.subscriptions("s", 30);
    let app = stage.app().await;
    until_quiet(&stage, &app).await;
    assert_eq!(stage.world.connectors().len(), 30);
    stage.world.clear_calls();
    let ran = stage.cycle(&app).await;
    assert!(ran.report.outcomes.is_empty() && ran.report.snapshot.is_none());
    let calls = stage.world.calls().into_iter().filter(|call| call.service == Service::Qualys).count();
    assert!(calls <= 5, "{calls} calls");
    assert_eq!(ran.report.coverage.unwrap().covered, 30);
}

#[tokio::test]
async fn a_failed_page_changes_nothing_and_is_named() {
    let stage = still();
    stage.world.subscriptions("s", 3);
    let app = stage.app().await;
    until_quiet(&stage, &app).await;
    stage.world.subscription("new");
    for kind in [
        Kind::Status(500),
        Kind::Html502,
        Kind::TruncatedJson,
        Kind::Empty200,
        Kind::TornBody,
        Kind::ResetBefore,
    ] {
        stage.world.clear_calls();
        stage.world.fault(Fault::new(CallKind::ConnectorSearch, kind.clone()).always());
        let ran = stage.cycle(&app).await;
        assert_eq!(ran.report.problems[0].stage, CycleStage::Observe, "{kind:?}");
        assert!(stage.world.qualys_writes().is_empty(), "{kind:?}");
        stage.world.clear_faults();
        stage.pass(5 * MINUTE);
    }
    until_quiet(&stage, &app).await;
    assert_eq!(stage.world.connectors().len(), 4, "the next cycle mends it");
}

#[tokio::test]
async fn a_connector_that_is_missing_from_one_answer_is_neither_forgotten_nor_doubled() {
    let stage = still();
    let covered = stage.world.subscriptions("s", 5);
    for subscription in &covered[..2] {
        stage.world.connector(subscription);
    }
    let app = stage.app().await;
    until_quiet(&stage, &app).await;
    stage.pass(30 * MINUTE);
    for _ in 0..3 {
        stage.world.fault(Fault::new(CallKind::ConnectorSearch, Kind::DropRow).times(1));
        let ran = stage.cycle(&app).await;
        assert_eq!(ran.report.outcomes.len(), 1, "one looked gone, and Qualys was asked for it");
        assert!(matches!(
            ran.report.outcomes[0].result,
            qualys_azure_inventory::outcome::ActionResult::AlreadyThere { .. }
        ));
        stage.pass(15 * MINUTE);
    }
    assert_eq!(stage.world.connectors().len(), 5);
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_found_and_never_repeated() {
    for kind in [Kind::ResetAfter, Kind::TruncatedJson, Kind::TornBody] {
        let stage = still();
        let new = stage.world.subscription("new");
        let app = stage.app().await;
        stage.world.fault(Fault::new(CallKind::ConnectorCreate, kind.clone()));
        until_quiet(&stage, &app).await;
        assert_eq!(stage.world.connectors_of(&new).len(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_create_that_never_arrived_is_made_after_ten_minutes() {
    let stage = still();
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::ResetBefore));
    stage.cycle(&app).await;
    assert!(stage.world.connectors_of(&new).is_empty());
    stage.pass(9 * MINUTE);
    stage.cycle(&app).await;
    assert!(stage.world.connectors_of(&new).is_empty(), "it may still show");
    stage.pass(2 * MINUTE);
    stage.cycle(&app).await;
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
}

#[tokio::test]
async fn connectors_that_a_search_shows_late_are_not_doubled() {
    let stage = still();
    stage.world.manners(|m| m.search_lag = jiff::SignedDuration::from_mins(5));
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    until_quiet(&stage, &app).await;
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
}

#[tokio::test]
async fn wrong_credentials_cost_one_call_and_a_correction_closes_the_breaker() {
    for is_401 in [false, true] {
        let stage = still();
        stage.world.manners(|m| m.wrong_password_is_401 = is_401);
        stage.world.subscription("new");
        let wrong = stage.set("QUALYS_PASSWORD", "not-the-one");
        let app = wrong.app().await;
        for _ in 0..20 {
            let ran = wrong.cycle(&app).await;
            assert!(ran.report.problems[0].advice.contains("qualys-password"), "{:?}", ran.report.problems);
            wrong.pass(15 * MINUTE);
        }
        let calls = wrong.world.calls().into_iter().filter(|call| call.service == Service::Qualys).count();
        assert_eq!(calls, 1, "repeated failures lock the user out");
        let status = wrong.json("status.json").unwrap();
        let needs = status["needs_a_person"][0].as_str().unwrap();
        assert!(needs.contains("qualys-password") && needs.contains("run `doctor`"), "{needs}");
        let password = wrong.world.qualys_password();
        let right = wrong.set("QUALYS_PASSWORD", &password);
        let ran = right.cycle(&right.app().await).await;
        assert!(ran.report.problems.is_empty(), "{:?}", ran.report.problems);
    }
}

#[tokio::test]
async fn a_token_that_arm_does_not_accept_is_told_with_what_to_check() {
    let stage = still();
    stage.world.subscription("new");
    stage.world.fault(Fault::new(CallKind::AnyArm, Kind::Status(401)).always());
    let ran = stage.cycle(&stage.app().await).await;
    let report = serde_json::to_string(&ran.report).unwrap();
    assert!(report.contains("check AZURE_IDENTITY and what it names, AZURE_CLOUD and ARM_URL"), "{report}");
    assert!(stage.world.connectors().is_empty());
}

#[tokio::test]
async fn a_long_wait_ends_the_cycle_with_a_later_wake_up_and_nothing_sleeps() {
    let stage = still();
    stage.world.subscriptions("s", 3);
    stage.world.fault(
        Fault::new(CallKind::ConnectorCreate, Kind::Conflict409 { code: 1965, wait: Some(68_928) })
            .after(1)
            .times(1),
    );
    let app = stage.app().await;
    let begun = std::time::Instant::now();
    let ran = stage.cycle(&app).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    let wake_up = ran.report.next_wake_up.unwrap();
    let wait = wake_up.duration_since(stage.now());
    assert!((68_900..69_000).contains(&wait.as_secs()), "{wait}");
    stage.world.clear_calls();
    stage.pass(MINUTE * 60);
    stage.cycle(&app).await;
    assert!(
        stage.world.calls().iter().all(|call| call.service != Service::Qualys),
        "paused, so nothing is called"
    );
    stage.pass(MINUTE * 60 * 19);
    until_quiet(&stage, &app).await;
    assert_eq!(stage.world.connectors().len(), 3);
}

#[tokio::test]
async fn a_used_up_hour_ends_the_cycle_and_the_reserve_is_respected() {
    let stage = still().set("QUALYS_CALLS_PER_HOUR", "10");
    stage.world.subscriptions("s", 12);
    let app = stage.app().await;
    let ran = stage.cycle(&app).await;
    assert_eq!(stage.world.connectors().len(), 7, "ten an hour, three of them reserved");
    assert!(ran.report.next_wake_up.unwrap() > stage.now());
    stage.pass(59 * MINUTE);
    stage.cycle(&app).await;
    assert_eq!(stage.world.connectors().len(), 7);
    stage.pass(2 * MINUTE);
    stage.cycle(&app).await;
    assert_eq!(stage.world.connectors().len(), 12);
}

#[tokio::test]
async fn a_management_group_that_cannot_be_read_is_named_and_the_others_go_on() {
    let stage = still();
    for group in ["a", "b", "c"] {
        stage.world.group(group, None);
        let subscription = stage.world.subscription(group).in_group(group);
        assert!(!subscription.id().is_empty());
    }
    stage.world.group_access("c", Access::Forbidden);
    let stage = stage.set("SCOPE", "a,b,c");
    let app = stage.app().await;
    let ran = stage.cycle(&app).await;
    assert_eq!(stage.world.connectors().len(), 2);
    assert_eq!(ran.report.unreadable[0].scope, "c");
    let status = stage.json("status.json").unwrap();
    assert!(status["needs_a_person"].to_string().contains("scope c could not be read"), "{status}");
    stage.world.group_access("c", Access::Readable);
    stage.pass(5 * MINUTE);
    until_quiet(&stage, &app).await;
    assert_eq!(stage.world.connectors().len(), 3);
}

#[tokio::test]
async fn excluded_subscriptions_and_groups_get_no_connector() {
    let stage = still();
    stage.world.group("lab", None);
    let lab = stage.world.subscription("lab").in_group("lab");
    let single = stage.world.subscription("single");
    let wanted = stage.world.subscription("wanted");
    let stage = stage.set("EXCLUDE", &format!("lab,{}", single.id()));
    until_quiet(&stage, &stage.app().await).await;
    assert_eq!(stage.world.connectors_of(&wanted).len(), 1);
    assert!(stage.world.connectors_of(&lab).is_empty() && stage.world.connectors_of(&single).is_empty());
}

#[tokio::test]
async fn zero_subscriptions_are_refused_and_said() {
    let stage = still();
    stage.world.subscription("hidden").access(Access::Forbidden);
    let ran = stage.cycle(&stage.app().await).await;
    assert_eq!(ran.report.problems[0].stage, CycleStage::Plan);
    assert!(ran.report.problems[0].error.contains("no subscription was observed"));
}

#[tokio::test]
async fn a_next_link_to_another_host_is_never_followed() {
    let stage = still();
    stage.world.subscriptions("s", 3);
    stage.world.arm_manners(|m| {
        m.page_size = 2;
        m.foreign_next_link = Some("http://127.0.0.1:9/steal".into());
    });
    let ran = stage.cycle(&stage.app().await).await;
    assert!(
        ran.report.problems[0].error.contains("no subscription was observed"),
        "{:?}",
        ran.report.problems
    );
}

#[tokio::test]
async fn lists_of_many_pages_are_read_whole() {
    let stage = still();
    stage.world.subscriptions("s", 25);
    stage.world.arm_manners(|m| m.page_size = 4);
    let ran = stage.cycle(&stage.app().await).await;
    assert_eq!(ran.report.coverage.unwrap().in_use, 25);
}

#[tokio::test]
async fn a_rude_server_that_repeats_the_secret_teaches_nobody_the_secret() {
    let stage = still();
    stage.world.manners(|m| m.echo_secret_in_error = true);
    stage.world.subscription("new");
    let ran = stage.cycle(&stage.app().await).await;
    assert_eq!(ran.report.counts(), Counts { failed: 1, ..Counts::default() });
    stage.assert_no_secret();
}

#[tokio::test]
async fn every_unknown_of_the_wire_is_read_both_ways() {
    use world::{ActivationShape, ErrorName, LastSyncName};
    let changes: [fn(&mut world::Manners); 12] = [
        |m| m.ids_as_strings = true,
        |m| m.count_as_string = true,
        |m| m.has_more_as_bool = true,
        |m| m.activation_shape = ActivationShape::Wrapped,
        |m| m.activation_shape = ActivationShape::Bare,
        |m| m.last_page_has_last_id = true,
        |m| m.start_from_id_inclusive = true,
        |m| m.search_lists_deleted = true,
        |m| m.last_sync_name = LastSyncName::LastSyncedOn,
        |m| m.error_name = ErrorName::ErrorDetail,
        |m| m.run_answers_with_state = false,
        |m| m.run_lag = jiff::SignedDuration::from_secs(170),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let stage = still();
        stage.world.manners(|m| {
            m.auto_start = None;
            change(m);
        });
        let new = stage.world.subscriptions("s", 2);
        stage.world.machines(&new[0], 3);
        let app = stage.app().await;
        until_quiet(&stage, &app).await;
        for subscription in &new {
            let connectors = stage.world.connectors_of(subscription);
            assert_eq!((connectors.len(), connectors[0].runs), (1, 1), "switch {number}");
        }
        stage.pass(60 * MINUTE);
        stage.cycle(&app).await;
        assert_eq!(stage.latest().unwrap().rows.len(), 3, "switch {number}");
    }
}

#[tokio::test]
async fn a_sparse_answer_makes_no_duplicate() {
    let stage = still();
    let covered = stage.world.subscription("covered");
    let id = stage.world.connector(&covered);
    stage.world.edit_connector(id, |c| c.sparse = true);
    until_quiet(&stage, &stage.app().await).await;
    assert_eq!(stage.world.connectors_of(&covered).len(), 1);
}

#[tokio::test]
async fn a_failing_connector_is_named_and_tried_at_most_four_times_a_day() {
    let stage = still();
    let broken = stage.world.subscription("broken").app_has_reader(false);
    let app = stage.app().await;
    for _ in 0..24 * 4 {
        stage.cycle(&app).await;
        stage.pass(15 * MINUTE);
    }
    let connector = &stage.world.connectors_of(&broken)[0];
    assert!((2..=4).contains(&connector.runs), "{} runs", connector.runs);
    let status = stage.json("status.json").unwrap();
    assert!(status["needs_a_person"].to_string().contains("today's tries are used up"), "{status}");
    assert_eq!(status["coverage"]["gaps"][0]["subscription"], broken.id());
}

#[tokio::test]
async fn a_newer_schema_version_is_never_written_over() {
    let stage = still();
    stage.world.subscription("new");
    let app = stage.app().await;
    let newer = "{\"schema_version\": 99, \"future\": true}";
    std::fs::create_dir_all(stage.control("")).unwrap();
    std::fs::write(stage.control("state.json"), newer).unwrap();
    let ran = stage.cycle(&app).await;
    assert!(ran.report.problems[0].error.contains("schema version 99"), "{:?}", ran.report.problems);
    assert_eq!(std::fs::read_to_string(stage.control("state.json")).unwrap(), newer);
    assert!(stage.world.calls().iter().all(|call| call.service != Service::Qualys));
}

#[tokio::test]
async fn the_audit_tells_what_was_meant_and_what_became_of_it() {
    let stage = still();
    stage.world.subscription("new");
    let ran = stage.cycle(&stage.app().await).await;
    let folder =
        stage.folder.path().join("store/inventory").join(format!("tenant={}", stage.settings["TENANT_ID"]));
    let folder = folder.join("audit/2026-11-23");
    let read = |name: String| -> Value {
        serde_json::from_str(std::fs::read_to_string(folder.join(name)).unwrap().trim()).unwrap()
    };
    let intent = read(format!("{}.intent.jsonl", ran.report.cycle));
    assert_eq!((&intent["action"], &intent["reason"]), (&"create".into(), &"not-covered".into()));
    let outcome = read(format!("{}.jsonl", ran.report.cycle));
    assert_eq!((&outcome["action"], &outcome["result"]), (&"create".into(), &"done".into()));
}
