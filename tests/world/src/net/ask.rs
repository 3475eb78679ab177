//! A request, parsed once.
//!
//! Guarantees: query and form values are percent-decoded; the path is kept as it was sent.

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::http::request::Parts;
use serde_json::Value;

/// A request with its whole body.
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Path and query as sent.
    pub(crate) target: String,
    pub(crate) body: Bytes,
    /// `https://` and the host name that the client asked the proxy for, if it came through the proxy.
    pub(crate) origin: Option<String>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
}

impl Ask {
    pub(crate) fn new(parts: &Parts, body: Bytes, origin: Option<String>) -> Self {
        Self {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            target: parts
                .uri
                .path_and_query()
                .map_or_else(|| parts.uri.path().to_owned(), ToString::to_string),
            body,
            origin,
            query: decoded_pairs(parts.uri.query().unwrap_or_default()),
            headers: parts.headers.clone(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The path's parts between slashes.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| !part.is_empty()).collect()
    }

    pub(crate) fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    pub(crate) fn form(&self) -> Vec<(String, String)> {
        decoded_pairs(&String::from_utf8_lossy(&self.body))
    }

    /// Whether path, query or body contains `part`.
    pub(crate) fn contains(&self, part: &str) -> bool {
        self.target.contains(part) || String::from_utf8_lossy(&self.body).contains(part)
    }
}

fn decoded_pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    };
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// `application/x-www-form-urlencoded` decoding; a broken escape stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escape = bytes.get(index + 1..index + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (bytes[index], escape.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                index += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `text`, encoded for a query.
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{decoded, encoded};

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for text in ["", "a b", "p+q=%r&s/", "é", "100%"] {
            assert_eq!(decoded(&encoded(text)), text);
        }
        assert_eq!(decoded("a+b%2Bc%zz"), "a b+c%zz");
    }
}
