//! The parameters of `POST /api/sync`: read from its query and its body, each refused with what is wrong with it.

use super::problem::ProblemDocument;
use crate::model::{Asked, SubscriptionId, TenantId};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// The most subscriptions in one request. For more, ask for all of them.
const MOST_SUBSCRIPTIONS: usize = 1000;

/// The parameters of `POST /api/sync`, from its query and its body.
#[derive(Debug, Default)]
pub(super) struct SyncParameters {
    tenant: Option<TenantId>,
    subscriptions: BTreeSet<SubscriptionId>,
    snapshot: Option<bool>,
    plan_only: Option<bool>,
}

impl SyncParameters {
    pub(super) fn read(query: &str, body: &[u8]) -> Result<Self, ProblemDocument> {
        let mut parameters = Self::default();
        parameters.take_query(query)?;
        parameters.take_body(body)?;
        Ok(parameters)
    }

    /// What they ask of this tenant.
    pub(super) fn asked(self, tenant: TenantId) -> Result<Asked, ProblemDocument> {
        if self.tenant.is_some_and(|other| other != tenant) {
            return Err(ProblemDocument::bad("`tenant` is not a directory that this deployment watches"));
        }
        if self.subscriptions.len() > MOST_SUBSCRIPTIONS {
            return Err(ProblemDocument::bad(format!(
                "at most {MOST_SUBSCRIPTIONS} subscriptions; name none to sync all of them"
            )));
        }
        let Self { subscriptions, snapshot, plan_only, .. } = self;
        let plan_only = plan_only.unwrap_or_default();
        if subscriptions.is_empty() && snapshot == Some(false) && !plan_only {
            return Err(ProblemDocument::bad(
                "this asks for nothing: name a `subscription`, or leave `snapshot` out to sync everything and take a snapshot",
            ));
        }
        // No parameter means everything: all syncs, and a snapshot after them.
        let all = subscriptions.is_empty() && snapshot != Some(true);
        Ok(Asked { all, subscriptions, snapshot: snapshot.unwrap_or(all), plan_only })
    }

    fn take_query(&mut self, query: &str) -> Result<(), ProblemDocument> {
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                // The host joins repeated names with commas.
                "subscription" => value.split(',').try_for_each(|id| self.take_subscription(id))?,
                "tenant" => self.take_tenant(&value)?,
                "snapshot" => once("snapshot", &mut self.snapshot, flag("snapshot", &value)?)?,
                "plan_only" => once("plan_only", &mut self.plan_only, flag("plan_only", &value)?)?,
                // These are for the host: the function key, and the name of a client certificate.
                "code" | "clientId" => {}
                _ => return Err(unknown()),
            }
        }
        Ok(())
    }

    fn take_body(&mut self, body: &[u8]) -> Result<(), ProblemDocument> {
        if body.trim_ascii().is_empty() {
            return Ok(());
        }
        let Members(members) = serde_json::from_slice(body).map_err(|error| {
            if error.is_data() {
                return ProblemDocument::bad("the body is not a JSON object");
            }
            ProblemDocument::bad(format!(
                "the body is not JSON (line {}, column {}): send an object, for example {{\"snapshot\": true}}, or nothing",
                error.line(),
                error.column()
            ))
        })?;
        let mut names = BTreeSet::new();
        for (name, value) in members {
            if name == "subscription" && !names.insert(name.clone()) {
                return Err(ProblemDocument::bad("`subscription` is given twice: give a list"));
            }
            match (name.as_str(), value) {
                ("subscription", Value::String(id)) => self.take_subscription(&id)?,
                ("subscription", Value::Array(ids)) => {
                    for id in ids {
                        self.take_subscription(id.as_str().ok_or_else(|| {
                            ProblemDocument::bad("`subscription` must be a string or a list of strings")
                        })?)?;
                    }
                }
                ("tenant", Value::String(id)) => self.take_tenant(&id)?,
                ("snapshot", Value::Bool(value)) => once("snapshot", &mut self.snapshot, value)?,
                ("plan_only", Value::Bool(value)) => once("plan_only", &mut self.plan_only, value)?,
                ("subscription" | "tenant" | "snapshot" | "plan_only", _) => {
                    return Err(ProblemDocument::bad(format!("`{name}` has a value of the wrong type")));
                }
                _ => return Err(unknown()),
            }
        }
        Ok(())
    }

    fn take_subscription(&mut self, id: &str) -> Result<(), ProblemDocument> {
        let id = id.parse().map_err(|error| ProblemDocument::bad(format!("`subscription`: {error}")))?;
        self.subscriptions.insert(id);
        Ok(())
    }

    fn take_tenant(&mut self, id: &str) -> Result<(), ProblemDocument> {
        let id = id.parse().map_err(|error| ProblemDocument::bad(format!("`tenant`: {error}")))?;
        once("tenant", &mut self.tenant, id)
    }
}

/// The members of a JSON object as they came: a name that is given twice is there twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(All)
    }
}

/// Takes a value that may be given once, in the query or in the body.
fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), ProblemDocument> {
    if place.is_some() {
        return Err(ProblemDocument::bad(format!("`{name}` is given twice: give it once")));
    }
    *place = Some(value);
    Ok(())
}

fn flag(name: &str, value: &str) -> Result<bool, ProblemDocument> {
    match value {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(ProblemDocument::bad(format!("`{name}` must be true or false"))),
    }
}

fn unknown() -> ProblemDocument {
    ProblemDocument::bad("unknown parameter; the parameters are tenant, subscription, snapshot and plan_only")
}
