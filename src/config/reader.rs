//! Reads settings by name, from the environment and then the file, and collects what is wrong with them.
//!
//! Guarantees: what a file may hold is what was asked for, so no list of known settings can drift from what is read; the
//! environment wins; a secret is taken from the environment alone.

use super::file::{Given, Settings};
use super::values;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigError {
    problems: BTreeMap<String, String>,
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// One problem.
    pub(super) fn of(name: &str, problem: String) -> Self {
        Self { problems: BTreeMap::from([(name.to_owned(), problem)]) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the settings are not complete; docs/OPERATIONS.md describes each:")?;
        for (name, problem) in &self.problems {
            writeln!(f, "  {name}: {problem}")?;
        }
        Ok(())
    }
}

/// What a setting that was asked for takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    One,
    List,
    /// One value, and never from the file.
    Secret,
}

/// Reads settings by name, and collects what is wrong.
pub(super) struct Reader<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    file: Option<&'a Settings>,
    asked: BTreeMap<String, Takes>,
    problems: BTreeMap<String, String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: &'a dyn Fn(&str) -> Option<String>, file: Option<&'a Settings>) -> Self {
        Self { environment, file, asked: BTreeMap::new(), problems: BTreeMap::new() }
    }

    /// One value.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.ask(name, Takes::One)
    }

    /// Values with commas between them.
    pub(super) fn texts(&mut self, name: &str) -> Option<String> {
        self.ask(name, Takes::List)
    }

    /// A secret, as it stands: spaces may belong to it.
    pub(super) fn secret(&mut self, name: &str) -> Option<String> {
        self.asked.insert(name.to_owned(), Takes::Secret);
        let value = (self.environment)(name).filter(|value| !value.is_empty())?;
        self.utf8(name, value)
    }

    fn ask(&mut self, name: &str, takes: Takes) -> Option<String> {
        self.asked.insert(name.to_owned(), takes);
        if let Some(value) = self.in_environment(name) {
            return self.utf8(name, value);
        }
        match self.file?.get(name)? {
            Given::One(text) | Given::List(text) => {
                Some(text.trim().to_owned()).filter(|text| !text.is_empty())
            }
            // Named when all is read.
            Given::Wrong(_) => None,
        }
    }

    fn in_environment(&self, name: &str) -> Option<String> {
        (self.environment)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Bytes that are no text come as this character: they are said, never taken for something else.
    fn utf8(&mut self, name: &str, value: String) -> Option<String> {
        if value.contains(char::REPLACEMENT_CHARACTER) {
            self.wrong(name, "is not UTF-8");
            return None;
        }
        Some(value)
    }

    /// Whether a setting was given at all, however wrong.
    pub(super) fn is_given(&self, name: &str) -> bool {
        let in_file = || match self.file.and_then(|file| file.get(name)) {
            Some(Given::One(text) | Given::List(text)) => !text.trim().is_empty(),
            Some(Given::Wrong(_)) => true,
            None => false,
        };
        self.in_environment(name).is_some() || in_file()
    }

    /// Keeps a problem, under the place that the value comes from.
    pub(super) fn wrong(&mut self, name: &str, problem: impl fmt::Display) {
        let from_file = self.in_environment(name).is_none();
        let label = match self.file.filter(|file| from_file && file.get(name).is_some()) {
            Some(file) => file.label(&name.to_ascii_lowercase()),
            None => name.to_owned(),
        };
        self.problems.insert(label, problem.to_string());
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name);
        self.take(name, text, parse)
    }

    /// As [`Reader::parsed`], for what may be a list.
    pub(super) fn parsed_list<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.texts(name);
        self.take(name, text, parse)
    }

    fn take<T>(
        &mut self,
        name: &str,
        text: Option<String>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&text?) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.wrong(name, problem);
                None
            }
        }
    }

    pub(super) fn required<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        if !self.is_given(name) {
            self.wrong(name, "is required");
        }
        self.parsed(name, |text| text.parse().map_err(values::show))
    }

    pub(super) fn duration(
        &mut self,
        name: &str,
        default: Duration,
        allowed: std::ops::RangeInclusive<Duration>,
    ) -> Duration {
        let value = self.parsed(name, |text| values::duration(text, &allowed));
        value.unwrap_or(default)
    }

    pub(super) fn number<T>(&mut self, name: &str, default: T, allowed: std::ops::RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        self.parsed(name, |text| values::number(text, &allowed)).unwrap_or(default)
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        let text = self.texts(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }

    /// Everything that is wrong, once every setting was asked for; the file's keys that nobody asked for are, too.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let Self { environment: _, file, asked, mut problems } = self;
        for (file, (key, given)) in file.iter().flat_map(|file| file.keys.iter().map(move |key| (file, key)))
        {
            if let Some(problem) = misplaced(key, given, &asked) {
                problems.insert(file.label(key), problem.to_owned());
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }
}

/// Why a key may not stand in the file as it does.
fn misplaced(key: &str, given: &Given, asked: &BTreeMap<String, Takes>) -> Option<&'static str> {
    // Secrets are told apart however they are written: here as variables, or as they are called in the vault.
    let name = key.to_ascii_uppercase();
    if asked.get(&name.replace('-', "_")) == Some(&Takes::Secret) {
        return Some(
            "a secret has no place in this file: put it into Key Vault, the environment or SECRETS=file:…",
        );
    }
    match (asked.get(&name), given) {
        (_, Given::Wrong(why)) => Some(why),
        (None, _) => {
            Some("is no setting of this file; LOG, LOG_FORMAT and LISTEN come from the environment alone")
        }
        (Some(_), _) if key != key.to_ascii_lowercase() => Some("keys are written in lower case"),
        (Some(Takes::One), Given::List(_)) => Some("takes one value, not a list"),
        (Some(_), _) => None,
    }
}
