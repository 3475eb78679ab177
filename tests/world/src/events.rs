//! Event Grid events as JSON, in their documented form.
//!
//! Guarantees: each function returns one event; the caller gives the time; ids follow from the arguments, so that the
//! same call returns the same event (a duplicate delivery).

use jiff::Timestamp;
use serde_json::{Value, json};

fn id_of(parts: &[&str], at: Timestamp) -> String {
    // FNV-1a gives the same result in every run, which the standard library's hasher does not promise.
    let hash = parts.iter().flat_map(|part| part.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{:08x}-0000-4000-8000-{:012x}", hash >> 32, at.as_millisecond() & 0xffff_ffff_ffff)
}

/// An event in the Event Grid schema.
fn grid(topic: &str, subject: &str, kind: &str, at: Timestamp, data: &Value) -> Value {
    json!({
        "id": id_of(&[topic, subject, kind], at),
        "topic": topic,
        "subject": subject,
        "eventType": kind,
        "eventTime": at.to_string(),
        "data": data,
        "dataVersion": "1",
        "metadataVersion": "1",
    })
}

/// An event in the `CloudEvents` 1.0 schema.
fn cloud(source: &str, subject: &str, kind: &str, at: Timestamp, data: &Value) -> Value {
    json!({
        "id": id_of(&[source, subject, kind], at),
        "source": source,
        "subject": subject,
        "type": kind,
        "time": at.to_string(),
        "specversion": "1.0",
        "data": data,
    })
}

/// The topic of Azure Policy's state events for a management group.
pub fn policy_topic(tenant: &str, group: &str) -> String {
    format!("/tenants/{tenant}/providers/Microsoft.Management/managementGroups/{group}")
}

fn policy_data(group: &str, subscription: &str, at: Timestamp) -> Value {
    let scope =
        format!("/providers/microsoft.management/managementgroups/{group}/providers/microsoft.authorization");
    json!({
        "timestamp": at.to_string(),
        "policyAssignmentId": format!("{scope}/policyassignments/qualys-subscriptions"),
        "policyDefinitionId": format!("{scope}/policydefinitions/qualys-subscriptions"),
        "policyDefinitionReferenceId": "",
        "complianceState": "NonCompliant",
        "subscriptionId": subscription,
        "complianceReasonCode": "",
    })
}

/// A policy state event in the Event Grid schema; `change` is `Created`, `Changed` or `Deleted`.
pub fn policy_state(tenant: &str, group: &str, subscription: &str, change: &str, at: Timestamp) -> Value {
    let (topic, subject) = (policy_topic(tenant, group), format!("/subscriptions/{subscription}"));
    let kind = format!("Microsoft.PolicyInsights.PolicyState{change}");
    grid(&topic, &subject, &kind, at, &policy_data(group, subscription, at))
}

/// The same as a `CloudEvent`, like the documented sample.
pub fn policy_state_cloud(
    tenant: &str,
    group: &str,
    subscription: &str,
    change: &str,
    at: Timestamp,
) -> Value {
    let (source, subject) = (policy_topic(tenant, group), format!("/subscriptions/{subscription}"));
    let kind = format!("Microsoft.PolicyInsights.PolicyState{change}");
    cloud(&source, &subject, &kind, at, &policy_data(group, subscription, at))
}

/// What a pipeline that creates subscriptions posts to its own topic: a `CloudEvent` of type
/// `com.contoso.subscription.created`.
pub fn vending(source: &str, subscription: &str, at: Timestamp) -> Value {
    let data = json!({ "subscriptionId": subscription });
    cloud(source, &format!("/subscriptions/{subscription}"), "com.contoso.subscription.created", at, &data)
}

/// A Resource Manager event in the Event Grid schema; `outcome` is `ResourceWriteSuccess`, `ResourceActionSuccess`, …
/// `claims` holds personal data, as the real ones do.
pub fn resource(tenant: &str, subscription: &str, outcome: &str, operation: &str, at: Timestamp) -> Value {
    let scope = format!("/subscriptions/{subscription}");
    let data = json!({
        "authorization": { "scope": scope, "action": operation },
        "claims": { "name": "Jane Doe", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "jane@contoso.example" },
        "correlationId": id_of(&[subscription, operation], at),
        "resourceProvider": operation.split('/').next().unwrap_or_default(),
        "resourceUri": scope,
        "operationName": operation,
        "status": "Succeeded",
        "subscriptionId": subscription,
        "tenantId": tenant,
    });
    grid(&scope, &scope, &format!("Microsoft.Resources.{outcome}"), at, &data)
}

/// How the data of a Key Vault event is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultCasing {
    /// As in the documentation of 2020: `vaultName`, `objectName ` and a version with stray spaces, and times as strings.
    Documented2020,
    /// As in newer pages: `VaultName`, `ObjectName`, `NBF`, `EXP`, and times as numbers.
    Newer,
}

/// A Key Vault event; `change` is `SecretNewVersionCreated`, `SecretNearExpiry` or `SecretExpired`.
pub fn vault_secret(topic: &str, secret: &str, change: &str, casing: VaultCasing, at: Timestamp) -> Value {
    let vault = topic.rsplit('/').next().unwrap_or_default();
    let version = id_of(&[secret, change], at).replace('-', "");
    let id = format!("https://{vault}.vault.azure.net/secrets/{secret}/{version}");
    let (from, to) = (at.as_second(), at.as_second() + 86_400 * 365);
    let data = match casing {
        VaultCasing::Documented2020 => json!({
            "Id": id,
            "vaultName": vault,
            "objectType": "Secret",
            "objectName ": secret,
            "version": format!(" {version}"),
            "nbf": from.to_string(),
            "exp": to.to_string(),
        }),
        VaultCasing::Newer => json!({
            "Id": id,
            "VaultName": vault,
            "ObjectType": "Secret",
            "ObjectName": secret,
            "Version": version,
            "NBF": from,
            "EXP": to,
        }),
    };
    grid(topic, secret, &format!("Microsoft.KeyVault.{change}"), at, &data)
}

/// A storage event that has nothing to do with subscriptions.
pub fn blob_created(topic: &str, at: Timestamp) -> Value {
    let data = json!({
        "api": "PutBlob",
        "contentType": "application/octet-stream",
        "contentLength": 524_288,
        "blobType": "BlockBlob",
        "url": "https://account.blob.core.windows.net/export/part-0000",
    });
    grid(
        topic,
        "/blobServices/default/containers/export/blobs/part-0000",
        "Microsoft.Storage.BlobCreated",
        at,
        &data,
    )
}

/// An event of an unknown type.
pub fn unknown(topic: &str, at: Timestamp) -> Value {
    grid(topic, "/somewhere", "Contoso.Unheard.Of", at, &json!({ "anything": [1, "two", null] }))
}

#[cfg(test)]
mod tests {
    use super::{VaultCasing, policy_state, policy_state_cloud, unknown, vault_secret};
    use jiff::Timestamp;

    #[test]
    fn an_event_made_twice_is_the_same_event() {
        let at = "2026-11-23T10:00:00Z".parse::<Timestamp>().unwrap();
        assert_eq!(unknown("/t", at), unknown("/t", at));
        assert_ne!(unknown("/t", at)["id"], unknown("/other", at)["id"]);
    }

    #[test]
    fn each_schema_has_its_own_envelope() {
        let at = Timestamp::UNIX_EPOCH;
        let (grid, cloud) =
            (policy_state("t", "g", "s", "Created", at), policy_state_cloud("t", "g", "s", "Created", at));
        assert_eq!(grid["eventType"], "Microsoft.PolicyInsights.PolicyStateCreated");
        assert!(grid.get("specversion").is_none());
        assert_eq!(cloud["specversion"], "1.0");
        assert!(cloud.get("topic").is_none());
        assert_eq!(grid["data"], cloud["data"]);
    }

    #[test]
    fn the_documented_vault_event_keeps_its_stray_spaces() {
        let at = Timestamp::UNIX_EPOCH;
        let old = vault_secret("/vaults/kv", "name", "SecretExpired", VaultCasing::Documented2020, at);
        assert_eq!(old["data"]["objectName "], "name");
        assert!(old["data"]["nbf"].is_string());
        let new = vault_secret("/vaults/kv", "name", "SecretExpired", VaultCasing::Newer, at);
        assert!(new["data"]["NBF"].is_number());
    }
}
