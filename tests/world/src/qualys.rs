//! Qualys: the QPS calls for Azure connectors and host assets, which behave as recorded and documented.
//!
//! Guarantees: JSON in and out; what no source shows is a switch of [`Manners`]; no answer contains the authentication
//! key (but see [`Manners::echo_secret_in_error`]).

mod activity;
mod connector;
mod connector_calls;
mod connector_json;
mod connector_write;
mod criteria;
pub(crate) mod envelope;
mod host;
mod host_calls;
mod host_json;
mod json;
pub(crate) mod limits;
mod manners;
mod request;
mod seed;
mod sync;
mod tag_calls;
mod times;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::calls::CallKind;
use crate::net::ask::Ask;
use crate::net::reply::Reply;
use crate::state::Shared;

pub use connector::{App, Connector, Shown};
pub use host::{Host, Source};
pub use manners::{
    ActivationShape, ErrorName, LastId, LastSyncName, LimitBody, Manners, OnDisabled, OnDuplicate, OnRunning,
    Rate, ToWait,
};
pub use times::{DateHeader, LastSyncForm};

/// The state of the account.
#[derive(Debug)]
pub(crate) struct Qualys {
    pub(crate) manners: Manners,
    pub(crate) user: String,
    pub(crate) password: String,
    old_passwords: Vec<String>,
    old_keys: BTreeSet<String>,
    pub(crate) connectors: BTreeMap<i64, Connector>,
    /// Connectors whose sync has not ended.
    pending: BTreeSet<i64>,
    pub(crate) hosts: BTreeMap<i64, Arc<Host>>,
    /// From subscription and `vmId` to the host that a sync created for the machine.
    synced: HashMap<String, BTreeMap<String, i64>>,
    pub(crate) tags: BTreeMap<i64, String>,
    activity: activity::Activity,
}

impl Default for Qualys {
    fn default() -> Self {
        Self {
            manners: Manners::default(),
            user: "world_ab1".to_owned(),
            // A colon, a plus and a slash, so that careless encoding is noticed.
            password: "Qu4lys+pass:word/1".to_owned(),
            old_passwords: Vec::new(),
            old_keys: BTreeSet::new(),
            connectors: BTreeMap::new(),
            pending: BTreeSet::new(),
            hosts: BTreeMap::new(),
            synced: HashMap::new(),
            tags: BTreeMap::new(),
            activity: activity::Activity::default(),
        }
    }
}

impl Qualys {
    fn basic(&self, password: &str) -> String {
        STANDARD.encode(format!("{}:{password}", self.user))
    }

    pub(crate) fn secrets(&self) -> Vec<String> {
        let keys = self.connectors.values().map(|one| one.authentication_key.clone());
        let mut all =
            keys.chain(self.old_keys.iter().cloned()).filter(|key| !key.is_empty()).collect::<Vec<_>>();
        for password in self.old_passwords.iter().chain([&self.password]) {
            all.push(password.clone());
            all.push(self.basic(password));
        }
        all
    }
}

/// The operation, by the path alone. A known noun with the wrong version still counts as that operation.
pub(crate) fn classify(ask: &Ask) -> CallKind {
    match (ask.method.as_str(), ask.segments().as_slice()) {
        ("GET", ["qps", "rest", "portal", "version"]) => CallKind::PortalVersion,
        ("POST", ["qps", "rest", "3.0", verb, "am", "azureassetdataconnector"]) => match *verb {
            "search" => CallKind::ConnectorSearch,
            "create" => CallKind::ConnectorCreate,
            _ => CallKind::Unknown,
        },
        ("GET", ["qps", "rest", "3.0", "get", "am", "azureassetdataconnector", _]) => CallKind::ConnectorGet,
        ("POST", ["qps", "rest", "3.0", verb, "am", "azureassetdataconnector", _]) => match *verb {
            "update" => CallKind::ConnectorUpdate,
            "run" => CallKind::ConnectorRun,
            "delete" => CallKind::ConnectorDelete,
            _ => CallKind::Unknown,
        },
        ("POST", ["qps", "rest", "3.0", "search", "am", "assetdataconnectorerrors"]) => {
            CallKind::ConnectorErrors
        }
        ("POST", ["qps", "rest", "2.0", verb, "am", "hostasset"]) => match *verb {
            "search" => CallKind::HostSearch,
            "count" => CallKind::HostCount,
            _ => CallKind::Unknown,
        },
        ("GET", ["qps", "rest", "2.0", "get", "am", "hostasset", _]) => CallKind::HostGet,
        ("POST", ["qps", "rest", "2.0", "search", "am", "tag"]) => CallKind::TagSearch,
        _ => CallKind::Unknown,
    }
}

/// The connector and the subscription that a request is about, for the record.
pub(crate) fn about(qualys: &Qualys, ask: &Ask) -> (Option<i64>, Option<String>) {
    let segments = ask.segments();
    let connector = (segments.get(5) == Some(&"azureassetdataconnector"))
        .then(|| segments.get(6).and_then(|id| id.parse::<i64>().ok()))
        .flatten();
    let body = ask.json().unwrap_or(Value::Null);
    let in_body = body
        .pointer("/ServiceRequest/data/AzureAssetDataConnector/authRecord/subscriptionId")
        .and_then(Value::as_str)
        .map(ToOwned::to_owned);
    let in_filter = || {
        let criteria = request::criteria_of(&body).ok()?;
        criteria
            .into_iter()
            .find(|one| one.field.eq_ignore_ascii_case("authRecord.subscriptionId"))
            .map(|one| one.value)
    };
    let of_connector =
        || connector.and_then(|id| qualys.connectors.get(&id)).map(|one| one.subscription_id.clone());
    (connector, in_body.or_else(in_filter).or_else(of_connector))
}

/// Handles a request that no fault has stopped.
pub(crate) fn answer(shared: &Shared, ask: &Ask, call: CallKind, number: u64, running: usize) -> Reply {
    let reply = match before(shared, ask, call, running) {
        Some(refusal) => refusal,
        None => match call {
            CallKind::HostSearch => host_calls::search(shared, ask),
            CallKind::HostCount => host_calls::count(shared, ask),
            CallKind::HostGet => host_calls::get(shared, ask),
            CallKind::TagSearch => tag_calls::search(shared, ask),
            CallKind::PortalVersion => Ok(envelope::version(envelope::wants_json(ask))),
            CallKind::ConnectorSearch => connector_calls::search(shared, ask),
            CallKind::ConnectorGet => connector_calls::get(shared, ask),
            CallKind::ConnectorErrors => connector_calls::errors(shared, ask),
            CallKind::ConnectorCreate => connector_write::create(shared, ask, number),
            CallKind::ConnectorUpdate => connector_write::update(shared, ask),
            CallKind::ConnectorRun => connector_write::run(shared, ask),
            _ => connector_write::delete(shared, ask),
        }
        .unwrap_or_else(|refused| refused.reply()),
    };
    shared.with(|state| {
        let (headers, now) =
            (state.qualys.manners.rate.as_ref().is_some_and(|rate| rate.headers), state.now());
        if headers { limits::headers(&state.qualys, reply, call, running, now) } else { reply }
    })
}

/// The checks before the operation: path, sign-in, limits (concurrency first, as documented), format.
fn before(shared: &Shared, ask: &Ask, call: CallKind, running: usize) -> Option<Reply> {
    if call == CallKind::Unknown {
        return Some(if is_wrong_version(ask) {
            envelope::error(
                "INVALID_API_VERSION",
                "The API version is not valid for this resource.",
                "Use another version.",
            )
        } else {
            Reply::html(404, "HTTP Status 404 - Not Found")
        });
    }
    shared.with(|state| {
        let now = state.now();
        let qualys = &mut state.qualys;
        let signed_in = ask
            .header("authorization")
            .and_then(|value| value.strip_prefix("Basic "))
            .is_some_and(|value| value == qualys.basic(&qualys.password));
        if !signed_in {
            return Some(envelope::not_signed_in(
                qualys.manners.wrong_password_is_401,
                envelope::wants_json(ask),
            ));
        }
        if let Some(refusal) = limits::check(qualys, call, running, now) {
            return Some(refusal);
        }
        (call != CallKind::PortalVersion && !envelope::wants_json(ask)).then(envelope::xml_refusal)
    })
}

/// Whether the noun exists only in the other version (clients saw `INVALID_API_VERSION` on live accounts).
fn is_wrong_version(ask: &Ask) -> bool {
    match ask.segments().as_slice() {
        ["qps", "rest", version, _, "am", noun, ..] => match *noun {
            "azureassetdataconnector" | "assetdataconnectorerrors" => *version == "2.0",
            "hostasset" | "tag" => *version == "3.0",
            _ => false,
        },
        _ => false,
    }
}
