//! HTTP functions: which one a request means, and how it reaches the handler — forwarded as plain HTTP or in an
//! envelope.

use super::dispatch::with_host_headers;
use super::envelope::{Metadata, Sys, body, encode, encode_text};
use super::functions::{Function, Trigger};
use super::options::ChunkedBody;
use super::process::HOST_VERSION;
use super::query;
use super::record::{Answer, Outcome};
use super::shared::Shared;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A request as the host's front door got it.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What goes back to the client.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }
}

/// Content headers that forwarding loses: all of .NET's but Content-Type and Content-Length.
const LOST: [&str; 10] = [
    "allow",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-md5",
    "content-range",
    "expires",
    "last-modified",
    "content-length",
];
/// Headers of one connection only.
const HOP: [&str; 5] = ["connection", "keep-alive", "transfer-encoding", "upgrade", "te"];

impl Shared {
    /// The function whose route and method match, with the route's values.
    pub(super) fn route(&self, method: &Method, path: &str) -> Option<(Function, Map<String, Value>)> {
        let prefix = &self.config.route_prefix;
        let path = path.trim_start_matches('/');
        let path = if prefix.is_empty() { path } else { strip_segment(path, prefix)? };
        self.functions
            .good
            .values()
            .filter_map(|function| match &function.trigger {
                Trigger::Http { methods, route, .. }
                    if methods.is_empty() || methods.iter().any(|m| m == method.as_str()) =>
                {
                    let (literals, params) = match_route(route, path)?;
                    Some((literals, function.clone(), params))
                }
                _ => None,
            })
            .max_by_key(|(literals, ..)| *literals)
            .map(|(_, function, params)| (function, params))
    }

    pub(super) async fn serve_http(
        self: &Arc<Self>,
        function: &Function,
        params: &Map<String, Value>,
        incoming: &Incoming,
    ) -> Reply {
        if function.is_plain_http && self.config.forwarding {
            return self.forward(function, incoming).await;
        }
        let body = http_body(function, params, incoming, &Sys::now(&function.name));
        let done = self.invoke(function, body, 1).await;
        match (done.outcome, &function.response) {
            (Outcome::Succeeded { outputs, .. }, Some(name)) => respond(outputs.get(name)),
            (Outcome::Succeeded { .. }, None) => Reply::empty(StatusCode::NO_CONTENT),
            _ => Reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    async fn forward(self: &Arc<Self>, function: &Function, incoming: &Incoming) -> Reply {
        let chunked = incoming.headers.contains_key("transfer-encoding");
        if chunked && self.options.chunked == ChunkedBody::Refused {
            let reason =
                "'Transfer-Encoding: chunked' header can not be used when content object is not specified.";
            let open = self.record.open(&function.name, 1, true);
            open.end(Outcome::Failed { reason: reason.to_owned() }, None);
            return Reply::empty(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let query = incoming.uri.query().map(query::reencode).filter(|query| !query.is_empty());
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let path = incoming.uri.path().to_owned();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .http1_title_case_headers()
            .build()
            .expect("a client without TLS always builds");
        let make = |target: &super::dispatch::Target| {
            let url = format!("http://127.0.0.1:{}{path}{query}", target.port);
            let mut headers = incoming.headers.clone();
            for name in LOST.iter().chain(&HOP) {
                headers.remove(*name);
            }
            let agent = headers.remove("user-agent");
            let agent = agent.as_ref().and_then(|agent| agent.to_str().ok()).map(|agent| format!("{agent} "));
            let agent = format!("{}Azure-Functions-Host/{HOST_VERSION}", agent.unwrap_or_default());
            let request =
                client.request(incoming.method.clone(), url).headers(headers).header("User-Agent", agent);
            let request = with_host_headers(request, &target.invocation);
            if chunked || incoming.body.is_empty() { request } else { request.body(incoming.body.clone()) }
        };
        // Whatever the handler answers, 500 too, the invocation counts as a success.
        let read = |_: &Answer| {
            Some(Outcome::Succeeded { return_value: Value::Null, logs: Vec::new(), outputs: Map::new() })
        };
        match self.call(&function.name, 1, true, make, read).await.answer {
            Some(answer) => Reply {
                status: StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY),
                headers: answer
                    .headers
                    .into_iter()
                    .filter(|(name, _)| !HOP.contains(&name.as_str()) && name != "content-length")
                    .collect(),
                body: answer.body,
            },
            None => Reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// `Outputs.res` of an envelope answer.
fn respond(res: Option<&Value>) -> Reply {
    let map = match res {
        None | Some(Value::Null) => return Reply::empty(StatusCode::OK),
        Some(Value::Object(map)) => map,
        Some(_) => return Reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let status = map.get("statusCode").or_else(|| map.get("status"));
    let status =
        status.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok())).unwrap_or(200);
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let headers = map.get("headers").and_then(Value::as_object).into_iter().flatten();
    Reply {
        status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        headers: headers
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        body: match map.get("body") {
            None | Some(Value::Null) => Bytes::new(),
            Some(Value::String(text)) => Bytes::from(text.clone()),
            Some(other) => Bytes::from(other.to_string()),
        },
    }
}

/// An HTTP request in an envelope.
pub(super) fn http_body(
    function: &Function,
    params: &Map<String, Value>,
    incoming: &Incoming,
    sys: &Sys,
) -> Bytes {
    let header =
        |name: &str| incoming.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let query = query::parse(incoming.uri.query().unwrap_or_default());
    let query_value = Value::Object(query.iter().map(|(key, value)| (key.clone(), json!(value))).collect());
    let mut lists: Map<String, Value> = Map::new();
    for (name, value) in &incoming.headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let list = lists.entry(title_case(name.as_str())).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(Value::String(text));
        }
    }
    let joined = lists.iter().map(|(name, list)| {
        let texts: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        (name.clone(), Value::String(texts.join(",")))
    });
    let mut metadata = Metadata::default();
    for (key, value) in params.iter().filter_map(|(key, value)| Some((key, value.as_str()?))) {
        metadata.set(key, encode_text(value));
    }
    for (key, value) in &query {
        metadata.set(key, encode_text(value));
    }
    metadata.set("Query", encode(&query_value));
    metadata.set("Headers", Value::Object(joined.collect()));
    metadata.sys(sys);
    let mut data = json!({
        "Url": format!("http://{}{}", header("host"), incoming.uri),
        "Method": incoming.method.as_str(),
        "Query": query_value,
        "Headers": lists,
        "Params": params,
        "Identities": [identity()],
    });
    // Only a body with a length arrives.
    let length = header("content-length").parse::<u64>().unwrap_or_default();
    if length > 0 {
        let media = header("content-type");
        let binary = media.starts_with("application/octet-stream") || media.starts_with("multipart/");
        let text = if binary {
            STANDARD.encode(&incoming.body)
        } else {
            String::from_utf8_lossy(&incoming.body).into()
        };
        data["Body"] = Value::String(text);
    }
    body(&function.binding, data, metadata)
}

/// What local tools send, where keys are not looked at.
fn identity() -> Value {
    json!({
        "AuthenticationType": "WebJobsAuthLevel", "IsAuthenticated": true, "Actor": null, "BootstrapContext": null,
        "Claims": [{
            "Issuer": "LOCAL AUTHORITY", "OriginalIssuer": "LOCAL AUTHORITY", "Properties": {},
            "Type": "http://schemas.microsoft.com/2017/07/functions/claims/authlevel", "Value": "Admin",
            "ValueType": "http://www.w3.org/2001/XMLSchema#string",
        }],
        "Label": null, "Name": null,
        "NameClaimType": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
        "RoleClaimType": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    })
}

fn title_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
    });
    words.collect::<Vec<_>>().join("-")
}

fn strip_segment<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let head = path.get(..prefix.len()).filter(|head| head.eq_ignore_ascii_case(prefix))?;
    let rest = &path[head.len()..];
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// Number of literal segments and the values of `{name}`, `{name?}`, `{name:constraint}` and `{*rest}`. Constraints are
/// not checked.
fn match_route(route: &str, path: &str) -> Option<(usize, Map<String, Value>)> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let (mut literals, mut params) = (0, Map::new());
    for part in route.split('/').filter(|part| !part.is_empty()) {
        let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            segments.next().filter(|segment| query::decode(segment).eq_ignore_ascii_case(part))?;
            literals += 1;
            continue;
        };
        if let Some(name) = name.strip_prefix('*') {
            let rest: Vec<String> = segments.by_ref().map(query::decode).collect();
            params.insert(name.to_owned(), json!(rest.join("/")));
            continue;
        }
        let optional = name.ends_with('?');
        let name = name.trim_end_matches('?').split(':').next().unwrap_or_default().to_owned();
        match segments.next() {
            Some(segment) => params.insert(name, json!(query::decode(segment))),
            None if optional => params.insert(name, Value::Null),
            None => return None,
        };
    }
    segments.next().is_none().then_some((literals, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_match_whole_paths() {
        let values = |route, path| match_route(route, path).map(|(_, params)| Value::Object(params));
        assert_eq!(values("requests/{id}", "Requests/a%20b"), Some(json!({"id": "a b"})));
        assert_eq!(values("requests/{id}", "requests"), None);
        assert_eq!(values("requests/{id?}", "requests"), Some(json!({"id": null})));
        assert_eq!(values("requests/{id}", "requests/1/2"), None);
        assert_eq!(values("{*rest}", "a/b"), Some(json!({"rest": "a/b"})));
        assert_eq!(strip_segment("apis/x", "api"), None);
        assert_eq!(strip_segment("api/x", "api"), Some("x"));
    }

    #[test]
    fn an_http_output_has_a_status_headers_and_a_body() {
        let reply = respond(Some(&json!({"statusCode": "202", "headers": {"A": "b"}, "body": {"id": 42}})));
        assert_eq!((reply.status.as_u16(), reply.body.as_ref()), (202, br#"{"id":42}"#.as_slice()));
        assert_eq!(respond(None).status, 200);
        assert_eq!(respond(Some(&json!([]))).status, 500);
    }
}
