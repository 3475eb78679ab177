//! The function app in the repository: `host.json`, and a folder for each function.

use crate::cargo::root;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

pub(super) const HOST: &str = "host.json";
pub(super) const FUNCTION: &str = "function.json";

/// The files that are deployed beside the executable.
pub(super) struct App {
    /// What the host starts: `defaultExecutablePath` of `host.json`.
    pub(super) executable: String,
    /// The contents, by name in the zip.
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl App {
    pub(super) fn read() -> Result<Self> {
        let host = read(&root().join(HOST))?;
        let executable = executable(&host)?;
        let mut files = BTreeMap::from([(HOST.to_owned(), host)]);
        let functions = root().join("function-app");
        for function in names_in(&functions)? {
            let folder = functions.join(&function);
            // A file that is there by accident would be deployed or forgotten, so it is an error.
            if !folder.is_dir() || names_in(&folder)? != [FUNCTION] {
                bail!(
                    "function-app/{function} must be a folder with {FUNCTION} and nothing else; move other files away"
                );
            }
            files.insert(format!("{function}/{FUNCTION}"), read(&folder.join(FUNCTION))?);
        }
        Ok(Self { executable, files })
    }

    /// The names of the functions.
    pub(super) fn functions(&self) -> BTreeSet<&str> {
        self.files.keys().filter_map(|name| function_of(name)).collect()
    }
}

/// The function that an entry of the zip declares, if its name is `<function>/function.json`.
pub(super) fn function_of(name: &str) -> Option<&str> {
    let (function, file) = name.split_once('/')?;
    (file == FUNCTION && !function.is_empty()).then_some(function)
}

/// `customHandler.description.defaultExecutablePath` of a `host.json`.
pub(super) fn executable(host: &[u8]) -> Result<String> {
    let host: Value = serde_json::from_slice(host).context("host.json is not JSON")?;
    let path = host.pointer("/customHandler/description/defaultExecutablePath").and_then(Value::as_str);
    let path = path.context("host.json has no customHandler.description.defaultExecutablePath")?;
    // Azure's own tools set the execute bit of the entry whose name equals this text, so `./name` or `%NAME%` would get
    // none.
    if path.is_empty() || path.contains(['/', '\\', '%']) {
        bail!("defaultExecutablePath in host.json must be a plain file name, but is `{path}`");
    }
    Ok(path.to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn the_executable_has_a_plain_name() {
        let host = |path: &str| {
            let json =
                format!(r#"{{"customHandler":{{"description":{{"defaultExecutablePath":"{path}"}}}}}}"#);
            executable(json.as_bytes())
        };
        assert_eq!(host("handler").unwrap(), "handler");
        for path in ["", "./handler", "bin/handler", "%HANDLER%"] {
            assert!(host(path).is_err(), "{path}");
        }
        assert!(executable(b"{}").is_err());
    }
}
