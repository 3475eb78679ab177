//! The settings file says what the environment would; all that is wrong with it is named by its key.

use super::super::{file, reader::Reader};
use super::{Config, ConfigError, GOOD};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

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
        "a key\nof two lines, and of many more words than anybody reads" = 1
        [connector]
        name = "{subscription_id}"
        [[tenant]]
        tenant_id = "11111111-2222-3333-4444-555555555555"
        "#,
    );
    insta::assert_snapshot!(error.unwrap_err(), @r"
    the settings are not complete; docs/OPERATIONS.md describes each:
      CONNECTOR_APP_ID: is required
      KEY_VAULT_URL: is required; or SECRETS=env, or SECRETS=file:<path of a JSON object>
      MODE: `on` is not one of observe, enforce, paused
      QUALYS_PLATFORM: is required (US1, EU2, …), or QUALYS_API_URL
      QUEUE: is required: the address of the storage account's service, or `folder:<path>`
      settings.toml: CYCLE_GAP: keys are written in lower case
      settings.toml: a keyof two lines, and o: is no setting of this file; LOG, LOG_FORMAT and LISTEN come from the environment alone
      settings.toml: azurewebjobsstorage: is no setting of this file; LOG, LOG_FORMAT and LISTEN come from the environment alone
      settings.toml: config: is no setting of this file; LOG, LOG_FORMAT and LISTEN come from the environment alone
      settings.toml: connector: is a table: settings stand at the top of the file, before any table
      settings.toml: exclude: a list holds texts and whole numbers
      settings.toml: follow_up: must be a text, a whole number, true or false, or a list of texts
      settings.toml: lease: `60` is not a duration such as 90s, 15m or 24h
      settings.toml: listen: is no setting of this file; LOG, LOG_FORMAT and LISTEN come from the environment alone
      settings.toml: max_create: is no setting of this file; LOG, LOG_FORMAT and LISTEN come from the environment alone
      settings.toml: max_creates: `many` is not a whole number from 0 to 10000
      settings.toml: max_removals: must be a text, a whole number, true or false, or a list of texts
      settings.toml: qualys_concurrency: `true` is not a whole number from 1 to 10
      settings.toml: scope: no entry of a list may hold a comma
      settings.toml: storage: takes one value, not a list
      settings.toml: tenant: several tenants in one file are not supported yet: keep a file and a deployment for each tenant, with its settings at the top
      settings.toml: tenant_id: `contoso` is not a directory id (a GUID such as 11111111-2222-3333-4444-555555555555)
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
                error.contains(&format!("settings.toml: {key}: a secret has no place in this file")),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

#[test]
fn what_is_no_toml_is_told_by_its_place_and_never_by_its_content() {
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

#[test]
fn the_documentation_lists_exactly_the_settings_that_are_read() {
    let asked = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    Config::from_lookup(lookup).unwrap_err();
    let text = include_str!("../../../docs/OPERATIONS.md");
    let settings = text.split("\n## ").find(|part| part.starts_with("Settings\n")).unwrap();
    let missing: Vec<_> =
        asked.borrow().iter().filter(|name| !settings.contains(&format!("`{name}`"))).cloned().collect();
    assert!(missing.is_empty(), "read and not documented: {missing:?}");
    let is_name = |word: &&str| word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let rows = settings.lines().filter(|line| line.starts_with("| "));
    let documented: Vec<&str> = rows
        .flat_map(|row| row.split('|').skip(1).take(2))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).filter(is_name))
        .collect();
    // Of the environment alone: for serving, logging, the host and the Azure SDK.
    let others = [
        "CONFIG",
        "LISTEN",
        "LOG",
        "LOG_FORMAT",
        "FUNCTIONS_CUSTOMHANDLER_PORT",
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
    ];
    let known = |name: &&&str| asked.borrow().contains(**name) || others.contains(*name);
    let surplus: Vec<_> = documented.iter().filter(|name| !known(name)).collect();
    assert!(surplus.is_empty(), "documented and not read: {surplus:?}");
}
