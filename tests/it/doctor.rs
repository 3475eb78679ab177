//! `doctor`: what is well, what is not, and what to do about it; and no secret in what it says.

use crate::azure::{QueuePlace, azure, queues};
use crate::stage::{Stage, assert_shows_none};
use qualys_azure_inventory::doctor::{self, Findings, Verdict};
use qualys_azure_inventory::queue::{REDELIVERY, WakeUp};
use std::process::Output;
use std::time::Duration;
use world::azurite::{blob_host, queue_host};
use world::{Access, CallKind, Fault, Kind, Service};

fn command(stage: &Stage, arguments: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"))
        .arg("doctor")
        .args(arguments)
        .env_clear()
        .envs(&stage.settings)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn examined(stage: &Stage) -> Findings {
    doctor::examine(&stage.app().await, stage.now()).await
}

/// The line of one check.
fn line(findings: &Findings, check: &str) -> String {
    let found = findings.checks.iter().find(|one| one.check == check);
    found.unwrap_or_else(|| panic!("no check `{check}` in\n{findings}")).to_string()
}

fn qualys_calls(stage: &Stage) -> usize {
    stage.world.calls().iter().filter(|call| call.service == Service::Qualys).count()
}

#[tokio::test]
async fn everything_that_is_well_is_said_for_one_call_to_qualys_and_nothing_is_left_behind() {
    let stage = Stage::new().set("SCOPE", "platform");
    stage.world.group("platform", None);
    stage.world.subscription("a").in_group("platform");
    let output = command(&stage, &[]);
    let (printed, logged) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{printed}{logged}");
    insta::assert_snapshot!(printed.replace(&stage.world.tenant(), "[directory]"), @r"
    ok      settings: complete; MODE is enforce
    ok      Azure sign-in: there is a token for ARM
    ok      storage, control: a blob was written, read and removed
    ok      storage, inventory: it exists and can be listed
    ok      queue: it exists and can be read
    ok      secret qualys-username: it exists
    ok      secret qualys-password: it exists
    ok      secret connector-client-secret: it exists
    ok      ARM, subscriptions: the identity sees 1 of directory [directory]
    ok      ARM, management group platform: subscriptions below it: 1
    ok      Qualys sign-in: Qualys accepts the credentials
    ");
    let calls = stage.world.calls();
    let mut qualys = calls.iter().filter(|call| call.service == Service::Qualys);
    assert!(
        qualys.next().is_some_and(|call| call.call == CallKind::ConnectorSearch) && qualys.next().is_none()
    );
    assert!(!stage.control("").exists() || crate::stage::files_below(&stage.control("")).is_empty());
    let json = command(&stage, &["--json"]);
    let found: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&found["held"], &found["checks"][0]["result"]), (&false.into(), &"ok".into()));
    for shown in [printed, logged, text(&json.stdout), text(&json.stderr)] {
        assert_shows_none("what doctor says", &shown, &stage.world.secrets());
    }
    let account = std::fs::read(stage.account("state.json")).unwrap();
    let account: serde_json::Value = serde_json::from_slice(&account).unwrap();
    let booked = account["booked"]["connector-search"].as_array().unwrap();
    assert_eq!(booked.iter().map(|one| one["calls"].as_u64().unwrap()).sum::<u64>(), 2, "{account}");
}

#[tokio::test]
async fn everything_that_fails_is_named_with_what_to_do_and_no_secret() {
    let stage = Stage::new().set("SCOPE", "platform,sandbox,aaaaaaaa-0000-0000-0000-000000000001");
    let file = stage.folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let place = format!("folder:{}", file.display());
    stage.world.group("platform", None);
    stage.world.subscription("a").in_group("platform");
    stage.world.group("sandbox", None);
    stage.world.group_access("sandbox", Access::Forbidden);
    let mut stage = stage.set("STORAGE", &place).set("QUEUE", &place);
    stage.settings.remove("QUALYS_PASSWORD");
    let output = command(&stage, &[]);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for (start, part) in [
        ("FAIL    storage, control: ", "; to do: check STORAGE"),
        ("FAIL    queue: ", "; to do: check QUEUE"),
        ("ok      secret qualys-username: ", ""),
        ("FAIL    secret qualys-password: ", "(`QUALYS_PASSWORD`); to do: store the secret"),
        (
            "FAIL    ARM, subscription aaaaaaaa-0000-0000-0000-000000000001: ",
            "; to do: correct its name in SCOPE",
        ),
        ("FAIL    ARM, management group sandbox: ", "; to do: give the identity the role Reader"),
        ("ok      ARM, management group platform: ", ""),
        ("skipped Qualys sign-in: ", ""),
    ] {
        assert!(
            printed.lines().any(|line| line.starts_with(start) && line.contains(part)),
            "{start}\n{printed}"
        );
    }
    for shown in [printed, text(&output.stderr)] {
        assert_shows_none("what doctor says", &shown, &stage.world.secrets());
    }
    assert_eq!(qualys_calls(&stage), 0);
}

#[test]
fn wrong_settings_are_all_named_with_exit_code_2() {
    let mut stage = Stage::new().set("MODE", "perhaps");
    stage.settings.remove("STORAGE");
    let output = command(&stage, &[]);
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(printed.contains("MODE") && printed.contains("STORAGE"), "{printed}");
}

#[tokio::test]
async fn a_secret_that_expires_soon_is_a_warning_and_an_expired_one_fails() {
    let stage = Stage::new().with_vault();
    stage.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
    stage.world.subscription("a");
    let expires = |name: &str, days: i64| {
        let at = stage.now().checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap();
        stage.world.secret_expires("kv-test", name, Some(at));
    };
    expires("qualys-username", 31);
    expires("qualys-password", 29);
    expires("connector-client-secret", -1);
    let findings = examined(&stage).await;
    let of = |name: &str| line(&findings, &format!("secret {name}"));
    assert_eq!(
        of("qualys-username"),
        "ok      secret qualys-username: it exists and expires at 2026-12-24T04:00:00Z"
    );
    assert!(of("qualys-password").ends_with(
        "it exists, and expires in 29 days, at 2026-12-22T04:00:00Z (warning: add a new version before then)"
    ));
    assert!(
        of("connector-client-secret").contains("expired at 2026-11-22T04:00:00Z; to do: add a new version")
    );
    assert!(line(&findings, "Qualys sign-in").starts_with("ok"), "the secrets that it needs are there");
    assert_eq!(findings.exit_code(), 1);
}

#[tokio::test]
async fn the_connector_secret_is_not_asked_for_in_a_mode_that_does_not_need_it() {
    for mode in ["observe", "paused"] {
        let mut stage = Stage::new().set("MODE", mode);
        stage.settings.remove("CONNECTOR_CLIENT_SECRET");
        stage.world.subscription("a");
        let findings = examined(&stage).await;
        let secret = line(&findings, "secret connector-client-secret");
        let expected = format!(
            "skipped secret connector-client-secret: MODE is {mode}, which never reads it. MODE=enforce needs it, and checks it here"
        );
        assert_eq!((secret, findings.exit_code()), (expected, 0));
    }
}

#[tokio::test]
async fn an_identity_that_azure_does_not_accept_or_that_sees_nothing_is_named() {
    let stage = Stage::new();
    let nothing = line(&examined(&stage).await, "ARM, subscriptions");
    assert!(
        nothing.contains("sees no subscription") && nothing.contains("or correct TENANT_ID"),
        "{nothing}"
    );
    stage.world.fault(Fault::new(CallKind::AnyArm, Kind::Status(401)).always());
    let refused = line(&examined(&stage).await, "ARM, subscriptions");
    assert!(
        refused.starts_with("FAIL") && refused.contains("to do: check the identity (AZURE_IDENTITY)"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_held_account_is_named_with_exit_code_3_and_qualys_is_not_called() {
    let stage = Stage::new();
    stage.world.subscription("a");
    let app = stage.app().await;
    let _lease = stage.hold(&app).await;
    let output = command(&stage, &[]);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(
        printed.contains("skipped Qualys sign-in: cycle 20261123T040500Z-1f2e3d4c of tenant"),
        "{printed}"
    );
    assert_eq!(qualys_calls(&stage), 0);
}

#[tokio::test]
async fn a_pause_a_used_up_hour_and_the_mode_paused_are_obeyed() {
    let stage = Stage::new().set("QUALYS_CALLS_PER_HOUR", "1");
    stage.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
    stage.world.subscription("a");
    assert!(line(&examined(&stage).await, "Qualys sign-in").starts_with("ok"));
    let findings = examined(&stage).await;
    assert!(line(&findings, "Qualys sign-in").contains("until 2026-11-23T05:"), "{findings}");
    assert_eq!((findings.exit_code(), qualys_calls(&stage)), (0, 1));

    stage.pass(Duration::from_hours(2));
    let wait = Kind::Conflict409 { code: 1965, wait: Some(600) };
    stage.world.fault(Fault::new(CallKind::ConnectorSearch, wait));
    examined(&stage).await;
    let findings = examined(&stage).await;
    let printed = line(&findings, "Qualys sign-in");
    assert!(
        printed.starts_with("skipped") && printed.contains("asked to wait until 2026-11-23T06:1"),
        "{printed}"
    );
    assert_eq!(qualys_calls(&stage), 2);

    stage.pass(Duration::from_hours(2));
    let paused = stage.set("MODE", "paused");
    let findings = examined(&paused).await;
    assert!(line(&findings, "Qualys sign-in").starts_with("skipped"), "{findings}");
    assert_eq!(qualys_calls(&paused), 2);
}

#[tokio::test]
async fn an_answer_that_is_not_of_qualys_is_no_sign_in() {
    let stage = Stage::new();
    stage.world.subscription("a");
    stage.world.fault(Fault::new(CallKind::ConnectorSearch, Kind::Empty200).always());
    let findings = examined(&stage).await;
    assert!(line(&findings, "Qualys sign-in").starts_with("FAIL"), "{findings}");
}

#[tokio::test]
async fn looking_at_a_queue_takes_no_message() {
    for QueuePlace { kind, queue, .. } in &queues() {
        let now = "2026-11-23T04:00:00Z".parse().unwrap();
        queue.check().await.unwrap();
        queue.send(&WakeUp { tenant: crate::azure::tenant(), due: None }, Duration::ZERO, now).await.unwrap();
        queue.check().await.unwrap();
        assert!(queue.take(REDELIVERY, now).await.unwrap().is_some(), "{kind}");
    }
}

#[tokio::test]
async fn in_an_azure_account_the_containers_and_the_queue_are_checked() {
    let Some(side) = azure() else { return };
    let mut stage = Stage::on(side.world.clone())
        .set("STORAGE", &format!("https://{}", blob_host()))
        .set("QUEUE", &format!("https://{}", queue_host()))
        .set("ACCOUNT", crate::azure::account().as_str());
    let findings = examined(&stage).await;
    for check in ["storage, control", "storage, inventory", "queue"] {
        let found = findings.checks.iter().find(|one| one.check == check).unwrap();
        assert_eq!(found.result, Verdict::Ok, "{findings}");
    }
    stage = stage.set("QUEUE", "https://another.queue.core.windows.net");
    let queue = line(&examined(&stage).await, "queue");
    assert!(queue.starts_with("FAIL") && queue.contains("check the account's name in QUEUE"), "{queue}");
}
