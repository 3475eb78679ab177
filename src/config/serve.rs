//! How to serve and how to log: from the environment alone.

use super::reader::{ConfigError, Reader};
use super::{environment, values};
use std::net::SocketAddr;

/// What the host and the desk say about how to serve.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// `FUNCTIONS_CUSTOMHANDLER_PORT`: the Functions host's port; none without a host.
    pub host_port: Option<u16>,
    /// `LISTEN`: where to serve without a host.
    pub listen: SocketAddr,
}

impl ServeConfig {
    /// How to serve, from the process's environment.
    ///
    /// # Errors
    /// Names every setting that is wrong. A port of the host that cannot be read is an error, never a guess.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(environment)
    }

    /// How to serve, as `lookup` says.
    ///
    /// # Errors
    /// Names every setting that is wrong.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut r = Reader::new(&lookup, None);
        let host_port =
            r.parsed("FUNCTIONS_CUSTOMHANDLER_PORT", |text| values::number(text, &(1..=u16::MAX)));
        let listen = r.parsed("LISTEN", |text| text.parse().map_err(values::show));
        r.finish()?;
        // 7071 is where `func start` serves, so examples work unchanged.
        Ok(Self { host_port, listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7071))) })
    }
}

/// How to log: `LOG` (a filter such as `info,qualys_azure_inventory=debug`) and `LOG_FORMAT` (`json`, `text`).
pub fn logging() -> (Option<String>, Option<String>) {
    (environment("LOG"), environment("LOG_FORMAT"))
}
