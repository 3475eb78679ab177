//! A doubtful list of connectors: it is named with what a person can do, until it is approved.

use super::allowed::Allowed;
use super::begin::StoredState;
use super::{Cycle, Problems};
use crate::report::{CycleStage, Problem};
use crate::state::{Approval, Doubt};
use crate::store::{BlobKey, Condition, StoreError};
use tracing::info;

impl Cycle<'_> {
    /// Ends the doubt about the list if an operator approved it, else names it.
    pub(super) async fn heed_doubt(
        &self,
        stored: &mut StoredState,
        allowed: Allowed,
        problems: &mut Problems,
    ) {
        let Some(doubt) = stored.state.lists.doubt.clone() else { return };
        // A pass that stores nothing must not use up an approval.
        if allowed.stores_state() && self.visit.is_ours() {
            match self.use_approval(&doubt).await {
                Ok(Some(approval)) => {
                    let missing = approval.missing;
                    info!(approval.id = %approval.id, missing, "An operator approved that {missing} connectors are gone");
                    return stored.state.lists.approve();
                }
                Ok(None) => {}
                Err(error) => problems.push(Problem::new(
                    CycleStage::Observe,
                    &error,
                    "give the identity the right to read the container `approvals` and to write to `control`: an approval cannot be used",
                )),
            }
        }
        problems.push(Problem {
            stage: CycleStage::Observe,
            error: doubt.to_string(),
            advice: format!(
                "if they were deleted, run `{}`; if not, give the Qualys user back its role and scope",
                doubt.command()
            ),
        });
    }

    /// The approval of this doubt, if there is one that was not used before. It is marked as used in `control/`, since this
    /// program may not write to `approvals/`.
    async fn use_approval(&self, doubt: &Doubt) -> Result<Option<Approval>, StoreError> {
        let (store, tenant) = (&self.tenant.store, self.tenant.id());
        let key = BlobKey::ApprovedMissing(tenant, doubt.hash());
        let approval = match store.read::<Approval>(&key).await {
            Ok(Some((approval, _))) => approval,
            // Without the container nobody can have approved anything.
            Ok(None) | Err(StoreError::NoContainer { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !approval.is_for(doubt, self.time().now()) {
            return Ok(None);
        }
        let used = BlobKey::UsedApproval(tenant, approval.id.clone());
        match store.write(&used, &approval, Condition::New).await {
            Ok(_) => Ok(Some(approval)),
            Err(StoreError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
