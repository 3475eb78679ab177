//! The scope as ARM shows it: management groups, exclusions, pages.

use super::{MINUTE, until_quiet};
use crate::stage::{Log, Stage};
use qualys_azure_inventory::report::CycleStage;
use world::{Access, CallKind, Fault, Kind, LastLink};

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

/// The first reading of the list of subscriptions by a cycle: its calls, and why the list counts as unreadable.
async fn list_with(last_link: LastLink, page_size: usize) -> (usize, String) {
    let stage = Stage::still();
    stage.world.subscriptions("s", 3);
    stage.world.arm_manners(|manners| (manners.last_link, manners.page_size) = (last_link, page_size));
    let ran = stage.cycle(&stage.app().await).await;
    assert!(stage.world.connectors().is_empty(), "a list that failed is no list");
    let calls = stage.world.calls().into_iter().filter(|call| call.call == CallKind::ArmList).count();
    (calls, ran.report.unreadable[0].why.clone())
}

#[tokio::test]
async fn a_list_that_leads_back_to_a_page_already_read_has_failed() {
    for (page_size, expected) in [(1000, 2), (1, 4)] {
        let (calls, why) = list_with(LastLink::Back, page_size).await;
        assert_eq!(calls, expected, "{why}");
        assert!(why.contains("its next link leads back to a page that was read before"), "{why}");
    }
}

#[tokio::test]
async fn a_lost_role_on_a_subscription_that_scope_names_is_named_and_fails_the_command() {
    for access in [Access::Forbidden, Access::NotFound] {
        let stage = Stage::still();
        let (kept, lost) = (stage.world.subscription("kept"), stage.world.subscription("lost"));
        let stage = stage.set("SCOPE", &format!("{kept},sub:{lost}"));
        let app = stage.app().await;
        until_quiet(&stage, &app).await;
        assert_eq!((stage.world.connectors().len(), stage.needs_a_person().as_str()), (2, "[]"));
        let lost_id = lost.id().to_owned();
        lost.access(access);
        stage.pass(5 * MINUTE);
        let log = Log::of_this_thread();
        let ran = stage.cycle(&app).await;
        assert_eq!(log.text().matches(" unreadable=1 ").count(), 1, "for the alarm: {}", log.text());
        let scope = format!("subscription {lost_id}");
        let scopes: Vec<_> = ran.report.unreadable.iter().map(|scope| scope.scope.as_str()).collect();
        assert_eq!(scopes, [scope.as_str()], "{access:?}");
        assert!(!ran.report.is_good());
        let said = stage.needs_a_person();
        assert_eq!(said.matches("give the identity the role Reader on it").count(), 1, "{said}");
        assert!(
            said.contains(&format!("scope {scope} could not be read: ARM answered 403 or 404")),
            "{said}"
        );
        assert_eq!(stage.world.connectors().iter().filter(|one| one.disabled).count(), 0);
        for command in ["cycle", "plan"] {
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"))
                .arg(command)
                .env_clear()
                .envs(&stage.settings)
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(text.contains(&lost_id), "{text}");
        }
    }
}

#[tokio::test]
async fn a_list_that_never_ends_has_failed_after_250_pages() {
    let (calls, why) = list_with(LastLink::Onward, 1000).await;
    assert_eq!(calls, 250);
    assert!(why.contains("more than 250 pages"), "{why}");
}

#[tokio::test]
async fn a_connector_whose_subscription_is_no_longer_seen_is_counted_for_the_alarm() {
    let stage = Stage::still();
    let (_, lost) = (stage.world.subscription("kept"), stage.world.subscription("lost"));
    let app = stage.app().await;
    until_quiet(&stage, &app).await;
    let id = lost.id().to_owned();
    lost.access(Access::Forbidden);
    stage.pass(5 * MINUTE);
    let log = Log::of_this_thread();
    let ran = stage.cycle(&app).await;
    assert_eq!((ran.report.not_seen(), ran.report.unreadable.len()), (1, 0));
    assert_eq!(log.text().matches(" not_seen=1 ").count(), 1, "{}", log.text());
    let said = stage.needs_a_person();
    assert!(said.contains(&id) && said.contains("was not observed"), "{said}");
}
