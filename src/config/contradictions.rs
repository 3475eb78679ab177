//! Settings that are right one by one and contradict each other.
//!
//! What only looks like a contradiction is accepted: a `SYNC_MAX_AGE` below `RUN_FREQUENCY` (we start some syncs in between), or a `LEASE` above `CYCLE_BUDGET` (the lease ends with its cycle).

use super::reader::Reader;
use super::settings::{azure, places, secrets, watch};
use super::values::url;
use crate::azure::cloud::Cloud;
use crate::model::Scope;

/// The same group or subscription in `SCOPE` and in `EXCLUDE`.
pub(super) fn same_scopes(r: &mut Reader<'_>, scope: &Scope, exclude: &Scope) {
    // ARM compares the names of management groups without case.
    let lower = |scope: &Scope| scope.groups.iter().map(|group| group.to_lowercase()).collect::<Vec<_>>();
    let (watched, excluded) = (lower(scope), lower(exclude));
    let groups = watched.into_iter().filter(|group| excluded.contains(group));
    let ids = scope.subscriptions.intersection(&exclude.subscriptions).map(ToString::to_string);
    let both: Vec<String> = groups.chain(ids).collect();
    if let Some(first) = both.first() {
        let more = if both.len() > 1 { format!(" and {} more", both.len() - 1) } else { String::new() };
        r.wrong(&watch::EXCLUDE, format!("names `{first}`{more}, as SCOPE does: remove it from one of them"));
    }
}

/// Addresses in another Azure cloud than `AZURE_CLOUD`: a token of one cloud is not valid in another.
pub(super) fn other_cloud(r: &mut Reader<'_>, cloud: Cloud) {
    for setting in [&azure::ARM_URL, &places::STORAGE, &places::QUEUE, &secrets::KEY_VAULT_URL] {
        let Some(address) = r.text(setting).and_then(|text| url(&text).ok()) else { continue };
        let host = address.host_str().unwrap_or_default();
        if let Some(other) = Cloud::of_host(host).filter(|other| *other != cloud) {
            let problem =
                format!("`{host}` is in the cloud `{}`, but AZURE_CLOUD is `{}`", other.name, cloud.name);
            r.wrong(setting, problem);
        }
    }
}
