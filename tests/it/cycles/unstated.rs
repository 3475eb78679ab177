//! Answers that lack `disabled` or `isAttachedToOrgConnector`: what is not stated is unknown, and never taken for false.

use super::MINUTE;
use crate::stage::Stage;
use world::{CallKind, Fault, Kind};

const DISABLED: &str = "disabled";
const MEMBER: &str = "isAttachedToOrgConnector";

/// Each later answer of this kind lacks the field.
fn lack(stage: &Stage, call: CallKind, field: &'static str) {
    stage.world.fault(Fault::new(call, Kind::WithoutField(field)).always());
}

fn runs(stage: &Stage) -> u32 {
    stage.world.connectors().iter().map(|one| one.runs).sum()
}

#[tokio::test]
async fn a_read_back_that_does_not_state_both_fields_stops_a_disable_and_is_named() {
    for (field, kind, says) in [
        (DISABLED, "disabled-not-stated", "does not say whether it is disabled"),
        (MEMBER, "member-not-stated", "does not say whether it belongs to a tenant connector"),
    ] {
        let stage = Stage::still();
        let twin = stage.world.subscription("twin");
        let (older, newer) = (stage.ours(&twin, MINUTE), stage.ours(&twin, MINUTE));
        let app = stage.app().await;
        for id in [older, newer] {
            let lacking = Fault::new(CallKind::ConnectorGet, Kind::WithoutField(field));
            stage.world.fault(lacking.containing(&format!("/{id}")));
            let ran = stage.cycle(&app).await;
            assert!(stage.world.qualys_writes().is_empty(), "connector {id} without {field}");
            let outcomes = serde_json::to_string(&ran.report.outcomes).unwrap();
            assert!(outcomes.contains(&format!(r#""because":"{kind}","checked":{id}"#)), "{outcomes}");
            let said = stage.needs_a_person();
            assert!(said.contains(&format!("connector {id} {says}")), "{said}");
            stage.pass(31 * MINUTE);
        }
        stage.pass(31 * MINUTE);
        stage.cycle(&app).await;
        let disabled: Vec<_> = stage.world.connectors().into_iter().filter(|one| one.disabled).collect();
        assert_eq!(disabled.iter().map(|one| one.id).collect::<Vec<_>>(), [newer], "later answers state it");
    }
}

#[tokio::test]
async fn a_list_that_does_not_say_whether_a_connector_is_disabled_covers_runs_and_disables_nothing() {
    let stage = Stage::still();
    let (off, twin) = (stage.world.subscription("off"), stage.world.subscription("twin"));
    let by_hand = stage.ours(&off, MINUTE);
    stage.world.edit_connector(by_hand, |one| {
        (one.disabled, one.state) = (true, "FINISHED_ERRORS".into());
    });
    stage.ours(&twin, MINUTE);
    stage.ours(&twin, MINUTE);
    lack(&stage, CallKind::ConnectorSearch, DISABLED);
    let app = stage.app().await;
    for _ in 0..8 {
        let ran = stage.cycle(&app).await;
        assert_eq!(ran.report.coverage.unwrap().covered, 0);
        stage.pass(16 * MINUTE);
    }
    assert!(stage.world.qualys_writes().is_empty(), "a run, too, would be a write");
    let said = stage.needs_a_person();
    assert!(
        said.contains(&format!("connector {by_hand}")) && said.contains("whether it is disabled"),
        "{said}"
    );
}

#[tokio::test]
async fn a_member_stays_one_while_an_answer_does_not_say_so() {
    let stage = Stage::still();
    let id = stage.ours(&stage.world.subscription("a"), MINUTE);
    stage.world.edit_connector(id, |one| (one.member, one.state) = (true, "FINISHED_ERRORS".into()));
    let app = stage.app().await;
    stage.cycle(&app).await;
    lack(&stage, CallKind::ConnectorSearch, MEMBER);
    for _ in 0..8 {
        stage.pass(16 * MINUTE);
        stage.cycle(&app).await;
    }
    assert_eq!(runs(&stage), 0, "it is never touched");
}

#[tokio::test]
async fn an_account_that_never_states_the_member_field_is_served_but_for_its_duplicates() {
    let stage = Stage::still();
    for call in [CallKind::ConnectorSearch, CallKind::ConnectorGet] {
        lack(&stage, call, MEMBER);
    }
    stage.world.subscription("new");
    let fails = stage.ours(&stage.world.subscription("fails"), MINUTE);
    stage.world.edit_connector(fails, |one| one.state = "FINISHED_ERRORS".into());
    let twin = stage.world.subscription("twin");
    let (_, newer) = (stage.ours(&twin, MINUTE), stage.ours(&twin, MINUTE));
    let app = stage.app().await;
    for _ in 0..4 {
        stage.cycle(&app).await;
        stage.pass(16 * MINUTE);
    }
    let ran = stage.cycle(&app).await;
    assert_eq!(stage.world.connectors().len(), 4, "one was made");
    assert_eq!(ran.report.coverage.unwrap().covered, 3);
    assert!(runs(&stage) > 0, "the one that failed was run again");
    assert!(stage.world.connectors().iter().all(|one| !one.disabled));
    let said = stage.needs_a_person();
    assert!(said.contains(&newer.to_string()) && said.contains("belongs to a tenant connector"), "{said}");
}
