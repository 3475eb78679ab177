//! Requests to Blob and Queue Storage, on their way to Azurite: each is recorded, fails if a fault strikes it, and is
//! passed on otherwise.
//!
//! Guarantees: requests and answers that no fault strikes are passed on as they were sent, except for the connection's
//! own headers. Bodies are read whole into memory, so that a request that ends half way has no effect. The requests of
//! the Functions host itself, which polls, are recorded only where a fault strikes them, unless
//! [`World::storage_shows_host`] says otherwise.

mod lease;
pub(crate) mod refusal;
pub(crate) mod rest;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderName};
use serde_json::{Value, json};

use crate::azurite::{Azurite, blob_host, queue_host};
use crate::calls::CallKind;
use crate::net::ask::{Ask, decoded};
use crate::net::reply::Reply;
use crate::state::Shared;
use crate::tls::Authority;
use crate::world::World;

/// The user agent of the Functions host's own requests to storage.
pub(crate) const HOST_AGENT: &str = "Azure-Functions-Host/4";

/// The largest JSON blob that the record keeps, since it keeps many calls.
const KEPT: usize = 64 * 1024;

/// Headers that belong to one connection.
const OF_CONNECTION: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "proxy-authorization", "transfer-encoding", "expect"];

/// The client that passes requests on.
#[derive(Default)]
pub(crate) struct Forward(OnceLock<reqwest::Client>);

impl Forward {
    fn client(&self, authority: &Authority) -> &reqwest::Client {
        self.0.get_or_init(|| {
            rest::client(&authority.pem())
                .no_proxy()
                // Bodies are passed on as they are.
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
                .build()
                .expect("a client that trusts one good certificate always builds")
        })
    }
}

/// The real name that the client asked for.
fn host(ask: &Ask) -> &str {
    ask.origin.as_deref().and_then(|origin| origin.strip_prefix("https://")).unwrap_or_default()
}

pub(crate) fn is_from_host(ask: &Ask) -> bool {
    ask.header("user-agent") == Some(HOST_AGENT)
}

pub(crate) fn classify(ask: &Ask) -> CallKind {
    let (method, comp) = (ask.method.as_str(), ask.query("comp"));
    if host(ask).contains(".queue.") {
        return match (method, ask.segments().as_slice()) {
            ("POST", [_, "messages"]) => CallKind::QueueSend,
            ("GET", [_, "messages"]) if ask.query("peekonly").is_none() => CallKind::QueueReceive,
            ("PUT", [_, "messages", _]) => CallKind::QueueUpdate,
            ("DELETE", [_, "messages", _]) => CallKind::QueueDelete,
            _ => CallKind::StorageOther,
        };
    }
    let is_container = ask.query("restype").is_some() || ask.segments().len() < 2;
    match (method, comp) {
        ("GET", Some("list")) if is_container && ask.query("restype") == Some("container") => {
            CallKind::BlobList
        }
        _ if is_container => CallKind::StorageOther,
        ("GET", None) => CallKind::BlobGet,
        ("HEAD", None) => CallKind::BlobProperties,
        ("PUT", None) => CallKind::BlobPut,
        ("DELETE", None) => CallKind::BlobDelete,
        ("PUT", Some("block")) => CallKind::BlockPut,
        ("PUT", Some("blocklist")) => CallKind::BlockListPut,
        ("PUT", Some("lease")) => CallKind::BlobLease,
        _ => CallKind::StorageOther,
    }
}

/// The path and query, for the record.
pub(crate) fn path(ask: &Ask) -> String {
    ask.target.replace("%2F", "/")
}

/// Whether a fault for requests that contain `part` strikes this one.
pub(crate) fn contains(ask: &Ask, part: &str) -> bool {
    ask.target.contains(part)
        || decoded(&ask.target).contains(part)
        || ask.header("x-ms-lease-action").is_some_and(|action| action.contains(part))
}

/// What the record keeps of the body.
pub(crate) fn sent(call: CallKind, ask: &Ask) -> Option<Value> {
    match call {
        CallKind::BlobLease => Some(json!({ "x-ms-lease-action": ask.header("x-ms-lease-action") })),
        CallKind::QueueSend => {
            let text = rest::element(&String::from_utf8_lossy(&ask.body), "MessageText")?;
            serde_json::from_slice(&STANDARD.decode(text.trim()).unwrap_or(text.into_bytes())).ok()
        }
        CallKind::BlobPut if ask.body.len() <= KEPT => ask.json().ok(),
        _ => None,
    }
}

/// Azurite's answer.
pub(crate) async fn forward(shared: &Shared, ask: &Ask) -> Reply {
    let address = shared.lock().routes.behind(host(ask));
    let passed = match address {
        Some(address) => pass(shared, ask, address).await.map_err(|error| format!("{error:#}")),
        None => Err("nothing is there".to_owned()),
    };
    // As a gateway answers if the server behind it is gone.
    passed.unwrap_or_else(|error| Reply::html(502, &format!("502 Bad Gateway: {error}")))
}

async fn pass(shared: &Shared, ask: &Ask, address: SocketAddr) -> anyhow::Result<Reply> {
    let client = shared.storage.client(&shared.authority);
    let mut headers = ask.headers().clone();
    for name in OF_CONNECTION {
        headers.remove(name);
    }
    headers.insert(HOST, host(ask).parse()?);
    let answer = client
        .request(ask.method.parse()?, format!("https://{address}{}", ask.target))
        .headers(headers)
        .body(ask.body.clone())
        .send()
        .await?;
    let status = answer.status().as_u16();
    let is_kept = |name: &HeaderName| {
        // For a HEAD it is that of the blob; for everything else it follows from the body.
        !OF_CONNECTION.contains(&name.as_str()) && (*name != CONTENT_LENGTH || ask.method == "HEAD")
    };
    let headers = answer.headers().iter().filter(|(name, _)| is_kept(name));
    let headers = headers
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (Cow::Owned(name.as_str().to_owned()), value)
        })
        .collect::<Vec<_>>();
    let code = headers.iter().find(|(name, _)| name == "x-ms-error-code").map(|(_, value)| value.clone());
    let body = answer.bytes().await?.to_vec();
    Ok(Reply { status, content_type: "", headers, body, code })
}

/// What tokens for storage are for.
pub(crate) const AUDIENCE: &str = "https://storage.azure.com";

/// The time limit of the world's own requests to storage.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

impl World {
    /// Observes every request that comes through the proxy for Azurite's account: it is recorded as a call of
    /// [`crate::Service::Storage`], counted by hooks, and faults can strike it. This does not hold for connections that
    /// are already open, nor for those that [`World::route`] leads elsewhere from now on.
    pub fn storage(&self, azurite: &Azurite) {
        self.with(|state| {
            state.routes.watch(&blob_host(), azurite.blob_address());
            state.routes.watch(&queue_host(), azurite.queue_address());
        });
    }

    /// Whether the Functions host's own requests to storage are recorded and counted like all others. The default is no,
    /// so that the numbers of other requests do not depend on how often the host polled. Even then, a fault for one
    /// operation, such as [`CallKind::QueueDelete`], strikes them, and a request that it strikes is recorded.
    pub fn storage_shows_host(&self, shows: bool) {
        self.with(|state| state.routes.shows_host = shows);
    }
}
