//! The audit: what a cycle is about to write to Qualys, stored before its first write, and the outcomes.
//!
//! An intent without outcomes is that of a killed cycle: what it may have written is recorded in the tenant's state.

use super::CycleError;
use crate::model::CycleId;
use crate::outcome::{Intent, Outcome};
use crate::state::TenantState;
use crate::store::{BlobKey, Condition};
use crate::tenant::Tenant;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tracing::error;

/// Stores what the cycle is about to do.
pub(super) async fn intend(
    tenant: &Tenant,
    cycle: &CycleId,
    intents: impl Iterator<Item = &Intent>,
) -> Result<(), CycleError> {
    let key = BlobKey::Intent(tenant.id(), cycle.clone());
    tenant.store.put(&key, json_lines(intents)?, Condition::New).await?;
    Ok(())
}

/// Stores the outcomes.
pub(super) async fn conclude(
    tenant: &Tenant,
    cycle: &CycleId,
    outcomes: &[Outcome],
) -> Result<(), CycleError> {
    let key = BlobKey::Audit(tenant.id(), cycle.clone());
    tenant.store.put(&key, json_lines(outcomes.iter())?, Condition::New).await?;
    Ok(())
}

/// Records in the state what a killed cycle may have written to Qualys. Returns the number of those writes.
pub(super) async fn recover(
    tenant: &Tenant,
    cycle: &CycleId,
    state: &mut TenantState,
    now: Timestamp,
) -> Result<usize, CycleError> {
    let (store, id) = (&tenant.store, tenant.id());
    let Some(intent) = store.get(&BlobKey::Intent(id, cycle.clone())).await? else { return Ok(0) };
    if store.get(&BlobKey::Audit(id, cycle.clone())).await?.is_some() {
        return Ok(0);
    }
    let (intents, unreadable) = Intent::read_lines(&intent.bytes);
    if unreadable > 0 {
        error!(
            killed = %cycle, unreadable,
            "{unreadable} intended writes of cycle `{cycle}` cannot be read: check its connectors by hand"
        );
    }
    for intent in &intents {
        intent.recover(state, now);
    }
    Ok(intents.len())
}

/// One line each. A line that cannot be written is an error: nothing may be sent to Qualys that the audit would not show.
fn json_lines(lines: impl Iterator<Item = impl Serialize>) -> Result<Bytes, CycleError> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, &line).map_err(CycleError::Audit)?;
        text.push(b'\n');
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_line_that_cannot_be_written_is_an_error_and_no_empty_line() {
        // JSON has no such key.
        let unwritable = BTreeMap::from([((1, 2), 3)]);
        let written = json_lines([unwritable].iter());
        assert!(matches!(written, Err(CycleError::Audit(_))), "{written:?}");
        assert_eq!(json_lines([1, 2].iter()).unwrap(), "1\n2\n");
    }
}
