//! The settings file that `CONFIG` names: TOML, with the settings of one tenant.
//!
//! No other module reads it. An error in the file as a whole names the line and the column, never the content; an error in
//! one key is reported by the [`Reader`](super::reader::Reader), together with all others.

use super::values::short;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use toml::{Table, Value};

/// The longest settings are lists of subscriptions of some forty bytes each. This is enough for 25,000 of them, more than a
/// tenant has, and small enough that a wrong path does not fill the memory.
const LIMIT_BYTES: u64 = 1024 * 1024;

/// The content of the file.
#[derive(Debug)]
pub(super) struct SettingsFile {
    /// For messages.
    pub(super) path: String,
    /// The keys as they were written.
    pub(super) keys: BTreeMap<String, FileValue>,
}

/// The value of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileValue {
    /// One value, as the environment would hold it.
    One(String),
    /// A list, joined as the environment would hold it.
    List(String),
    /// A value that no setting can have, and why.
    Wrong(&'static str),
}

/// Reads the file.
///
/// # Errors
/// When it cannot be read, is too large, or is not TOML.
pub(super) fn read(path: &str) -> Result<SettingsFile, String> {
    let shown = path.trim();
    let mut bytes = Vec::new();
    File::open(shown)
        .and_then(|file| file.take(LIMIT_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    if bytes.len() as u64 > LIMIT_BYTES {
        return Err(format!("`{shown}` is larger than {LIMIT_BYTES} bytes: is it the settings file?"));
    }
    parse(shown, &bytes)
}

/// Reads the file's content.
///
/// # Errors
/// When it is not TOML.
pub(super) fn parse(path: &str, bytes: &[u8]) -> Result<SettingsFile, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = place(&String::from_utf8_lossy(&bytes[..error.valid_up_to()]));
        format!("`{path}` is not UTF-8 (line {line}, column {column})")
    })?;
    // The parser's own message may repeat a value, which may be a secret in the wrong place.
    let table: Table = toml::from_str(text).map_err(|error| {
        let (line, column) = place(error.span().and_then(|span| text.get(..span.start)).unwrap_or_default());
        format!("`{path}` is not TOML (line {line}, column {column})")
    })?;
    let keys = table.into_iter().map(|(key, value)| {
        let value = value_of(&key, value);
        (key, value)
    });
    Ok(SettingsFile { path: path.to_owned(), keys: keys.collect() })
}

/// The line and the column after a text.
fn place(before: &str) -> (usize, usize) {
    let last = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, last.chars().count() + 1)
}

fn value_of(key: &str, value: Value) -> FileValue {
    let is_table = |value: &Value| matches!(value, Value::Table(_));
    match value {
        Value::Array(entries) if entries.iter().any(is_table) => table(key),
        Value::Table(_) => table(key),
        Value::Array(entries) => {
            let texts: Option<Vec<String>> = entries.into_iter().map(one).collect();
            match texts {
                None => FileValue::Wrong("a list may contain only strings and whole numbers"),
                // The environment could not hold such an entry either.
                Some(texts) if texts.iter().any(|text| text.contains(',')) => {
                    FileValue::Wrong("an entry of a list must not contain a comma")
                }
                Some(texts) => FileValue::List(texts.join(",")),
            }
        }
        value => one(value).map_or(
            FileValue::Wrong("must be a string, a whole number, true or false, or a list of strings"),
            FileValue::One,
        ),
    }
}

fn table(key: &str) -> FileValue {
    FileValue::Wrong(if key.eq_ignore_ascii_case("tenant") {
        "several tenants in one file are not supported yet: give each tenant a file and a deployment of its own"
    } else {
        "is a table: settings must be at the top of the file, before any table"
    })
}

fn one(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(so) => Some(so.to_string()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

impl SettingsFile {
    /// The value of a setting.
    pub(super) fn get(&self, name: &str) -> Option<&FileValue> {
        self.keys.get(&name.to_ascii_lowercase())
    }

    /// The file and the key, for a message: only the key's beginning, since it may be any text.
    pub(super) fn place(&self, key: &str) -> String {
        format!("{}: {}", self.path, short(key))
    }
}
