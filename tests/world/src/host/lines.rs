//! What the handler and the host write, as log records. Levels and categories follow the host's rules for consoles.

use jiff::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
    /// `Logs` of a successful answer.
    Function,
    Host,
}

/// The level that the host gives a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All other lines.
    Information,
    /// Standard error with the word "warn" in it.
    Warning,
    /// All other standard error.
    Error,
}

#[derive(Clone, Debug)]
pub struct Line {
    /// When it was read.
    pub at: Timestamp,
    pub stream: Stream,
    pub level: Level,
    /// The logger's name.
    pub category: String,
    /// Without the prefix that selected the logger.
    pub text: String,
}

const SYSTEM_PREFIX: &str = "LanguageWorkerConsoleLog";
const TOOLING_PREFIX: &str = "azfuncjsonlog:";

impl Line {
    pub(super) fn console(stream: Stream, worker: &str, text: &str) -> Self {
        let (category, level, text) = if let Some(rest) = text.strip_prefix(SYSTEM_PREFIX) {
            (format!("Worker.HttpWorkerProcess.{worker}"), level(stream, rest), rest)
        } else if let Some(rest) = text.strip_prefix(TOOLING_PREFIX) {
            ("Host.Tooling".to_owned(), Level::Information, rest)
        } else {
            ("Host.Function.Console".to_owned(), level(stream, text), text)
        };
        Self { at: Timestamp::now(), stream, level, category, text: text.to_owned() }
    }

    pub(super) fn host(level: Level, text: String) -> Self {
        Self { at: Timestamp::now(), stream: Stream::Host, level, category: "Host.General".to_owned(), text }
    }

    pub(super) fn function(name: &str, text: &str) -> Self {
        Self {
            at: Timestamp::now(),
            stream: Stream::Function,
            level: Level::Information,
            category: format!("Function.{name}.User"),
            text: text.to_owned(),
        }
    }
}

fn level(stream: Stream, text: &str) -> Level {
    if stream != Stream::Stderr {
        Level::Information
    } else if text.to_lowercase().contains("warn") {
        Level::Warning
    } else {
        Level::Error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_error_is_an_error_unless_it_says_warn() {
        let line = |stream, text| Line::console(stream, "w", text);
        assert_eq!(line(Stream::Stdout, "error").level, Level::Information);
        assert_eq!(line(Stream::Stderr, "oops").level, Level::Error);
        assert_eq!(line(Stream::Stderr, "a WARNing").level, Level::Warning);
        assert_eq!(line(Stream::Stdout, "x").category, "Host.Function.Console");
    }

    #[test]
    fn a_prefix_hides_a_line_in_the_system_log() {
        let line = Line::console(Stream::Stdout, "w1", "LanguageWorkerConsoleLoghello");
        assert_eq!((line.category.as_str(), line.text.as_str()), ("Worker.HttpWorkerProcess.w1", "hello"));
    }
}
