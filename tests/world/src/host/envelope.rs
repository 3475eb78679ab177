//! The invocation body: `{"Data":{…},"Metadata":{…}}`, compact, each value encoded as the host's source does it.

use super::text::stamp;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jiff::{Timestamp, tz::Offset};
use serde_json::{Map, Value, json};

/// The `sys` member of Metadata. Its guid identifies nothing.
#[derive(Clone, Debug)]
pub(super) struct Sys {
    pub(super) method: String,
    pub(super) now: Timestamp,
    pub(super) guid: String,
}

impl Sys {
    pub(super) fn now(method: &str) -> Self {
        Self { method: method.to_owned(), now: Timestamp::now(), guid: uuid::Uuid::new_v4().to_string() }
    }

    fn value(&self) -> Value {
        json!({"MethodName": self.method, "UtcNow": stamp(self.now, "Z"), "RandGuid": self.guid})
    }
}

/// `Metadata.RetryContext`, present from the first attempt on when a retry policy exists.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryContext {
    pub(super) count: u32,
    pub(super) max: i64,
}

impl RetryContext {
    pub(super) fn value(self, function: &str) -> Value {
        // The real exception is a large serialised .NET object. Handlers read only these members.
        let exception = (self.count > 0).then(|| {
            json!({
                "ClassName": "Microsoft.Azure.WebJobs.Host.FunctionInvocationException",
                "Message": format!("Exception while executing function: Functions.{function}"),
                "InnerException": {
                    "ClassName": "System.Net.Http.HttpRequestException",
                    "Message": "Response status code does not indicate success: 500 (Internal Server Error).",
                },
            })
        });
        json!({"RetryCount": self.count, "MaxRetryCount": self.max, "Exception": exception, "Instance": null, "State": {}})
    }
}

/// Objects stay objects; everything else becomes a string that holds its JSON text.
pub(super) fn encode(value: &Value) -> Value {
    if value.is_object() { value.clone() } else { Value::String(value.to_string()) }
}

/// Text of a string value: two layers of JSON.
pub(super) fn encode_text(text: &str) -> Value {
    encode(&Value::String(text.to_owned()))
}

/// A value with `dataType` binary.
pub(super) fn encode_bytes(bytes: &[u8]) -> Value {
    Value::String(STANDARD.encode(bytes))
}

/// The trigger's binding data: keys in any case, a later value replaces an earlier one under the earlier name.
#[derive(Debug, Default)]
pub(super) struct Metadata(Map<String, Value>);

impl Metadata {
    /// Adds an encoded value. Keys that end in "trigger" are left out, as the host does.
    pub(super) fn set(&mut self, key: &str, encoded: Value) {
        if key.to_lowercase().ends_with("trigger") {
            return;
        }
        let known = self.0.keys().find(|name| name.eq_ignore_ascii_case(key)).cloned();
        self.0.insert(known.unwrap_or_else(|| key.to_owned()), encoded);
    }

    pub(super) fn sys(&mut self, sys: &Sys) {
        self.0.insert("sys".to_owned(), sys.value());
    }

    /// A text that is a JSON object puts its properties (no arrays, no nulls) into Metadata and shadows what is there.
    pub(super) fn promote(&mut self, text: &str) {
        let Ok(Value::Object(properties)) = serde_json::from_str(text) else { return };
        for (key, value) in properties {
            match value {
                Value::Null | Value::Array(_) => {}
                Value::Object(_) => self.set(&key, value),
                Value::String(text) => self.set(&key, encode_text(&text)),
                // .NET writes a bool with a capital letter.
                Value::Bool(flag) => self.set(&key, encode_text(if flag { "True" } else { "False" })),
                Value::Number(number) => self.set(&key, encode_text(&number.to_string())),
            }
        }
    }

    pub(super) fn retry(&mut self, function: &str, context: Option<RetryContext>) {
        if let Some(context) = context {
            self.0.insert("RetryContext".to_owned(), context.value(function));
        }
    }
}

/// The body, `Data` before `Metadata`.
pub(super) fn body(binding: &str, data: Value, metadata: Metadata) -> Bytes {
    let data = Map::from_iter([(binding.to_owned(), data)]);
    let envelope = Map::from_iter([
        ("Data".to_owned(), Value::Object(data)),
        ("Metadata".to_owned(), Value::Object(metadata.0)),
    ]);
    Bytes::from(Value::Object(envelope).to_string())
}

/// What Newtonsoft's date parsing does to strings that look like ISO dates: the fraction loses trailing zeros and
/// everything beyond seven digits, and an offset becomes the host's own (UTC on Linux plans).
pub(super) fn reformat_dates(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(new) = reformat_date(text) {
                *text = new;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(reformat_dates),
        Value::Object(map) => map.values_mut().for_each(reformat_dates),
        _ => {}
    }
}

fn reformat_date(text: &str) -> Option<String> {
    let shape: String = text.chars().take(19).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if shape != "0000-00-00T00:00:00" {
        return None;
    }
    let rest = &text[19..];
    let digits =
        rest.strip_prefix('.').map_or(0, |rest| 1 + rest.chars().take_while(char::is_ascii_digit).count());
    let zone = &rest[digits..];
    match zone {
        "Z" => Some(stamp(text.parse().ok()?, "Z")),
        "" => {
            let at = text.parse::<jiff::civil::DateTime>().ok()?;
            Some(stamp(Offset::UTC.to_timestamp(at).ok()?, ""))
        }
        _ if zone.len() == 6 && zone.starts_with(['+', '-']) => Some(stamp(text.parse().ok()?, "+00:00")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_json_inside_a_json_string_and_objects_stay() {
        assert_eq!(encode_text("hello").to_string(), r#""\"hello\"""#);
        assert_eq!(encode(&json!(1)), json!("1"));
        assert_eq!(encode(&json!(null)), json!("null"));
        assert_eq!(encode(&json!([1, 2])), json!("[1,2]"));
        assert_eq!(encode(&json!({"a": 1})), json!({"a": 1}));
    }

    #[test]
    fn keys_that_end_in_trigger_are_left_out() {
        let mut metadata = Metadata::default();
        metadata.set("queueTrigger", json!("x"));
        metadata.set("Id", json!("1"));
        metadata.set("id", json!("2"));
        assert_eq!(Value::Object(metadata.0), json!({"Id": "2"}));
    }

    #[test]
    fn dates_inside_events_are_reformatted() {
        let mut value = json!({"a": "2026-03-01T02:14:59.1200000Z", "b": ["2026-03-01T02:14:59.123456789+02:00"], "c": "2026-03-01", "d": "2026-03-01T02:14:59.500"});
        reformat_dates(&mut value);
        let expected = json!({"a": "2026-03-01T02:14:59.12Z", "b": ["2026-03-01T00:14:59.1234567+00:00"], "c": "2026-03-01", "d": "2026-03-01T02:14:59.5"});
        assert_eq!(value, expected);
    }
}
