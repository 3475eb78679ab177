//! The scope as ARM shows it: management groups, exclusions, pages.

use super::{MINUTE, until_quiet};
use crate::stage::Stage;
use qualys_azure_inventory::report::CycleStage;
use world::{Access, CallKind, Fault, Kind};

#[tokio::test]
async fn a_management_group_that_cannot_be_read_is_named_and_the_others_go_on() {
    let stage = Stage::still();
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
    let stage = Stage::still();
    stage.world.group("lab", None);
    let lab = stage.world.subscription("lab").in_group("lab");
    let single = stage.world.subscription("single");
    let wanted = stage.world.subscription("wanted");
    let stage = stage.set("EXCLUDE", &format!("lab,{}", single.id()));
    let app = stage.app().await;
    until_quiet(&stage, &app).await;
    // A new subscription might yet be moved into the group.
    stage.pass(30 * MINUTE);
    until_quiet(&stage, &app).await;
    assert_eq!(stage.world.connectors_of(&wanted).len(), 1);
    assert!(stage.world.connectors_of(&lab).is_empty() && stage.world.connectors_of(&single).is_empty());
}

#[tokio::test]
async fn zero_subscriptions_are_refused_and_named() {
    let stage = Stage::still();
    stage.world.subscription("hidden").access(Access::Forbidden);
    let ran = stage.cycle(&stage.app().await).await;
    assert_eq!(ran.report.problems[0].stage, CycleStage::Plan);
    assert!(ran.report.problems[0].error.contains("no subscription was observed"));
}

#[tokio::test]
async fn a_next_link_to_another_host_is_never_followed() {
    let stage = Stage::still();
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
    let stage = Stage::still();
    stage.world.subscriptions("s", 25);
    stage.world.arm_manners(|m| m.page_size = 4);
    let ran = stage.cycle(&stage.app().await).await;
    assert_eq!(ran.report.coverage.unwrap().in_use, 25);
}

#[tokio::test]
async fn a_token_that_arm_does_not_accept_is_named_with_what_to_check() {
    let stage = Stage::still();
    stage.world.subscription("new");
    stage.world.fault(Fault::new(CallKind::AnyArm, Kind::Status(401)).always());
    let ran = stage.cycle(&stage.app().await).await;
    let report = serde_json::to_string(&ran.report).unwrap();
    assert!(
        report.contains("check the identity (AZURE_IDENTITY) and its settings, AZURE_CLOUD and ARM_URL"),
        "{report}"
    );
    assert!(stage.world.connectors().is_empty());
}
