//! Closures that run when a given request arrives, or just before its answer leaves.
//!
//! Guarantees: they run with no lock held, so they may use the world, kill a process or wait a moment.

use crate::calls::Call;

type Callback = Box<dyn FnOnce(&Call) + Send>;

/// Whether a hook's request has come.
type Wanted = Box<dyn FnMut(&Call) -> bool + Send>;

/// When in a request's life a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Recorded, nothing done yet.
    Arrival,
    /// Effect done, answer not yet sent.
    Answer,
}

/// The hooks that still wait.
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
