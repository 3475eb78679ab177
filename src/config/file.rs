//! The settings file that `CONFIG` names: TOML, with the settings of one tenant.
//!
//! This is the one place that reads it. What is wrong with the file as a whole is said by line and column, never with its
//! content; what is wrong with a key is said by the [`Reader`](super::reader::Reader), beside everything else.

use super::values::short;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use toml::{Table, Value};

/// The longest settings are lists of subscriptions of some forty bytes each: this holds 25,000, more than a tenant has,
/// and a wrong path does not fill the memory.
const LIMIT_BYTES: u64 = 1024 * 1024;

/// What a file says: values by the settings' names.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where it lies, for messages.
    pub(super) path: String,
    /// What each key says; the keys are as they were written.
    pub(super) keys: BTreeMap<String, Given>,
}

/// What a key says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// One value, as the environment would hold it.
    One(String),
    /// A list, joined as the environment would hold it.
    List(String),
    /// Nothing that a setting could be; why.
    Wrong(&'static str),
}

/// Reads the file.
///
/// # Errors
/// When it cannot be read, is too large, or is not TOML.
pub(super) fn read(path: &str) -> Result<Settings, String> {
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
pub(super) fn parse(path: &str, bytes: &[u8]) -> Result<Settings, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = place(&String::from_utf8_lossy(&bytes[..error.valid_up_to()]));
        format!("`{path}` is not UTF-8 (line {line}, column {column})")
    })?;
    // The parser's own message may repeat a value, and somebody may have put a secret there.
    let table: Table = toml::from_str(text).map_err(|error| {
        let (line, column) = place(error.span().and_then(|span| text.get(..span.start)).unwrap_or_default());
        format!("`{path}` is not TOML (line {line}, column {column})")
    })?;
    let keys = table.into_iter().map(|(key, value)| {
        let given = given(&key, value);
        (key, given)
    });
    Ok(Settings { path: path.to_owned(), keys: keys.collect() })
}

/// The line and the column after a text.
fn place(before: &str) -> (usize, usize) {
    let last = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, last.chars().count() + 1)
}

fn given(key: &str, value: Value) -> Given {
    let is_table = |value: &Value| matches!(value, Value::Table(_));
    match value {
        Value::Array(entries) if entries.iter().any(is_table) => table(key),
        Value::Table(_) => table(key),
        Value::Array(entries) => {
            let texts: Option<Vec<String>> = entries.into_iter().map(one).collect();
            match texts {
                None => Given::Wrong("a list holds texts and whole numbers"),
                // The environment could not hold such an entry either.
                Some(texts) if texts.iter().any(|text| text.contains(',')) => {
                    Given::Wrong("no entry of a list may hold a comma")
                }
                Some(texts) => Given::List(texts.join(",")),
            }
        }
        value => one(value).map_or(
            Given::Wrong("must be a text, a whole number, true or false, or a list of texts"),
            Given::One,
        ),
    }
}

fn table(key: &str) -> Given {
    Given::Wrong(if key.eq_ignore_ascii_case("tenant") {
        "several tenants in one file are not supported yet: keep a file and a deployment for each tenant, with its settings at the top"
    } else {
        "is a table: settings stand at the top of the file, before any table"
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

impl Settings {
    /// What the file says of a setting.
    pub(super) fn get(&self, name: &str) -> Option<&Given> {
        self.keys.get(&name.to_ascii_lowercase())
    }

    /// A key, for a message: its start only, since it may be anything.
    pub(super) fn label(&self, key: &str) -> String {
        format!("{}: {}", self.path, short(key))
    }
}
