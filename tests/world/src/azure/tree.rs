//! The management-group tree: `descendants`, with its lag.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::azure::Azure;

/// Whether `group` is `root` or below it.
pub(super) fn is_under(azure: &Azure, group: &str, root: &str) -> bool {
    let mut at = Some(group.to_owned());
    // A tree deeper than Azure allows (six levels and the root) can only be a loop made by a test.
    for _ in 0..32 {
        match at {
            Some(id) if id == root => return true,
            Some(id) => at = azure.groups.get(&id).and_then(|one| one.parent.clone()),
            None => return false,
        }
    }
    false
}

/// The chain from `group` up to its root, nearest first.
pub(super) fn chain(azure: &Azure, group: &str) -> Vec<Value> {
    let mut at = Some(group.to_owned());
    let mut chain = Vec::new();
    while let Some((id, one)) = at.take().and_then(|id| azure.groups.get(&id).map(|one| (id, one))) {
        chain.push(json!({ "displayName": one.name, "name": id }));
        if chain.len() < 32 {
            at.clone_from(&one.parent);
        }
    }
    chain
}

/// Groups and subscriptions below `root`, as `descendants` lists them.
pub(super) fn descendants(azure: &Azure, root: &str, now: Timestamp) -> Vec<Value> {
    let path = |group: &str| format!("/providers/Microsoft.Management/managementGroups/{group}");
    let groups = azure.groups.iter().filter(|(id, one)| {
        id.as_str() != root && one.parent.as_deref().is_some_and(|parent| is_under(azure, parent, root))
    });
    let mut rows = groups
        .map(|(id, one)| {
            json!({
                "id": path(id),
                "type": "Microsoft.Management/managementGroups",
                "name": id,
                "properties": {
                    "displayName": one.name,
                    "parent": { "id": path(one.parent.as_deref().unwrap_or_default()) },
                },
            })
        })
        .collect::<Vec<_>>();
    for one in azure.subscriptions.values() {
        if let Some(group) = one.group_seen(now, azure.manners.tree_lag)
            && is_under(azure, group, root)
        {
            rows.push(json!({
                "id": format!("/subscriptions/{}", one.id),
                "type": "/subscriptions",
                "name": one.id,
                "properties": { "displayName": one.name, "parent": { "id": path(group) } },
            }));
        }
    }
    rows
}
