//! The Functions host's invocation envelope: lenient in, strict out.
//!
//! The host wraps a text in a JSON text, once or twice, and expects a JSON object back: after an empty answer with
//! status 200 the invocation would hang until the host kills the process. (Read in the host's source, 4.1037 and
//! newer.)

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// One call of a function that is not an HTTP function.
///
/// It borrows from the body and keeps nothing else: an envelope of millions of small values needs no more memory than its
/// text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Invocation<'a> {
    #[serde(rename = "Data", borrow)]
    data: Data<'a>,
    #[serde(rename = "Metadata", borrow)]
    metadata: Metadata<'a>,
}

/// The value of the first binding: a trigger that we have sends no other.
#[derive(Debug, Default)]
struct Data<'a>(Option<&'a RawValue>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(rename = "DequeueCount", borrow)]
    dequeue_count: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = Option<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let first = map.next_entry::<IgnoredAny, &RawValue>()?.map(|(_, value)| value);
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(first)
            }
        }
        from.deserialize_map(First).map(Self)
    }
}

impl<'a> Invocation<'a> {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When it is not an envelope. The text says what is wrong and does not repeat the content.
    pub fn parse(body: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| {
            format!(
                "a body that is not an invocation ({:?} error at line {}, column {})",
                error.classify(),
                error.line(),
                error.column()
            )
        })
    }

    /// What triggered the function, whatever its binding is called, as JSON: the innermost object or list, otherwise the text
    /// in quotes.
    pub fn payload(&self) -> Option<Cow<'a, str>> {
        self.data.0.map(|value| unwrap(value.get()))
    }

    /// How often the queue has delivered this message.
    pub fn dequeue_count(&self) -> Option<i64> {
        let count = unwrap(self.metadata.dequeue_count?.get());
        count.trim_matches('"').trim().parse().ok()
    }
}

/// The host's id of the call; empty where there is none.
pub fn invocation_id(headers: &HeaderMap) -> String {
    let id =
        headers.get("x-azure-functions-invocationid").and_then(|id| id.to_str().ok()).unwrap_or_default();
    id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

/// Removes the layers of text: an object may come as it is, in a text, or in a text in a text.
fn unwrap(json: &str) -> Cow<'_, str> {
    const LAYERS: usize = 3;
    let mut innermost = Cow::Borrowed(json);
    for _ in 0..LAYERS {
        let Ok(text) = serde_json::from_str::<String>(&innermost) else { break };
        if serde_json::from_str::<IgnoredAny>(&text).is_err() {
            break;
        }
        innermost = Cow::Owned(text);
    }
    innermost
}

/// The answer of a function.
#[derive(Debug)]
pub enum Answer {
    /// What was delivered has been dealt with.
    Ok(String),
    /// It must be delivered again. The host drops the body of this answer, so the reason is logged too.
    Failed(String),
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Ok(text) => (StatusCode::OK, text),
            Self::Failed(text) => (StatusCode::INTERNAL_SERVER_ERROR, text),
        };
        (status, Json(json!({ "Outputs": {}, "Logs": [text], "ReturnValue": null }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn payload(body: &str) -> Option<Value> {
        let payload = Invocation::parse(body.as_bytes()).unwrap().payload();
        payload.map(|json| serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn a_payload_is_found_below_any_of_up_to_two_layers_of_text() {
        let wanted = Some(json!({ "tenant": "x" }));
        assert_eq!(payload(r#"{"Data":{"a":{"tenant":"x"}},"Metadata":{}}"#), wanted);
        assert_eq!(payload(r#"{"Data":{"b":"{\"tenant\":\"x\"}"}}"#), wanted);
        assert_eq!(payload(r#"{"Data":{"c":"\"{\\\"tenant\\\":\\\"x\\\"}\""}}"#), wanted);
        assert_eq!(payload(r#"{"Data":{"d":"\"hello!!\""}}"#), Some(json!("hello!!")));
        assert_eq!(payload(r#"{"Data":{"e":"{ message: … }"}}"#), Some(json!("{ message: … }")));
        assert_eq!(payload(r"{}"), None);
    }

    #[test]
    fn every_invocation_that_the_host_sends_decodes() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/functions");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "json")).collect();
        assert!(files.len() > 15);
        for file in files {
            let body = std::fs::read(&file).unwrap();
            assert!(Invocation::parse(&body).unwrap().payload().is_some(), "{}", file.display());
        }
    }

    #[test]
    fn the_dequeue_count_comes_in_three_forms() {
        for form in [r"2", r#""2""#, r#""\"2\"""#] {
            let body = format!(r#"{{"Data":{{}},"Metadata":{{"DequeueCount":{form}}}}}"#);
            let invocation = Invocation::parse(body.as_bytes()).unwrap();
            assert_eq!(invocation.dequeue_count(), Some(2), "{form}");
        }
    }

    #[test]
    fn a_body_that_is_not_an_envelope_is_reported_without_its_content() {
        let deep = "[".repeat(100_000);
        for body in ["", "s3cret", "[1]", "null", deep.as_str(), "{\"Data\":\"s3cret\"}"] {
            let error = Invocation::parse(body.as_bytes()).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
