//! The documents name files, tests and types of the code. These tests keep the names true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The widest line of a document. A wider table row is hard to read: break it up or make it a section.
const WIDEST: usize = 160;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents that people read, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let in_folder = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "md"))
    };
    let paths = in_folder("").chain(in_folder("docs")).chain(in_folder("docs/decisions"));
    paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Every Rust file of the product and its tests.
fn code() -> String {
    let mut text = String::new();
    let mut folders =
        ["src", "tests/it", "tests/world", "xtask/src", "benches"].map(|f| root().join(f)).to_vec();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => text += &fs::read_to_string(path).unwrap(),
                _ => {}
            }
        }
    }
    text
}

/// What stands between backticks in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_a_document_names_exists() {
    let code = code();
    let is_sentence = |name: &&str| {
        name.matches('_').count() >= 3
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let mut checked = 0;
    for (path, text) in documents() {
        for name in quoted(&text).filter(is_sentence) {
            let exists = code.contains(&format!("fn {name}(")) || code.contains(&format!("    {name}:"));
            assert!(exists, "{} names the test `{name}`, which does not exist", path.display());
            checked += 1;
        }
    }
    assert!(checked > 30, "the invariants name their tests");
}

#[test]
fn every_file_that_a_document_names_exists() {
    let folders: BTreeSet<&str> = ["src", "tests", "docs", "function-app", "xtask", "benches", "fuzz"].into();
    for (path, text) in documents() {
        for name in quoted(&text).filter(|name| !name.contains([' ', '<', '*', '{', '…'])) {
            let is_path = name.split_once('/').is_some_and(|(folder, _)| folders.contains(folder));
            assert!(
                !is_path || root().join(name).exists(),
                "{} names `{name}`, which does not exist",
                path.display()
            );
        }
    }
}

#[test]
fn no_line_of_a_document_is_wider_than_a_screen() {
    for (path, text) in documents() {
        for (number, line) in text.lines().enumerate() {
            // A link cannot be broken.
            let links: usize = line.split("](").skip(1).map(|rest| rest.find(')').unwrap_or(0)).sum();
            let width = line.chars().count() - links;
            assert!(width <= WIDEST, "{} line {}: {width} columns", path.display(), number + 1);
        }
    }
}
