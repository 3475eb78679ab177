//! What an Event Grid event is about: a subscription, the secrets, or nothing of ours. Pure.
//!
//! An event only says where to look; nothing else in it is believed. Both schemas are read: Event Grid's own (`eventType`,
//! `topic`) and `CloudEvents` (`type`, `source`). Events contain personal data (`claims`), so no event is ever logged.

use crate::model::{SubscriptionId, TenantId};
use serde_json::Value;

/// ARM operations on subscriptions, in lower case, since their case varies.
/// <https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations>
const OPERATIONS: [&str; 10] = [
    "microsoft.subscription/aliases/write",
    "microsoft.subscription/createsubscription/action",
    "microsoft.management/managementgroups/subscriptions/write",
    "microsoft.management/managementgroups/subscriptions/delete",
    "microsoft.subscription/rename/action",
    "microsoft.subscription/cancel/action",
    "microsoft.subscription/enable/action",
    "microsoft.subscription/updatetenant/action",
    "microsoft.authorization/roleassignments/write",
    "microsoft.authorization/roleassignments/delete",
];

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EventSubject {
    Subscription(SubscriptionId),
    Secret,
    /// Nothing of ours; why, for the log.
    Ignored(&'static str),
}

/// The part of an event that we read.
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) kind: &'a str,
    source: &'a str,
    subject: &'a str,
    data: &'a Value,
}

/// The events of a delivery, which holds one or a list; none for an entry that is not an event.
pub(super) fn all(payload: &Value) -> Vec<Option<Event<'_>>> {
    match payload {
        Value::Array(events) => events.iter().map(Event::of).collect(),
        event => vec![Event::of(event)],
    }
}

impl<'a> Event<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let (kind, source) = if value.get("specversion").is_some() {
            (text("type")?, text("source")?)
        } else {
            (text("eventType")?, text("topic")?)
        };
        Some(Self {
            kind,
            source,
            subject: text("subject").unwrap_or_default(),
            data: value.get("data").unwrap_or(&Value::Null),
        })
    }

    /// The type for the log: short, and only the characters of a name.
    pub(super) fn kind_for_log(&self) -> String {
        self.kind
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
            .take(100)
            .collect()
    }

    /// Whether the topic or source is one that the settings name, or below one.
    pub(super) fn is_from(&self, sources: &[String]) -> bool {
        let source = self.source.to_lowercase();
        sources.iter().any(|allowed| {
            let allowed = allowed.trim_end_matches('/').to_lowercase();
            source.strip_prefix(&allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// A text of the event's data. Names are compared without case, and trimmed: a published sample has spaces around some.
    fn text(&self, name: &str) -> Option<&'a str> {
        let data = self.data.as_object()?;
        data.iter()
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value.as_str())
    }
}

pub(super) fn about_subscriptions(event: &Event<'_>, tenant: TenantId) -> EventSubject {
    let kind = event.kind.to_lowercase();
    let known = if kind.starts_with("microsoft.policyinsights.policystate") {
        true
    } else if kind.starts_with("microsoft.resources.resource") {
        let operation = event.text("operationName").unwrap_or_default().to_lowercase();
        if !OPERATIONS.contains(&operation.as_str()) {
            return EventSubject::Ignored("its operation is not about subscriptions");
        }
        if !kind.ends_with("success") {
            return EventSubject::Ignored("its operation did not succeed");
        }
        true
    } else {
        // Our own contract for vending pipelines: `com.<organization>.subscription.created`, `moved` or `cancelled`.
        [".subscription.created", ".subscription.moved", ".subscription.cancelled"]
            .iter()
            .any(|end| kind.ends_with(end))
    };
    if !known {
        return EventSubject::Ignored("its type is not about subscriptions");
    }
    if event.text("tenantId").and_then(|id| id.parse::<TenantId>().ok()).is_some_and(|other| other != tenant)
    {
        return EventSubject::Ignored("it comes from another directory");
    }
    let named = event.text("subscriptionId").and_then(|id| id.parse().ok());
    match named
        .or_else(|| in_path(event.subject))
        .or_else(|| in_path(event.text("resourceUri").unwrap_or_default()))
    {
        Some(subscription) => EventSubject::Subscription(subscription),
        None => EventSubject::Ignored("it names no subscription"),
    }
}

/// The cycle itself reads when a secret expires.
pub(super) fn about_secrets(event: &Event<'_>, _tenant: TenantId) -> EventSubject {
    let known = ["secretnewversioncreated", "secretnearexpiry", "secretexpired"];
    let kind = event.kind.to_lowercase();
    match kind.strip_prefix("microsoft.keyvault.") {
        Some(rest) if known.contains(&rest) => EventSubject::Secret,
        _ => EventSubject::Ignored("its type is not about secrets"),
    }
}

/// The subscription in a path, for example `/subscriptions/<id>/…`.
fn in_path(path: &str) -> Option<SubscriptionId> {
    let mut segments = path.split('/');
    while let Some(segment) = segments.next() {
        if segment.eq_ignore_ascii_case("subscriptions") {
            return segments.next()?.parse().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    const SUBSCRIPTION: &str = "aaaaaaaa-0000-0000-0000-000000000001";

    fn tenant() -> TenantId {
        TenantId::new(Uuid::from_u128(1))
    }

    fn said(event: &Value) -> EventSubject {
        about_subscriptions(all(event)[0].as_ref().unwrap(), tenant())
    }

    #[test]
    fn a_subscription_is_found_in_both_schemas_and_all_three_places() {
        let found = EventSubject::Subscription(SUBSCRIPTION.parse().unwrap());
        let path = format!("/subscriptions/{}", SUBSCRIPTION.to_uppercase());
        let grid = json!({ "eventType": "Microsoft.PolicyInsights.PolicyStateCreated", "topic": "/t", "subject": path, "data": {} });
        assert_eq!(said(&grid), found);
        let cloud = json!({ "specversion": "1.0", "type": "com.contoso.subscription.created", "source": "/vending",
            "data": { "SubscriptionId": SUBSCRIPTION } });
        assert_eq!(said(&cloud), found);
        let arm = json!({ "eventType": "Microsoft.Resources.ResourceActionSuccess", "topic": "/t", "subject": "/",
            "data": { "operationName": "Microsoft.Subscription/Aliases/WRITE", "resourceUri": path } });
        assert_eq!(said(&arm), found);
    }

    #[test]
    fn an_event_that_is_not_about_our_subscriptions_is_ignored() {
        for (event, why) in [
            (
                json!({ "eventType": "Microsoft.Storage.BlobCreated", "topic": "/t" }),
                "its type is not about subscriptions",
            ),
            (
                json!({ "eventType": "Microsoft.Resources.ResourceWriteSuccess", "topic": "/t",
                "data": { "operationName": "Microsoft.Compute/virtualMachines/write", "subscriptionId": SUBSCRIPTION } }),
                "its operation is not about subscriptions",
            ),
            (
                json!({ "eventType": "Microsoft.Resources.ResourceActionFailure", "topic": "/t",
                "data": { "operationName": "Microsoft.Subscription/aliases/write", "subscriptionId": SUBSCRIPTION } }),
                "its operation did not succeed",
            ),
            (
                json!({ "eventType": "Microsoft.PolicyInsights.PolicyStateCreated", "topic": "/t", "subject": "/x" }),
                "it names no subscription",
            ),
            (
                json!({ "specversion": "1.0", "type": "com.x.subscription.moved", "source": "/v",
                "data": { "tenantId": Uuid::from_u128(2).to_string(), "subscriptionId": SUBSCRIPTION } }),
                "it comes from another directory",
            ),
        ] {
            assert_eq!(said(&event), EventSubject::Ignored(why), "{event}");
        }
        assert!(all(&json!({ "hello": 1 }))[0].is_none());
        assert!(all(&json!("text"))[0].is_none());
    }

    #[test]
    fn only_allowed_sources_count_and_a_prefix_is_no_match() {
        let event = json!({ "eventType": "x", "topic": "/tenants/1/providers/Microsoft.Management/managementGroups/Platform" });
        let event = all(&event).remove(0).unwrap();
        let from = |source: &str| event.is_from(&[source.to_owned()]);
        assert!(from("/tenants/1/providers/microsoft.management/managementgroups/platform"));
        assert!(from("/tenants/1/providers/"));
        assert!(!from("/tenants/1/providers/Microsoft.Management/managementGroups/Plat"));
        assert!(!event.is_from(&[]));
    }
}
