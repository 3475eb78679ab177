//! Two tenants on one Qualys account: two configurations, one store.

use crate::stage::Stage;
use qualys_azure_inventory::manifest::SnapshotResult;
use std::time::Duration;
use world::Shown;

/// Two stages that share the world and the store; each has a tenant and a queue of its own.
fn two() -> (Stage, Stage) {
    let first = Stage::still();
    let tenant = first.world.add_tenant();
    let app = first.world.add_app(&tenant);
    let mut second = Stage::on(first.world.clone());
    second.settings = first.settings.clone();
    let second = second
        .set("TENANT_ID", &tenant)
        .set("CONNECTOR_APP_ID", &app)
        .set("CONNECTOR_CLIENT_SECRET", &first.world.newest_secret(&app));
    let queue = format!("folder:{}", second.folder.path().join("queue").display());
    let second = second.set("QUEUE", &queue);
    (first, second)
}

#[tokio::test]
async fn neither_plans_the_others_connectors() {
    let (first, second) = two();
    let (one, other) = (
        first.world.subscription("one"),
        first.world.subscription("other").in_tenant(&second.settings["TENANT_ID"]),
    );
    let (app_one, app_other) = (first.app().await, second.app().await);
    for _ in 0..6 {
        for (stage, app) in [(&first, &app_one), (&second, &app_other)] {
            let ran = stage.cycle(app).await;
            assert!(ran.report.problems.is_empty(), "{:?}", ran.report.problems);
        }
        first.pass(Duration::from_mins(2));
    }
    assert_eq!((first.world.connectors_of(&one).len(), first.world.connectors_of(&other).len()), (1, 1));
    for (stage, theirs) in [(&first, &other), (&second, &one)] {
        for report in stage_reports(&first, stage) {
            assert!(!report["outcomes"].to_string().contains(theirs.id()));
        }
    }
    // A failed connector is synced again by its own tenant alone.
    let id = first.world.connectors_of(&one)[0].id;
    first.world.edit_connector(id, |c| c.state = "FINISHED_ERRORS".into());
    first.world.clear_calls();
    first.pass(Duration::from_hours(7));
    second.cycle(&app_other).await;
    assert!(first.world.qualys_writes().iter().all(|call| call.connector_id != Some(id)));
}

/// The reports of a tenant; the store is the first stage's.
fn stage_reports(store: &Stage, tenant: &Stage) -> Vec<serde_json::Value> {
    let folder =
        store.folder.path().join("store/control").join(format!("tenant={}", tenant.settings["TENANT_ID"]));
    let names = crate::stage::names_in(&folder.join("reports"));
    names
        .iter()
        .map(|name| {
            serde_json::from_slice(&std::fs::read(folder.join("reports").join(name)).unwrap()).unwrap()
        })
        .collect()
}

#[tokio::test]
async fn a_tenant_that_waits_from_the_future_holds_nobody_up() {
    let stage = Stage::still();
    stage.world.subscription("one");
    let app = stage.app().await;
    let since = stage.now();
    stage.pass(Duration::from_mins(1));
    stage.tick(&app).await;
    assert_eq!(stage.serve_wake_ups(&app).await, 1);
    // It found the account held, wrote this by a clock that was days ahead, and has gone away.
    let seen = stage.now() + jiff::SignedDuration::from_hours(3 * 24);
    let waiting = serde_json::json!({ "schema_version": 1, "since": since, "seen": seen });
    let place = stage.account("waiting/aaaaaaaa-0000-0000-0000-000000000009.json");
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(place, waiting.to_string()).unwrap();
    let mut ran = 0;
    for _ in 0..5 {
        stage.pass(Duration::from_mins(2));
        stage.tick(&app).await;
        ran += stage.serve_wake_ups(&app).await;
    }
    assert!(ran >= 4, "{ran} cycles in ten minutes");
}

/// The first tenant always has something to do and holds the account whenever it can; the second has one item.
#[tokio::test]
async fn a_busy_tenant_does_not_starve_the_other() {
    let (first, second) = two();
    first.world.subscriptions("s", 3);
    first.world.subscription("other").in_tenant(&second.settings["TENANT_ID"]);
    let (busy, patient) = (first.app().await, second.app().await);
    first.tick(&busy).await;
    first.tick(&patient).await;
    let (mut busy_cycles, mut patient_cycles) = (0, 0);
    for _ in 0..60 {
        first.tick(&busy).await;
        let ran = first.serve_wake_ups(&busy).await;
        busy_cycles += ran;
        // The busy tenant's cycle lasts until the patient one's wake-up has met it and was dropped.
        let lease = if ran > 0 { Some(first.hold(&busy).await) } else { None };
        patient_cycles += first.serve_wake_ups(&patient).await;
        drop(lease);
        first.pass(Duration::from_secs(30));
    }
    assert!(busy_cycles >= 5, "{busy_cycles}");
    assert!(patient_cycles >= 1, "the patient tenant had no turn");
}

/// A tenant with ten connectors of machines, and the account's other connectors, of another tenant. Lists prove an absence as in
/// production.
fn shared(others: usize) -> (Stage, Vec<i64>, Vec<i64>) {
    let stage =
        Stage::doubting().set("SNAPSHOT_EVERY", "20m").set("SNAPSHOT_GAP", "1m").set("MODE", "observe");
    let other = stage.world.add_tenant();
    let connectors = |name: &str, count: usize, tenant: &str| {
        let subscriptions = stage.world.subscriptions(name, count).into_iter();
        let connector = |subscription: world::Subscription| {
            let subscription = subscription.in_tenant(tenant);
            stage.world.hosts(&subscription, 1);
            stage.world.connector(&subscription)
        };
        subscriptions.map(connector).collect()
    };
    let (ours, theirs) =
        (connectors("ours", 10, &stage.world.tenant()), connectors("theirs", others, &other));
    (stage, ours, theirs)
}

/// The next snapshot, while the lists lack these connectors.
async fn without(stage: &Stage, app: &qualys_azure_inventory::app::App, hidden: &[i64]) -> SnapshotResult {
    for one in stage.world.connectors() {
        let shown = if hidden.contains(&one.id) { Shown::Nowhere } else { Shown::Everywhere };
        stage.world.edit_connector(one.id, |one| one.shown = shown);
    }
    stage.pass(Duration::from_mins(25));
    stage.cycle(app).await.report.snapshot.unwrap()
}

#[tokio::test]
async fn a_list_that_lacks_the_other_tenants_connectors_makes_none_of_their_rows_ours() {
    // A list that lacks twelve is doubtful, and one that lacks two is not.
    for others in [12, 2] {
        let (stage, _, theirs) = shared(others);
        let app = stage.app().await;
        let taken = without(&stage, &app, &[]).await;
        assert_eq!((taken.complete, taken.rows), (true, 10));
        for list in 1..=3 {
            let taken = without(&stage, &app, &theirs).await;
            assert_eq!((taken.complete, taken.rows), (true, 10), "list {list} without {others}");
        }
    }
}

#[tokio::test]
async fn a_doubtful_list_of_an_account_with_one_tenant_loses_no_row_unnamed() {
    let (stage, ours, _) = shared(0);
    let app = stage.app().await;
    without(&stage, &app, &[]).await;
    let taken = without(&stage, &app, &ours[1..]).await;
    assert_eq!((taken.complete, taken.rows), (true, 10), "their subscriptions are known");
    // A row of a subscription that nobody knows: it may be another tenant's, whose connectors this list lacks too.
    stage.world.hosts("99999999-9999-4999-8999-999999999999", 1);
    let taken = without(&stage, &app, &ours[1..]).await;
    assert_eq!((taken.complete, taken.rows), (false, 10));
    let reason = taken.reason.unwrap();
    assert!(reason.contains("the list of connectors is doubtful"), "{reason}");
    let taken = without(&stage, &app, &[]).await;
    assert_eq!((taken.complete, taken.rows), (true, 11));
}

#[tokio::test]
async fn the_rows_of_a_connector_that_one_list_lacks_stay_ours() {
    let (stage, ours, _) = shared(2);
    // Out of scope, and known as ours by its connector alone.
    let first = stage.world.connectors().into_iter().find(|one| one.id == ours[0]).unwrap();
    let stage = stage.set("EXCLUDE", &format!("sub:{}", first.subscription_id));
    let app = stage.app().await;
    assert_eq!(without(&stage, &app, &[]).await.rows, 10);
    assert_eq!(without(&stage, &app, &ours[..1]).await.rows, 10);
}
