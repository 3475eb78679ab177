//! The data layer stays pure: a test looks for what it may not use.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the data layer.
const DATA: [&str; 6] = ["model", "state", "plan", "outcome", "report", "manifest"];
/// What they may not use: I/O, clocks, chance, the network, the other layers.
const FORBIDDEN: [&str; 16] = [
    "async ",
    ".await;",
    "reqwest",
    "tokio",
    "azure_",
    "Timestamp::now",
    "SystemTime",
    "std::env",
    "std::fs",
    "tracing::",
    "crate::store",
    "crate::qualys",
    "crate::azure",
    "crate::cycle",
    "crate::act",
    "Uuid::new",
];

fn files(module: &str) -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![source.join(format!("{module}.rs"))];
    let mut folders = vec![source.join(module)];
    while let Some(folder) = folders.pop() {
        for place in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            match place.is_dir() {
                // What tests use is no layer.
                true if place.ends_with("tests") => {}
                true => folders.push(place),
                false => found.push(place),
            }
        }
    }
    found
}

#[test]
fn the_data_layer_does_no_io_and_knows_no_other_layer() {
    for file in DATA.iter().flat_map(|module| files(module)).filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: String =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for word in FORBIDDEN {
            assert!(!code.contains(word), "{} uses `{word}`", file.display());
        }
    }
}

#[test]
fn the_edges_do_not_know_each_other_nor_the_settings() {
    for (edge, forbidden) in
        [("azure", "crate::qualys"), ("qualys", "crate::azure"), ("store", "crate::queue")]
    {
        for file in files(edge) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(!text.contains(forbidden) && !text.contains("crate::config"), "{}", file.display());
        }
    }
}
