//! The settings that say what a plan may do.

use super::reader::Reader;
use super::sources::name;
use super::{HOUR, MINUTE, values};
use crate::plan::{Mode, Policy};
use std::time::Duration;

/// What the plan may do.
pub(super) fn policy(r: &mut Reader<'_>, calls_per_hour: u32) -> Option<Policy> {
    let tenant = r.required("TENANT_ID");
    let application = r.required("CONNECTOR_APP_ID");
    let deployment = name(r, "DEPLOYMENT");
    let run_frequency_minutes = r.parsed("RUN_FREQUENCY", values::run_frequency).unwrap_or(240);
    // Qualys's own schedule keeps a connector fresh; an hour more tells that it does not.
    let sync_max_age = MINUTE * run_frequency_minutes + HOUR;
    let default_name = "{subscription_name} ({subscription_id})";
    let mode = r.parsed("MODE", values::mode).unwrap_or(Mode::Observe);
    let name = r.parsed("CONNECTOR_NAME", values::name_template).unwrap_or_else(|| default_name.to_owned());
    let description = r.parsed("CONNECTOR_DESCRIPTION", values::description).unwrap_or_default();
    let apps = r.parsed_list("CONNECTOR_APPS", values::apps).unwrap_or_else(|| vec!["AI".to_owned()]);
    let modules = r.parsed_list("CONNECTOR_MODULES", values::modules).unwrap_or_default();
    let tags = r.parsed_list("CONNECTOR_TAGS", values::tags).unwrap_or_default();
    let sync_max_age = r.duration("SYNC_MAX_AGE", sync_max_age, 15 * MINUTE..=31 * 24 * HOUR);
    let follow_up = r.duration("FOLLOW_UP", 2 * MINUTE, Duration::from_millis(50)..=HOUR);
    let max_creates = r.number("MAX_CREATES", 100, 0..=10_000);
    let max_removals = r.parsed("MAX_REMOVALS", |text| values::number(text, &(0..=10_000)));
    Some(Policy {
        mode,
        deployment: deployment?,
        tenant: tenant?,
        application: application?,
        name,
        description,
        apps,
        modules,
        tags,
        run_frequency_minutes,
        sync_max_age,
        follow_up,
        max_creates,
        max_removals,
        calls_per_hour,
    })
}
