//! What all parts of one host share: options, functions, the record, the state of the handler, and the tasks that end
//! with the host.

use super::config::Config;
use super::functions::Functions;
use super::lines::Level;
use super::options::HostOptions;
use super::record::Record;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Where the handler process is in its life.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The app has no function: the process is never started.
    Idle,
    Starting {
        generation: u64,
    },
    /// Without a pid it is dead, and the host does not know (exit code 0 on old hosts).
    Ready {
        generation: u64,
        pid: Option<u32>,
        client: reqwest::Client,
        took: Duration,
    },
    /// The host has shut itself down, or was stopped.
    Stopped {
        reason: String,
    },
}

impl Phase {
    pub(super) fn generation(&self) -> Option<u64> {
        match self {
            Self::Starting { generation } | Self::Ready { generation, .. } => Some(*generation),
            Self::Idle | Self::Stopped { .. } => None,
        }
    }
}

/// Requests to the supervisor. A handler of another generation is not touched.
#[derive(Debug)]
pub(super) enum Command {
    /// SIGKILL from outside, which counts as a crash.
    Kill { generation: u64 },
    /// The host replaces the handler, which does not count as a crash.
    Restart { generation: u64, why: String },
    /// The host was dropped.
    Stop { reason: String },
}

pub(super) struct Shared {
    pub(super) options: HostOptions,
    pub(super) config: Config,
    pub(super) functions: Functions,
    pub(super) record: Arc<Record>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) port: u16,
    pub(super) worker_id: String,
    stopping: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
    listeners: Mutex<JoinSet<()>>,
}

impl Shared {
    pub(super) fn new(
        options: HostOptions,
        config: Config,
        functions: Functions,
        port: u16,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        let first = if functions.good.is_empty() { Phase::Idle } else { Phase::Starting { generation: 1 } };
        Self {
            options,
            config,
            functions,
            record: Arc::new(Record::new()),
            phase: watch::Sender::new(first),
            commands,
            port,
            worker_id: uuid::Uuid::new_v4().to_string(),
            stopping: watch::Sender::new(false),
            tasks: Mutex::default(),
            listeners: Mutex::default(),
        }
    }

    /// Starts a task that ends with the host at the latest.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Runs work that goes on even if the caller goes away, as in a real host; `None` if the host ended first.
    pub(super) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.spawn(async move {
            // The caller is gone, but the work was done.
            let _ = sender.send(work.await);
        });
        receiver.await.ok()
    }

    /// Starts a timer or queue listener. A stop waits for what it is doing.
    pub(super) fn spawn_listener(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    /// Waits until the listeners have finished what they were doing. If the wait is dropped, they end at once.
    pub(super) async fn listeners_done(&self) {
        let mut listeners =
            std::mem::take(&mut *self.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        while listeners.join_next().await.is_some() {}
    }

    pub(super) fn abort_tasks(&self) {
        for tasks in [&self.tasks, &self.listeners] {
            tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        }
    }

    /// Returns once a stop has begun.
    pub(super) async fn stop_begun(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    pub(super) fn begin_stopping(&self) {
        self.stopping.send_replace(true);
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow() || matches!(*self.phase.borrow(), Phase::Stopped { .. })
    }

    /// Whether a handler is running or starting.
    pub(super) fn is_running(&self) -> bool {
        !matches!(*self.phase.borrow(), Phase::Idle | Phase::Stopped { .. })
    }

    pub(super) fn command(&self, command: Command) {
        // Without a supervisor there is no handler.
        let _ = self.commands.send(command);
    }

    pub(super) fn stop_with(&self, reason: &str) {
        self.record.say(Level::Error, reason);
        self.command(Command::Stop { reason: reason.to_owned() });
    }

    /// Returns once the handler of that generation is gone.
    pub(super) async fn gone(&self, generation: u64) {
        let mut phase = self.phase.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = phase.wait_for(|phase| phase.generation() != Some(generation)).await;
    }
}
