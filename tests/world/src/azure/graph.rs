//! Resource Graph, for the two queries that matter here: machines counted per subscription, and the subscriptions.
//!
//! Guarantees: it answers only with what the caller may read; any other query is refused, not guessed at.

use serde_json::{Value, json};

use crate::azure::{Access, arm, seen, tree};
use crate::entra::{Principal, Token};
use crate::net::ask::Ask;
use crate::net::reply::Reply;
use crate::state::State;

pub(super) fn answer(state: &State, ask: &Ask, token: &Token) -> Reply {
    if matches!(token.principal, Principal::Identity) && state.azure.manners.graph_access != Access::Readable
    {
        return arm::error(403, "AccessDenied", "Resource Graph is not allowed for this identity.");
    }
    let Ok(body) = ask.json() else { return arm::error(400, "BadRequest", "The request body is not JSON.") };
    let query = body["query"].as_str().unwrap_or_default().to_ascii_lowercase();
    let rows = if query.contains("microsoft.compute/virtualmachines") && query.contains("count") {
        machine_counts(state, &body, token)
    } else if query.contains("microsoft.resources/subscriptions") {
        subscriptions(state, &body, token)
    } else {
        return arm::error(
            400,
            "BadRequest",
            "The world knows only the queries for machines and subscriptions.",
        );
    };
    page(&body, &rows)
}

/// Whether the request's `subscriptions` and `managementGroups` let this subscription through.
fn in_scope(state: &State, body: &Value, id: &str, group: &str) -> bool {
    let list = |key: &str| body[key].as_array().filter(|list| !list.is_empty());
    let subscription = list("subscriptions")
        .is_none_or(|list| list.iter().filter_map(Value::as_str).any(|one| one.eq_ignore_ascii_case(id)));
    let group = list("managementGroups").is_none_or(|list| {
        list.iter().filter_map(Value::as_str).any(|root| tree::is_under(&state.azure, group, root))
    });
    subscription && group
}

fn machine_counts(state: &State, body: &Value, token: &Token) -> Vec<Value> {
    let (now, lag) = (state.now(), state.azure.manners.graph_lag);
    let readable = state.azure.subscriptions.values().filter(|one| {
        one.gone.is_none()
            && arm::access(one, token) == Access::Readable
            && in_scope(state, body, &one.id, &one.group)
    });
    readable
        .map(|one| (one, one.machines.values().filter(|m| seen(m.created, m.gone, now, lag)).count()))
        // `summarize` returns no row for an empty group.
        .filter(|(_, count)| *count > 0)
        .map(|(one, count)| json!({ "subscriptionId": one.id, "count_": count }))
        .collect()
}

fn subscriptions(state: &State, body: &Value, token: &Token) -> Vec<Value> {
    let (now, manners) = (state.now(), &state.azure.manners);
    let listed = state.azure.subscriptions.values().filter(|one| {
        one.listed(now, manners.graph_lag)
            && arm::access(one, token) == Access::Readable
            && in_scope(state, body, &one.id, &one.group)
    });
    listed
        .map(|one| {
            json!({
                "subscriptionId": one.id,
                "name": one.name,
                "tenantId": one.tenant,
                "tags": one.tags,
                "state": one.state.as_str(),
                "quotaId": one.quota_id,
                "mgChain": tree::chain(&state.azure, one.group_seen(now, manners.graph_lag).unwrap_or(&one.group)),
            })
        })
        .collect()
}

/// At most 1,000 rows and a `$skipToken` (Azure documentation).
fn page(body: &Value, rows: &[Value]) -> Reply {
    let options = &body["options"];
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    let size = number(&options["$top"]).unwrap_or(1_000).clamp(1, 1_000);
    let skip = options["$skipToken"]
        .as_str()
        .and_then(|token| token.strip_prefix("skip-")?.parse().ok())
        .or_else(|| number(&options["$skip"]))
        .unwrap_or(0);
    let here = rows.iter().skip(skip).take(size).cloned().collect::<Vec<_>>();
    let next = skip + here.len();
    let mut answer = json!({
        "totalRecords": rows.len(),
        "count": here.len(),
        "resultTruncated": "false",
        "facets": [],
        "data": here,
    });
    if next < rows.len() {
        answer["$skipToken"] = json!(format!("skip-{next}"));
    }
    Reply::json(200, &answer)
        .header("x-ms-user-quota-remaining", 14)
        .header("x-ms-user-quota-resets-after", "00:00:05")
}
