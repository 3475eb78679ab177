//! The handle: it starts the services on a thread of their own and stops them when the last clone is dropped.
//!
//! Guarantees: every method is synchronous and may be called from any thread, inside a runtime or outside.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use crate::calls::{Call, CallKind};
use crate::faults::Fault;
use crate::hooks::Moment;
use crate::net;
use crate::proxy;
use crate::qualys::Manners;
use crate::state::{Shared, State, Urls};

/// Which ports to use. With 0, the default, the system chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// Port of the Qualys API server.
    pub qualys_port: u16,
    /// Port of Resource Manager.
    pub arm_port: u16,
    /// Port of the Entra token endpoint.
    pub entra_port: u16,
    /// Port of the identity endpoint.
    pub identity_port: u16,
    /// Port of the proxy.
    pub proxy_port: u16,
    /// The port of the control API, which exists only if this is given.
    pub control_port: Option<u16>,
}

/// The simulated world. Clones share it, and it stops when the last one is dropped.
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl World {
    /// Starts the services; they listen when this returns.
    ///
    /// # Panics
    /// When a port is taken or a thread cannot be started.
    pub fn start(setup: Setup) -> Self {
        let listen = |port: u16| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .unwrap_or_else(|error| panic!("cannot listen on 127.0.0.1:{port}: {error}"));
            listener.set_nonblocking(true).expect("a listener can be made non-blocking");
            let address = listener.local_addr().expect("a bound listener has an address");
            (listener, address)
        };
        let url = |address: SocketAddr| format!("http://{address}");
        let (qualys, arm, entra, identity, proxy) = (
            listen(setup.qualys_port),
            listen(setup.arm_port),
            listen(setup.entra_port),
            listen(setup.identity_port),
            listen(setup.proxy_port),
        );
        let control = setup.control_port.map(listen);
        let shared = Shared::new(Urls {
            qualys: url(qualys.1),
            arm: url(arm.1),
            entra: url(entra.1),
            identity: format!("{}/msi/token", url(identity.1)),
            proxy: url(proxy.1),
            control: control.as_ref().map(|(_, address)| url(*address)),
        });
        let mut doors = vec![
            (net::Door::Qualys, qualys.0),
            (net::Door::Arm, arm.0),
            (net::Door::Entra, entra.0),
            (net::Door::Identity, identity.0),
        ];
        doors.extend(control.map(|(listener, _)| (net::Door::Control, listener)));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("world".to_owned())
            .spawn(move || run(doors, proxy.0, &served, stopped))
            .expect("a thread can be started");
        Self {
            inner: Arc::new(Inner { shared, stop: Mutex::new(Some(stop)), thread: Mutex::new(Some(thread)) }),
        }
    }

    pub(crate) fn from_shared(shared: &Arc<Shared>) -> Self {
        let inner = Inner { shared: Arc::clone(shared), stop: Mutex::new(None), thread: Mutex::new(None) };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        self.inner.shared.with(look)
    }

    /// Base address of the Qualys API server.
    pub fn qualys_url(&self) -> String {
        self.shared().urls.qualys.clone()
    }

    /// Base address of Resource Manager.
    pub fn arm_url(&self) -> String {
        self.shared().urls.arm.clone()
    }

    /// Base address of the Entra authority.
    pub fn entra_url(&self) -> String {
        self.shared().urls.entra.clone()
    }

    /// The value for `IDENTITY_ENDPOINT`.
    pub fn identity_endpoint(&self) -> String {
        self.shared().urls.identity.clone()
    }

    /// Base address of the control API, if there is one.
    pub fn control_url(&self) -> Option<String> {
        self.shared().urls.control.clone()
    }

    /// The world's time.
    pub fn now(&self) -> Timestamp {
        self.shared().lock().now()
    }

    /// Stops the clock at `to`. From now on only [`World::advance`] and this move it.
    pub fn set_time(&self, to: Timestamp) {
        self.shared().lock().clock.set(to);
        self.with(|_| ());
    }

    /// Moves the clock forward and stops it there.
    pub fn advance(&self, by: SignedDuration) {
        self.shared().lock().clock.advance(by);
        self.with(|_| ());
    }

    /// Changes the switches of Qualys.
    pub fn manners(&self, change: impl FnOnce(&mut Manners)) {
        self.with(|state| change(&mut state.qualys.manners));
    }

    /// Arms a fault. Several may be armed; of those that match a request, the one that was armed first strikes.
    pub fn fault(&self, fault: Fault) {
        self.shared().lock().faults.push(fault);
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        self.shared().lock().faults.clear();
    }

    /// Runs `callback` when the `n`-th request from now arrives (1 is the next), before it has any effect. Then the
    /// request is handled as usual. The callback must not hold the last clone of the world.
    pub fn on_request(&self, n: u64, callback: impl FnOnce(&Call) + Send + 'static) {
        self.hook(Moment::Arrival, n, callback);
    }

    /// Runs `callback` when the `n`-th request from now has had its effect, before the answer leaves.
    pub fn on_answer(&self, n: u64, callback: impl FnOnce(&Call) + Send + 'static) {
        self.hook(Moment::Answer, n, callback);
    }

    fn hook(&self, moment: Moment, n: u64, callback: impl FnOnce(&Call) + Send + 'static) {
        let mut state = self.shared().lock();
        let number = state.calls.numbered() + n.max(1);
        state.hooks.add(moment, Box::new(move |call| call.number == number), Box::new(callback));
    }

    /// Runs `callback` when the `n`-th request of kind `kind` whose path contains `part` has had its effect, before the
    /// answer leaves.
    pub fn on_answer_to(
        &self,
        kind: CallKind,
        part: &str,
        n: u64,
        callback: impl FnOnce(&Call) + Send + 'static,
    ) {
        let (part, mut left) = (part.to_owned(), n.max(1));
        let wanted = move |call: &Call| {
            let is_one = call.call == kind && call.path.contains(&part);
            left = left.saturating_sub(u64::from(is_one));
            is_one && left == 0
        };
        self.shared().lock().hooks.add(Moment::Answer, Box::new(wanted), Box::new(callback));
    }

    /// Removes the callbacks that have not run.
    pub fn clear_hooks(&self) {
        self.shared().lock().hooks.clear();
    }

    /// Every request since the start or the last [`World::clear_calls`].
    pub fn calls(&self) -> Vec<Call> {
        self.shared().lock().calls.kept().to_vec()
    }

    /// The creates, updates, runs and deletes among [`World::calls`].
    pub fn qualys_writes(&self) -> Vec<Call> {
        self.shared().lock().calls.kept().iter().filter(|call| call.call.is_qualys_write()).cloned().collect()
    }

    /// Clears the recorded requests and the greatest concurrency.
    pub fn clear_calls(&self) {
        self.shared().lock().calls.clear();
        self.shared().forget_most();
    }

    /// The most Qualys requests that ran at the same time.
    pub fn max_concurrency_seen(&self) -> usize {
        self.shared().most()
    }

    /// Every secret that the world knows or issued, in plain text: passwords, application secrets, tokens, the identity
    /// header, the value of the Basic header, connector keys and the secrets in vaults. For tests that search for leaks.
    pub fn secrets(&self) -> Vec<String> {
        self.with(|state| {
            let mut all = state.entra.secrets();
            all.extend(state.qualys.secrets());
            all.extend(state.vaults.secrets());
            all.sort();
            all.dedup();
            all
        })
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("urls", &self.shared().urls).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let stop = self.stop.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(stop), Some(thread)) = (stop, thread) {
            let _ = stop.send(());
            // The thread ends within its time limit for shutdown. A panic in it has already been printed.
            let _ = thread.join();
        }
    }
}

fn run(
    doors: Vec<(net::Door, TcpListener)>,
    proxy: TcpListener,
    shared: &Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("world-io")
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let registered = |listener: TcpListener| {
            tokio::net::TcpListener::from_std(listener).expect("a listener can be registered")
        };
        for (door, listener) in doors {
            tokio::spawn(net::serve(registered(listener), Arc::clone(shared), door));
        }
        tokio::spawn(proxy::serve(registered(proxy), Arc::clone(shared)));
        let _ = stopped.await;
    });
    // Long enough for tasks to be dropped at their next await, and short enough if a hook is stuck.
    runtime.shutdown_timeout(Duration::from_millis(200));
}
