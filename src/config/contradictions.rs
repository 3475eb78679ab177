//! Settings that are right each by itself and cannot be meant together.
//!
//! Only what cannot be meant is refused. A `SYNC_MAX_AGE` below `RUN_FREQUENCY` (we start the syncs, Qualys's schedule is
//! the safety net) or a `LEASE` above `CYCLE_BUDGET` (it ends with its cycle) can.

use super::platform::{Cloud, cloud_of};
use super::reader::Reader;
use super::values::url;
use crate::model::Scope;

/// What is named to be watched and not to be watched.
pub(super) fn same_scopes(r: &mut Reader<'_>, scope: &Scope, exclude: &Scope) {
    // ARM compares the names of management groups without case.
    let lower = |scope: &Scope| scope.groups.iter().map(|group| group.to_lowercase()).collect::<Vec<_>>();
    let (watched, excluded) = (lower(scope), lower(exclude));
    let groups = watched.into_iter().filter(|group| excluded.contains(group));
    let ids = scope.subscriptions.intersection(&exclude.subscriptions).map(ToString::to_string);
    let both: Vec<String> = groups.chain(ids).collect();
    if let Some(first) = both.first() {
        let more = if both.len() > 1 { format!(" and {} more", both.len() - 1) } else { String::new() };
        r.wrong(
            "EXCLUDE",
            format!("names `{first}`{more}, which SCOPE names too: take it out of one of them"),
        );
    }
}

/// Addresses of another Azure cloud than `AZURE_CLOUD`: tokens of one are worth nothing in the other.
pub(super) fn other_cloud(r: &mut Reader<'_>, cloud: Cloud) {
    for name in ["ARM_URL", "STORAGE", "QUEUE", "KEY_VAULT_URL"] {
        let Some(address) = r.text(name).and_then(|text| url(&text).ok()) else { continue };
        let host = address.host_str().unwrap_or_default();
        if let Some(other) = cloud_of(host).filter(|other| *other != cloud) {
            let problem =
                format!("`{host}` is in the cloud `{}`, and AZURE_CLOUD is `{}`", other.name, cloud.name);
            r.wrong(name, problem);
        }
    }
}
