//! Who signs in to Azure, and where: each kind of identity, in each cloud.

mod fake_az;

use crate::stage::Stage;
use fake_az::FakeAz;
use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;
use world::{CallKind, Fault, Kind};

/// The clouds: the value of `AZURE_CLOUD`, the host that signs in, ARM, the domain of vaults, and the Azure CLI's name.
const CLOUDS: [[&str; 5]; 3] = [
    ["public", "login.microsoftonline.com", "management.azure.com", "vault.azure.net", "AzureCloud"],
    [
        "us-government",
        "login.microsoftonline.us",
        "management.usgovcloudapi.net",
        "vault.usgovcloudapi.net",
        "AzureUSGovernment",
    ],
    [
        "china",
        "login.partner.microsoftonline.cn",
        "management.chinacloudapi.cn",
        "vault.azure.cn",
        "AzureChinaCloud",
    ],
];

/// A stage whose ARM and vault have their real names in a cloud.
fn in_cloud([cloud, _, _, vaults, _]: [&str; 5]) -> Stage {
    let mut stage = Stage::new().behind_the_proxy().with_vault().set("AZURE_CLOUD", cloud);
    stage.settings.remove("ARM_URL");
    stage.world.subscription("a");
    stage.set("KEY_VAULT_URL", &format!("https://kv-test.{vaults}"))
}

/// An application with its secret.
fn with_client_secret(stage: Stage) -> Stage {
    let (tenant, app, secret) = (stage.world.tenant(), stage.world.app_id(), stage.world.app_secret());
    stage
        .set("AZURE_IDENTITY", "client-secret")
        .set("AZURE_TENANT_ID", &tenant)
        .set("AZURE_CLIENT_ID", &app)
        .set("AZURE_CLIENT_SECRET", &secret)
}

fn run(stage: &Stage, arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_qualys-azure-inventory"));
    command.args(arguments).env_clear().envs(&stage.settings).output().unwrap()
}

/// What a run printed, on both streams. It succeeded, and showed no secret.
fn succeeded(stage: &Stage, output: &Output) -> String {
    let text = printed(output);
    crate::stage::assert_shows_none("the output", &text, &stage.world.secrets());
    assert_eq!(output.status.code(), Some(0), "{text}");
    text
}

fn printed(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// The hosts that were asked for, but for Qualys.
fn hosts(stage: &Stage) -> BTreeSet<String> {
    stage.world.proxied_hosts().into_iter().collect()
}

#[test]
fn a_client_secret_is_posted_to_the_sign_in_of_its_own_cloud_alone() {
    for cloud in CLOUDS {
        let stage = with_client_secret(in_cloud(cloud));
        succeeded(&stage, &run(&stage, &["cycle"]));
        let [_, login, arm, vaults, _] = cloud;
        let wanted = [login.to_owned(), arm.to_owned(), format!("kv-test.{vaults}")];
        assert_eq!(hosts(&stage), wanted.into_iter().collect(), "{cloud:?}");
    }
}

#[test]
fn a_managed_identity_is_asked_for_tokens_of_its_own_cloud_alone() {
    for cloud in CLOUDS {
        let stage = in_cloud(cloud);
        succeeded(&stage, &run(&stage, &["cycle"]));
        let [_, _, arm, vaults, _] = cloud;
        assert_eq!(hosts(&stage), [arm.to_owned(), format!("kv-test.{vaults}")].into(), "{cloud:?}");
        let asked = stage.world.calls().into_iter().filter(|call| call.call == CallKind::Identity);
        let resources: BTreeSet<_> = asked
            .map(|call| {
                let url = url::Url::parse(&format!("http://any{}", call.path)).unwrap();
                url.query_pairs().find(|(name, _)| name == "resource").unwrap().1.into_owned()
            })
            .collect();
        assert_eq!(resources, [format!("https://{arm}"), format!("https://{vaults}")].into());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn developer_tools_are_asked_for_tokens_of_the_cloud_and_told_its_name() {
    for cloud in CLOUDS {
        let [_, _, arm, vaults, az_name] = cloud;
        let az = FakeAz::new(&[arm, vaults]);
        let stage = az.on(in_cloud(cloud)).await;
        succeeded(&stage, &run(&stage, &["cycle"]));
        assert_eq!(hosts(&stage), [arm.to_owned(), format!("kv-test.{vaults}")].into(), "{cloud:?}");
        let asked: BTreeSet<_> = az.asked().into_iter().collect();
        let call = |host: &str| {
            format!("{az_name} account get-access-token -o json --scope https://{host}/.default")
        };
        assert_eq!(asked, [call(arm), call(vaults)].into());
    }
}

/// How many requests for tokens were made.
fn sign_ins(stage: &Stage) -> usize {
    let asks = |call| matches!(call, CallKind::Token | CallKind::Identity);
    stage.world.calls().iter().filter(|call| asks(call.call)).count()
}

/// Where a failed sign-in is met first: ARM, the vault, or the storage.
fn places() -> Vec<(&'static str, Stage, Option<crate::stage::AzureStage>)> {
    let mut places = vec![
        ("ARM", Stage::new().behind_the_proxy(), None),
        ("vault", Stage::new().behind_the_proxy().with_vault(), None),
    ];
    if let Some(azure) = crate::stage::azure_stage() {
        let mut stage = Stage::on(azure.stage.world.clone());
        stage.settings = azure.stage.settings.clone();
        places.push(("storage", stage, Some(azure)));
    }
    places
}

#[test]
fn a_refused_sign_in_is_told_once_a_line_with_one_to_do_and_is_not_repeated() {
    type Wrong = (&'static str, fn(Stage) -> Stage, &'static str, &'static str);
    let wrong: [Wrong; 4] = [
        (
            "secret",
            |stage| stage.set("AZURE_CLIENT_SECRET", "wr0ng~secret"),
            "Entra refused the sign-in (AADSTS7000215: Invalid client secret provided)",
            "put the value of a client secret, not its id, into AZURE_CLIENT_SECRET",
        ),
        (
            "expired",
            |stage| {
                stage.world.expire_secret(&stage.world.app_secret(), stage.now());
                stage
            },
            "Entra refused the sign-in (AADSTS7000222: The provided client secret keys are expired)",
            "give the application a new client secret and put it into AZURE_CLIENT_SECRET",
        ),
        (
            "application",
            |stage| stage.set("AZURE_CLIENT_ID", "00000000-0000-4000-8000-00000000dead"),
            "Entra refused the sign-in (AADSTS700016: Application with identifier",
            "correct AZURE_CLIENT_ID or AZURE_TENANT_ID",
        ),
        (
            "directory",
            |stage| stage.set("AZURE_TENANT_ID", "00000000-0000-4000-8000-00000000dead"),
            "Entra refused the sign-in (AADSTS90002: Tenant",
            "correct AZURE_TENANT_ID or AZURE_CLOUD",
        ),
    ];
    for (name, change, cause, to_do) in wrong {
        for (place, stage, _azure) in places() {
            let stage = change(with_client_secret(stage));
            // As in Microsoft's samples. The SDK's own error then loses the code.
            stage.world.entra_line_breaks(name == "secret");
            for command in ["cycle", "doctor"] {
                stage.world.clear_calls();
                let output = run(&stage, &[command]);
                let text = printed(&output);
                assert_eq!(output.status.code(), Some(1), "{text}");
                crate::stage::assert_shows_none("the output", &text, &stage.world.secrets());
                let told: Vec<_> = text.lines().filter(|line| line.contains(cause)).collect();
                let where_ = format!("{name}, {place}, {command}: {text}");
                assert!(told.iter().any(|line| line.contains(to_do)), "{where_}");
                for line in text.lines() {
                    assert!(line.matches("AADSTS").count() <= 1, "{where_}");
                }
                for misleading in ["cannot be reached", "under that name", "role", "Trace ID", "aka.ms"] {
                    assert!(!text.contains(misleading), "`{misleading}` in {where_}");
                }
                // `doctor` looks at everything, so that it may ask once for each of three scopes.
                let most = if command == "doctor" { 3 } else { 1 };
                assert!((1..=most).contains(&sign_ins(&stage)), "{where_}");
                if command == "doctor" {
                    assert_eq!(told.len(), 1, "{where_}");
                }
            }
        }
    }
}

#[test]
fn a_sign_in_that_fails_for_a_moment_is_tried_again() {
    let stage = with_client_secret(Stage::new().behind_the_proxy().with_vault());
    stage.world.subscription("a");
    for kind in [Kind::Status(503), Kind::TooMany429 { retry_after: None }, Kind::ResetBefore, Kind::Empty200]
    {
        stage.world.fault(Fault::new(CallKind::Token, kind));
        succeeded(&stage, &run(&stage, &["cycle"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_developer_who_is_not_signed_in_is_told_so_in_one_line() {
    let az = FakeAz::new(&[]).failing("ERROR: Please run 'az login' to setup account.");
    let stage = az.on(Stage::new()).await;
    let output = run(&stage, &["doctor"]);
    let text = printed(&output);
    let line = text.lines().find(|line| line.contains("Azure sign-in: ")).unwrap();
    assert_eq!(
        line,
        "FAIL    Azure sign-in: the Azure CLI refused the sign-in (Please run 'az login' to setup account); \
         to do: sign in with `az login` or `azd auth login`, to the right directory, or set AZURE_IDENTITY"
    );
    assert_eq!(az.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_azure_cli_is_started_once_for_each_scope_however_slow_it_is() {
    // Slower than the vault may be.
    let az = FakeAz::new(&["management.azure.com", "vault.azure.net"]).slow(Duration::from_secs(5));
    let mut stage = Stage::new().behind_the_proxy().with_vault();
    for n in 0..20 {
        stage.world.group(&format!("g{n}"), None);
        stage.world.subscription(&format!("s{n}")).in_group(&format!("g{n}"));
    }
    let groups: Vec<_> = (0..20).map(|n| format!("g{n}")).collect();
    stage = az.on(stage.set("SCOPE", &groups.join(","))).await;
    succeeded(&stage, &run(&stage, &["cycle"]));
    assert_eq!(stage.world.connectors().len(), 20);
    assert_eq!(az.asked().len(), 2, "{:?}", az.asked());
}
