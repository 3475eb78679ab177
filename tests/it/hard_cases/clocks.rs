//! Qualys's clock, and times of syncs that have no age.

use super::MINUTE;
use crate::stage::Stage;
use jiff::SignedDuration;
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::cycle::Ran;
use qualys_azure_inventory::model::Asked;
use std::time::Duration;
use world::{CallKind, DateHeader, LastSyncForm};

const HOUR: Duration = Duration::from_hours(1);

/// A subscription whose connector is ours and synced an hour ago by Qualys's schedule, which goes on.
fn healthy(stage: &Stage, clock_off_by: SignedDuration) -> i64 {
    let subscription = stage.world.subscription("a").id().to_owned();
    let id = stage.ours(&subscription, HOUR);
    stage.world.qualys_clock_off_by(clock_off_by);
    stage.world.edit_connector(id, |c| c.last_sync = Some(c.last_sync.unwrap() + clock_off_by));
    stage.world.manners(|m| {
        (m.own_schedule, m.sync_duration) = (true, SignedDuration::from_mins(5));
    });
    id
}

/// Hours of timer ticks. In each cycle the subscription is covered.
async fn hours(stage: &Stage, app: &App, hours: u32) -> Ran {
    let mut last = None;
    for _ in 0..hours * 3 {
        let ran = stage.cycle(app).await;
        let coverage = ran.report.coverage.clone().unwrap();
        assert_eq!((coverage.in_use, coverage.covered), (1, 1), "{:?}", coverage.gaps);
        last = Some(ran);
        stage.pass(20 * MINUTE);
    }
    last.unwrap()
}

fn runs(stage: &Stage) -> usize {
    stage.world.calls().iter().filter(|call| call.call == CallKind::ConnectorRun).count()
}

#[tokio::test]
async fn a_healthy_connector_whose_last_sync_has_no_age_is_covered_and_not_run_again_and_again() {
    for (form, most) in [(LastSyncForm::WithoutZone, 0), (LastSyncForm::Missing, 4)] {
        let stage = Stage::still();
        healthy(&stage, SignedDuration::ZERO);
        stage.world.last_sync_form(form);
        let app = stage.app().await;
        let ran = hours(&stage, &app, 24).await;
        assert!(runs(&stage) <= most, "{form:?}: {} runs", runs(&stage));
        let said = ran.report.needs_a_person().join("\n");
        assert!(said.contains("Qualys does not tell the age of the last sync"), "{form:?}: {said}");
    }
}

#[tokio::test]
async fn a_clock_of_qualys_that_is_wrong_runs_nothing_and_is_said() {
    for off_by in [-8, 8] {
        let stage = Stage::still();
        healthy(&stage, SignedDuration::from_hours(off_by));
        let app = stage.app().await;
        let ran = hours(&stage, &app, 12).await;
        assert_eq!(runs(&stage), 0, "{off_by} hours");
        let ahead = ran.report.clock.ahead_seconds.unwrap();
        assert!((ahead - off_by * 3600).abs() < 60, "{ahead}");
        assert!(ran.report.needs_a_person().iter().any(|line| line.contains("Qualys's clock is 4")));
    }
}

#[tokio::test]
async fn without_a_usable_date_syncs_are_aged_by_what_we_saw() {
    let stuck = "2020-01-01T00:00:00Z".parse().unwrap();
    for header in [DateHeader::Missing, DateHeader::Stuck(stuck)] {
        let stage = Stage::still();
        healthy(&stage, SignedDuration::ZERO);
        stage.world.date_header(header);
        let app = stage.app().await;
        hours(&stage, &app, 12).await;
        assert_eq!(runs(&stage), 0, "{header:?}");
    }
}

#[tokio::test]
async fn a_sync_before_the_request_does_not_settle_it_when_qualyss_clock_is_ahead() {
    let stage = Stage::still();
    let id = healthy(&stage, SignedDuration::from_mins(10));
    let app = stage.app().await;
    stage.cycle(&app).await;
    stage.pass(MINUTE);
    // It synced just now, which is ten minutes after the request by its own clock.
    let synced = stage.now() + SignedDuration::from_mins(10);
    stage.world.edit_connector(id, |connector| connector.last_sync = Some(synced));
    let asked = Asked { all: true, ..Asked::default() };
    let request = "20261123T040000Z-00000001".parse().unwrap();
    app.leave_request(app.tenant.id(), &request, &asked, "test", stage.now()).await.unwrap();
    for _ in 0..30 {
        stage.serve_wake_ups(&app).await;
        stage.pass(MINUTE);
    }
    assert_eq!(runs(&stage), 1);
    assert!(stage.inbox().is_empty(), "settled by the run");
}
