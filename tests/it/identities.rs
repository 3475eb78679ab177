//! Who signs in to Azure, and where: each kind of identity, in each cloud.

mod fake_az;

use crate::stage::Stage;
use fake_az::FakeAz;
use std::collections::BTreeSet;
use std::process::Output;
use world::CallKind;

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
