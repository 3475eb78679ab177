//! The settings for `--help`.

use super::{GROUPS, Read, Setting};
use std::fmt::Write;

/// The settings that the program reads, in lines of at most 100 columns.
pub fn help() -> String {
    let mut text = String::new();
    for group in GROUPS.iter().filter(|group| group.read != Read::ByOthers) {
        let from = if group.read == Read::Environment { " (from the environment alone)" } else { "" };
        let _ = writeln!(text, "\n{}{from}:", group.title);
        for setting in group.settings {
            let _ = write!(text, "{}", lines(setting));
        }
    }
    text.trim_start().replace('`', "")
}

fn lines(setting: &Setting) -> String {
    let Setting { name, meaning, values, .. } = setting;
    let (allowed, default) = (values.allowed(), values.default());
    let so = if default.starts_with("required") { "" } else { "default: " };
    format!("  {name} [{allowed}; {so}{default}]\n      {meaning}\n")
}
