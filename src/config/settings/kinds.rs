//! The kinds of settings: the values that they take, and their defaults.

use crate::config::values;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What documentation and the settings file must know about a setting's values. Texts are Markdown.
pub(in crate::config) trait Values: Sync {
    fn kind(&self) -> Kind;
    fn default(&self) -> String;
    /// The values allowed, with their unit.
    fn allowed(&self) -> String;
}

/// How a setting is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Kind {
    One,
    /// Values with commas between them, or a list in the file.
    List,
    /// One value, never from the file.
    Secret,
}

/// The default of a text or a list.
pub(in crate::config) enum TextDefault {
    /// This value, as one would write it.
    Value(&'static str),
    /// The program computes it; these words describe it.
    Words(&'static str),
    /// Nothing: it must be set.
    Required,
}

/// One value in a form of its own, which the parser knows.
pub(in crate::config) struct Text {
    pub(in crate::config) default: TextDefault,
    pub(in crate::config) allowed: &'static str,
}

/// Several values in a form of their own.
pub(in crate::config) struct List {
    pub(in crate::config) default: TextDefault,
    pub(in crate::config) allowed: &'static str,
}

/// A secret, taken from the environment exactly as it is.
pub(in crate::config) struct Secret {
    /// When it is needed.
    pub(in crate::config) needed: &'static str,
}

/// A whole number or a duration in a range.
pub(in crate::config) struct Bounded<T, D = T> {
    pub(in crate::config) default: D,
    pub(in crate::config) range: RangeInclusive<T>,
    /// What is counted; empty for a duration, which is written with its unit.
    pub(in crate::config) unit: &'static str,
}

/// A default that the program computes, described in words.
pub(in crate::config) struct Computed(pub(in crate::config) &'static str);

/// A type whose values have an order and a written form.
pub(in crate::config) trait Bound: Copy + Sync {
    fn parse(text: &str, range: &RangeInclusive<Self>) -> Result<Self, String>;
    fn written(self) -> String;
}

impl Bound for Duration {
    fn parse(text: &str, range: &RangeInclusive<Self>) -> Result<Self, String> {
        values::duration(text, range)
    }

    fn written(self) -> String {
        values::written(self)
    }
}

impl Bound for u16 {
    fn parse(text: &str, range: &RangeInclusive<Self>) -> Result<Self, String> {
        values::number(text, range)
    }

    fn written(self) -> String {
        self.to_string()
    }
}

impl Bound for u32 {
    fn parse(text: &str, range: &RangeInclusive<Self>) -> Result<Self, String> {
        values::number(text, range)
    }

    fn written(self) -> String {
        self.to_string()
    }
}

impl Bound for usize {
    fn parse(text: &str, range: &RangeInclusive<Self>) -> Result<Self, String> {
        values::number(text, range)
    }

    fn written(self) -> String {
        self.to_string()
    }
}

impl TextDefault {
    pub(in crate::config) fn value(&self) -> Option<String> {
        match self {
            Self::Value(text) => Some((*text).to_owned()),
            Self::Words(_) | Self::Required => None,
        }
    }
}

impl fmt::Display for TextDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(text) => write!(f, "`{text}`"),
            Self::Words(words) => f.write_str(words),
            Self::Required => f.write_str("required"),
        }
    }
}

impl Values for Text {
    fn kind(&self) -> Kind {
        Kind::One
    }

    fn default(&self) -> String {
        self.default.to_string()
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }
}

impl Values for List {
    fn kind(&self) -> Kind {
        Kind::List
    }

    fn default(&self) -> String {
        self.default.to_string()
    }

    fn allowed(&self) -> String {
        format!("a list of {}", self.allowed)
    }
}

impl Values for Secret {
    fn kind(&self) -> Kind {
        Kind::Secret
    }

    fn default(&self) -> String {
        self.needed.to_owned()
    }

    fn allowed(&self) -> String {
        "a secret".to_owned()
    }
}

impl<T: Bound> Values for Bounded<T> {
    fn kind(&self) -> Kind {
        Kind::One
    }

    fn default(&self) -> String {
        format!("`{}`", self.default.written())
    }

    fn allowed(&self) -> String {
        between(&self.range, self.unit)
    }
}

impl<T: Bound> Values for Bounded<T, Computed> {
    fn kind(&self) -> Kind {
        Kind::One
    }

    fn default(&self) -> String {
        self.default.0.to_owned()
    }

    fn allowed(&self) -> String {
        between(&self.range, self.unit)
    }
}

fn between<T: Bound>(range: &RangeInclusive<T>, unit: &str) -> String {
    format!("`{}` to `{}` {unit}", range.start().written(), range.end().written()).trim_end().to_owned()
}
