//! Settings that contradict each other are refused, and no others.

use super::config;

const GUID: &str = "11111111-2222-3333-4444-555555555555";

#[test]
fn a_scope_that_is_both_watched_and_excluded_is_named() {
    let error = config(&[
        ("SCOPE", &format!("Platform,lab,{GUID}")),
        ("EXCLUDE", &format!("sub:{GUID},mg:platform")),
    ]);
    insta::assert_snapshot!(error.unwrap_err(), @r"
    some settings are missing or wrong; docs/OPERATIONS.md describes each:
      EXCLUDE: names `platform` and 1 more, as SCOPE does: remove it from one of them
    ");
    config(&[("SCOPE", "platform"), ("EXCLUDE", GUID)]).unwrap();
}

#[test]
fn addresses_of_another_azure_cloud_are_named() {
    let mixed = [
        ("AZURE_CLOUD", "us-government"),
        ("STORAGE", "https://inventory.blob.core.windows.net"),
        ("QUEUE", "https://inventory.queue.core.usgovcloudapi.net"),
        ("SECRETS", ""),
        ("KEY_VAULT_URL", "https://keys.vault.azure.cn"),
        ("ARM_URL", "https://management.azure.com"),
    ];
    insta::assert_snapshot!(config(&mixed).unwrap_err(), @r"
    some settings are missing or wrong; docs/OPERATIONS.md describes each:
      ARM_URL: `management.azure.com` is in the cloud `public`, but AZURE_CLOUD is `us-government`
      KEY_VAULT_URL: `keys.vault.azure.cn` is in the cloud `china`, but AZURE_CLOUD is `us-government`
      STORAGE: `inventory.blob.core.windows.net` is in the cloud `public`, but AZURE_CLOUD is `us-government`
    ");
    let public = [
        ("STORAGE", "https://inventory.blob.core.windows.net"),
        ("QUEUE", "https://inventory.queue.core.chinacloudapi.cn"),
    ];
    insta::assert_snapshot!(config(&public).unwrap_err(), @r"
    some settings are missing or wrong; docs/OPERATIONS.md describes each:
      QUEUE: `inventory.queue.core.chinacloudapi.cn` is in the cloud `china`, but AZURE_CLOUD is `public`
    ");
    // A private endpoint, or a host that only ends alike, may be in any cloud.
    config(&[("ARM_URL", "https://arm.contoso.example"), ("STORAGE", "https://notcore.windows.net")])
        .unwrap();
}

#[test]
fn what_only_looks_like_a_contradiction_is_accepted() {
    let config = config(&[
        ("QUALYS_API_URL", "https://qualys.contoso.example"),
        ("MODE", "enforce"),
        ("MAX_CREATES", "0"),
        ("MAX_REMOVALS", "0"),
        ("LEASE", "60s"),
        ("CYCLE_BUDGET", "10s"),
        ("RUN_FREQUENCY", "24h"),
        ("SYNC_MAX_AGE", "1h"),
        ("AZURE_CLIENT_ID", GUID),
        ("AZURE_TENANT_ID", GUID),
    ])
    .unwrap();
    assert_eq!(config.qualys_api.as_str(), "https://qualys.contoso.example/", "it wins over the platform");
}

#[test]
fn a_connector_without_any_app_is_refused() {
    insta::assert_snapshot!(config(&[("CONNECTOR_APPS", ",")]).unwrap_err(), @r"
    some settings are missing or wrong; docs/OPERATIONS.md describes each:
      CONNECTOR_APPS: names no app: remove the setting to use AI
    ");
}

#[test]
fn a_value_that_is_not_utf_8_is_named_and_not_ignored() {
    // What the environment returns for bytes that are not UTF-8.
    insta::assert_snapshot!(config(&[("EXCLUDE", "lab\u{fffd}"), ("STORAGE", "\u{fffd}")]).unwrap_err(), @r"
    some settings are missing or wrong; docs/OPERATIONS.md describes each:
      EXCLUDE: is not UTF-8
      STORAGE: is not UTF-8
    ");
}
