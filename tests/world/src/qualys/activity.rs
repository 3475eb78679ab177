//! The calls that were accepted lately, for the rate limit.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::calls::CallKind;
use crate::clock::later;

/// For each endpoint, the times of the calls that counted, and how many refusals came in a row.
#[derive(Debug, Default)]
pub(super) struct Activity {
    times: BTreeMap<CallKind, VecDeque<Timestamp>>,
    refused: BTreeMap<CallKind, u32>,
}

impl Activity {
    /// Calls of the endpoint in the window that ends now.
    pub(super) fn used(&self, call: CallKind, window: SignedDuration, now: Timestamp) -> usize {
        let inside = |at: &&Timestamp| later(**at, window) > now;
        self.times.get(&call).map_or(0, |times| times.iter().filter(inside).count())
    }

    /// Seconds until one more call fits.
    pub(super) fn wait(&self, call: CallKind, window: SignedDuration, limit: usize, now: Timestamp) -> u64 {
        let times = self.times.get(&call);
        // The call that must leave the window is the limit-th from the end. With a limit of 0 no call ever fits.
        let leaves =
            times.and_then(|times| times.len().checked_sub(limit).and_then(|index| times.get(index)));
        let until = leaves.map_or(window, |at| later(*at, window).duration_since(now));
        // Rounded up, so that a client that waits this long is accepted.
        let part = i64::from(until.subsec_nanos() > 0);
        u64::try_from(until.as_secs() + part).unwrap_or_default().max(1)
    }

    /// Forgets the calls that have left the window.
    pub(super) fn prune(&mut self, call: CallKind, window: SignedDuration, now: Timestamp) {
        let times = self.times.entry(call).or_default();
        while times.front().is_some_and(|at| later(*at, window) <= now) {
            times.pop_front();
        }
    }

    pub(super) fn let_through(&mut self, call: CallKind, now: Timestamp) {
        self.times.entry(call).or_default().push_back(now);
        self.refused.remove(&call);
    }

    /// Counts a refusal and returns its number in the row, from 1.
    pub(super) fn refuse(&mut self, call: CallKind) -> u32 {
        let refused = self.refused.entry(call).or_default();
        *refused += 1;
        *refused
    }
}
