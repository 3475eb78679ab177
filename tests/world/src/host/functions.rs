//! The functions of an app, each a folder with a function.json. A function in error is reported, and the others run.

use super::config::Config;
use super::options::HostOptions;
use super::schedule::Schedule;
use super::text::{expand, time_span};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) enum Trigger {
    Timer { schedule: Schedule, run_on_startup: bool, use_monitor: bool },
    Queue { queue: String, binary: bool },
    EventGrid { many: bool },
    Http { methods: Vec<String>, route: String, anonymous: bool },
}

/// A `retry` policy of function.json.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    /// -1 means for ever.
    pub(super) max: i64,
    first: Duration,
    cap: Duration,
    doubles: bool,
}

impl Retry {
    pub(super) fn delay(&self, retry: u32) -> Duration {
        if self.doubles {
            self.first.saturating_mul(2_u32.saturating_pow(retry)).min(self.cap)
        } else {
            self.first
        }
    }
}

/// An output binding other than HTTP.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) queue: Option<String>,
    pub(super) binary: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) name: String,
    /// The key of the trigger's value in `Data`.
    pub(super) binding: String,
    pub(super) trigger: Trigger,
    pub(super) outputs: Vec<Output>,
    /// The name of the HTTP output, if there is one.
    pub(super) response: Option<String>,
    pub(super) retry: Option<Retry>,
    /// It has one HTTP trigger, one HTTP output and nothing else. Such requests are forwarded.
    pub(super) is_plain_http: bool,
}

#[derive(Debug, Default)]
pub(super) struct Functions {
    pub(super) good: BTreeMap<String, Function>,
    pub(super) errors: BTreeMap<String, String>,
}

impl Functions {
    pub(super) fn read(config: &Config, options: &HostOptions) -> Result<Self> {
        let mut all = Self::default();
        for entry in std::fs::read_dir(&config.root).context("list the app folder")? {
            let path = entry?.path().join("function.json");
            let Some(name) = path.parent().and_then(|dir| dir.file_name()).and_then(|name| name.to_str())
            else {
                continue;
            };
            if !path.is_file() || is_disabled(name, options) {
                continue;
            }
            let function = std::fs::read(&path)
                .context("read function.json")
                .and_then(|text| function(name, &text, config, options));
            match function {
                Ok(Some(function)) => {
                    all.good.insert(name.to_owned(), function);
                }
                Ok(None) => {}
                Err(error) => {
                    all.errors.insert(name.to_owned(), format!("{error:#}"));
                }
            }
        }
        if config.routes && !(all.good.is_empty() && all.errors.is_empty()) {
            bail!(
                "HostConfigurationException: customHandler.http.routes and function.json files exclude each other"
            );
        }
        Ok(all)
    }
}

fn is_disabled(name: &str, options: &HostOptions) -> bool {
    [format!("AzureWebJobs.{name}.Disabled"), format!("AzureWebJobs_{name}_Disabled")].iter().any(|key| {
        options.setting(key).is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    })
}

/// `^[a-z][a-z0-9_\-]{0,127}$` in any case, and not `host`.
fn is_valid_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && !name.eq_ignore_ascii_case("host")
}

fn function(name: &str, text: &[u8], config: &Config, options: &HostOptions) -> Result<Option<Function>> {
    if !is_valid_name(name) {
        bail!("'{name}' is not a valid function name.");
    }
    let json: Value = serde_json::from_slice(text).context("parse function.json")?;
    if json["disabled"].as_bool() == Some(true) {
        return Ok(None);
    }
    let bindings = json["bindings"].as_array().context("At least one binding must be declared.")?;
    let is_out = |binding: &&Value| word(binding, "direction").eq_ignore_ascii_case("out");
    let is_trigger = |binding: &&Value| word(binding, "type").to_lowercase().ends_with("trigger");
    let triggers: Vec<&Value> = bindings.iter().filter(is_trigger).collect();
    let [trigger] = triggers.as_slice() else {
        bail!("{} triggers: a function has exactly one", triggers.len());
    };
    let outs: Vec<&Value> = bindings.iter().filter(is_out).collect();
    let response =
        outs.iter().find(|out| word(out, "type").eq_ignore_ascii_case("http")).map(|out| word(out, "name"));
    let binding = word(trigger, "name");
    if binding.is_empty() {
        bail!("a binding has no name");
    }
    let resolved = Resolve { trigger, options };
    Ok(Some(Function {
        name: name.to_owned(),
        trigger: resolved.trigger(name, config)?,
        outputs: outs
            .iter()
            .filter(|out| !word(out, "type").eq_ignore_ascii_case("http"))
            .map(|out| output(out, options))
            .collect::<Result<_>>()?,
        retry: retry(&json["retry"])?,
        is_plain_http: word(trigger, "type").eq_ignore_ascii_case("httpTrigger")
            && bindings.len() == 2
            && response.is_some(),
        response,
        binding,
    }))
}

fn word(binding: &Value, key: &str) -> String {
    binding[key].as_str().unwrap_or_default().to_owned()
}

fn is_binary(binding: &Value) -> bool {
    word(binding, "dataType").eq_ignore_ascii_case("binary")
}

fn resolve(text: &str, options: &HostOptions) -> Result<String> {
    expand(text, |name| options.setting(name).map(str::to_owned))
        .map_err(|name| anyhow::anyhow!("'%{name}%' does not resolve to a value."))
}

struct Resolve<'a> {
    trigger: &'a Value,
    options: &'a HostOptions,
}

impl Resolve<'_> {
    fn text(&self, key: &str) -> Result<String> {
        resolve(&word(self.trigger, key), self.options)
    }

    fn trigger(&self, name: &str, config: &Config) -> Result<Trigger> {
        let kind = word(self.trigger, "type");
        let kind = kind.to_lowercase();
        if !["timertrigger", "httptrigger"].contains(&kind.as_str()) && !config.bundle {
            bail!("The binding type(s) '{kind}' are not registered: host.json names no extensionBundle");
        }
        Ok(match kind.as_str() {
            "timertrigger" => {
                let text = self.text("schedule")?;
                let schedule = Schedule::parse(&text);
                Trigger::Timer {
                    schedule: schedule
                        .with_context(|| format!("The schedule expression '{text}' was not recognized"))?,
                    run_on_startup: self.trigger["runOnStartup"].as_bool().unwrap_or(false),
                    use_monitor: self.trigger["useMonitor"].as_bool().unwrap_or(true),
                }
            }
            "queuetrigger" => Trigger::Queue {
                queue: queue_name(&self.text("queueName")?)?,
                binary: is_binary(self.trigger),
            },
            "eventgridtrigger" => {
                Trigger::EventGrid { many: word(self.trigger, "cardinality").eq_ignore_ascii_case("many") }
            }
            "httptrigger" => Trigger::Http {
                methods: self.methods(),
                route: match self.trigger["route"].as_str() {
                    Some(route) => route.trim_matches('/').to_owned(),
                    None => name.to_owned(),
                },
                anonymous: word(self.trigger, "authLevel").eq_ignore_ascii_case("anonymous"),
            },
            other => bail!("the trigger type '{other}' is not simulated"),
        })
    }

    fn methods(&self) -> Vec<String> {
        let all = self.trigger["methods"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(Value::as_str).map(str::to_uppercase).collect()
    }
}

/// The rules of Azure Storage for queue names (Microsoft docs).
fn queue_name(name: &str) -> Result<String> {
    let name = name.to_lowercase();
    let good = (3..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    if good { Ok(name) } else { bail!("'{name}' is not a valid queue name") }
}

fn output(binding: &Value, options: &HostOptions) -> Result<Output> {
    let kind = word(binding, "type");
    Ok(Output {
        name: word(binding, "name"),
        queue: match kind.as_str() {
            "queue" => Some(queue_name(&resolve(&word(binding, "queueName"), options)?)?),
            _ => None,
        },
        binary: is_binary(binding),
        kind,
    })
}

fn retry(json: &Value) -> Result<Option<Retry>> {
    if json.is_null() {
        return Ok(None);
    }
    let span = |key: &str| {
        time_span(&word(json, key)).with_context(|| format!("retry: {key} is missing or not a TimeSpan"))
    };
    let max = json["maxRetryCount"].as_i64().context("retry: maxRetryCount is missing")?;
    Ok(Some(match word(json, "strategy").to_lowercase().as_str() {
        "fixeddelay" => {
            let delay = span("delayInterval")?;
            Retry { max, first: delay, cap: delay, doubles: false }
        }
        "exponentialbackoff" => {
            Retry { max, first: span("minimumInterval")?, cap: span("maximumInterval")?, doubles: true }
        }
        other => bail!("retry: strategy '{other}' is unknown"),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Dir;
    use super::*;

    const HOST: &str = r#"{"version":"2.0","extensionBundle":{"id":"b"},"customHandler":{"description":{"defaultExecutablePath":"x"}}}"#;

    #[test]
    fn a_missing_setting_puts_that_function_in_error_and_the_others_go_on() {
        let dir = Dir::new();
        dir.write("host.json", HOST);
        let timer = |schedule| {
            format!(
                r#"{{"bindings":[{{"type":"timerTrigger","direction":"in","name":"t","schedule":"{schedule}"}}]}}"#
            )
        };
        dir.write("good/function.json", &timer("%EVERY%"));
        dir.write("missing/function.json", &timer("%NOWHERE%"));
        dir.write("9bad/function.json", &timer("%EVERY%"));
        dir.write("off/function.json", &timer("%EVERY%"));
        dir.write("unknown/function.json", r#"{"bindings":[{"type":"sqlTrigger","name":"t"}]}"#);
        let mut options = HostOptions::new(dir.path());
        options.env =
            vec![("EVERY".into(), "0 */15 * * * *".into()), ("AzureWebJobs.off.Disabled".into(), "1".into())];
        let functions = Functions::read(&Config::read(&options).unwrap(), &options).unwrap();
        assert_eq!(functions.good.keys().collect::<Vec<_>>(), ["good"]);
        assert_eq!(functions.errors["missing"], "'%NOWHERE%' does not resolve to a value.");
        assert_eq!(functions.errors.keys().collect::<Vec<_>>(), ["9bad", "missing", "unknown"]);
    }

    #[test]
    fn a_queue_trigger_needs_the_extension_bundle() {
        let dir = Dir::new();
        dir.write("host.json", &HOST.replace(r#""extensionBundle":{"id":"b"},"#, ""));
        dir.write(
            "work/function.json",
            r#"{"bindings":[{"type":"queueTrigger","name":"m","queueName":"work"}]}"#,
        );
        let options = HostOptions::new(dir.path());
        let functions = Functions::read(&Config::read(&options).unwrap(), &options).unwrap();
        assert!(functions.errors["work"].contains("not registered"));
    }
}
