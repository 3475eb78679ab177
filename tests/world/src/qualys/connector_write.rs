//! Create, update, run and delete of connectors.
//!
//! Guarantees: a create accepts any credentials (as tests on live accounts showed); fields that an update omits stay as
//! they are; the answer to an update has only the id; writes by filter do not exist.

use serde_json::Value;

use crate::ids::GuidKind;
use crate::net::ask::Ask;
use crate::qualys::connector::Run;
use crate::qualys::connector_calls::{existing, path_id};
use crate::qualys::connector_json::{NOUN, state as shown_state};
use crate::qualys::envelope::{Answered, Refused, Rows, success};
use crate::qualys::json::{WHOLE, row};
use crate::qualys::request::Request;
use crate::qualys::{App, Connector, Manners, OnDisabled, OnDuplicate, OnRunning, Qualys};
use crate::state::Shared;

fn data_of(request: &Request) -> Result<&Value, Refused> {
    request
        .body
        .pointer("/ServiceRequest/data/AzureAssetDataConnector")
        .filter(|data| data.is_object())
        .ok_or_else(|| {
            Refused::invalid("The data of the request is missing.", "Send data.AzureAssetDataConnector.")
        })
}

fn duplicate(qualys: &Qualys, made: &Connector) -> Result<(), Refused> {
    let others = || qualys.connectors.values().filter(|one| !one.deleted && one.id != made.id);
    let manners = &qualys.manners;
    if manners.duplicate_name == OnDuplicate::Refuse && others().any(|one| one.name == made.name) {
        return Err(Refused::invalid("A connector with this name exists.", "Specify a unique name."));
    }
    if manners.duplicate_subscription == OnDuplicate::Refuse
        && others().any(|one| one.subscription_id.eq_ignore_ascii_case(&made.subscription_id))
    {
        return Err(Refused::invalid(
            "A connector for this subscription exists.",
            "Specify another subscription.",
        ));
    }
    Ok(())
}

fn refuse_rudely(manners: &Manners, data: &Value) -> Result<(), Refused> {
    match data.pointer("/authRecord/authenticationKey").and_then(Value::as_str) {
        Some(key) if manners.echo_secret_in_error => Err(Refused::invalid(
            format!("authRecord is not valid: authenticationKey={key}"),
            "Correct the authRecord.",
        )),
        _ => Ok(()),
    }
}

pub(super) fn create(shared: &Shared, ask: &Ask, number: u64) -> Answered {
    let request = Request::parse(ask)?;
    let data = data_of(&request)?;
    shared.with(|state| {
        let now = state.now();
        refuse_rudely(&state.qualys.manners, data)?;
        let mut made = super::seed::blank(now);
        apply(&mut made, data, &state.qualys.manners)?;
        if data.get("authRecord").is_none() {
            // The only element that the schema demands.
            return Err(Refused::invalid("authRecord is missing.", "Specify the authRecord."));
        }
        duplicate(&state.qualys, &made)?;
        made.id = state.ids.connector();
        made.cloudview_uuid = state.ids.guid(GuidKind::CloudView);
        let manners = &state.qualys.manners;
        let id = made.id;
        if let Some(wait) = manners.auto_start.filter(|_| !made.disabled) {
            made.run = Some(Run::alone(now, wait, manners.sync_duration));
            state.qualys.pending.insert(id);
        }
        let subscription = made.subscription_id.clone();
        let mut rows = Rows { count: 1, ..Rows::default() };
        row(&mut rows.json, NOUN, &WHOLE, |object| {
            object.id("id", id, manners.ids_as_strings);
            if !manners.sparse {
                object.put("name", &made.name);
                object.put("connectorState", "QUEUED");
                object.put("type", "AZURE");
                object.flag("disabled", made.disabled);
            }
            object.object("authRecord", |_| ());
        });
        state.qualys.connectors.insert(id, made);
        state.calls.edit(number, |call| {
            call.connector_id = Some(id);
            call.subscription = Some(subscription);
        });
        Ok(success(&state.qualys.manners, &rows))
    })
}

/// An answer with only the id.
fn id_only(manners: &Manners, id: i64) -> crate::net::reply::Reply {
    let mut rows = Rows { count: 1, ..Rows::default() };
    row(&mut rows.json, NOUN, &WHOLE, |object| object.id("id", id, manners.ids_as_strings));
    success(manners, &rows)
}

pub(super) fn update(shared: &Shared, ask: &Ask) -> Answered {
    let request = Request::parse(ask)?;
    let (id, data) = (path_id(ask)?, data_of(&request)?);
    shared.with(|state| {
        let now = state.now();
        let qualys = &mut state.qualys;
        refuse_rudely(&qualys.manners, data)?;
        let mut changed = existing(qualys, id)?.clone();
        let old_key = changed.authentication_key.clone();
        apply(&mut changed, data, &qualys.manners)?;
        duplicate(qualys, &changed)?;
        if changed.disabled && changed.run.is_some_and(|run| now < run.processing) {
            changed.run = None;
            qualys.pending.remove(&id);
        }
        qualys.old_keys.insert(old_key);
        qualys.connectors.insert(id, changed);
        Ok(id_only(&qualys.manners, id))
    })
}

pub(super) fn run(shared: &Shared, ask: &Ask) -> Answered {
    let id = path_id(ask)?;
    shared.with(|state| {
        let now = state.now();
        let qualys = &mut state.qualys;
        existing(qualys, id)?;
        let manners = qualys.manners.clone();
        let Some(one) = qualys.connectors.get_mut(&id) else {
            return Err(Refused::not_found(&id.to_string()));
        };
        if one.disabled && manners.run_disabled == OnDisabled::Refuse {
            return Err(Refused::invalid("The connector is disabled.", "Enable the connector."));
        }
        // A first sync that the server has not started yet is not running, so the run starts it.
        let running = one.run.is_some_and(|run| one.last_sync.is_some() || now >= run.processing);
        if running && manners.run_while_running == OnRunning::Refuse {
            return Err(Refused::invalid("The connector is running.", "Wait until the run has finished."));
        }
        one.runs += 1;
        if !running {
            one.run = Some(Run::asked(now, manners.run_lag, manners.sync_duration));
            qualys.pending.insert(id);
        }
        let mut rows = Rows { count: 1, ..Rows::default() };
        row(&mut rows.json, NOUN, &WHOLE, |object| {
            object.id("id", id, manners.ids_as_strings);
            if manners.run_answers_with_state && !manners.sparse {
                object.put("connectorState", shown_state(one, &manners, now));
            }
        });
        Ok(success(&manners, &rows))
    })
}

pub(super) fn delete(shared: &Shared, ask: &Ask) -> Answered {
    let id = path_id(ask)?;
    shared.with(|state| {
        let qualys = &mut state.qualys;
        existing(qualys, id)?;
        qualys.pending.remove(&id);
        if let Some(one) = qualys.connectors.get_mut(&id) {
            one.deleted = true;
            one.run = None;
        }
        Ok(id_only(&qualys.manners, id))
    })
}

/// Applies the members that `data` has to `one`.
fn apply(one: &mut Connector, data: &Value, manners: &Manners) -> Result<(), Refused> {
    let text = |path: &str, into: &mut String| {
        if let Some(value) = data.pointer(path).and_then(Value::as_str) {
            value.clone_into(into);
        }
    };
    text("/name", &mut one.name);
    text("/description", &mut one.description);
    text("/authRecord/applicationId", &mut one.application_id);
    text("/authRecord/directoryId", &mut one.directory_id);
    text("/authRecord/subscriptionId", &mut one.subscription_id);
    text("/authRecord/authenticationKey", &mut one.authentication_key);
    // Qualys's own script keeps to this limit.
    if one.name.chars().count() > 255 {
        return Err(Refused::invalid("The name is longer than 255 characters.", "Specify a shorter name."));
    }
    for (path, into) in [
        ("/disabled", &mut one.disabled),
        ("/isGovCloudConfigured", &mut one.gov_cloud),
        ("/isRemediationEnabled", &mut one.remediation),
    ] {
        if let Some(value) = data.pointer(path) {
            *into = value.as_bool().or_else(|| value.as_str()?.parse().ok()).ok_or_else(|| {
                Refused::invalid(format!("Invalid value for '{path}'."), "Specify true or false.")
            })?;
        }
    }
    if let Some(value) = data.get("runFrequency") {
        one.run_frequency = value
            .as_i64()
            .or_else(|| value.as_str()?.parse().ok())
            .ok_or_else(|| Refused::invalid("Invalid value for 'runFrequency'.", "Specify minutes."))?;
        let known = [60, 120, 180, 240, 360, 480, 720, 1_440];
        if manners.odd_run_frequency_refused && !known.contains(&one.run_frequency) {
            return Err(Refused::invalid("The runFrequency is not allowed.", "Specify 60 to 1440 minutes."));
        }
    }
    if let Some(modules) = set_of(data, "activation", "ActivationModule")? {
        let modules = modules.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect::<Vec<_>>();
        replace(&mut one.modules, modules, manners);
    }
    let tag_ids = |rows: Vec<Value>| rows.iter().filter_map(|row| row["id"].as_i64()).collect::<Vec<_>>();
    if let Some(rows) = set_of(data, "defaultTags", "TagSimple")? {
        replace(&mut one.default_tags, tag_ids(rows), manners);
    }
    for id in tag_ids(many(data.pointer("/defaultTags/add/TagSimple"))) {
        if !one.default_tags.contains(&id) {
            one.default_tags.push(id);
        }
    }
    let gone = tag_ids(many(data.pointer("/defaultTags/remove/TagSimple")));
    one.default_tags.retain(|id| !gone.contains(id));
    if let Some(lists) = set_of(data, "connectorAppInfos", "ConnectorAppInfoQList")? {
        let infos = lists.iter().flat_map(|list| many(list.pointer("/set/ConnectorAppInfo")));
        let app = |info: Value| App {
            name: info["name"].as_str().unwrap_or_default().to_owned(),
            identifier: info["identifier"].as_str().unwrap_or_default().to_owned(),
            tag_id: info["tagId"].as_i64(),
        };
        replace(&mut one.apps, infos.map(app).collect(), manners);
    }
    Ok(())
}

fn replace<T>(old: &mut Vec<T>, new: Vec<T>, manners: &Manners) {
    if !new.is_empty() || manners.empty_set_clears {
        *old = new;
    }
}

/// One or many: a single object counts as a list of one.
fn many(value: Option<&Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(rows)) => rows.clone(),
        Some(one) => vec![one.clone()],
    }
}

/// The rows of `{"set":{"Name":[…]}}`. `set` wraps an object: a bare list is refused (found on a live account).
fn set_of(data: &Value, key: &str, name: &str) -> Result<Option<Vec<Value>>, Refused> {
    match data.get(key).and_then(|collection| collection.get("set")) {
        None => Ok(None),
        Some(set) if set.is_object() => Ok(Some(many(set.get(name)))),
        Some(_) => {
            Err(Refused::invalid(format!("Invalid set in '{key}'."), format!("Wrap the list in '{name}'.")))
        }
    }
}
