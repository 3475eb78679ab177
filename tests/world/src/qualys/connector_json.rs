//! A connector as JSON: `list` in an answer where a request has `set`, booleans as strings, never the key.

use jiff::Timestamp;

use crate::clock::seconds;
use crate::qualys::json::{Mask, Obj, row};
use crate::qualys::{ActivationShape, Connector, ErrorName, LastSyncName, Manners, Qualys, Shown};

/// The name of the object around each row.
pub(super) const NOUN: &str = "AzureAssetDataConnector";

/// Appends the connector as a row.
pub(super) fn full(
    out: &mut Vec<u8>,
    qualys: &Qualys,
    one: &Connector,
    name: Option<&str>,
    mask: &Mask,
    (by_id, now): (bool, Timestamp),
) {
    let manners = &qualys.manners;
    let shows_subscription = match one.shows_subscription {
        Shown::Everywhere => true,
        Shown::ByIdAlone => by_id,
        Shown::Nowhere => false,
    };
    let subscription = shows_subscription.then_some(&one.subscription_id);
    row(out, NOUN, mask, |object| {
        object.id("id", one.id, manners.ids_as_strings);
        if manners.sparse || one.sparse {
            object.object("authRecord", |auth| auth.maybe("subscriptionId", subscription));
            return;
        }
        object.put("name", &one.name);
        object.put("description", &one.description);
        let last_sync = match manners.last_sync_name {
            LastSyncName::LastSync => "lastSync",
            LastSyncName::LastSyncedOn => "lastSyncedOn",
        };
        object.maybe(last_sync, one.last_sync.and_then(|at| manners.last_sync_form.state(at)));
        object.maybe("nextSync", one.next_sync().map(seconds));
        object.put("connectorState", state(one, manners, now));
        object.put("type", "AZURE");
        tags(object, qualys, one);
        activation(object, one, manners.activation_shape);
        object.flag("disabled", one.disabled);
        if one.deleted {
            object.flag("isDeleted", true);
        }
        object.flag("isGovCloudConfigured", one.gov_cloud);
        object.flag("isRemediationEnabled", one.remediation);
        object.flag("isAttachedToOrgConnector", one.member);
        object.put("runFrequency", one.run_frequency);
        apps(object, one);
        object.put("cloudviewUuid", &one.cloudview_uuid);
        object.maybe("subscriptionName", name);
        object.object("authRecord", |auth| {
            auth.put("applicationId", &one.application_id);
            auth.put("directoryId", &one.directory_id);
            auth.maybe("subscriptionId", subscription);
        });
        let error = match manners.error_name {
            ErrorName::LastError => "lastError",
            ErrorName::ErrorDetail => "errorDetail",
            ErrorName::Error => "error",
        };
        object.maybe(error, one.last_error.as_ref());
    });
}

/// The state that answers show.
pub(super) fn state<'a>(one: &'a Connector, manners: &Manners, now: Timestamp) -> &'a str {
    if one.disabled && manners.disabled_shows_as_state { "DISABLED" } else { one.state_at(now) }
}

fn tags(object: &mut Obj<'_>, qualys: &Qualys, one: &Connector) {
    if one.default_tags.is_empty() {
        return;
    }
    object.list("defaultTags", one.default_tags.iter().map(|id| ("TagSimple", id)), |tag, id| {
        tag.id("id", *id, qualys.manners.ids_as_strings);
        tag.maybe("name", qualys.tags.get(id));
    });
}

fn activation(object: &mut Obj<'_>, one: &Connector, shape: ActivationShape) {
    if one.modules.is_empty() {
        return;
    }
    match shape {
        ActivationShape::List => object.object("activation", |inner| inner.put("list", &one.modules)),
        ActivationShape::Wrapped => object.object("activation", |inner| {
            inner.object("list", |list| list.put("ActivationModule", &one.modules));
        }),
        ActivationShape::Bare => object.put("activation", &one.modules),
    }
}

/// One inner list for each application, as Qualys's script sends them. The form of the answer was not observed.
fn apps(object: &mut Obj<'_>, one: &Connector) {
    if one.apps.is_empty() {
        return;
    }
    object.list("connectorAppInfos", one.apps.iter().map(|app| ("ConnectorAppInfoQList", app)), |list, app| {
        list.put(
            "list",
            [serde_json::json!({ "ConnectorAppInfo": match app.tag_id {
                Some(tag) => serde_json::json!({ "name": app.name, "identifier": app.identifier, "tagId": tag }),
                None => serde_json::json!({ "name": app.name, "identifier": app.identifier }),
            }})],
        );
    });
}
