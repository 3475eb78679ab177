//! What an answer to an envelope means. After an empty or null 2xx answer the real host hangs, and so does this one.

use super::record::{Answer, Outcome};
use serde_json::{Map, Value};

#[derive(Debug, PartialEq)]
pub(super) enum Judgement {
    Ended(Outcome),
    /// The invocation is never completed.
    Null,
}

pub(super) fn judge(answer: &Answer) -> Judgement {
    if !(200..300).contains(&answer.status) {
        let text = http_reason(answer.status);
        return failed(format!(
            "Response status code does not indicate success: {} ({text}).",
            answer.status
        ));
    }
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Judgement::Null;
    }
    if !is_json(answer) {
        let media = answer.header("content-type").unwrap_or("application/octet-stream");
        return failed(format!("Invalid HttpResponseMessage: UnsupportedMediaType '{media}'"));
    }
    match answer.json() {
        Some(Value::Null) => Judgement::Null,
        Some(Value::Object(map)) => read(map).map_or_else(failed, Judgement::Ended),
        _ => failed(format!("Invalid HttpResponseMessage: {}", answer.text())),
    }
}

/// `application/json` or `text/json`, with any charset: what the host's formatter takes.
pub(super) fn is_json(answer: &Answer) -> bool {
    let media =
        answer.header("content-type").and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json") || media.eq_ignore_ascii_case("text/json")
}

fn read(map: Map<String, Value>) -> Result<Outcome, String> {
    let (mut return_value, mut logs, mut outputs) = (Value::Null, Vec::new(), Map::new());
    for (key, value) in map {
        let wrong = |what: &str| Err(format!("Invalid HttpResponseMessage: {key} is not {what}"));
        match (key.to_lowercase().as_str(), value) {
            ("returnvalue", value) => return_value = value,
            ("outputs" | "logs", Value::Null) => {}
            ("outputs", Value::Object(map)) => outputs = map,
            ("outputs", _) => return wrong("an object"),
            ("logs", Value::Array(items)) => {
                for item in items {
                    let Value::String(text) = item else { return wrong("a list of strings") };
                    logs.push(text);
                }
            }
            ("logs", _) => return wrong("a list of strings"),
            _ => {}
        }
    }
    Ok(Outcome::Succeeded { return_value, logs, outputs })
}

fn failed(reason: String) -> Judgement {
    Judgement::Ended(Outcome::Failed { reason })
}

fn http_reason(status: u16) -> &'static str {
    axum::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::json;

    fn judged(status: u16, content_type: Option<&str>, body: &str) -> Judgement {
        judge(&Answer {
            status,
            headers: content_type.map(|t| ("content-type".to_owned(), t.to_owned())).into_iter().collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    fn is_failure(judgement: &Judgement) -> bool {
        matches!(judgement, Judgement::Ended(Outcome::Failed { .. }))
    }

    #[test]
    fn an_empty_or_null_success_is_never_completed() {
        assert_eq!(judged(200, Some("application/json"), ""), Judgement::Null);
        assert_eq!(judged(204, None, ""), Judgement::Null);
        assert_eq!(judged(200, Some("application/json"), "null"), Judgement::Null);
    }

    #[test]
    fn names_in_the_answer_have_any_case() {
        let body = r#"{"OUTPUTS":{"q":1},"logs":["a"],"returnValue":7,"other":[]}"#;
        let expected = Outcome::Succeeded {
            return_value: json!(7),
            logs: vec!["a".into()],
            outputs: Map::from_iter([("q".to_owned(), json!(1))]),
        };
        assert_eq!(judged(200, Some("text/json; charset=utf-8"), body), Judgement::Ended(expected));
    }

    #[test]
    fn whatever_is_no_json_object_fails() {
        for (status, content_type, body) in [
            (200, Some("text/plain"), "{}"),
            (200, None, "{}"),
            (200, Some("application/problem+json"), "{}"),
            (200, Some("application/json"), "{"),
            (200, Some("application/json"), "[]"),
            (200, Some("application/json"), r#"{"Logs":[1]}"#),
            (200, Some("application/json"), r#"{"Outputs":[]}"#),
            (500, Some("application/json"), "{}"),
            (404, None, ""),
            (304, None, ""),
        ] {
            assert!(is_failure(&judged(status, content_type, body)), "{status} {content_type:?} {body}");
        }
    }
}
