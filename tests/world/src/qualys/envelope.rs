//! The QPS envelope: pages, errors under HTTP 200, and the few answers in XML.
//!
//! Guarantees: an empty result has neither `data` nor `lastId` nor `hasMoreRecords`, and the last page has no
//! `lastId` (all recordings of 2020 to 2022 on US3), unless a switch says otherwise.

use serde_json::json;

use crate::net::ask::Ask;
use crate::net::reply::Reply;
use crate::qualys::Manners;

/// A refusal under HTTP 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) resolution: String,
}

impl Refused {
    pub(super) fn invalid(message: impl Into<String>, resolution: impl Into<String>) -> Self {
        Self { code: "INVALID_REQUEST", message: message.into(), resolution: resolution.into() }
    }

    pub(super) fn not_found(id: &str) -> Self {
        Self {
            code: "OBJECT_NOT_FOUND",
            message: format!("Object with id '{id}' was not found."),
            resolution: "Specify the id of an object in your scope.".to_owned(),
        }
    }

    pub(super) fn reply(&self) -> Reply {
        error(self.code, &self.message, &self.resolution)
    }
}

/// An error in JSON, translated from the recorded XML by the documented rules.
pub(crate) fn error(code: &str, message: &str, resolution: &str) -> Reply {
    let details = json!({ "errorMessage": message, "errorResolution": resolution });
    Reply::json(200, &json!({ "ServiceResponse": { "responseCode": code, "responseErrorDetails": details } }))
        .code(code)
}

fn xml(code: &str, inner: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ServiceResponse><responseCode>{code}</responseCode>{inner}</ServiceResponse>"
    );
    Reply::new(200, "application/xml", body.into_bytes()).code(code)
}

fn xml_error(code: &str, message: &str, resolution: &str) -> Reply {
    let inner = format!(
        "<responseErrorDetails><errorMessage>{message}</errorMessage><errorResolution>{resolution}</errorResolution></responseErrorDetails>"
    );
    xml(code, &inner)
}

/// `Accept` decides. If it names no format, a JSON body asks for JSON (as a Qualys script does).
pub(super) fn wants_json(ask: &Ask) -> bool {
    let names = |header: &str, format: &str| ask.header(header).is_some_and(|value| value.contains(format));
    match (names("accept", "json"), names("accept", "xml")) {
        (true, _) => !names("content-type", "xml"),
        (false, true) => false,
        (false, false) => names("content-type", "json"),
    }
}

/// Wrong user or password: the recorded text of 2022, or 401.
pub(super) fn not_signed_in(as_401: bool, json: bool) -> Reply {
    let (code, message) = ("INVALID_CREDENTIALS", "Authentication failed");
    let resolution = "Verify both, user and password credentials.";
    match (as_401, json) {
        (true, _) => Reply::html(401, "HTTP Status 401 - Unauthorized").code(code),
        (false, true) => error(code, message, resolution),
        (false, false) => xml_error(code, message, resolution),
    }
}

/// The world only supports JSON; a request for XML is refused in XML.
pub(super) fn xml_refusal() -> Reply {
    xml_error(
        "INVALID_REQUEST",
        "This simulated server speaks JSON only.",
        "Send and accept application/json.",
    )
}

/// `GET /qps/rest/portal/version`, a cheap check of credentials.
pub(super) fn version(as_json: bool) -> Reply {
    let version = "3.11.0.0-3 WORLD";
    if as_json {
        let data = json!([{ "Portal-Version": { "PortalApplication-VERSION": version } }]);
        let body = json!({ "ServiceResponse": { "responseCode": "SUCCESS", "count": 1, "data": data } });
        Reply::json(200, &body).code("SUCCESS")
    } else {
        let inner = format!(
            "<count>1</count><data><Portal-Version><PortalApplication-VERSION>{version}</PortalApplication-VERSION></Portal-Version></data>"
        );
        xml("SUCCESS", &inner)
    }
}

/// The result of an operation.
pub(super) type Answered = Result<Reply, Refused>;

/// The rows of a page as JSON text, and what the envelope says about them.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The rows, joined by commas.
    pub(super) json: Vec<u8>,
    pub(super) count: usize,
    /// Whether more rows follow; `None` where the answer is not a page (create, get, …).
    pub(super) more: Option<bool>,
    pub(super) last_id: Option<i64>,
}

/// A number, or the same as a string.
pub(super) fn number(value: impl std::fmt::Display, as_string: bool) -> String {
    if as_string { format!("\"{value}\"") } else { value.to_string() }
}

/// A successful answer.
pub(super) fn success(manners: &Manners, rows: &Rows) -> Reply {
    let mut body = Vec::with_capacity(rows.json.len() + 160);
    body.extend_from_slice(b"{\"ServiceResponse\":{\"responseCode\":\"SUCCESS\",\"count\":");
    body.extend_from_slice(number(rows.count, manners.count_as_string).as_bytes());
    if let Some(more) = rows.more.filter(|_| rows.count > 0) {
        let more_text = if manners.has_more_as_bool { more.to_string() } else { format!("\"{more}\"") };
        body.extend_from_slice(format!(",\"hasMoreRecords\":{more_text}").as_bytes());
        if let Some(id) = rows.last_id.filter(|_| more || manners.last_page_has_last_id) {
            body.extend_from_slice(format!(",\"lastId\":{}", number(id, manners.ids_as_strings)).as_bytes());
        }
    }
    if rows.count > 0 && !rows.json.is_empty() {
        body.extend_from_slice(b",\"data\":[");
        body.extend_from_slice(&rows.json);
        body.push(b']');
    }
    body.extend_from_slice(b"}}");
    Reply::new(200, "application/json", body).code("SUCCESS")
}
