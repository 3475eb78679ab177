//! What becomes of each stored time that lies after now: see [`Dated`].

use super::{
    Absence, DisabledByUs, Doubt, Found, LastCycle, LastSnapshot, ListMemory, Refusals, RefusedAlike,
    Remembered, TenantState, Uncovered,
};
use crate::model::{Correction, Dated, Turn};

impl Dated for TenantState {
    fn correct(&mut self, correction: &mut Correction) {
        let Self {
            schema_version: _,
            last_cycle,
            listed: _,
            creates,
            refused,
            refused_alike,
            disables_refused,
            observed: _,
            first_seen,
            moved_away: _,
            covered: _,
            lists,
            connectors,
            disabled,
            removals,
            awaited_end,
            last_snapshot,
            turn: Turn { last: _, chosen },
        } = self;
        if let Some(LastCycle { id: _, began, ended }) = last_cycle {
            correction.past(ended.iter_mut().chain([began]));
        }
        correction.past(creates.values_mut());
        for refusals in refused.values_mut().chain(disables_refused.values_mut()) {
            refusals.correct(correction);
        }
        if let Some(RefusedAlike { code: _, error: _, subscriptions: _, waits: _, at }) = refused_alike {
            correction.past([at]);
        }
        correction.past(first_seen.values_mut());
        lists.correct(correction);
        for sync in connectors.values_mut() {
            sync.correct(correction);
        }
        for DisabledByUs { subscription: _, at, proof: _, seen } in disabled.values_mut() {
            correction.past(seen.iter_mut().chain([at]));
        }
        correction.past(removals);
        correction.past(awaited_end);
        correction.past(chosen);
        // A snapshot from the future would settle every request, and none would be due. Without it, one is due.
        last_snapshot.take_if(|LastSnapshot { id: _, began, complete: _, progress: _, doubt: _ }| {
            correction.is_ahead(*began)
        });
    }
}

impl Dated for ListMemory {
    fn correct(&mut self, correction: &mut Correction) {
        let Self { connectors, uncovered, first, doubt } = self;
        for Remembered {
            subscription: _,
            marked: _,
            member: _,
            of_tenant: _,
            made,
            missing,
            gone: _,
            asked,
        } in connectors.values_mut()
        {
            correction.past(made.iter_mut().chain(asked));
            correction.past(missing.iter_mut().map(|Absence { since, lists: _ }| since));
        }
        for Uncovered { absence: Absence { since, lists: _ }, approved: _, found } in uncovered.values_mut() {
            correction.past([since]);
            correction.past(found.iter_mut().map(|Found { connector: _, at, times: _ }| at));
        }
        correction.past(first.iter_mut().map(|Absence { since, lists: _ }| since));
        correction.past(doubt.iter_mut().map(|Doubt { since, missing: _, known: _ }| since));
    }
}

impl Dated for Refusals {
    fn correct(&mut self, correction: &mut Correction) {
        let Self { count: _, at, last: _, tries } = self;
        correction.past(tries.iter_mut().chain([at]));
    }
}
