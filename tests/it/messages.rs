//! What is said about a failure: its cause and the right thing to do, once, and no other cause.

use crate::stage::{Stage, azure_stage};
use qualys_azure_inventory::doctor;
use qualys_azure_inventory::report::Report;
use world::{Access, CallKind, Fault, Kind, VaultPermissions};

/// A failure, and what is said about it.
struct Row {
    name: &'static str,
    stage: Stage,
    /// All of these, on one line.
    said: &'static [&'static str],
    /// None of these anywhere.
    never: &'static [&'static str],
}

const ROLE: &str = "give the identity the role";
const NETWORK: &str = "check ARM_URL, the network";

fn arm(name: &'static str, kind: Kind, said: &'static [&'static str], never: &'static [&'static str]) -> Row {
    let stage = Stage::still();
    stage.world.subscription("a");
    stage.world.fault(Fault::new(CallKind::ArmList, kind).always());
    Row { name, stage, said, never }
}

fn vault(name: &'static str, permissions: VaultPermissions, said: &'static [&'static str]) -> Row {
    let stage = Stage::still().with_vault();
    stage.world.vault_access(Access::Forbidden);
    stage.world.vault_manners(|manners| manners.permissions = permissions);
    Row { name, stage, said, never: &["under that name", "cannot be reached"] }
}

fn rows() -> Vec<Row> {
    let group = Stage::still().set("SCOPE", "platform,whole");
    group.world.group("platform", None);
    group.world.group("whole", None);
    group.world.subscription("a").in_group("whole");
    group.world.fault(
        Fault::new(CallKind::ArmDescendants, Kind::StorageCode(400, "BadRequest"))
            .containing("platform")
            .always(),
    );
    let elsewhere = Stage::still();
    let other = elsewhere.world.add_tenant();
    elsewhere.world.subscription("a");
    elsewhere.world.subscription("b");
    let elsewhere = elsewhere.set("TENANT_ID", &other);
    let line_break = Stage::still();
    let password = format!("{}\n", line_break.world.qualys_password());
    let line_break = line_break.set("QUALYS_PASSWORD", &password);
    vec![
        arm(
            "ARM 429",
            Kind::TooMany429 { retry_after: None },
            &["ARM is throttling requests", "nothing to do"],
            &[ROLE, NETWORK],
        ),
        arm(
            "ARM 429 for ten minutes",
            Kind::TooMany429 { retry_after: Some(600) },
            &["ARM is throttling requests, for 600 s", "nothing to do: a later cycle reads it"],
            &[ROLE, NETWORK],
        ),
        arm(
            "ARM 500",
            Kind::Status(500),
            &["ARM answered HTTP 500 (InternalServerError)", "nothing to do at first"],
            &[ROLE, NETWORK],
        ),
        arm(
            "ARM 403",
            Kind::Status(403),
            &["ARM forbids reading the list of subscriptions (AuthorizationFailed)", ROLE],
            &[NETWORK],
        ),
        arm(
            "another directory's token",
            Kind::StorageCode(401, "InvalidAuthenticationTokenTenant"),
            &["(InvalidAuthenticationTokenTenant)", "use an identity of the directory TENANT_ID"],
            &[ROLE, NETWORK],
        ),
        Row {
            name: "a management group's 400",
            stage: group,
            said: &["ARM answered HTTP 400 (BadRequest) when asked for management group `platform`", "SCOPE"],
            never: &[ROLE],
        },
        Row {
            name: "a wrong TENANT_ID",
            stage: elsewhere,
            said: &[
                "subscription of directory",
                "but 2 of directory 7e000000-0000-4000-8000-000000000001",
                "TENANT_ID",
            ],
            never: &[],
        },
        vault(
            "vault, roles",
            VaultPermissions::Roles,
            &["(ForbiddenByRbac)", "the role `Key Vault Secrets User` on the vault"],
        ),
        vault("vault, policies", VaultPermissions::Policies, &["(AccessDenied)", "access policies"]),
        vault(
            "vault, firewall",
            VaultPermissions::Firewall,
            &["(ForbiddenByFirewall)", "allow this address in the vault's firewall"],
        ),
        Row {
            name: "a password with a line break",
            stage: line_break,
            said: &[
                "the secret `qualys-password` begins or ends with a line break",
                "store it again without",
            ],
            never: &["Qualys refused"],
        },
    ]
}

/// No line gives advice twice: each to-do begins with one of these.
fn assert_said_once(row: &str, text: &str) {
    for to_do in [
        "give the identity",
        "check STORAGE",
        "check QUEUE",
        "correct TENANT_ID",
        "SSL_CERT_FILE",
        "store it",
    ] {
        for line in text.lines() {
            assert!(line.matches(to_do).count() <= 1, "{row}: {line}");
        }
    }
}

fn needs(report: &Report) -> String {
    report.needs_a_person().join("\n")
}

#[tokio::test]
async fn each_failure_says_its_cause_and_the_right_thing_to_do_once() {
    for Row { name, stage, said, never } in rows() {
        let app = stage.app().await;
        let cycle = needs(&stage.cycle(&app).await.report);
        let doctor = doctor::examine(&app, stage.now()).await.to_string();
        for (who, text) in [("cycle", cycle), ("doctor", doctor)] {
            assert!(
                text.lines().any(|line| said.iter().all(|part| line.contains(part))),
                "{name}, {who}: no line has all of {said:?}\n{text}"
            );
            for part in never {
                assert!(!text.contains(part), "{name}, {who}: `{part}`\n{text}");
            }
            assert_said_once(name, &text);
        }
        stage.assert_no_secret();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_a_storage_account_says_its_cause_and_the_right_thing_to_do_once() {
    let Some(azure) = azure_stage() else { return };
    let world = azure.stage.world.clone();
    world.subscription("a");
    let code = Kind::StorageCode;
    let rows: [(Kind, &[&str], &[&str]); 5] = [
        (
            code(403, "AuthenticationFailed"),
            &["HTTP 403 AuthenticationFailed", "storage account's directory", "AZURE_CLOUD"],
            &[ROLE],
        ),
        (
            code(401, "InvalidAuthenticationInfo"),
            &["HTTP 401 InvalidAuthenticationInfo", "another audience"],
            &[ROLE],
        ),
        (code(403, "AuthorizationFailure"), &["HTTP 403 AuthorizationFailure", "firewall"], &[ROLE]),
        (
            code(403, "AuthorizationPermissionMismatch"),
            &["HTTP 403 AuthorizationPermissionMismatch", ROLE],
            &["firewall"],
        ),
        (
            code(404, "ResourceNotFound"),
            &["HTTP 404 ResourceNotFound", "check the account's name in STORAGE"],
            &["entity not found", ROLE],
        ),
    ];
    let app = azure.stage.app().await;
    for (kind, said, never) in rows {
        world.fault(Fault::new(CallKind::BlobPut, kind.clone()).always());
        let by_hand = qualys_azure_inventory::cycle::StartedBy::Command { plan_only: false };
        let error =
            qualys_azure_inventory::cycle::run(&app.tenant, by_hand, azure.stage.now()).await.unwrap_err();
        let cycle = qualys_azure_inventory::report::chain(&error);
        assert!(cycle.starts_with("the lease on the Qualys account could not be taken"), "{cycle}");
        let doctor = doctor::examine(&app, azure.stage.now()).await.to_string();
        world.clear_faults();
        for text in [cycle, doctor] {
            assert!(
                text.lines().any(|line| said.iter().all(|part| line.contains(part))),
                "{kind:?}: no line has all of {said:?}\n{text}"
            );
            for part in never {
                assert!(!text.contains(part), "{kind:?}: `{part}`\n{text}");
            }
            assert_said_once("storage", &text);
        }
    }
    // The queue has roles of its own.
    world.fault(Fault::new(CallKind::AnyStorage, code(403, "AuthenticationFailed")).always());
    let doctor = doctor::examine(&app, azure.stage.now()).await.to_string();
    world.clear_faults();
    let queue = doctor.lines().find(|line| line.contains("queue: ")).unwrap();
    assert!(!queue.contains(ROLE) && queue.contains("AuthenticationFailed"), "{queue}");
}

#[test]
fn a_wrong_account_name_and_a_certificate_that_is_not_trusted_are_named() {
    let stage = Stage::new().behind_the_proxy();
    let wrong = stage.set("STORAGE", "https://no-such.blob.core.windows.net");
    let text = printed(&wrong, "cycle");
    assert!(
        text.contains("check the account's name in STORAGE") && !text.contains("entity not found"),
        "{text}"
    );

    // The program trusts another CA than the one under which every name is here.
    let mut stage = Stage::new().behind_the_proxy();
    let other_world = Stage::new();
    let other_ca = other_world.world.ca_file(other_world.folder.path()).display().to_string();
    stage = stage.set("SSL_CERT_FILE", &other_ca).set("QUALYS_API_URL", "https://qualysapi.qualys.com");
    stage.settings.remove("ARM_URL");
    let text = printed(&stage, "doctor");
    for check in ["ARM, subscriptions", "Qualys sign-in"] {
        let line = text.lines().find(|line| line.contains(check)).unwrap();
        assert!(line.starts_with("FAIL") && line.contains("invalid peer certificate"), "{line}");
        assert_eq!(line.matches("SSL_CERT_FILE").count(), 1, "{line}");
    }
}

fn printed(stage: &Stage, command: &str) -> String {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"));
    let output = program.arg(command).env_clear().envs(&stage.settings).output().unwrap();
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

#[test]
fn a_wrong_listen_says_how_it_is_written() {
    let stage = Stage::new().set("LISTEN", "localhost:7071");
    let text = printed(&stage, "serve");
    let wanted = "LISTEN: `localhost:7071` is not an IP address and a port (examples: 127.0.0.1:7071, 0.0.0.0:7071, [::1]:7071)";
    assert!(text.contains(wanted), "{text}");
}
