//! 409: too many calls at once (1960) or in the window (1965).
//!
//! Guarantees: concurrency is checked first, and its refusal never says how long to wait (Qualys limits guide); no answer
//! has a limit header unless the switch says so.

use jiff::Timestamp;
use serde_json::json;

use crate::calls::CallKind;
use crate::clock::seconds;
use crate::net::reply::Reply;
use crate::qualys::{LimitBody, Qualys, ToWait};

/// The refusal, if the call exceeds a limit; otherwise the call is counted.
pub(super) fn check(qualys: &mut Qualys, call: CallKind, running: usize, now: Timestamp) -> Option<Reply> {
    let manners = &qualys.manners;
    if manners.concurrency_enforced && running > manners.concurrency {
        return Some(conflict(1960, None, manners.limit_body, now));
    }
    let rate = manners.rate.clone()?;
    qualys.activity.prune(call, rate.window, now);
    if qualys.activity.used(call, rate.window, now) < rate.limit {
        qualys.activity.let_through(call, now);
        return None;
    }
    let wait = qualys.activity.wait(call, rate.window, rate.limit, now);
    let refusal = qualys.activity.refuse(call);
    let told = match rate.to_wait_on {
        ToWait::Always => true,
        ToWait::SecondRefusal => refusal > 1,
        ToWait::Never => false,
    };
    Some(conflict(1965, told.then_some(wait), qualys.manners.limit_body, now))
}

/// A 409 in the form of the classic API; a 409 from QPS was never seen.
pub(crate) fn conflict(code: u32, wait: Option<u64>, form: LimitBody, now: Timestamp) -> Reply {
    let (text, item) = match code {
        1960 => (
            "This API cannot be run again until 1 currently running API instance has finished.".to_owned(),
            Some(("CALLS_TO_FINISH", 1)),
        ),
        1965 => (
            wait.map_or_else(
                || "This API cannot be run again yet.".to_owned(),
                |wait| format!("This API cannot be run again for another {wait} seconds."),
            ),
            wait.map(|wait| ("SECONDS_TO_WAIT", wait)),
        ),
        _ => ("This API is blocked by other business objects.".to_owned(), None),
    };
    let at = seconds(now);
    let mut reply = match form {
        LimitBody::Xml => {
            let items = item.map_or_else(String::new, |(key, value)| {
                format!("<ITEM_LIST><ITEM><KEY>{key}</KEY><VALUE>{value}</VALUE></ITEM></ITEM_LIST>")
            });
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<SIMPLE_RETURN><RESPONSE><DATETIME>{at}</DATETIME><CODE>{code}</CODE><TEXT>{text}</TEXT>{items}</RESPONSE></SIMPLE_RETURN>"
            );
            Reply::new(409, "application/xml", body.into_bytes())
        }
        LimitBody::Json => {
            let mut response = json!({ "DATETIME": at, "CODE": code, "TEXT": text });
            if let Some((key, value)) = item {
                response["ITEM_LIST"] = json!({ "ITEM": { "KEY": key, "VALUE": value } });
            }
            Reply::json(409, &json!({ "SIMPLE_RETURN": { "RESPONSE": response } }))
        }
    };
    if let Some(wait) = wait.filter(|_| code == 1965) {
        reply = reply.header("x-ratelimit-towait-sec", wait);
    }
    reply.code(&code.to_string())
}

/// Adds the six limit headers (names in lower case, as recorded in 2020 on US3; values as in the limits guide).
pub(super) fn headers(
    qualys: &Qualys,
    reply: Reply,
    call: CallKind,
    running: usize,
    now: Timestamp,
) -> Reply {
    let Some(rate) = &qualys.manners.rate else { return reply };
    let reply = reply
        .header("x-ratelimit-limit", rate.limit)
        .header("x-ratelimit-window-sec", rate.window.as_secs())
        .header("x-concurrency-limit-limit", qualys.manners.concurrency)
        .header("x-concurrency-limit-running", running);
    match reply.code.as_deref() {
        Some("1960") => reply,
        Some("1965") => reply.header("x-ratelimit-remaining", 0),
        _ => {
            let left = rate.limit.saturating_sub(qualys.activity.used(call, rate.window, now));
            reply.header("x-ratelimit-towait-sec", 0).header("x-ratelimit-remaining", left)
        }
    }
}
