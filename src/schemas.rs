//! The schemas under `docs/schema/` are made from the types, and a test keeps them true.

use crate::inbox::{ItemContent, RequestStatus};
use crate::manifest::{Latest, Manifest};
use crate::plan::Plan;
use crate::queue::Booking;
use crate::report::{Report, Status};
use crate::state::{AccountState, Approval, TenantState};
use schemars::{JsonSchema, schema_for};
use std::path::Path;

/// Writes the schemas instead of comparing them.
const UPDATE: &str = "UPDATE_SCHEMAS";

fn check<T: JsonSchema>(name: &str) {
    let schema = format!("{}\n", serde_json::to_string_pretty(&schema_for!(T)).unwrap());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(format!("{name}.schema.json"));
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, &schema).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        stored == schema,
        "docs/schema/{name}.schema.json is not that of the type; run `{UPDATE}=1 cargo test schemas`"
    );
}

#[test]
fn the_schemas_are_those_of_the_types() {
    check::<TenantState>("state");
    check::<AccountState>("account");
    check::<Approval>("approval");
    check::<Report>("report");
    check::<Status>("status");
    check::<Plan>("plan");
    check::<ItemContent>("inbox-item");
    check::<Booking>("wake-up");
    check::<RequestStatus>("request");
    check::<Manifest>("manifest");
    check::<Latest>("latest");
}
