//! The Functions host's invocation envelope: lenient in, strict out.
//!
//! The host wraps a text in a JSON text, once or twice, and expects a JSON object back: after an empty answer with
//! status 200 the invocation would hang until the host kills the process. (Read in the host's source, 4.1037 and
//! newer.)

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One call of a function that is not an HTTP function.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Invocation {
    /// For the log.
    #[serde(skip)]
    pub id: String,
    #[serde(rename = "Data")]
    data: Map<String, Value>,
    #[serde(rename = "Metadata")]
    metadata: Map<String, Value>,
}

impl Invocation {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When it is not an envelope. The text says what is wrong and does not repeat the content.
    pub fn parse(headers: &HeaderMap, body: &Bytes) -> Result<Self, String> {
        let invocation: Self = serde_json::from_slice(body).map_err(|error| {
            format!(
                "a body that is not an invocation ({:?} error at line {}, column {})",
                error.classify(),
                error.line(),
                error.column()
            )
        })?;
        Ok(Self { id: invocation_id(headers), ..invocation })
    }

    /// What triggered the function, whatever its binding is called: the innermost object or list, otherwise the text.
    pub fn payload(&self) -> Option<Value> {
        self.data.values().next().map(unwrap)
    }

    /// How often the queue has delivered this message.
    pub fn dequeue_count(&self) -> Option<i64> {
        match unwrap(self.metadata.get("DequeueCount")?) {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

/// The host's id of the call; empty where there is none.
pub fn invocation_id(headers: &HeaderMap) -> String {
    let id =
        headers.get("x-azure-functions-invocationid").and_then(|id| id.to_str().ok()).unwrap_or_default();
    id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}

/// Removes the layers of text: an object may come as it is, in a text, or in a text in a text.
fn unwrap(value: &Value) -> Value {
    const LAYERS: usize = 3;
    let mut value = value.clone();
    for _ in 0..LAYERS {
        let Value::String(text) = &value else { break };
        match serde_json::from_str(text) {
            Ok(inner) => value = inner,
            Err(_) => break,
        }
    }
    value
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

    fn payload(body: &str) -> Option<Value> {
        Invocation::parse(&HeaderMap::new(), &Bytes::copy_from_slice(body.as_bytes())).unwrap().payload()
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
            let body = Bytes::from(std::fs::read(&file).unwrap());
            let payload = Invocation::parse(&HeaderMap::new(), &body).unwrap().payload();
            assert!(payload.is_some(), "{}", file.display());
        }
    }

    #[test]
    fn the_dequeue_count_comes_in_three_forms() {
        for form in [r"2", r#""2""#, r#""\"2\"""#] {
            let body = format!(r#"{{"Data":{{}},"Metadata":{{"DequeueCount":{form}}}}}"#);
            let invocation = Invocation::parse(&HeaderMap::new(), &Bytes::from(body)).unwrap();
            assert_eq!(invocation.dequeue_count(), Some(2), "{form}");
        }
    }

    #[test]
    fn a_body_that_is_not_an_envelope_is_reported_without_its_content() {
        let deep = "[".repeat(100_000);
        for body in ["", "s3cret", "[1]", "null", deep.as_str(), "{\"Data\":\"s3cret\"}"] {
            let error =
                Invocation::parse(&HeaderMap::new(), &Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
