//! An HTTP proxy that only supports `CONNECT`, so that clients find the world under the services' real names.
//!
//! Guarantees: it reaches only the world itself and the hosts that [`World::route`] names; any other host gets 502, like
//! a name that does not resolve. It terminates TLS only for the world's own services and for storage that
//! [`World::storage`] observes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::net::{self, Door};
use crate::state::{Shared, State};
use crate::world::World;

/// The longest request head that is read.
const HEAD: u64 = 16 * 1024;

/// The sign-in hosts of the public, US Government and China clouds, and the older one of China, which `azure_identity` has.
const ENTRA: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
];

/// The hosts of Resource Manager in the same clouds.
const ARM: [&str; 3] =
    ["management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn"];

/// Routes, and the hosts that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    tunnels: BTreeMap<String, SocketAddr>,
    /// Storage that is observed: host name and real address.
    watched: BTreeMap<String, SocketAddr>,
    /// Whether the host's own requests to storage are recorded.
    pub(crate) shows_host: bool,
    asked: Vec<String>,
}

impl Routes {
    /// Terminates TLS for `host` and passes its requests on to `address`.
    pub(crate) fn watch(&mut self, host: &str, address: SocketAddr) {
        self.tunnels.remove(host);
        self.watched.insert(host.to_owned(), address);
    }

    /// The address of the storage of that name, observed or not.
    pub(crate) fn behind(&self, host: &str) -> Option<SocketAddr> {
        self.watched.get(host).or_else(|| self.tunnels.get(host)).copied()
    }
}

/// Where a connection to a host goes.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// To the world, which terminates TLS.
    Ours(Door),
    /// Elsewhere, unchanged.
    Tunnel(SocketAddr),
}

fn target(state: &State, host: &str) -> Option<Target> {
    if let Some(address) = state.routes.tunnels.get(host) {
        return Some(Target::Tunnel(*address));
    }
    let door = match host {
        _ if ENTRA.contains(&host) => Door::Entra,
        _ if ARM.contains(&host) => Door::Arm,
        _ if host.starts_with("qualysapi.") => Door::Qualys,
        _ if state.vaults.has_host(host) => Door::Vault,
        _ if state.routes.watched.contains_key(host) => Door::Storage,
        _ => return None,
    };
    Some(Target::Ours(door))
}

/// Accepts connections until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // An error means that the client went away or does not speak TLS.
            let _ = one(stream, shared).await;
        });
    }
}

async fn one(stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(host) = wanted(&mut stream).await? else {
        let advice = "This proxy only supports CONNECT: set NO_PROXY=127.0.0.1,localhost for plain HTTP.\n";
        return refuse(stream, "501 Not Implemented", advice).await;
    };
    let target = shared.with(|state| {
        state.routes.asked.push(host.clone());
        target(state, &host)
    });
    match target {
        None => {
            let text = format!("The world has no host {host}.\n");
            refuse(stream, "502 Bad Gateway", &text).await
        }
        Some(Target::Ours(door)) => {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            let stream = shared.authority.acceptor().accept(stream).await?;
            net::connection(stream, shared, door, Some(format!("https://{host}"))).await;
            Ok(())
        }
        Some(Target::Tunnel(address)) => match TcpStream::connect(address).await {
            Ok(mut other) => {
                let _ = other.set_nodelay(true);
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
                tokio::io::copy_bidirectional(&mut stream, &mut other).await?;
                Ok(())
            }
            Err(error) => refuse(stream, "502 Bad Gateway", &format!("{address}: {error}\n")).await,
        },
    }
}

/// The host of a `CONNECT` in lower case; `None` for any other request.
async fn wanted(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut first = String::new();
    let mut head = stream.take(HEAD);
    head.read_line(&mut first).await?;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line).await? == 0 || line.trim_end().is_empty() {
            break;
        }
    }
    let host = first.strip_prefix("CONNECT ").and_then(|rest| rest.split_whitespace().next());
    Ok(host.map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase()))
}

async fn refuse(mut stream: BufReader<TcpStream>, status: &str, text: &str) -> std::io::Result<()> {
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

impl World {
    /// The address of the proxy, for `HTTPS_PROXY`.
    pub fn proxy_url(&self) -> String {
        self.shared().urls.proxy.clone()
    }

    /// Makes the proxy tunnel `host` to `address`, without terminating TLS. This takes precedence over the world's own
    /// services.
    pub fn route(&self, host: &str, address: SocketAddr) {
        self.with(|state| state.routes.tunnels.insert(host.to_ascii_lowercase(), address));
    }

    /// The host of each connection that the proxy was asked for, in order, including refused ones.
    pub fn proxied_hosts(&self) -> Vec<String> {
        self.with(|state| state.routes.asked.clone())
    }
}
