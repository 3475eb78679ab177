//! How to serve and how to log: from the environment alone.

use super::environment;
use super::reader::{ConfigError, Reader};
use super::settings::serving;
use super::values;
use std::net::SocketAddr;

/// Where to serve.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// `FUNCTIONS_CUSTOMHANDLER_PORT`: the Functions host's port; none without a host.
    pub host_port: Option<u16>,
    /// `LISTEN`: where to serve without a host.
    pub listen: SocketAddr,
}

impl ServeConfig {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// Names every setting that is wrong. A port of the host that cannot be read is an error, never a guess.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(environment)
    }

    /// Reads what `lookup` returns for each name.
    ///
    /// # Errors
    /// Names every setting that is wrong.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut r = Reader::new(&lookup, None);
        let host_port = r.bounded_if_given(&serving::FUNCTIONS_CUSTOMHANDLER_PORT);
        let listen = r.parsed(&serving::LISTEN, values::socket);
        r.finish()?;
        let listen = listen.ok_or_else(ConfigError::default)?;
        Ok(Self { host_port, listen })
    }
}

/// How to log, from the process's environment: `LOG` (a filter) and `LOG_FORMAT`.
pub fn logging() -> (Option<String>, Option<String>) {
    logging_from(environment)
}

pub(super) fn logging_from(lookup: impl Fn(&str) -> Option<String>) -> (Option<String>, Option<String>) {
    (lookup(serving::LOG.name), lookup(serving::LOG_FORMAT.name))
}
