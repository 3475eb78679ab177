//! The table is what the program reads, and reads well.

use super::{Kind, Read, all, azure, connectors, help, named, qualys, secrets, watch};
use crate::config::platform;
use crate::config::serve::logging_from;
use crate::config::tests::config;
use crate::config::{Config, ServeConfig};
use crate::secrets::Secrets;
use std::cell::RefCell;
use std::collections::BTreeSet;

#[test]
fn every_setting_of_the_table_is_read_and_no_other() {
    let asked = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    Config::from_lookup(lookup).unwrap_err();
    ServeConfig::from_lookup(lookup).unwrap();
    logging_from(lookup);
    // It says where the file is, so it is read before the settings are.
    lookup("CONFIG");
    let ours = all().filter(|(group, _)| group.read != Read::ByOthers);
    let table: BTreeSet<String> = ours.map(|(_, setting)| setting.name.to_owned()).collect();
    assert_eq!(asked.into_inner(), table);
}

#[test]
fn each_name_is_there_once_and_each_meaning_fits_a_line() {
    let mut names = BTreeSet::new();
    for (_, setting) in all() {
        assert!(names.insert(setting.name), "{}", setting.name);
        assert!(setting.meaning.ends_with('.') && setting.meaning.len() <= 90, "{}", setting.meaning);
    }
}

#[test]
fn every_secret_of_a_vault_has_its_variable_in_the_table() {
    for (name, setting) in secrets::BY_NAME {
        assert_eq!(Secrets::variable(name), setting.name);
        assert_eq!(named(setting.name).map(|setting| setting.values.kind()), Some(Kind::Secret));
    }
}

#[test]
fn every_value_that_the_table_names_is_accepted() {
    let words = |text: &'static str| text.split('`').skip(1).step_by(2);
    for (name, allowed) in [
        ("MODE", watch::MODE.values.allowed),
        ("AZURE_CLOUD", azure::AZURE_CLOUD.values.allowed),
        ("RUN_FREQUENCY", connectors::RUN_FREQUENCY.values.allowed),
        ("CONNECTOR_APPS", connectors::CONNECTOR_APPS.values.allowed),
    ] {
        for word in words(allowed) {
            config(&[(name, word)]).unwrap();
        }
    }
    let platforms: Vec<_> = platform::API_SERVERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(words(qualys::QUALYS_PLATFORM.details).collect::<Vec<_>>(), platforms);
}

#[test]
fn the_help_fits_a_hundred_columns() {
    for line in help().lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}
