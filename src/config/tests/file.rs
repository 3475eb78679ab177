//! The settings file holds what the environment could; everything that is wrong with it is named by its key.

use super::super::{file, reader::Reader};
use super::{Config, ConfigError, GOOD};
use std::collections::BTreeMap;

/// The settings of an environment and a file.
fn config(environment: &[(&str, &str)], text: &str) -> Result<Config, ConfigError> {
    let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
    let lookup = |name: &str| environment.get(name).map(|value| (*value).to_owned());
    let settings = file::parse("settings.toml", text.as_bytes()).unwrap();
    Config::read(Reader::new(&lookup, Some(&settings)))
}

const WHOLE: &str = r#"
    # One tenant.
    tenant_id = "11111111-2222-3333-4444-555555555555"
    connector_app_id = "66666666-2222-3333-4444-555555555555"
    secrets = "file:secrets.json"
    qualys_platform = "eu2"
    storage = "folder:./inventory"
    queue = 'folder:./queue'
    max_creates = 7
    scope = ["mg:platform", "aaaaaaaa-0000-0000-0000-000000000001"]
    exclude = "lab, sandbox"
    connector_tags = [12, 13]
    event_sources = []
    cycle_gap = """
5s
"""
"#;

#[test]
fn a_file_holds_all_that_the_environment_may() {
    let config = config(&[], WHOLE).unwrap();
    assert_eq!((config.policy.max_creates, config.policy.tags), (7, vec![12, 13]));
    assert_eq!((config.scope.groups.len(), config.scope.subscriptions.len()), (1, 1));
    assert_eq!(config.exclude.groups.into_iter().collect::<Vec<_>>(), ["lab", "sandbox"]);
    assert_eq!((config.event_sources, config.gap.as_secs()), (vec![], 5));
}

#[test]
fn the_environment_wins_over_the_file_and_an_empty_value_does_not() {
    let environment = [("MAX_CREATES", "8"), ("EXCLUDE", " "), ("MODE", "enforce")];
    let config = config(&environment, WHOLE).unwrap();
    assert_eq!((config.policy.max_creates, config.exclude.groups.len()), (8, 2));
    let wrong = super::file::config(&[("MAX_CREATES", "many")], WHOLE).unwrap_err();
    assert!(wrong.to_string().contains("\n  MAX_CREATES: `many` is not a whole number"), "{wrong}");
}

#[test]
fn everything_that_is_wrong_with_a_file_is_named_at_once() {
    let error = config(
        &[("MODE", "on")],
        r#"
        tenant_id = "contoso"
        max_creates = "many"
        max_removals = 1.5
        lease = 60
        storage = ["folder:a", "folder:b"]
        scope = ["a,b"]
        exclude = [["a"]]
        follow_up = 2026-11-23
        qualys_concurrency = true
        CYCLE_GAP = "1m"
        max_create = 5
        config = "other.toml"
        listen = "0.0.0.0:80"
        azurewebjobsstorage = "x"
        "a key\nof two lines, and of many more words than anyone reads" = 1
        [connector]
        name = "{subscription_id}"
        [[tenant]]
        tenant_id = "11111111-2222-3333-4444-555555555555"
        "#,
    );
    insta::assert_snapshot!(error.unwrap_err(), @r"
    some settings are missing or wrong; docs/OPERATIONS.md describes each:
      CONNECTOR_APP_ID: is required (a GUID)
      KEY_VAULT_URL: is required; or set SECRETS=env, or SECRETS=file:<path of a JSON object>
      MODE: `on` is not one of observe, enforce, paused
      QUALYS_PLATFORM: is required (US1, EU2, …); or set QUALYS_API_URL
      QUEUE: is required (an https:// address or folder:<path>)
      settings.toml: CYCLE_GAP: must be written in lower case
      settings.toml: unknown setting `a keyof two lines, and o`
      settings.toml: azurewebjobsstorage: is read from the environment alone, never from this file
      settings.toml: config: is read from the environment alone, never from this file
      settings.toml: connector: is a table: settings must be at the top of the file, before any table
      settings.toml: exclude: a list may contain only strings and whole numbers
      settings.toml: follow_up: must be a string, a whole number, true or false, or a list of strings
      settings.toml: lease: `60` is not a duration (examples: 90s, 15m, 24h)
      settings.toml: listen: is read from the environment alone, never from this file
      settings.toml: unknown setting `max_create` (did you mean `max_creates`?)
      settings.toml: max_creates: `many` is not a whole number from 0 to 10000
      settings.toml: max_removals: must be a string, a whole number, true or false, or a list of strings
      settings.toml: qualys_concurrency: `true` is not a whole number from 1 to 10
      settings.toml: scope: an entry of a list must not contain a comma
      settings.toml: storage: takes one value, not a list
      settings.toml: tenant: several tenants in one file are not supported yet: give each tenant a file and a deployment of its own
      settings.toml: tenant_id: `contoso` is not a directory id (a GUID, for example 11111111-2222-3333-4444-555555555555)
    ");
}

#[test]
fn tables_for_tenants_are_refused_in_every_form() {
    for text in [
        "[[tenant]]\na = 1",
        "[tenant]\na = 1",
        "[tenant.one]\na = 1",
        "tenant = [{ a = 1 }]",
        "tenant.one.a = 1",
    ] {
        let error = config(&[], text).unwrap_err().to_string();
        assert!(
            error.contains("settings.toml: tenant: several tenants in one file are not supported yet"),
            "{error}"
        );
    }
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_shown() {
    for key in [
        "qualys_username",
        "qualys_password",
        "connector_client_secret",
        "api_token",
        "azure_client_secret",
        "QUALYS_PASSWORD",
        "qualys-password",
    ] {
        for extra in ["", "secrets = \"env\"\n"] {
            let error = config(&GOOD, &format!("{extra}{key} = \"hunter2\"")).unwrap_err().to_string();
            assert!(
                error.contains(&format!("settings.toml: {key}: a secret must not be in this file")),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

#[test]
fn a_file_that_is_not_toml_is_reported_by_line_and_column_and_never_by_its_content() {
    let deep = format!("x = {}", "[".repeat(10_000));
    for (bytes, place) in [
        (b"a = 1\nqualys_password = hunter2".as_slice(), "is not TOML (line 2, column 19)"),
        (b"a = 1\n  b = \"hunter2", "is not TOML (line 2, column 15)"),
        (b"hunter2 = 1\nhunter2 = 2", "is not TOML (line 2, column 1)"),
        (b"{\"tenant_id\": \"hunter2\"}", "is not TOML (line 1, column 1)"),
        (b"\xc3\xa4 = 1\nhunter2 = \"\xff\"", "is not UTF-8 (line 2, column 12)"),
        (b"\xff\xfea\0", "is not UTF-8 (line 1, column 1)"),
        (b"a\0 = 1", "is not TOML (line 1, column 2)"),
        (deep.as_bytes(), "is not TOML (line 1, column "),
    ] {
        let error = file::parse("settings.toml", bytes).unwrap_err();
        assert!(error.contains(place) && error.starts_with("`settings.toml`"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_byte_order_mark_and_an_empty_file_do_no_harm() {
    assert!(config(&GOOD, "\u{feff}max_creates = 3\r\n").unwrap().policy.max_creates == 3);
    config(&GOOD, "").unwrap();
}

#[test]
fn a_file_that_cannot_be_read_or_is_too_large_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let error = file::read(&place("none.toml")).unwrap_err();
    assert!(error.contains("none.toml`: No such file"), "{error}");
    assert!(file::read(&place("")).unwrap_err().contains("directory"));
    std::fs::write(place("large.toml"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert!(file::read(&place("large.toml")).unwrap_err().contains("is larger than 1048576 bytes"));
    std::fs::write(place("fits.toml"), vec![b'#'; 1024 * 1024]).unwrap();
    file::read(&place("fits.toml")).unwrap();
    assert!(file::read("/dev/zero").unwrap_err().contains("is larger than"));
}
