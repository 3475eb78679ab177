//! `approve`: an operator says, under their own sign-in, that what a list lacks is gone.

use crate::app::App;
use crate::plan::Plan;
use crate::retry::chance;
use crate::state::{Approval, Doubt};
use crate::store::{BlobKey, Condition};
use anyhow::Context;
use jiff::Timestamp;

/// What an approval led to.
pub(super) enum Approved {
    /// It was stored; the text says what happens now.
    Stored(String),
    /// There is nothing to approve, or something else; the text says what.
    Refused(String),
}

/// Approves that the connectors which the newest list lacks are gone.
///
/// # Errors
/// When the plan cannot be read, or the approval cannot be written.
pub(super) async fn missing(
    app: &App,
    hash: &str,
    missing: usize,
    now: Timestamp,
) -> anyhow::Result<Approved> {
    let (store, tenant) = (&app.tenant.store, app.tenant.id());
    let Some((plan, _)) = store.read::<Plan>(&BlobKey::Plan(tenant)).await? else {
        return Ok(Approved::Refused(
            "there is no plan yet, so nothing can be approved: run `cycle` first".into(),
        ));
    };
    let made = plan.made;
    let Some(doubt) = plan.doubt else {
        return Ok(Approved::Refused(format!(
            "the newest plan, made at {made}, does not doubt the list of connectors: there is nothing to approve"
        )));
    };
    if !is_named(&doubt, hash, missing) {
        return Ok(Approved::Refused(format!(
            "not approved: the newest plan, made at {made}, says something else: {doubt}. Look at it again; if the connectors \
             were deleted, run `{}`",
            doubt.command()
        )));
    }
    let approval = Approval::new(&doubt, now, chance());
    let key = BlobKey::ApprovedMissing(tenant, doubt.hash());
    store.write(&key, &approval, Condition::Any).await.context(
        "the approval could not be stored: your own sign-in needs the role Storage Blob Data Contributor on the container `approvals`, \
         which must exist",
    )?;
    Ok(Approved::Stored(format!(
        "Approved: {missing} connectors count as gone. The next cycle within 24 hours uses this approval, once. Before it creates a \
         connector, it asks Qualys for the old one"
    )))
}

fn is_named(doubt: &Doubt, hash: &str, missing: usize) -> bool {
    doubt.hash().eq_ignore_ascii_case(hash.trim()) && doubt.missing.len() == missing
}
