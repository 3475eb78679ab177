//! Settings are complete and right, or everything that is wrong is reported together.

mod contradictions;
mod file;

use super::*;
use crate::plan::Mode;

const GOOD: [(&str, &str); 8] = [
    ("TENANT_ID", "11111111-2222-3333-4444-555555555555"),
    ("CONNECTOR_APP_ID", "66666666-2222-3333-4444-555555555555"),
    ("SECRETS", "env"),
    ("QUALYS_USERNAME", "user"),
    ("QUALYS_PASSWORD", "s3cret-password"),
    ("QUALYS_PLATFORM", "eu2"),
    ("STORAGE", "folder:./inventory"),
    ("QUEUE", "folder:./queue"),
];

pub(super) fn config(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let values: BTreeMap<&str, &str> = GOOD.iter().chain(changes).copied().collect();
    Config::from_lookup(|name| values.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn the_least_settings_observe_and_nothing_more() {
    let config = config(&[]).unwrap();
    assert_eq!(config.policy.mode, Mode::Observe);
    assert_eq!(config.qualys_api.as_str(), "https://qualysapi.qg2.apps.qualys.eu/");
    assert_eq!((config.policy.apps, config.policy.modules), (vec!["AI".to_owned()], Vec::new()));
    assert_eq!((config.calls_per_hour, config.policy.calls_per_hour), (300, 210));
    assert_eq!(config.policy.sync_max_age, Duration::from_hours(5));
    assert_eq!(config.arm.as_str(), "https://management.azure.com/");
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let error = config(&[
        ("TENANT_ID", "contoso"),
        ("CONNECTOR_APP_ID", ""),
        ("MODE", "on"),
        ("SECRETS", "hunter2"),
        ("QUALYS_PLATFORM", "mars"),
        ("QUALYS_API_URL", "http://example.com"),
        ("STORAGE", "account"),
        ("LEASE", "5s"),
        ("FOLLOW_UP", "soon"),
        ("RUN_FREQUENCY", "5h"),
        ("CONNECTOR_NAME", "{subscription_name}"),
        ("CONNECTOR_MODULES", "PC,SCA"),
        ("MAX_CREATES", "-1"),
        ("SCOPE", "a/b"),
        ("KEY_VAULT_URL", "http://127.0.0.1:1"),
        ("AZURE_IDENTITY", "client-secret"),
    ])
    .unwrap_err();
    insta::assert_snapshot!(error, @r"
    some settings are missing or wrong; docs/OPERATIONS.md describes each:
      AZURE_CLIENT_ID: is required with AZURE_IDENTITY=client-secret
      AZURE_CLIENT_SECRET: is required with AZURE_IDENTITY=client-secret
      AZURE_TENANT_ID: is required with AZURE_IDENTITY=client-secret
      CONNECTOR_APP_ID: is required (a GUID)
      CONNECTOR_MODULES: PC and SCA cannot be used together
      CONNECTOR_NAME: must contain {subscription_id}, so that no two connectors have the same name
      FOLLOW_UP: `soon` is not a duration (examples: 90s, 15m, 24h)
      KEY_VAULT_URL: must begin with https://
      LEASE: must be between 15s and 1m
      MAX_CREATES: `-1` is not a whole number from 0 to 10000
      MODE: `on` is not one of observe, enforce, paused
      QUALYS_API_URL: must begin with https:// (http:// only on this machine)
      QUALYS_PLATFORM: is not one of US1, US2, US3, US4, GOV1, EU1, EU2, EU3, IN1, CA1, AE1, UK1, AU1, KSA1; for a private platform set QUALYS_API_URL
      RUN_FREQUENCY: Qualys accepts 1h, 2h, 3h, 4h, 6h, 8h, 12h and 24h
      SCOPE: `a/b` is neither a management group's name nor a subscription's GUID
      SECRETS: contradicts KEY_VAULT_URL: set only one of them
      STORAGE: must be `folder:<path>` or an address, for example https://account.blob.core.windows.net
      TENANT_ID: `contoso` is not a directory id (a GUID, for example 11111111-2222-3333-4444-555555555555)
    ");
}

#[test]
fn no_secret_is_printed_with_the_settings() {
    assert!(!format!("{:?}", config(&[]).unwrap()).contains("s3cret-password"));
}

#[test]
fn a_root_group_with_a_guid_for_a_name_needs_its_prefix() {
    let guid = "11111111-2222-3333-4444-555555555555";
    let scope = config(&[("SCOPE", &format!("mg:{guid}, {guid}, platform"))]).unwrap().scope;
    assert_eq!(scope.groups.iter().map(String::as_str).collect::<Vec<_>>(), [guid, "platform"]);
    assert_eq!(scope.subscriptions.len(), 1);
}

#[test]
fn a_port_of_the_host_that_cannot_be_read_is_an_error() {
    let with = |port: &str| {
        let port = port.to_owned();
        ServeConfig::from_lookup(move |name| (name == "FUNCTIONS_CUSTOMHANDLER_PORT").then(|| port.clone()))
    };
    assert_eq!(with("7080").unwrap().host_port, Some(7080));
    assert_eq!(with("").unwrap().host_port, None);
    for bad in ["x", "0", "70000", "-1"] {
        assert!(with(bad).is_err(), "{bad}");
    }
}
