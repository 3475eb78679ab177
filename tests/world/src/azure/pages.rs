//! Lists in pages: `value` and `nextLink`.

use serde_json::{Value, json};

use crate::azure::{ArmManners, LastLink};
use crate::net::ask::{Ask, encoded};
use crate::net::reply::Reply;

/// The page of `rows` that the request asks for, by `$top` and an opaque `$skiptoken`.
pub(super) fn page(ask: &Ask, rows: &[Value], base: &str, manners: &ArmManners) -> Reply {
    let skip =
        ask.query("$skiptoken").and_then(|token| token.strip_prefix("skip-")?.parse().ok()).unwrap_or(0);
    let size = ask
        .query("$top")
        .and_then(|top| top.parse::<usize>().ok())
        .map_or(manners.page_size, |top| top.min(manners.page_size))
        .max(1);
    let here = rows.iter().skip(skip).take(size).cloned().collect::<Vec<_>>();
    let end = skip + here.len();
    let next = match manners.last_link {
        _ if end < rows.len() => Some(end),
        LastLink::None => None,
        LastLink::Back => Some(0),
        LastLink::Onward => Some(skip.max(end) + 1),
    };
    let mut body = json!({ "value": here });
    if let Some(next) = next {
        let base = manners.foreign_next_link.as_deref().unwrap_or(base);
        let version = ask.query("api-version").unwrap_or_default();
        let top = ask.query("$top").map(|top| format!("&$top={}", encoded(top))).unwrap_or_default();
        body["nextLink"] =
            json!(format!("{base}{}?api-version={}{top}&$skiptoken=skip-{next}", ask.path, encoded(version)));
    }
    Reply::json(200, &body)
}
