//! The handler's port: forced, configured, or a free one that no other host of this process has.

use super::config::Config;
use super::options::HostOptions;
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Below the range that the system uses for outgoing connections, so that a restarted handler finds its port free.
const PORTS: std::ops::Range<u16> = 18_000..32_000;
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

pub(super) fn choose(options: &HostOptions, config: &Config) -> Result<u16> {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    match (options.handler_port, config.port) {
        (Some(port), _) => return Ok(port),
        (None, Some(port)) if is_free(port) => return Ok(port),
        (None, Some(port)) => bail!("HostConfigurationException: customHandler.port {port} is in use"),
        (None, None) => {}
    }
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1_000 {
        let port = rand::random_range(PORTS);
        if !taken.contains(&port) && is_free(port) {
            taken.insert(port);
            return Ok(port);
        }
    }
    bail!("no free port for the handler")
}
