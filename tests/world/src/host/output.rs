//! What happens to output values. Only queue outputs are simulated, with the host's own surprises.

use super::azure_queue::AzureQueues;
use super::functions::{Function, Output};
use super::lines::Level;
use super::record::Outcome;
use super::shared::Shared;
use crate::storage::rest::at_once;
use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

/// The queue messages that come from one output value.
pub(super) fn messages(value: &Value, binary: bool) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        // A string that happens to be valid base64 is decoded unless the binding is binary (issue #8352).
        Value::String(text) => match STANDARD.decode(text) {
            Ok(bytes) if !binary => vec![String::from_utf8_lossy(&bytes).into_owned()],
            _ => match serde_json::from_str(text) {
                Ok(Value::Array(items)) => items.iter().map(element).collect(),
                Ok(object @ Value::Object(_)) => vec![element(&object)],
                _ => vec![text.clone()],
            },
        },
        Value::Array(items) => items.iter().map(element).collect(),
        other => vec![element(other)],
    }
}

/// Strings verbatim, objects printed indented.
fn element(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

impl Shared {
    /// Writes the outputs of a success. If that fails, the invocation fails, although the handler succeeded.
    pub(super) fn write_outputs(&self, function: &Function, outcome: Outcome) -> Outcome {
        let Outcome::Succeeded { return_value, outputs, .. } = &outcome else { return outcome };
        for output in &function.outputs {
            let value = if output.name == "$return" { Some(return_value) } else { outputs.get(&output.name) };
            if let Some(value) = value.filter(|value| !value.is_null())
                && let Err(reason) = self.write_output(output, value)
            {
                return Outcome::Failed { reason };
            }
        }
        outcome
    }

    fn write_output(&self, output: &Output, value: &Value) -> Result<(), String> {
        let options = &self.options;
        let has_queues = options.queue_dir.is_some() || options.queue_account.is_some();
        let Some(name) = output.queue.as_ref().filter(|_| has_queues) else {
            self.record
                .say(Level::Warning, format!("output '{}' ({}) is not simulated", output.name, output.kind));
            return Ok(());
        };
        let texts = messages(value, output.binary);
        // On a thread and a connection of its own, because the answer is judged in code that is not async.
        at_once(|| async {
            let account = options.queue_account.as_ref().map(AzureQueues::connect).transpose()?;
            let queue = self.queue(name, account.as_ref()).context("there are no queues")?;
            for text in texts {
                queue.send(&text).await?;
            }
            anyhow::Ok(())
        })
        .map_err(|error| format!("output '{}': {error:#}", output.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_string_that_looks_like_base64_is_decoded() {
        assert_eq!(messages(&json!("aGVsbG8="), false), ["hello"]);
        assert_eq!(messages(&json!("aGVsbG8="), true), ["aGVsbG8="]);
        assert_eq!(messages(&json!("hello!"), false), ["hello!"]);
    }

    #[test]
    fn an_array_becomes_one_message_an_element() {
        assert_eq!(messages(&json!("[1,\"b\"]"), false), ["1", "b"]);
        assert_eq!(messages(&json!(["{\"a\":1}", {"a": 1}]), false), ["{\"a\":1}", "{\n  \"a\": 1\n}"]);
        assert_eq!(messages(&json!(null), false), Vec::<String>::new());
    }
}
