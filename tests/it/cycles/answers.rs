//! What Qualys answers: failed, lost, late, incomplete or in another form.

use super::{MINUTE, until_quiet};
use crate::stage::Stage;
use qualys_azure_inventory::outcome::ActionResult;
use qualys_azure_inventory::report::Counts;
use qualys_azure_inventory::report::CycleStage;
use world::{CallKind, Fault, Kind, LastId};

#[tokio::test]
async fn a_page_that_failed_changes_nothing_and_is_named() {
    let stage = Stage::still();
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
    assert_eq!(stage.world.connectors().len(), 4, "the next cycle makes it");
}

#[tokio::test]
async fn a_connector_that_is_missing_from_one_answer_is_neither_forgotten_nor_doubled() {
    let stage = Stage::still();
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
        assert_eq!(ran.report.outcomes.len(), 1, "one looked gone, so Qualys was asked for it");
        assert!(matches!(ran.report.outcomes[0].result, ActionResult::AlreadyThere { .. }));
        // It was found, so it is not asked for again before a while.
        stage.pass(60 * MINUTE);
    }
    assert_eq!(stage.world.connectors().len(), 5);
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_found_and_never_repeated() {
    for kind in [Kind::ResetAfter, Kind::TruncatedJson, Kind::TornBody] {
        let stage = Stage::still();
        let new = stage.world.subscription("new");
        let app = stage.app().await;
        stage.world.fault(Fault::new(CallKind::ConnectorCreate, kind.clone()));
        until_quiet(&stage, &app).await;
        assert_eq!(stage.world.connectors_of(&new).len(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_create_that_never_arrived_is_made_after_ten_minutes() {
    let stage = Stage::still();
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    stage.world.fault(Fault::new(CallKind::ConnectorCreate, Kind::ResetBefore));
    stage.cycle(&app).await;
    assert!(stage.world.connectors_of(&new).is_empty());
    stage.pass(9 * MINUTE);
    stage.cycle(&app).await;
    assert!(stage.world.connectors_of(&new).is_empty(), "the first one may still show");
    stage.pass(2 * MINUTE);
    stage.cycle(&app).await;
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
}

#[tokio::test]
async fn connectors_that_a_search_shows_late_are_not_doubled() {
    let stage = Stage::still();
    stage.world.manners(|m| m.search_lag = jiff::SignedDuration::from_mins(5));
    let new = stage.world.subscription("new");
    let app = stage.app().await;
    until_quiet(&stage, &app).await;
    assert_eq!(stage.world.connectors_of(&new).len(), 1);
}

#[tokio::test]
async fn a_sparse_answer_makes_no_duplicate() {
    let stage = Stage::still();
    let covered = stage.world.subscription("covered");
    let id = stage.world.connector(&covered);
    stage.world.edit_connector(id, |c| c.sparse = true);
    until_quiet(&stage, &stage.app().await).await;
    assert_eq!(stage.world.connectors_of(&covered).len(), 1);
}

#[tokio::test]
async fn each_form_that_an_answer_may_have_is_read() {
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
        let stage = Stage::still();
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
async fn a_secret_that_qualys_repeats_in_an_error_is_not_stored() {
    let stage = Stage::still();
    stage.world.manners(|m| m.echo_secret_in_error = true);
    stage.world.subscription("new");
    let ran = stage.cycle(&stage.app().await).await;
    assert_eq!(ran.report.counts(), Counts { failed: 1, ..Counts::default() });
    stage.assert_no_secret();
}

/// A stage that only observes, with more connectors of others than a page holds.
fn with_two_pages_of_connectors() -> Stage {
    let stage = Stage::still().set("MODE", "observe");
    for one in stage.world.subscriptions("s", 1100) {
        stage.world.connector(one.id());
    }
    stage
}

/// Neither is documented: whether `lastId` names the last row or the next, and whether `startFromId` shows its row again.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_several_pages_are_read_whole_whatever_the_paging_means() {
    let stage = with_two_pages_of_connectors();
    let one = stage.world.subscription("machines");
    stage.world.connector(one.id());
    stage.world.hosts(one.id(), 2100);
    let app = stage.app().await;
    for last_id in [LastId::LastRow, LastId::NextRow] {
        for inclusive in [false, true] {
            stage.world.manners(|m| (m.last_id, m.start_from_id_inclusive) = (last_id, inclusive));
            stage.pass(MINUTE * 60 * 25);
            let ran = stage.cycle(&app).await;
            let problems = ran.report.problems;
            let snapshot = ran.report.snapshot.expect("a day has passed");
            assert!(snapshot.complete, "{last_id:?} {inclusive}: {problems:?}");
            assert_eq!(stage.latest().unwrap().rows.len(), 2100, "{last_id:?} {inclusive}");
            assert_eq!(ran.report.planned.creates, 0, "{last_id:?} {inclusive}: each has a connector");
        }
    }
}

#[tokio::test]
async fn a_page_whose_last_id_is_before_its_last_row_is_no_page() {
    let stage = with_two_pages_of_connectors();
    stage.world.manners(|m| m.last_id = LastId::Earlier);
    let ran = stage.cycle(&stage.app().await).await;
    let problem = &ran.report.problems[0];
    assert!(problem.error.contains("its lastId is below the id of its last record"), "{}", problem.error);
    assert!(ran.plan.is_none());
}
