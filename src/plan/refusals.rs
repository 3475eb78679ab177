//! Which creates are held back because Qualys refused others alike: rule *refusals back off*.

use super::planner::Planner;
use super::{ActionKind, Step, Withheld};
use crate::model::SubscriptionId;
use jiff::Timestamp;

impl Planner<'_> {
    /// Holds back all creates while Qualys refuses them alike, but for one when the wait is over.
    pub(super) fn hold_back_creations(&mut self) {
        let Some(alike) = &self.state.refused_alike else { return };
        let Some(until) = alike.until() else { return };
        let mut wanted = self.steps.iter().filter(|step| is_creation(step)).map(|s| s.action.subscription());
        let is_due = alike.is_probe_due(self.now) || wanted.any(|id| self.requested_since(id, alike.at));
        // A brake of zero lets no probe through either.
        let probe = if is_due && self.policy.max_creates > 0 { self.probe() } else { None };
        let (error, refused) = (alike.error.clone(), alike.subscriptions.len());
        let withheld = Withheld::RefusedAlike { code: alike.code.clone(), error, refused, until };
        for step in self.steps.iter_mut().filter(|step| may_be_created(step)) {
            let is_probe = Some(step.action.subscription()) == probe;
            step.withheld = (!is_probe).then(|| withheld.clone());
        }
    }

    /// Whether somebody asked for this subscription after that moment: perhaps because the cause is corrected.
    pub(super) fn requested_since(&self, subscription: SubscriptionId, at: Timestamp) -> bool {
        self.observed.requests.iter().any(|request| request.asked.wants(subscription) && request.at > at)
    }

    /// The create that shows whether Qualys accepts them again. One that was not refused before comes first: what was wrong
    /// with the others may be wrong with them alone.
    fn probe(&self) -> Option<SubscriptionId> {
        let wanted =
            self.steps.iter().filter(|step| may_be_created(step)).map(|step| step.action.subscription());
        wanted.min_by_key(|id| (self.state.refused.get(id).map(|refusals| refusals.at), *id))
    }
}

fn is_creation(step: &Step) -> bool {
    step.action.kind() == ActionKind::Creation
}

/// Whether only the brake may hold it back. What is withheld for another reason stays so: Qualys may have a connector for it.
fn may_be_created(step: &Step) -> bool {
    is_creation(step) && matches!(step.withheld, None | Some(Withheld::CreationBrake { .. }))
}
