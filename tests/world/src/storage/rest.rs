//! The world's own client for the storage services, for the host, the helpers of tests, and the stealing of leases.
//!
//! Guarantees: it signs in with the world's managed identity, and it uses the world's proxy unless the account is given
//! by address.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use hyper::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;

use super::{AUDIENCE, LIMIT};
use crate::entra::Principal;
use crate::world::World;

/// Any version that accepts bearer tokens (2017-11-09 and later) would do.
const VERSION: &str = "2025-11-05";

/// A client that trusts only the authority `ca`.
pub(crate) fn client(ca: &str) -> reqwest::ClientBuilder {
    let ca = reqwest::Certificate::from_pem(ca.as_bytes()).expect("the authority's certificate is PEM");
    reqwest::Client::builder()
        .tls_certs_only([ca])
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        // Shorter than a Node.js server keeps an idle connection, so that a request never meets one that is just closing.
        .pool_idle_timeout(Duration::from_secs(2))
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn is_refused(&self, code: &str) -> bool {
        self.header("x-ms-error-code") == Some(code)
    }

    /// The answer if it is a success, otherwise an error that shows it.
    pub(crate) fn good(self) -> anyhow::Result<Self> {
        if !(200..300).contains(&self.status) {
            bail!("HTTP {} {}", self.status, self.header("x-ms-error-code").unwrap_or("without a code"));
        }
        Ok(self)
    }
}

/// One account's service.
#[derive(Debug)]
pub(crate) struct Rest {
    http: reqwest::Client,
    base: String,
    agent: &'static str,
    world: World,
    token: Mutex<Option<(String, Timestamp)>>,
}

impl Rest {
    /// A client for the service at `base`, given by real name or by address.
    pub(crate) fn new(world: &World, base: &str, agent: &'static str) -> anyhow::Result<Self> {
        let proxy = reqwest::Proxy::https(world.proxy_url())?
            .no_proxy(reqwest::NoProxy::from_string("127.0.0.1,localhost"));
        let http = client(&world.ca_pem()).proxy(proxy).timeout(LIMIT).build()?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { http, base, agent, world: world.clone(), token: Mutex::default() })
    }

    fn token(&self) -> String {
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        // Tokens for storage use the real clock.
        let soon = Timestamp::now() + SignedDuration::from_mins(1);
        if let Some((token, expires)) = &*held
            && *expires > soon
        {
            return token.clone();
        }
        let (token, expires) = self.world.with(|state| {
            let (now, tenant) = (state.now(), state.entra.identity_tenant.clone());
            state.entra.issue(Principal::Identity, &tenant, AUDIENCE, now)
        });
        *held = Some((token.clone(), expires));
        token
    }

    /// Asks for `path`, which begins with a slash.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> anyhow::Result<Got> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base))
            .bearer_auth(self.token())
            .header("user-agent", self.agent)
            .header("x-ms-version", VERSION)
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.with_context(|| format!("{method} {path}"))?;
        Ok(Got {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await.with_context(|| format!("{method} {path}"))?,
        })
    }
}

/// Runs `work` to its end on a thread of its own, so that it may be called inside or outside a runtime.
pub(crate) fn at_once<T: Send, F: Future<Output = T>>(work: impl FnOnce() -> F + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be built").block_on(work())
    };
    std::thread::scope(|scope| match scope.spawn(run).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// The text of the first element `name` in `xml`, with its entities resolved. The element has no attributes.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let end = start + xml[start..].find(&format!("</{name}>"))?;
    Some(unescaped(&xml[start..end]))
}

/// The content of every element `name` in `xml`.
pub(crate) fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(open.as_str()).skip(1);
    parts.filter_map(|part| part.split_once(close.as_str()).map(|(inside, _)| inside)).collect()
}

/// `text`, escaped for an element.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let entity = rest[at + 1..].split_once(';').and_then(|(name, tail)| Some((character(name)?, tail)));
        let (character, tail) = entity.unwrap_or(('&', &rest[at + 1..]));
        out.push(character);
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

impl World {
    /// A token of the managed identity for Blob and Queue Storage, valid for an hour of real time.
    pub fn storage_token(&self) -> String {
        self.with(|state| {
            let (now, tenant) = (state.now(), state.entra.identity_tenant.clone());
            state.entra.issue(Principal::Identity, &tenant, AUDIENCE, now).0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_reads_back() {
        for text in ["", "a<b>&amp;c", "\"'é", "&#x41;"] {
            assert_eq!(element(&format!("<a><T>{}</T></a>", escaped(text)), "T").as_deref(), Some(text));
        }
        assert_eq!(element("<T>&#x41;&#66;&apos;&nothing;</T>", "T").as_deref(), Some("AB'&nothing;"));
        assert_eq!(elements("<L><T>1</T><T>2</T></L>", "T"), ["1", "2"]);
        assert_eq!(element("<L/>", "T"), None);
    }

    #[tokio::test]
    async fn work_is_done_at_once_inside_a_runtime_too() {
        assert_eq!(at_once(|| async { 7 }), 7);
    }
}
