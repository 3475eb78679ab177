//! The settings that say what a plan may do.

use super::reader::Reader;
use super::settings::{connectors, limits, watch};
use super::{HOUR, MINUTE, values};
use crate::plan::Policy;
use crate::state::AbsenceRule;

/// The policy; none where a setting is missing or wrong.
pub(super) fn policy(r: &mut Reader<'_>, calls_per_hour: u32) -> Option<Policy> {
    let tenant = r.parsed(&watch::TENANT_ID, values::of_type);
    let application = r.parsed(&watch::CONNECTOR_APP_ID, values::of_type);
    let deployment = r.parsed(&watch::DEPLOYMENT, values::of_type);
    let mode = r.parsed(&watch::MODE, values::mode);
    let name = r.parsed(&connectors::CONNECTOR_NAME, values::name_template);
    let description = r.parsed(&connectors::CONNECTOR_DESCRIPTION, values::description);
    let apps = r.parsed_list(&connectors::CONNECTOR_APPS, values::apps);
    let modules = r.parsed_list(&connectors::CONNECTOR_MODULES, values::modules);
    let tags = r.parsed_list(&connectors::CONNECTOR_TAGS, values::tags);
    let run_frequency_minutes = r.parsed(&connectors::RUN_FREQUENCY, values::run_frequency);
    let sync_max_age = r.bounded_if_given(&limits::SYNC_MAX_AGE);
    let follow_up = r.bounded(&limits::FOLLOW_UP);
    let max_creates = r.bounded(&limits::MAX_CREATES);
    let max_removals = r.bounded_if_given(&limits::MAX_REMOVALS);
    let lists = r.bounded(&limits::ABSENCE_PROOFS);
    let age = r.bounded(&limits::ABSENCE_AGE);
    let run_frequency_minutes = run_frequency_minutes?;
    Some(Policy {
        mode: mode?,
        deployment: deployment?,
        tenant: tenant?,
        application: application?,
        name: name?,
        description: description.unwrap_or_default(),
        apps: apps?,
        modules: modules.unwrap_or_default(),
        tags: tags.unwrap_or_default(),
        run_frequency_minutes,
        // Qualys's own schedule should have synced the connector by then; the hour is for its delays.
        sync_max_age: sync_max_age.unwrap_or(MINUTE * run_frequency_minutes + HOUR),
        follow_up,
        max_creates,
        max_removals,
        absence: AbsenceRule { lists, age },
        calls_per_hour,
    })
}
