//! The layers: which module may use which. The test reads every module's `crate::` paths and compares them with this table.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A layer: its name, its modules, and for each module what of its own layer it may use.
type Layer = (&'static str, &'static [(&'static str, &'static [&'static str])]);

/// From the bottom up. A module may use every module of the layers below its own, but for [`FORBIDDEN`].
const LAYERS: [Layer; 6] = [
    (
        "data",
        &[
            ("model", &[]),
            ("manifest", &["model"]),
            ("state", &["model"]),
            ("plan", &["model", "state"]),
            ("outcome", &["model", "plan", "state"]),
            ("report", &["manifest", "model", "outcome", "plan", "state"]),
        ],
    ),
    (
        "edges",
        &[
            ("retry", &[]),
            ("bounded", &[]),
            ("sdk", &["bounded", "retry"]),
            ("azure", &["bounded", "retry", "sdk"]),
            ("secrets", &["azure", "sdk"]),
            ("store", &["sdk"]),
            ("inbox", &["retry", "store"]),
            ("lease", &["sdk", "store"]),
            ("queue", &["sdk", "store"]),
            ("qualys", &["bounded", "retry", "secrets", "store"]),
        ],
    ),
    ("door", &[("account", &[])]),
    ("steps", &[("act", &[]), ("observe", &[]), ("snapshot", &[])]),
    ("spine", &[("tenant", &[]), ("cycle", &["tenant"])]),
    (
        "shell",
        &[
            ("config", &["telemetry"]),
            ("telemetry", &[]),
            ("host", &[]),
            ("app", &["config"]),
            ("doctor", &["app"]),
            ("trigger", &["app", "host"]),
            ("cli", &["app", "config", "doctor", "telemetry", "trigger"]),
        ],
    ),
];

/// What a module may not use although it is in a lower layer.
const FORBIDDEN: [(&str, &[&str]); 3] = [
    // Azure and Qualys meet in the steps.
    ("account", &["azure"]),
    ("act", &["azure"]),
    ("snapshot", &["azure"]),
];

/// What the data layer may not use, because it is pure: I/O, clocks, chance, the network, logs.
const IMPURE: [&str; 13] = [
    "async ",
    ".await;",
    ".await?",
    "reqwest",
    "tokio",
    "azure_",
    "Timestamp::now",
    "Instant::now",
    "SystemTime",
    "std::env",
    "std::fs",
    "tracing::",
    "Uuid::new_v4",
];

/// Crates and parts of `std` that only some modules may use.
const CRATES: [(&str, &[&str]); 5] = [
    ("std::env", &["config"]),
    ("axum", &["host", "trigger", "cli"]),
    ("clap", &["cli"]),
    ("azure_", &["sdk", "azure", "store", "queue", "lease", "app"]),
    ("reqwest", &["bounded", "sdk", "azure", "qualys", "store", "queue", "account", "app"]),
];

/// Modules that exist only in tests and under `cargo fuzz`.
const TESTS: [&str; 5] = ["assertions", "documents", "fuzz", "layers", "schemas"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of a module, but for its tests and fuzz helpers.
fn files(module: &str) -> Vec<PathBuf> {
    let mut found = vec![source().join(format!("{module}.rs"))];
    let mut folders = vec![source().join(module)];
    while let Some(folder) = folders.pop() {
        for place in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let name = place.file_stem().unwrap().to_str().unwrap().to_owned();
            match place.is_dir() {
                _ if matches!(name.as_str(), "tests" | "fuzz") => {}
                true => folders.push(place),
                false => found.push(place),
            }
        }
    }
    found
}

/// A file's code, without comments and tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The modules that some code names as `crate::<module>`. A grouped `crate::{…}` gives an empty name, which no table has.
fn used(code: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    code.split("crate::").skip(1).map(|rest| rest.chars().take_while(|c| is_name(*c)).collect()).collect()
}

#[test]
fn every_module_is_in_the_table() {
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    let modules: BTreeSet<_> = modules.map(|name| name.trim_end_matches(';')).collect();
    let table = LAYERS.iter().flat_map(|(_, modules)| modules.iter().map(|(module, _)| *module));
    let table: BTreeSet<_> = table.chain(TESTS).collect();
    assert_eq!(modules, table);
}

#[test]
fn no_module_uses_one_above_it_or_beside_it_that_the_table_does_not_name() {
    let mut below = BTreeSet::new();
    for (layer, modules) in LAYERS {
        for (module, beside) in modules {
            let forbidden = FORBIDDEN.iter().find(|(of, _)| of == module).map_or(&[][..], |(_, what)| what);
            for file in files(module) {
                for other in used(&code(&file)) {
                    let other = other.as_str();
                    let allowed = other == *module
                        || beside.contains(&other)
                        || below.contains(other) && !forbidden.contains(&other);
                    assert!(allowed, "{} ({layer}) uses `{other}`", file.display());
                }
            }
        }
        below.extend(modules.iter().map(|(module, _)| *module));
    }
}

/// Whether some code names a crate of this name, or one whose name begins so: `axum::…`, `azure_core::…`.
fn names(code: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.split(name).skip(1).any(|rest| rest.trim_start_matches(is_name).starts_with("::"))
}

/// Such a path is not compared with the table.
#[test]
fn no_path_reaches_the_root_of_the_crate_by_super() {
    let modules = LAYERS.iter().flat_map(|(_, modules)| modules.iter().map(|(module, _)| *module));
    for file in modules.flat_map(files) {
        let depth = file.strip_prefix(source()).unwrap().components().count();
        let root = "super::".repeat(depth);
        assert!(!code(&file).contains(&root), "{}: write `crate::` for `{root}`", file.display());
    }
}

#[test]
fn a_crate_is_used_only_where_the_table_allows_it() {
    let modules = LAYERS.iter().flat_map(|(_, modules)| modules.iter().map(|(module, _)| *module));
    for module in modules {
        for file in files(module) {
            let code = code(&file);
            for (name, allowed) in CRATES {
                assert!(allowed.contains(&module) || !names(&code, name), "{} uses `{name}`", file.display());
            }
        }
    }
}

/// Idea 4 of ARCHITECTURE: whoever calls Qualys has passed the account's door.
#[test]
fn only_the_door_makes_a_client_of_qualys() {
    let modules = LAYERS.iter().flat_map(|(_, modules)| modules.iter().map(|(module, _)| *module));
    for file in modules.filter(|module| *module != "account").flat_map(files) {
        assert!(!code(&file).contains("Qualys::new("), "{} makes a client of Qualys", file.display());
    }
}

#[test]
fn the_data_layer_does_no_io() {
    let (_, modules) = LAYERS[0];
    for file in modules.iter().flat_map(|(module, _)| files(module)) {
        let code = code(&file);
        for word in IMPURE {
            assert!(!code.contains(word), "{} uses `{word}`", file.display());
        }
    }
}
