//! Closures that run when a given request arrives, or just before its answer leaves.
//!
//! Guarantees: they run with no lock held, so they may use the world, kill a process or wait a moment.

use crate::calls::Call;

type Callback = Box<dyn FnOnce(&Call) + Send>;

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
    waiting: Vec<(Moment, u64, Callback)>,
}

impl Hooks {
    pub(crate) fn add(&mut self, moment: Moment, number: u64, callback: Callback) {
        self.waiting.push((moment, number, callback));
    }

    pub(crate) fn take(&mut self, moment: Moment, number: u64) -> Vec<Callback> {
        self.waiting
            .extract_if(.., |(at, wanted, _)| *at == moment && *wanted == number)
            .map(|(_, _, callback)| callback)
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }
}
