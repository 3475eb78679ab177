//! host.json with its overrides. It refuses what the real host refuses, and what this host does not simulate.

use super::options::HostOptions;
use super::text::{expand, split_arguments, time_span};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `extensions.queues`, defaults from Microsoft's reference of host.json.
#[derive(Clone, Debug)]
pub(super) struct Queues {
    pub(super) batch_size: usize,
    pub(super) new_batch_threshold: usize,
    pub(super) max_dequeue_count: u32,
    pub(super) visibility_timeout: Duration,
    pub(super) max_polling_interval: Duration,
    /// `messageEncoding`: base64, or plain text.
    pub(super) base64: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) root: PathBuf,
    pub(super) executable: PathBuf,
    arguments: String,
    pub(super) working_directory: PathBuf,
    pub(super) forwarding: bool,
    pub(super) initialization_timeout: Duration,
    /// `None` is no limit (`-1`).
    pub(super) function_timeout: Option<Duration>,
    pub(super) route_prefix: String,
    pub(super) queues: Queues,
    /// Queue and Event Grid triggers come from the extension bundle; timers and HTTP are in the host.
    pub(super) bundle: bool,
    pub(super) port: Option<u16>,
    /// `customHandler.http.routes` is present.
    pub(super) routes: bool,
}

impl Config {
    pub(super) fn read(options: &HostOptions) -> Result<Self> {
        let root = std::path::absolute(&options.app_dir)?;
        let path = root.join("host.json");
        let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let mut tree: Value =
            serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))?;
        override_from(&mut tree, &options.env);
        let tree = Tree(tree);
        if tree.text("version").as_deref() != Some("2.0") {
            bail!("host.json: \"version\": \"2.0\" is missing");
        }
        if tree.at("customHandler").is_none() && tree.at("httpWorker").is_some() {
            bail!("the old httpWorker section is not simulated; use customHandler");
        }
        if tree.flag("customHandler.enableProxyingHttpRequest") {
            bail!("enableProxyingHttpRequest is not simulated");
        }
        if tree.at("customHandler").is_none() {
            bail!("host.json has no customHandler section");
        }
        if tree.at("customHandler.description").is_none_or(Value::is_null) {
            bail!("HostConfigurationException: Missing worker Description.");
        }
        let executable = match &options.executable {
            Some(path) => std::path::absolute(path)?,
            None => executable(&tree, options, &root)?,
        };
        let directory = tree.text("customHandler.description.workingDirectory").unwrap_or_default();
        let queues = queues(&tree)?;
        Ok(Self {
            executable,
            arguments: tree
                .list("customHandler.description.arguments")
                .into_iter()
                .chain(tree.list("customHandler.description.workerArguments"))
                .collect::<Vec<_>>()
                .join(" "),
            working_directory: root.join(directory),
            forwarding: tree.flag("customHandler.enableForwardingHttpRequest"),
            initialization_timeout: options
                .initialization_timeout
                .or(tree.span("customHandler.initializationTimeout")?)
                .unwrap_or(Duration::from_secs(30)),
            function_timeout: function_timeout(&tree, options)?,
            route_prefix: tree
                .text("extensions.http.routePrefix")
                .map_or("api".to_owned(), |prefix| prefix.trim_matches('/').to_owned()),
            queues,
            bundle: tree.at("extensionBundle.id").is_some(),
            port: options
                .handler_port
                .or(tree.number("customHandler.port")?.and_then(|port| u16::try_from(port).ok())),
            routes: tree.at("customHandler.http.routes").is_some(),
            root,
        })
    }

    /// The command line: joined without quotes, `%X%` expanded, unset ones removed, then split again.
    pub(super) fn arguments(&self, options: &HostOptions, port: u16) -> Vec<String> {
        let line = expand(&self.arguments, |name| {
            Some(match name {
                "FUNCTIONS_CUSTOMHANDLER_PORT" | "FUNCTIONS_HTTPWORKER_PORT" => port.to_string(),
                _ => options.setting(name).unwrap_or_default().to_owned(),
            })
        });
        split_arguments(&line.unwrap_or_default())
    }
}

fn executable(tree: &Tree, options: &HostOptions, root: &Path) -> Result<PathBuf> {
    let text = tree.text("customHandler.description.defaultExecutablePath").unwrap_or_default();
    let text =
        expand(&text, |name| Some(options.setting(name).unwrap_or_default().to_owned())).unwrap_or_default();
    if text.trim().is_empty() {
        bail!("ValidationException: WorkerDescription DefaultExecutablePath cannot be empty");
    }
    let base = root.join(tree.text("customHandler.description.workerDirectory").unwrap_or_default());
    let full = base.join(&text);
    // If there is no such file, the name is searched in PATH.
    Ok(if full.is_file() { full } else { PathBuf::from(text) })
}

fn function_timeout(tree: &Tree, options: &HostOptions) -> Result<Option<Duration>> {
    if options.function_timeout.is_some() {
        return Ok(options.function_timeout);
    }
    match tree.text("functionTimeout").as_deref() {
        // Flex Consumption, Premium and Dedicated plans: Microsoft's reference of host.json.
        None => Ok(Some(Duration::from_mins(30))),
        Some("-1") => Ok(None),
        Some(text) => match time_span(text) {
            Some(span) if span >= Duration::from_secs(1) => Ok(Some(span)),
            _ => bail!("host.json: functionTimeout `{text}` is not a TimeSpan of at least a second"),
        },
    }
}

fn queues(tree: &Tree) -> Result<Queues> {
    let number = |key: &str| tree.number(&format!("extensions.queues.{key}"));
    let span = |key: &str| tree.span(&format!("extensions.queues.{key}"));
    let batch_size = number("batchSize")?.unwrap_or(16);
    if !(1..=32).contains(&batch_size) {
        bail!("host.json: extensions.queues.batchSize must be 1 to 32");
    }
    let encoding =
        tree.text("extensions.queues.messageEncoding").unwrap_or("base64".to_owned()).to_lowercase();
    if !["base64", "none"].contains(&encoding.as_str()) {
        bail!("host.json: extensions.queues.messageEncoding `{encoding}` is neither base64 nor none");
    }
    Ok(Queues {
        batch_size: usize::try_from(batch_size)?,
        // Real: half of the batch size times the number of cores.
        new_batch_threshold: usize::try_from(number("newBatchThreshold")?.unwrap_or(batch_size / 2))?,
        max_dequeue_count: u32::try_from(number("maxDequeueCount")?.unwrap_or(5))?,
        visibility_timeout: span("visibilityTimeout")?.unwrap_or_default(),
        base64: encoding == "base64",
        max_polling_interval: span("maxPollingInterval")?.unwrap_or(Duration::from_mins(1)),
    })
}

/// Configuration as .NET sees it: keys in any case, values that may all be text.
struct Tree(Value);

impl Tree {
    fn at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.0, |node, key| {
            node.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
        })
    }

    fn text(&self, path: &str) -> Option<String> {
        match self.at(path)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }

    fn flag(&self, path: &str) -> bool {
        self.text(path).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    fn number(&self, path: &str) -> Result<Option<u64>> {
        self.text(path)
            .map(|text| text.parse().with_context(|| format!("host.json: {path} `{text}` is not a number")))
            .transpose()
    }

    fn span(&self, path: &str) -> Result<Option<Duration>> {
        self.text(path)
            .map(|text| {
                time_span(&text).with_context(|| format!("host.json: {path} `{text}` is not a TimeSpan"))
            })
            .transpose()
    }

    /// A list, a list as JSON text (one app setting), or numbered keys (one app setting each).
    fn list(&self, path: &str) -> Vec<String> {
        let texts =
            |values: Vec<&Value>| values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
        match self.at(path) {
            Some(Value::Array(values)) => texts(values.iter().collect()),
            Some(Value::Object(map)) => texts(map.values().collect()),
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

/// `AzureFunctionsJobHost__a__b__c=value` replaces `a.b.c`.
fn override_from(tree: &mut Value, env: &[(String, String)]) {
    for (name, value) in env {
        let mut parts = name.split("__");
        if !parts.next().is_some_and(|first| first.eq_ignore_ascii_case("AzureFunctionsJobHost")) {
            continue;
        }
        let path: Vec<&str> = parts.collect();
        if !path.is_empty() {
            set(tree, &path, value);
        }
    }
}

fn set(node: &mut Value, path: &[&str], value: &str) {
    let Some((key, rest)) = path.split_first() else {
        *node = Value::String(value.to_owned());
        return;
    };
    if let Value::Array(items) = node {
        let numbered = items.drain(..).enumerate().map(|(at, item)| (at.to_string(), item));
        *node = Value::Object(numbered.collect());
    }
    if !node.is_object() {
        *node = Value::Object(Map::new());
    }
    if let Some(map) = node.as_object_mut() {
        let name = map.keys().find(|name| name.eq_ignore_ascii_case(key)).cloned();
        set(map.entry(name.unwrap_or_else(|| (*key).to_owned())).or_insert(Value::Null), rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Dir;
    use super::*;

    fn read(host_json: &str, env: &[(&str, &str)]) -> Result<Config> {
        let dir = Dir::new();
        std::fs::write(dir.path().join("host.json"), host_json).unwrap();
        let mut options = HostOptions::new(dir.path());
        options.env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Config::read(&options)
    }

    #[test]
    fn a_missing_description_and_an_empty_executable_are_refused() {
        let error = read(r#"{"version":"2.0","customHandler":{}}"#, &[]).unwrap_err().to_string();
        assert!(error.contains("Missing worker Description"), "{error}");
        let empty = r#"{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":""}}}"#;
        let error = read(empty, &[]).unwrap_err().to_string();
        assert!(error.contains("cannot be empty"), "{error}");
    }

    #[test]
    fn app_settings_override_host_json_in_any_case() {
        let config = read(
            r#"{"version":"2.0","functionTimeout":"00:10:00","customHandler":{"description":{"defaultExecutablePath":"x","arguments":["a b","%Y%%Z%"]}}}"#,
            &[
                ("AzureFunctionsJobHost__customHandler__description__DEFAULTEXECUTABLEPATH", "%Y%"),
                ("AzureFunctionsJobHost__extensions__queues__batchSize", "1"),
                ("AzureFunctionsJobHost__customHandler__enableForwardingHttpRequest", "True"),
                ("Y", "sh"),
            ],
        )
        .unwrap();
        assert_eq!(config.executable, Path::new("sh"));
        assert_eq!((config.queues.batch_size, config.forwarding), (1, true));
        assert_eq!(config.function_timeout, Some(Duration::from_mins(10)));
        let options = HostOptions { env: vec![("Y".into(), "sh".into())], ..HostOptions::new(".") };
        assert_eq!(config.arguments(&options, 1), ["a", "b", "sh"]);
    }
}
