//! The tables of `docs/OPERATIONS.md` are made from the table of settings, and a test keeps them true.

use super::{GROUPS, Group};
use std::fmt::Write;
use std::path::Path;

/// Writes the tables instead of comparing them.
const UPDATE: &str = "UPDATE_SETTINGS";
const BEGIN: &str = "<!-- made from src/config/settings.rs: change it there, then `UPDATE_SETTINGS=1 cargo test --lib settings` -->\n";
const END: &str = "<!-- end of what is made from src/config/settings.rs -->\n";
/// A row cannot be broken; a longer one is hard to read where Markdown is not drawn.
const WIDEST: usize = 160;
const WRAP: usize = 140;

#[test]
fn the_documentation_has_the_table_of_settings() {
    let made = format!("\n{}\n", GROUPS.map(section).join("\n"));
    for line in made.lines() {
        assert!(line.chars().count() <= WIDEST, "longer than {WIDEST} columns: {line}");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (stored, after) = rest.split_once(END).unwrap();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, [before, BEGIN, &made, END, after].concat()).unwrap();
    } else {
        assert!(
            stored == made,
            "docs/OPERATIONS.md is out of date; run `{UPDATE}=1 cargo test --lib settings`"
        );
    }
}

fn section(group: &Group) -> String {
    let mut text = format!("### {}\n\n", group.title);
    if !group.intro.is_empty() {
        let _ = writeln!(text, "{}", wrapped(group.intro, ""));
    }
    text.push_str("| setting | default | values | meaning |\n|---|---|---|---|\n");
    for setting in group.settings {
        let (default, allowed) = (setting.values.default(), setting.values.allowed());
        let _ = writeln!(text, "| `{}` | {default} | {allowed} | {} |", setting.name, setting.meaning);
    }
    let mut detailed = group.settings.iter().filter(|setting| !setting.details.is_empty()).peekable();
    if detailed.peek().is_some() {
        text.push('\n');
    }
    for setting in detailed {
        text.push_str(&wrapped(&format!("* `{}`: {}", setting.name, setting.details), "  "));
    }
    text
}

/// A paragraph in lines; those after the first begin with `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WRAP {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("{indent}{word}"));
        }
    }
    lines.join("\n") + "\n"
}
