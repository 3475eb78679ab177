//! A doubtful list of connectors: it is named, with what a person can do.

use super::begin::StoredState;
use crate::report::{CycleStage, Problem};

/// The problem of a doubtful list; none when the list is not doubtful.
pub(super) fn problem(stored: &StoredState) -> Option<Problem> {
    let doubt = stored.state.lists.doubt.as_ref()?;
    Some(Problem {
        stage: CycleStage::Observe,
        error: doubt.to_string(),
        advice: format!(
            "if they were deleted, run `{}`; if not, give the Qualys user back its role and scope",
            doubt.command()
        ),
    })
}
