//! The whole state of the world, behind one lock.
//!
//! Guarantees: every reader sees the state as of now, because syncs that are due are ended first ([`Shared::with`]).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::azure::Azure;
use crate::calls::Calls;
use crate::clock::Clock;
use crate::entra::Entra;
use crate::faults::Fault;
use crate::hooks::Hooks;
use crate::ids::{GuidKind, Ids};
use crate::proxy::Routes;
use crate::qualys::Qualys;
use crate::storage::Forward;
use crate::tls::Authority;
use crate::vault::Vaults;

/// The addresses of the services.
#[derive(Clone, Debug)]
pub(crate) struct Urls {
    pub(crate) qualys: String,
    pub(crate) arm: String,
    pub(crate) entra: String,
    pub(crate) identity: String,
    pub(crate) proxy: String,
    pub(crate) control: Option<String>,
}

/// Everything that can change.
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) azure: Azure,
    pub(crate) entra: Entra,
    pub(crate) qualys: Qualys,
    pub(crate) vaults: Vaults,
    pub(crate) routes: Routes,
    pub(crate) calls: Calls,
    pub(crate) faults: Vec<Fault>,
    pub(crate) hooks: Hooks,
}

impl State {
    pub(crate) fn new() -> Self {
        let mut ids = Ids::default();
        let tenant = ids.guid(GuidKind::Tenant);
        let entra = Entra::new(&tenant, ids.guid(GuidKind::App));
        Self {
            clock: Clock::default(),
            azure: Azure::new(tenant),
            entra,
            ids,
            qualys: Qualys::default(),
            vaults: Vaults::default(),
            routes: Routes::default(),
            calls: Calls::default(),
            faults: Vec::new(),
            hooks: Hooks::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The state, and what all connections share.
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) urls: Urls,
    pub(crate) authority: Arc<Authority>,
    pub(crate) storage: Forward,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(urls: Urls) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new()),
            urls,
            authority: Authority::new(),
            storage: Forward::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }

    /// The state as it is, without ending syncs that are due.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // If a test panics inside a closure, a poisoned lock must not hide its message.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `look` on the state as of now.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.progress();
        look(&mut state)
    }

    /// Counts a Qualys request as running until the guard is dropped. Returns how many are running, including this one.
    pub(crate) fn enter(self: &Arc<Self>) -> (Running, usize) {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        (Running(Arc::clone(self)), running)
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    pub(crate) fn forget_most(&self) {
        self.most.store(self.running(), Ordering::SeqCst);
    }
}

/// A Qualys request in progress.
pub(crate) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
