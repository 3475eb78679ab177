//! Log lines: JSON under the Functions host, compact text in a terminal.
//!
//! The host logs each line on stderr as an error, so `serve` logs to stdout. Commands keep stdout for their output.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// The filter where `LOG` sets none. The Azure SDK logs each of its requests at `info`, which is too much.
pub(crate) const DEFAULT: &str = "info,azure_core=warn,azure_identity=warn,typespec_client_core=warn";

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// For `serve`: the Functions host reads it.
    Stdout,
    /// For commands.
    Stderr,
}

/// Starts logging.
///
/// # Errors
/// When the filter or the format cannot be read.
pub fn start(filter: Option<&str>, format: Option<&str>, to: To) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter.unwrap_or(DEFAULT)).map_err(|error| anyhow::anyhow!("LOG: {error}"))?;
    let (writer, terminal) = match to {
        To::Stdout => (BoxMakeWriter::new(std::io::stdout), std::io::stdout().is_terminal()),
        To::Stderr => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // When nobody reads the log any more, there is nobody to tell, and telling it on a closed stderr would end the program.
    let lines = lines.log_internal_errors(false);
    match format {
        Some("json") => lines.json().flatten_event(true).with_current_span(false).init(),
        None if to == To::Stdout && !terminal => {
            lines.json().flatten_event(true).with_current_span(false).init();
        }
        None | Some("text") => lines.compact().with_ansi(terminal).with_target(false).init(),
        Some(_) => anyhow::bail!("LOG_FORMAT: must be json or text"),
    }
    Ok(())
}
