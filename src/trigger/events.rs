//! What an Event Grid event is about: a subscription, the secrets, or nothing of ours. Pure.
//!
//! An event only says where to look; nothing else in it is believed. Both schemas are read: Event Grid's own (`eventType`,
//! `topic`) and `CloudEvents` (`type`, `source`). Events contain personal data (`claims`), so no event is ever logged.

use crate::model::{SubscriptionId, TenantId};
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

/// The most events of one delivery. Event Grid batches at most 5,000, or 1 MB of them
/// (<https://learn.microsoft.com/azure/event-grid/delivery-and-retry>), and the Functions host passes them on one by one.
pub(super) const MOST_EVENTS: usize = 10_000;

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
pub(super) struct Event {
    kind: String,
    source: String,
    subject: String,
    data: EventData,
}

/// The part of an event's data that we read. Names are compared without case, and trimmed: a published sample has spaces
/// around some.
#[derive(Debug, Default)]
struct EventData {
    operation_name: Option<String>,
    tenant_id: Option<String>,
    subscription_id: Option<String>,
    resource_uri: Option<String>,
}

/// A delivery of more than [`MOST_EVENTS`] events.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a delivery of more than {MOST_EVENTS} events: send it in smaller batches")]
pub(super) struct TooManyEvents;

/// Gives the events of a delivery, which holds one or a list, to `take`, one by one; none for an entry that is not an event.
/// It stops at the first event too many, so that no list takes long or needs memory. `json` is JSON.
///
/// # Errors
/// When there are too many. Those before have been given to `take`.
pub(super) fn read(json: &str, take: &mut dyn FnMut(Option<Event>)) -> Result<(), TooManyEvents> {
    struct Events<'t>(&'t mut dyn FnMut(Option<Event>));
    impl<'de> Visitor<'de> for Events<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
            let mut count = 0;
            while let Some(event) = list.next_element::<&RawValue>()? {
                count += 1;
                if count > MOST_EVENTS {
                    return Err(S::Error::custom(TooManyEvents));
                }
                (self.0)(Event::of(event.get()));
            }
            Ok(())
        }
    }
    if !json.starts_with('[') {
        take(Event::of(json));
        return Ok(());
    }
    serde_json::Deserializer::from_str(json).deserialize_seq(Events(take)).map_err(|_| TooManyEvents)
}

impl Event {
    fn of(json: &str) -> Option<Self> {
        /// Of both schemas. A member of the wrong type does not spoil the others.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Members<'a> {
            #[serde(borrow)]
            specversion: Option<&'a RawValue>,
            #[serde(rename = "type")]
            kind: Option<&'a RawValue>,
            source: Option<&'a RawValue>,
            #[serde(rename = "eventType")]
            grid_kind: Option<&'a RawValue>,
            topic: Option<&'a RawValue>,
            subject: Option<&'a RawValue>,
            data: Option<&'a RawValue>,
        }
        // A list would be read as the members in their order.
        let members: Members<'_> =
            json.starts_with('{').then(|| serde_json::from_str(json).ok()).flatten()?;
        let (kind, source) = if members.specversion.is_some() {
            (members.kind, members.source)
        } else {
            (members.grid_kind, members.topic)
        };
        let data = members.data.and_then(|data| serde_json::from_str(data.get()).ok());
        Some(Self {
            kind: text(kind)?,
            source: text(source)?,
            subject: text(members.subject).unwrap_or_default(),
            data: data.unwrap_or_default(),
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
}

fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

impl<'de> Deserialize<'de> for EventData {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = EventData;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<EventData, M::Error> {
                let mut data = EventData::default();
                while let Some(name) = map.next_key::<String>()? {
                    let place = match name.trim().to_ascii_lowercase().as_str() {
                        "operationname" => &mut data.operation_name,
                        "tenantid" => &mut data.tenant_id,
                        "subscriptionid" => &mut data.subscription_id,
                        "resourceuri" => &mut data.resource_uri,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    let value = map.next_value::<&RawValue>()?;
                    *place = place.take().or_else(|| text(Some(value)));
                }
                Ok(data)
            }
        }
        from.deserialize_map(Members)
    }
}

pub(super) fn about_subscriptions(event: &Event, tenant: TenantId) -> EventSubject {
    let kind = event.kind.to_lowercase();
    let known = if kind.starts_with("microsoft.policyinsights.policystate") {
        true
    } else if kind.starts_with("microsoft.resources.resource") {
        let operation = event.data.operation_name.as_deref().unwrap_or_default().to_lowercase();
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
    let of = event.data.tenant_id.as_ref().and_then(|id| id.parse::<TenantId>().ok());
    if of.is_some_and(|other| other != tenant) {
        return EventSubject::Ignored("it comes from another directory");
    }
    let named = event.data.subscription_id.as_ref().and_then(|id| id.parse().ok());
    match named
        .or_else(|| in_path(&event.subject))
        .or_else(|| in_path(event.data.resource_uri.as_deref().unwrap_or_default()))
    {
        Some(subscription) => EventSubject::Subscription(subscription),
        None => EventSubject::Ignored("it names no subscription"),
    }
}

/// The cycle itself reads when a secret expires.
pub(super) fn about_secrets(event: &Event, _tenant: TenantId) -> EventSubject {
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
    use serde_json::{Value, json};
    use uuid::Uuid;

    const SUBSCRIPTION: &str = "aaaaaaaa-0000-0000-0000-000000000001";

    fn tenant() -> TenantId {
        TenantId::new(Uuid::from_u128(1))
    }

    fn all(delivery: &Value) -> Vec<Option<Event>> {
        let mut events = Vec::new();
        read(&delivery.to_string(), &mut |event| events.push(event)).unwrap();
        events
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
        let list = json!(["1.0", "a", "b", "c", "d", "e", {}]);
        for entry in [json!({ "hello": 1 }), json!("text"), json!(null), json!([list])] {
            assert!(all(&entry)[0].is_none(), "{entry}");
        }
    }

    #[test]
    fn a_delivery_of_more_events_than_event_grid_sends_is_stopped_early() {
        let mut seen = 0;
        let mut list = |count: usize| {
            seen = 0;
            read(&format!("[{}]", vec!["{}"; count].join(",")), &mut |_| seen += 1)
        };
        assert_eq!(list(MOST_EVENTS), Ok(()));
        assert_eq!(list(MOST_EVENTS + 1), Err(TooManyEvents));
        assert_eq!(list(1_000_000), Err(TooManyEvents));
        assert_eq!(seen, MOST_EVENTS, "the rest is not even read");
    }

    #[test]
    fn members_of_the_wrong_type_spoil_only_themselves() {
        let event = json!({ "eventType": "Microsoft.PolicyInsights.PolicyStateCreated", "topic": "/t", "subject": 7,
            "data": { " SubscriptionID ": SUBSCRIPTION, "tenantId": [1], "operationName": { "a": null } } });
        assert_eq!(said(&event), EventSubject::Subscription(SUBSCRIPTION.parse().unwrap()));
        let event = json!({ "eventType": "Microsoft.PolicyInsights.PolicyStateCreated", "topic": "/t", "data": "text" });
        assert_eq!(said(&event), EventSubject::Ignored("it names no subscription"));
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
