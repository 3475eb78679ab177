//! How far a pass has come: what a person who stops it is told.

use crate::model::Name;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// How far a pass has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing has been sent to Qualys that changes anything.
    #[default]
    Reading,
    Acting {
        actions: usize,
    },
    /// The outcomes of the actions are saved.
    Snapshot,
    /// It takes a moment, and is not stopped.
    Closing,
}

/// How far a pass has come, as it goes.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Stage>);

impl Progress {
    fn set(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    pub(super) fn acts(&self, actions: usize) {
        self.set(Stage::Acting { actions });
    }

    pub(super) fn takes_a_snapshot(&self) {
        self.set(Stage::Snapshot);
    }

    pub(super) fn closes(&self) {
        self.set(Stage::Closing);
    }

    fn stage(&self) -> Stage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.stage() == Stage::Closing
    }

    pub(super) fn stopped(&self, account: &Name) -> Stopped {
        Stopped { stage: self.stage(), account: account.clone() }
    }
}

/// A pass that a person stopped. It left the account, and what it had begun is as after a kill.
#[derive(Debug)]
pub struct Stopped {
    stage: Stage,
    account: Name,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, account } = self;
        match stage {
            Stage::Reading => write!(f, "Stopped while reading: nothing was changed at Qualys")?,
            Stage::Acting { actions } => write!(
                f,
                "Stopped while carrying out {actions} actions: the log names those that ended. What was sent counts as done \
                 until the next cycle has looked; it takes up the rest"
            )?,
            Stage::Snapshot | Stage::Closing => write!(
                f,
                "Stopped while taking a snapshot: the actions are done and recorded. The snapshot is not published, and another \
                 is taken after SNAPSHOT_GAP"
            )?,
        }
        write!(f, ". Inbox items stay for the next cycle. Account `{account}` is free")
    }
}
