//! Snapshots: proof, attribution, publication.

use crate::stage::{Stage, subscription_of};
use qualys_azure_inventory::report::CycleStage;
use std::time::Duration;
use world::{CallKind, Fault, Kind};

/// A stage in `observe`, where a snapshot is due a minute after the last one.
fn observing() -> Stage {
    let stage = Stage::new().set("MODE", "observe").set("SNAPSHOT_GAP", "0s").set("SNAPSHOT_EVERY", "1m");
    stage.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
    stage
}

#[tokio::test]
async fn an_inventory_of_several_ranges_is_read_whole_and_in_order() {
    let stage = observing();
    let subscription = stage.world.subscription("big");
    stage.world.hosts(&subscription, 33_500);
    stage.world.ec2_host();
    let ran = stage.cycle(&stage.app().await).await;
    assert_eq!(ran.report.snapshot.unwrap().rows, 33_500);
    let snapshot = stage.latest().unwrap();
    let ranges = snapshot.manifest["ranges"].as_array().unwrap();
    assert_eq!(ranges.len(), 2);
    assert_eq!((&ranges[0]["pages"], &ranges[0]["read"]), (&32.into(), &32_000.into()));
    assert_eq!(
        ranges[0]["before"].as_i64().unwrap() - 1,
        ranges[1]["after"].as_i64().unwrap(),
        "no gap between ranges"
    );
    assert_eq!(snapshot.manifest["rows_by_subscription"][subscription.id()], 33_500);
    assert_eq!(
        snapshot.manifest["calls"].as_u64().unwrap(),
        34 + 2 + 1,
        "pages, a count a range, one of all"
    );
}

#[tokio::test]
async fn an_empty_inventory_is_a_proven_snapshot_too() {
    let stage = observing();
    stage.world.subscription("empty");
    stage.cycle(&stage.app().await).await;
    let snapshot = stage.latest().unwrap();
    assert!(snapshot.rows.is_empty());
    assert_eq!(snapshot.manifest["ranges"][0]["declared"], 0);
}

#[tokio::test]
async fn a_range_that_does_not_agree_is_read_again() {
    for kind in [Kind::WrongCount(1), Kind::WrongCount(-1)] {
        let stage = observing();
        let subscription = stage.world.subscription("a");
        stage.world.hosts(&subscription, 10);
        // The first count is the one of all hosts.
        stage.world.fault(Fault::new(CallKind::HostCount, kind).after(1));
        stage.cycle(&stage.app().await).await;
        let snapshot = stage.latest().unwrap();
        assert_eq!((snapshot.rows.len(), &snapshot.manifest["ranges"][0]["attempts"]), (10, &2.into()));
    }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_proved_does_not_become_the_newest() {
    let stage = observing();
    let subscription = stage.world.subscription("a");
    stage.world.hosts(&subscription, 10);
    let app = stage.app().await;
    stage.cycle(&app).await;
    let good = stage.latest().unwrap();
    for kind in [Kind::WrongCount(3), Kind::WrongCount(-3)] {
        stage.pass(Duration::from_mins(2));
        stage.world.fault(Fault::new(CallKind::HostCount, kind).always());
        let ran = stage.cycle(&app).await;
        let result = ran.report.snapshot.unwrap();
        assert!(!result.complete && result.reason.unwrap().contains("in 3 readings"));
        assert_eq!(stage.latest().unwrap().id, good.id);
        stage.world.clear_faults();
    }
}

#[tokio::test]
async fn rows_that_come_twice_or_are_missing_are_noticed() {
    for kind in [Kind::DropRow, Kind::DuplicateRow] {
        let stage = observing();
        let subscription = stage.world.subscription("a");
        stage.world.hosts(&subscription, 10);
        stage.world.fault(Fault::new(CallKind::HostSearch, kind.clone()).always());
        let ran = stage.cycle(&stage.app().await).await;
        assert!(ran.report.snapshot.is_none_or(|result| !result.complete), "{kind:?}");
        assert!(stage.latest().is_none(), "{kind:?}");
    }
}

#[tokio::test]
async fn tombstones_agents_and_hosts_without_details_are_kept() {
    let stage = observing();
    let subscription = stage.world.subscription("a");
    stage.world.host(&subscription, |host| host.state = "DELETED".into());
    stage.world.host(&subscription, |host| host.tracking_method = "QAGENT".into());
    stage.world.host(&subscription, |host| (host.azure_tags, host.public_ip) = (None, None));
    stage.world.host(&subscription, |host| host.subscription = None);
    stage.cycle(&stage.app().await).await;
    let snapshot = stage.latest().unwrap();
    assert_eq!(snapshot.rows.len(), 4);
    assert_eq!(
        snapshot.manifest["unattributed"], 1,
        "the account has one tenant: rows without a subscription are kept and counted"
    );
    assert_eq!(snapshot.rows.iter().filter(|row| subscription_of(row).is_none()).count(), 1);
}

#[tokio::test]
async fn rows_of_another_tenant_are_dropped_and_counted() {
    let stage = observing();
    let ours = stage.world.subscription("ours");
    let other_tenant = stage.world.add_tenant();
    let theirs = stage.world.subscription("theirs").in_tenant(&other_tenant);
    let id = stage.world.connector(&theirs);
    stage.world.edit_connector(id, |c| c.directory_id.clone_from(&other_tenant));
    stage.world.hosts(&ours, 3);
    stage.world.hosts(&theirs, 5);
    stage.world.host(&ours, |host| host.subscription = None);
    stage.cycle(&stage.app().await).await;
    let snapshot = stage.latest().unwrap();
    assert_eq!(snapshot.rows.len(), 3);
    let range = &snapshot.manifest["ranges"][0];
    assert_eq!((&range["read"], &range["kept"], &range["dropped"]), (&9.into(), &3.into(), &6.into()));
}

#[tokio::test]
async fn a_snapshot_that_is_cut_short_publishes_nothing_and_is_taken_later() {
    let stage = observing().set("QUALYS_CALLS_PER_HOUR", "10");
    let subscription = stage.world.subscription("a");
    stage.world.hosts(&subscription, 9_500);
    let app = stage.app().await;
    let ran = stage.cycle(&app).await;
    assert!(stage.latest().is_none());
    assert_eq!(ran.report.problems[0].stage, CycleStage::Snapshot);
    assert!(ran.report.next_wake_up.unwrap() > stage.now());
    let parts = crate::stage::files_below(&stage.folder.path().join("store/inventory"));
    assert!(parts.is_empty(), "{parts:?}");
}
