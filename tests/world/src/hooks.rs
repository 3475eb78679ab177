//! Closures that run when a given request arrives, or just before its answer leaves.
//!
//! Guarantees: no lock is held while they run, so they may use the world, kill a process or wait a moment.

use crate::calls::Call;

type Callback = Box<dyn FnOnce(&Call) + Send>;

/// Whether this is the request that a hook waits for.
type Wanted = Box<dyn FnMut(&Call) -> bool + Send>;

/// When in a request's life a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It is recorded, and nothing is done yet.
    Arrival,
    /// It had its effect, and the answer is not sent yet.
    Answer,
}

/// The hooks that have not run yet.
#[derive(Default)]
pub(crate) struct Hooks {
    waiting: Vec<(Moment, Wanted, Callback)>,
}

impl Hooks {
    pub(crate) fn add(&mut self, moment: Moment, wanted: Wanted, callback: Callback) {
        self.waiting.push((moment, wanted, callback));
    }

    /// The hooks that run now.
    pub(crate) fn take(&mut self, moment: Moment, call: &Call) -> Vec<Callback> {
        self.waiting
            .extract_if(.., |(at, wanted, _)| *at == moment && wanted(call))
            .map(|(_, _, callback)| callback)
            .collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }
}
