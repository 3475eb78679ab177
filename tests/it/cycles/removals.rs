//! Of two connectors of ours for one subscription the healthy one stays, and nobody is switched off on a doubtful answer.

use super::MINUTE;
use crate::stage::Stage;
use serde_json::Value;
use world::{CallKind, Fault, Kind};

/// A subscription with two connectors of ours, both healthy: the stage and their ids.
fn twins() -> (Stage, i64, i64) {
    let stage = Stage::still();
    let twin = stage.world.subscription("twin");
    let (older, newer) = (stage.ours(&twin, MINUTE), stage.ours(&twin, MINUTE));
    assert!(older < newer);
    (stage, older, newer)
}

fn disabled(stage: &Stage) -> Vec<i64> {
    stage.world.connectors().iter().filter(|one| one.disabled).map(|one| one.id).collect()
}

fn fails(stage: &Stage, id: i64) {
    stage.world.edit_connector(id, |one| one.state = "FINISHED_ERRORS".into());
}

/// What the report says of the one disable.
fn outcome(report: &impl serde::Serialize) -> String {
    let report = serde_json::to_value(report).unwrap();
    let outcomes = report["outcomes"].as_array().unwrap();
    outcomes.iter().find(|outcome| outcome["action"] == "disable").unwrap().to_string()
}

#[tokio::test]
async fn a_healthy_newer_twin_stays_and_the_failing_older_one_is_disabled() {
    let (stage, older, _) = twins();
    fails(&stage, older);
    stage.cycle(&stage.app().await).await;
    assert_eq!(disabled(&stage), [older]);
}

#[tokio::test]
async fn one_answer_without_a_subscription_id_switches_nobody_off() {
    for (list, times) in [(true, 1), (false, 1), (true, 2)] {
        let stage = Stage::still();
        let (ours, other) = (stage.world.subscription("ours"), stage.world.subscription("other"));
        let own = stage.ours(&ours, MINUTE);
        // Somebody copied our connector's description to a connector of another subscription.
        let foreign = stage.world.connector(&other);
        let mark = stage.world.connectors_of(&ours)[0].description.clone();
        stage.world.edit_connector(foreign, |one| one.description = mark);
        assert!(own < foreign);
        if list {
            stage
                .world
                .fault(Fault::new(CallKind::ConnectorSearch, Kind::WithoutField("authRecord")).times(times));
        }
        // In the third case the answers about the connector itself lack it too.
        stage.world.fault(Fault::new(CallKind::ConnectorGet, Kind::WithoutField("authRecord")).times(times));
        let app = stage.app().await;
        for _ in 0..4 {
            stage.cycle(&app).await;
            assert!(disabled(&stage).is_empty(), "list {list}, {times} times");
            stage.pass(3 * MINUTE);
        }
    }
}

#[tokio::test]
async fn a_read_back_without_a_subscription_id_stops_a_disable_and_is_named() {
    let (stage, older, newer) = twins();
    for id in [older, newer] {
        let lacking = Fault::new(CallKind::ConnectorGet, Kind::WithoutField("authRecord"));
        stage.world.fault(lacking.containing(&format!("/{id}")));
        let ran = stage.cycle(&stage.app().await).await;
        assert!(stage.world.qualys_writes().is_empty(), "connector {id} may cover any subscription");
        let outcome = outcome(&ran.report);
        assert!(
            outcome.contains("subscription-not-stated") && outcome.contains(&id.to_string()),
            "{outcome}"
        );
        assert!(stage.needs_a_person().contains(&format!("connector {id} does not say")), "{outcome}");
        stage.pass(31 * MINUTE);
    }
    stage.pass(31 * MINUTE);
    stage.cycle(&stage.app().await).await;
    assert_eq!(disabled(&stage), [newer], "later answers state it");
}

#[tokio::test]
async fn what_changes_between_the_list_and_the_write_stops_a_disable() {
    type Change = fn(&mut world::Connector);
    let unhealthy: Change = |one| one.state = "FINISHED_ERRORS".into();
    let off: Change = |one| one.disabled = true;
    let repointed: Change = |one| one.subscription_id = "99999999-9999-4999-8999-999999999999".into();
    let unmarked: Change = |one| one.description = "mine now".into();
    let cases: [(bool, Change, &str); 6] = [
        (true, unhealthy, "its last sync failed"),
        (true, off, "it is disabled"),
        (true, repointed, "99999999"),
        (true, unmarked, "mark"),
        (false, repointed, "99999999"),
        (false, unmarked, "mark"),
    ];
    for (changes_the_one_that_stays, change, word) in cases {
        let (stage, older, newer) = twins();
        let (world, id) = (stage.world.clone(), if changes_the_one_that_stays { older } else { newer });
        stage.world.on_answer_to(CallKind::ConnectorSearch, "", 1, move |_| world.edit_connector(id, change));
        let ran = stage.cycle(&stage.app().await).await;
        assert!(stage.world.qualys_writes().is_empty(), "{word}");
        let outcome = outcome(&ran.report);
        assert!(outcome.contains("\"stopped\""), "{outcome}");
        assert!(stage.needs_a_person().contains(word), "{word}: {}", stage.needs_a_person());
    }
}

#[tokio::test]
async fn a_disable_is_in_the_state_before_it_is_sent_and_stays_there() {
    let (stage, older, newer) = twins();
    let key = newer.to_string();
    let state = stage.control("state.json");
    let read = move || -> Value { serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap() };
    let (seen, at_the_write) = (std::sync::Arc::new(std::sync::Mutex::new(Value::Null)), read.clone());
    let sees = std::sync::Arc::clone(&seen);
    stage
        .world
        .on_answer_to(CallKind::ConnectorUpdate, "", 1, move |_| *sees.lock().unwrap() = at_the_write());
    let app = stage.app().await;
    for _ in 0..3 {
        stage.cycle(&app).await;
        stage.pass(15 * MINUTE);
    }
    for state in [seen.lock().unwrap().clone(), read()] {
        let record = &state["disabled"][&key];
        assert_eq!(record["proof"]["twin"]["stays"], older, "{state}");
        assert!(record["at"].is_string() && record["subscription"].is_string(), "{record}");
    }
    assert_eq!(disabled(&stage), [newer]);
    // Somebody enables it again, in place of the other.
    stage.world.edit_connector(newer, |one| one.disabled = false);
    stage.world.edit_connector(older, |one| one.disabled = true);
    stage.cycle(&app).await;
    assert_eq!(read()["disabled"], serde_json::json!({}), "seen enabled");
}

#[tokio::test]
async fn a_refused_disable_backs_off_and_is_named_with_its_code() {
    let (stage, _, newer) = twins();
    stage
        .world
        .fault(Fault::new(CallKind::ConnectorUpdate, Kind::ErrorUnder200("SOMETHING_NEW".into())).always());
    let app = stage.app().await;
    for _ in 0..24 * 4 {
        stage.tick(&app).await;
        stage.serve_wake_ups(&app).await;
        stage.pass(15 * MINUTE);
    }
    let tries = stage.world.calls().iter().filter(|call| call.call == CallKind::ConnectorUpdate).count();
    assert!((2..=6).contains(&tries), "{tries} tries in a day");
    let said = stage.needs_a_person();
    assert!(said.contains("SOMETHING_NEW") && said.contains(&newer.to_string()), "{said}");
}
