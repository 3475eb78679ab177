//! The answers of faults, and how faults change a correct answer.

use jiff::Timestamp;
use serde_json::Value;

use crate::azure::arm;
use crate::calls::{CallKind, Service};
use crate::entra;
use crate::faults::Kind;
use crate::net::reply::Reply;
use crate::qualys::{LimitBody, envelope, limits};
use crate::{storage, vault};

/// The answer of a fault without effect; `None` drops the connection.
pub(super) fn instead(
    service: Service,
    call: CallKind,
    kind: &Kind,
    form: LimitBody,
    now: Timestamp,
) -> Option<Reply> {
    let error = |status: u16, code: &str| match service {
        Service::Qualys if status == 200 => {
            envelope::error(code, "A fault of the world.", "Clear the fault.")
        }
        Service::Qualys => Reply::html(status, &format!("HTTP Status {status}")),
        Service::Arm => arm::error(status, code, "A fault of the world."),
        Service::Storage => storage::refusal::error(status, code, now),
        Service::Vault => {
            vault::answer::error(status, vault_code_name(status, code), None, "A fault of the world.")
        }
        Service::Entra | Service::Identity => {
            entra::token::error(status, code, &[], "A fault of the world.", now)
        }
    };
    Some(match kind {
        Kind::StorageCode(status, code) => error(*status, code),
        Kind::Status(status) if service == Service::Storage => {
            error(*status, storage::refusal::code(*status, call))
        }
        Kind::Conflict409 { .. } if service == Service::Storage => {
            error(409, storage::refusal::code(409, call))
        }
        Kind::TooMany429 { retry_after } if service == Service::Storage => {
            let reply = error(429, storage::refusal::code(429, call));
            retry_after.iter().fold(reply, |reply, wait| reply.header("retry-after", wait))
        }
        Kind::Status(status) => error(*status, status_code_name(*status)),
        Kind::Html404 => Reply::html(404, "404 Not Found"),
        Kind::Html502 => Reply::html(502, "502 Bad Gateway"),
        Kind::Conflict409 { code, wait } => limits::conflict(*code, *wait, form, now),
        Kind::TooMany429 { retry_after } => {
            let reply = error(429, "TooManyRequests");
            match retry_after {
                Some(wait) => reply.header("retry-after", wait),
                None => reply,
            }
        }
        Kind::Empty200 => Reply::new(200, "application/json", Vec::new()),
        Kind::ErrorUnder200(code) => error(200, code),
        _ => return None,
    })
}

fn status_code_name(status: u16) -> &'static str {
    match status {
        401 => "InvalidAuthenticationToken",
        403 => "AuthorizationFailed",
        404 => "NotFound",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalServerError",
    }
}

/// Key Vault's codes for the errors for which Resource Manager has other codes.
fn vault_code_name(status: u16, code: &str) -> &str {
    match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "SecretNotFound",
        429 => "Throttled",
        500 => "InternalServerError",
        _ => code,
    }
}

/// The correct answer, changed by the fault.
pub(super) fn after(service: Service, kind: &Kind, mut reply: Reply) -> Reply {
    match kind {
        Kind::TruncatedJson => reply.body.truncate(reply.body.len() / 2),
        _ if service == Service::Storage => storage::refusal::spoil_list(kind, &mut reply),
        Kind::WrongCount(by) => edit(&mut reply, |value| wrong_count(value, *by)),
        Kind::DropRow => edit(&mut reply, |value| {
            rows(value, |rows| {
                if !rows.is_empty() {
                    rows.remove(rows.len() / 2);
                }
            });
        }),
        Kind::DuplicateRow => edit(&mut reply, |value| {
            rows(value, |rows| {
                if let Some(first) = rows.first().cloned() {
                    rows.insert(1, first);
                }
            });
        }),
        Kind::WithoutField(field) => edit(&mut reply, |value| {
            rows(value, |rows| rows.iter_mut().for_each(|row| without_field(row, field)));
        }),
        Kind::EndsEarly => edit(&mut reply, |value| {
            if let Some(page) = value.get_mut("ServiceResponse").and_then(Value::as_object_mut) {
                page.insert("hasMoreRecords".to_owned(), "false".into());
                page.remove("lastId");
            }
        }),
        _ => {}
    }
    reply
}

/// Removes a field from a row, which may be inside an object with the row's type as its only key.
fn without_field(row: &mut Value, field: &str) {
    let Some(row) = row.as_object_mut() else { return };
    row.remove(field);
    for inner in row.values_mut().filter_map(Value::as_object_mut) {
        inner.remove(field);
    }
}

fn edit(reply: &mut Reply, change: impl FnOnce(&mut Value)) {
    if let Ok(mut value) = serde_json::from_slice::<Value>(&reply.body) {
        change(&mut value);
        reply.body = value.to_string().into_bytes();
    }
}

/// Changes the rows of a page and its count with them, so that the page looks correct.
fn rows(value: &mut Value, change: impl FnOnce(&mut Vec<Value>)) {
    let page = if value.get("ServiceResponse").is_some() { &mut value["ServiceResponse"] } else { value };
    let key = if page.get("data").is_some() { "data" } else { "value" };
    let Some(list) = page.get_mut(key).and_then(Value::as_array_mut) else { return };
    change(list);
    let now = list.len();
    if let Some(count) = page.get_mut("count") {
        *count = if count.is_string() { Value::from(now.to_string()) } else { Value::from(now) };
    }
}

fn wrong_count(value: &mut Value, by: i64) {
    let shift = |count: &mut Value| {
        let text = count.as_str().and_then(|text| text.parse::<i64>().ok());
        *count = match (text, count.as_i64()) {
            (Some(number), _) => Value::from((number + by).to_string()),
            (None, Some(number)) => Value::from(number + by),
            (None, None) => count.take(),
        };
    };
    if let Some(count) = value.pointer_mut("/ServiceResponse/count") {
        shift(count);
    } else if let Some(count) = value.pointer_mut("/data/0/count_") {
        shift(count);
    } else if let Some(count) = value.get_mut("count") {
        shift(count);
    }
}
