//! Limits: credentials that were refused, waits, the calls of an hour, tries a day.

use super::{MINUTE, until_quiet};
use crate::stage::{LIMIT, Stage, hurried};
use qualys_azure_inventory::app::App;
use world::{CallKind, Fault, Kind, Service};

#[tokio::test]
async fn wrong_credentials_cost_one_call_and_a_correction_closes_the_breaker() {
    for is_401 in [false, true] {
        let stage = Stage::still();
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
async fn a_long_wait_ends_the_cycle_with_a_later_wake_up_and_without_sleeping() {
    let stage = Stage::still();
    stage.world.subscriptions("s", 3);
    stage.world.fault(
        Fault::new(CallKind::ConnectorCreate, Kind::Conflict409 { code: 1965, wait: Some(68_928) })
            .after(1)
            .times(1),
    );
    let app = stage.app().await;
    // The limit of a test is far below the wait of 19 hours.
    let ran = tokio::time::timeout(LIMIT, stage.cycle(&app)).await.unwrap();
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

/// Serves the wake-ups of a day with a timer every 15 minutes. Returns how many cycles ran.
async fn a_day(stage: &Stage, app: &App) -> usize {
    let mut cycles = 0;
    for minute in 0..24 * 60 {
        if minute % 15 == 0 {
            stage.tick(app).await;
        }
        cycles += stage.serve_wake_ups(app).await;
        stage.pass(MINUTE);
    }
    cycles
}

#[tokio::test]
async fn a_limit_that_repeats_all_day_costs_few_cycles_and_calls() {
    let stage = Stage::still();
    let old = stage.world.subscription("old");
    stage.ours(&old, 60 * 24 * MINUTE);
    let busy = Kind::Conflict409 { code: 1960, wait: None };
    stage.world.fault(Fault::new(CallKind::ConnectorRun, busy).always());
    let app = stage.app().await;
    let cycles = hurried(a_day(&stage, &app)).await;
    let calls = stage.world.calls();
    let of = |kind: CallKind| calls.iter().filter(|call| call.call == kind).count();
    // Four a hour, and a few while the pause grows; the timer comes four times an hour by itself.
    let tries = of(CallKind::ConnectorSearch);
    assert!((24..=24 * 4 + 10).contains(&tries), "{tries} cycles called Qualys");
    assert!(cycles <= tries + 24 * 4, "{cycles} cycles");
    assert!(of(CallKind::ConnectorRun) <= tries * 4, "{} runs", of(CallKind::ConnectorRun));
    stage.world.clear_faults();
    stage.pass(15 * MINUTE);
    stage.cycle(&app).await;
    assert_eq!(stage.world.connectors_of(&old)[0].runs, 1, "the longest pause is over");
}

#[tokio::test]
async fn a_used_up_hour_ends_the_cycle_and_the_reserve_is_respected() {
    let stage = Stage::still().set("QUALYS_CALLS_PER_HOUR", "10");
    stage.world.subscriptions("s", 12);
    let app = stage.app().await;
    let ran = stage.cycle(&app).await;
    // Each create is searched for first, and the list was a search, too.
    assert_eq!(stage.world.connectors().len(), 6, "ten an hour, three of them reserved");
    assert!(ran.report.next_wake_up.unwrap() > stage.now());
    stage.pass(59 * MINUTE);
    stage.cycle(&app).await;
    assert_eq!(stage.world.connectors().len(), 6);
    stage.pass(2 * MINUTE);
    stage.cycle(&app).await;
    assert_eq!(stage.world.connectors().len(), 12);
}

#[tokio::test]
async fn a_failing_connector_is_named_and_tried_at_most_four_times_a_day() {
    let stage = Stage::still();
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
