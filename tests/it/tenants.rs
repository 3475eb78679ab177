//! Two tenants on one Qualys account: two configurations, one store.

use crate::stage::Stage;
use qualys_azure_inventory::inbox::ItemContent;
use qualys_azure_inventory::store::ItemName;
use std::time::Duration;

/// Two stages that share the world and the store, each with a tenant and a queue of its own.
fn two() -> (Stage, Stage) {
    let first = Stage::new().set("CYCLE_GAP", "60s").set("FOLLOW_UP", "2m").set("SNAPSHOT_GAP", "1h");
    first.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
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
    // One of each tenant is mended by its own tenant only.
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

/// The first tenant has something to do at every moment and holds the account whenever it can; the second has one item.
#[tokio::test]
async fn a_busy_tenant_does_not_starve_the_other() {
    let (first, second) = two();
    first.world.subscriptions("s", 3);
    first.world.subscription("other").in_tenant(&second.settings["TENANT_ID"]);
    let (busy, patient) = (first.app().await, second.app().await);
    let leave = async |app: &qualys_azure_inventory::app::App| {
        let now = first.now();
        app.leave(app.tenant.id(), ItemName::Timer, &ItemContent::new(now, "test"), now).await.unwrap();
    };
    leave(&busy).await;
    leave(&patient).await;
    let (mut busy_cycles, mut patient_cycles) = (0, 0);
    for _ in 0..60 {
        leave(&busy).await;
        // The busy one's cycle lasts as long as the patient one's wake-up needs to be dropped.
        use qualys_azure_inventory::lease::{Acquired, Holder, Lease};
        let holder = Holder {
            cycle: "20261123T040500Z-1f2e3d4c".parse().unwrap(),
            tenant: busy.tenant.id(),
            since: first.now(),
        };
        let ran = first.serve_wake_ups(&busy).await;
        busy_cycles += ran;
        if ran > 0 {
            let Acquired::Ours(lease) = Lease::acquire(
                &busy.tenant.store,
                &busy.tenant.account.name,
                &holder,
                busy.tenant.account.lease,
            )
            .await
            .unwrap() else {
                panic!()
            };
            patient_cycles += first.serve_wake_ups(&patient).await;
            drop(lease);
        } else {
            patient_cycles += first.serve_wake_ups(&patient).await;
        }
        first.pass(Duration::from_secs(30));
    }
    assert!(busy_cycles >= 5, "{busy_cycles}");
    assert!(patient_cycles >= 1, "the patient tenant had no turn");
}
