//! Snapshots hold our rows and no others, and hold nothing up.

use super::MINUTE;
use crate::stage::Stage;
use world::Access;

#[tokio::test]
async fn a_snapshot_does_not_lose_rows_because_a_scope_is_unreadable() {
    let stage = Stage::still().set("MODE", "observe").set("SNAPSHOT_GAP", "0s").set("SNAPSHOT_EVERY", "1m");
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
    let stage = Stage::still().set("MODE", "observe").set("SNAPSHOT_GAP", "0s").set("SNAPSHOT_EVERY", "1m");
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
async fn a_snapshot_without_calls_does_not_delay_first_syncs() {
    let stage = Stage::still().set("QUALYS_CALLS_PER_HOUR", "30");
    stage.world.manners(|m| m.auto_start = None);
    let new = stage.world.subscription("new");
    stage.world.hosts(&new, 25_000);
    let app = stage.app().await;
    stage.tick(&app).await;
    let mut minutes = 0;
    for _ in 0..120 {
        stage.serve_wake_ups(&app).await;
        if stage.world.connectors_of(&new).first().is_some_and(|c| c.runs > 0) {
            break;
        }
        stage.pass(MINUTE);
        minutes += 1;
    }
    assert!(minutes <= 6, "first run after {minutes} minutes");
}
