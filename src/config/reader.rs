//! Reads settings from the environment and then the file, and collects everything that is wrong with them.
//!
//! Guarantees: only settings of the [table](super::settings) can be read, so the table cannot differ from what is read; the
//! environment wins over the file; a secret is taken from the environment alone.

use super::file::{FileValue, SettingsFile};
use super::settings::{self, Bound, Bounded, Computed, Kind, List, Secret, Setting, Text, TextDefault};
use super::values::short;
use std::collections::BTreeMap;
use std::fmt;

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigError {
    /// One line for each, by the place of the value.
    problems: BTreeMap<String, String>,
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// One problem.
    pub(super) fn of(place: &str, problem: impl fmt::Display) -> Self {
        let mut error = Self::default();
        error.add(place.to_owned(), problem);
        error
    }

    fn add(&mut self, place: String, problem: impl fmt::Display) {
        let line = format!("{place}: {problem}");
        self.problems.insert(place, line);
    }

    fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "some settings are missing or wrong; docs/OPERATIONS.md describes each:")?;
        self.problems.values().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Reads settings, and collects what is wrong.
pub(super) struct Reader<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    file: Option<&'a SettingsFile>,
    wrong: ConfigError,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        environment: &'a dyn Fn(&str) -> Option<String>,
        file: Option<&'a SettingsFile>,
    ) -> Self {
        Self { environment, file, wrong: ConfigError::default() }
    }

    /// The value, or the default.
    pub(super) fn text(&mut self, setting: &Setting<Text>) -> Option<String> {
        let value = self.value(setting);
        value.or_else(|| setting.values.default.value())
    }

    /// The value, read with `parse`, or the default.
    pub(super) fn parsed<T>(
        &mut self,
        setting: &Setting<Text>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if matches!(setting.values.default, TextDefault::Required) && !self.is_given(setting) {
            self.wrong(setting, format!("is required ({})", setting.values.allowed.replace('`', "")));
        }
        let text = self.text(setting)?;
        self.parse(setting, &text, parse)
    }

    /// The values, read with `parse`, or the default.
    pub(super) fn parsed_list<T>(
        &mut self,
        setting: &Setting<List>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.value(setting).or_else(|| setting.values.default.value())?;
        self.parse(setting, &text, parse)
    }

    /// The values, or the default.
    pub(super) fn list(&mut self, setting: &Setting<List>) -> Vec<String> {
        let text = self.value(setting).or_else(|| setting.values.default.value()).unwrap_or_default();
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }

    /// The value, or the default; a value outside the range is wrong.
    pub(super) fn bounded<T: Bound>(&mut self, setting: &Setting<Bounded<T>>) -> T {
        let Bounded { default, range, .. } = &setting.values;
        let value =
            self.value(setting).and_then(|text| self.parse(setting, &text, |text| T::parse(text, range)));
        value.unwrap_or(*default)
    }

    /// As [`Reader::bounded`], where the caller works out the default.
    pub(super) fn bounded_if_given<T: Bound>(
        &mut self,
        setting: &Setting<Bounded<T, Computed>>,
    ) -> Option<T> {
        let text = self.value(setting)?;
        self.parse(setting, &text, |text| T::parse(text, &setting.values.range))
    }

    /// A secret, exactly as it is: spaces may belong to it.
    pub(super) fn secret(&mut self, setting: &Setting<Secret>) -> Option<String> {
        let value = (self.environment)(setting.name).filter(|value| !value.is_empty())?;
        self.utf8(setting, value)
    }

    /// Whether a setting was given at all, right or wrong.
    pub(super) fn is_given(&self, setting: &Setting) -> bool {
        let in_file = || match self.file.and_then(|file| file.get(setting.name)) {
            Some(FileValue::One(text) | FileValue::List(text)) => !text.trim().is_empty(),
            Some(FileValue::Wrong(_)) => true,
            None => false,
        };
        self.in_environment(setting).is_some() || in_file()
    }

    /// Records a problem, under the place that the value comes from.
    pub(super) fn wrong(&mut self, setting: &Setting, problem: impl fmt::Display) {
        let from_file = self.in_environment(setting).is_none();
        let place = match self.file.filter(|file| from_file && file.get(setting.name).is_some()) {
            Some(file) => file.place(&setting.name.to_ascii_lowercase()),
            None => setting.name.to_owned(),
        };
        self.wrong.add(place, problem);
    }

    /// Everything that is wrong, the keys of the file included.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let Self { environment: _, file, mut wrong } = self;
        for (file, (key, value)) in file.iter().flat_map(|file| file.keys.iter().map(move |key| (file, key)))
        {
            match misplaced(key, value) {
                Some(Misplaced::Because(why)) => wrong.add(file.place(key), why),
                Some(Misplaced::Unknown) => {
                    wrong.problems.insert(file.place(key), unknown(&file.path, key));
                }
                None => {}
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn value(&mut self, setting: &Setting) -> Option<String> {
        if let Some(value) = self.in_environment(setting) {
            return self.utf8(setting, value);
        }
        match self.file?.get(setting.name)? {
            FileValue::One(text) | FileValue::List(text) => {
                Some(text.trim().to_owned()).filter(|text| !text.is_empty())
            }
            // `finish` reports it.
            FileValue::Wrong(_) => None,
        }
    }

    fn in_environment(&self, setting: &Setting) -> Option<String> {
        let value = (self.environment)(setting.name)?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Bytes that are not UTF-8 come as this character. They are reported, never taken for something else.
    fn utf8(&mut self, setting: &Setting, value: String) -> Option<String> {
        if value.contains(char::REPLACEMENT_CHARACTER) {
            self.wrong(setting, "is not UTF-8");
            return None;
        }
        Some(value)
    }

    fn parse<T>(
        &mut self,
        setting: &Setting,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(text).map_err(|problem| self.wrong(setting, problem)).ok()
    }
}

/// Why a key may not stand in the file as it does.
enum Misplaced {
    Because(&'static str),
    /// It is not a setting.
    Unknown,
}

fn misplaced(key: &str, value: &FileValue) -> Option<Misplaced> {
    let name = key.to_ascii_uppercase();
    // However a secret is written: as its variable, or by the name that it has in the vault.
    let is_secret = settings::named(&name.replace('-', "_")).is_some_and(|s| s.values.kind() == Kind::Secret);
    if is_secret {
        let why =
            "a secret must not be in this file: put it into Key Vault, the environment or SECRETS=file:…";
        return Some(Misplaced::Because(why));
    }
    if let FileValue::Wrong(why) = value {
        return Some(Misplaced::Because(why));
    }
    let Some(setting) = settings::of_the_file().find(|setting| setting.name == name) else {
        let elsewhere = settings::named(&name).is_some();
        let why = Misplaced::Because("is read from the environment alone, never from this file");
        return Some(if elsewhere { why } else { Misplaced::Unknown });
    };
    let why = match (setting.values.kind(), value) {
        _ if key != key.to_ascii_lowercase() => "must be written in lower case",
        (Kind::One, FileValue::List(_)) => "takes one value, not a list",
        _ => return None,
    };
    Some(Misplaced::Because(why))
}

/// A key that is not a setting, with the setting that may be meant.
fn unknown(path: &str, key: &str) -> String {
    let meant = settings::similar(key, settings::of_the_file().map(|setting| setting.name));
    let meant = meant.map(|name| format!(" (did you mean `{}`?)", name.to_ascii_lowercase()));
    format!("{path}: unknown setting `{}`{}", short(key), meant.unwrap_or_default())
}
