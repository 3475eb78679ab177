//! Reads settings by name, and collects what is wrong with them.

use super::values;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(super) problems: BTreeMap<String, String>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the settings are not complete; docs/OPERATIONS.md describes each:")?;
        for (name, problem) in &self.problems {
            writeln!(f, "  {name}: {problem}")?;
        }
        Ok(())
    }
}

/// Reads settings by name, and collects what is wrong.
pub(super) struct Reader<'a> {
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    pub(super) problems: BTreeMap<String, String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, problems: BTreeMap::new() }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn wrong(&mut self, name: &str, problem: impl fmt::Display) {
        self.problems.insert(name.to_owned(), problem.to_string());
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&self.text(name)?) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.wrong(name, problem);
                None
            }
        }
    }

    pub(super) fn required<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        if self.text(name).is_none() {
            self.wrong(name, "is required");
        }
        self.parsed(name, |text| text.parse().map_err(|error: T::Err| error.to_string()))
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

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }
}
