//! The Azure Functions host v4 around a real custom-handler process, on loopback.
//!
//! It reads an app folder and starts the executable. Where the host's source was read, its protocol is the same byte for
//! byte. It provides timers, queues (folders, or those of a storage account), Event Grid and HTTP, and records
//! everything. Any number of hosts may run at once. When a host is dropped, its handler and its tasks end, as on an
//! instance that crashes.

mod answer;
mod any_queue;
mod azure_queue;
mod check;
mod config;
mod delivery;
mod dispatch;
mod endpoint;
mod envelope;
mod eventgrid;
mod folder_queue;
mod functions;
mod http;
mod lines;
mod options;
mod output;
mod port;
mod process;
mod query;
mod queue;
mod record;
mod schedule;
mod shared;
mod supervise;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod timer;

pub use azure_queue::AzureQueues;
pub use folder_queue::{FolderQueue, Message};
pub use lines::{Level, Line, Stream};
pub use options::{ChunkedBody, ExitZero, HostOptions, Timers};
pub use record::{Answer, Invocation, Outcome};
pub use timer::TimerKind;

use crate::storage::rest::Rest;
use anyhow::{Context, Result, bail, ensure};
use config::Config;
use functions::{Function, Functions, Trigger};
use jiff::Timestamp;
use serde_json::Value;
use shared::{Command, Phase, Shared};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A running host.
pub struct Host {
    shared: Arc<Shared>,
    address: SocketAddr,
    _supervisor: JoinSet<()>,
}

impl Host {
    /// Reads the app, starts the handler and the listeners, and returns when the handler is ready. An error says why the
    /// host refused or gave up, with the handler's last lines on stderr.
    pub async fn start(options: HostOptions) -> Result<Self> {
        ensure!(
            options.queue_dir.is_none() || options.queue_account.is_none(),
            "queue_dir and queue_account are alternatives"
        );
        let account = options.queue_account.as_ref().map(AzureQueues::connect).transpose()?;
        let config = Config::read(&options)?;
        let functions = Functions::read(&config, &options)?;
        let port = port::choose(&options, &config)?;
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(options, config, functions, port, sender));
        for (name, error) in &shared.functions.errors {
            shared.record.say(Level::Warning, format!("The '{name}' function is in error: {error}"));
        }
        let mut supervisor = JoinSet::new();
        if shared.is_running() {
            supervisor.spawn(supervise::supervise(Arc::clone(&shared), receiver));
        }
        let host = Self { shared, address, _supervisor: supervisor };
        host.ready().await?;
        host.listen(listener, account.as_ref());
        Ok(host)
    }

    fn listen(&self, listener: tokio::net::TcpListener, account: Option<&Arc<Rest>>) {
        let shared = &self.shared;
        let router = axum::Router::new().fallback(endpoint::handle).with_state(Arc::clone(shared));
        shared.spawn(async move {
            // It ends with its task. axum itself waits after an accept error.
            let _ = axum::serve(listener, router).await;
        });
        for function in shared.functions.good.values().cloned() {
            match &function.trigger {
                Trigger::Timer { .. } => {
                    shared.spawn_listener(Arc::clone(shared).listen_to_timer(function));
                }
                Trigger::Queue { queue, .. } => {
                    if let Some(queue) = shared.queue(queue, account) {
                        shared.spawn_listener(Arc::clone(shared).listen_to_queue(function, queue));
                    }
                }
                Trigger::EventGrid { .. } | Trigger::Http { .. } => {}
            }
        }
        if let Some(every) = shared.options.ping_every {
            let shared = Arc::clone(shared);
            self.shared.spawn(async move {
                loop {
                    tokio::time::sleep(every).await;
                    shared.ping().await;
                }
            });
        }
    }

    /// The address of the host's own listener, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until a handler is ready; an error if the host has stopped.
    pub async fn ready(&self) -> Result<()> {
        let mut phase = self.shared.phase.subscribe();
        let phase = phase.wait_for(|phase| !matches!(phase, Phase::Starting { .. })).await?.clone();
        match phase {
            Phase::Stopped { reason } => bail!("the host has stopped: {reason}"),
            _ => Ok(()),
        }
    }

    /// How long the running handler took from its start to its first answer.
    pub fn ready_after(&self) -> Duration {
        match &*self.shared.phase.borrow() {
            Phase::Ready { took, .. } => *took,
            _ => Duration::ZERO,
        }
    }

    /// The handler's process id while it runs.
    pub fn handler_pid(&self) -> Option<u32> {
        match &*self.shared.phase.borrow() {
            Phase::Ready { pid, .. } => *pid,
            _ => None,
        }
    }

    /// The handler's port, the same for every restart within one host.
    pub fn handler_port(&self) -> u16 {
        self.shared.port
    }

    /// Names of the functions that run.
    pub fn functions(&self) -> Vec<String> {
        self.shared.functions.good.keys().cloned().collect()
    }

    /// The functions that could not be indexed, each with the reason.
    pub fn function_errors(&self) -> BTreeMap<String, String> {
        self.shared.functions.errors.clone()
    }

    /// Why the host has stopped, if it has.
    pub fn stopped(&self) -> Option<String> {
        match &*self.shared.phase.borrow() {
            Phase::Stopped { reason } => Some(reason.clone()),
            _ => None,
        }
    }

    /// Fires a timer now, retries included, and returns its last attempt. Panics if there is no such function.
    pub async fn fire_timer(&self, function: &str, kind: TimerKind) -> Invocation {
        let function = self.function(function);
        assert!(matches!(function.trigger, Trigger::Timer { .. }), "{} is no timer", function.name);
        self.shared.run_timer(function, timer::info_of(function, kind, Timestamp::now())).await
    }

    /// One Event Grid delivery: the host's answer, or 504 if none came within the limit.
    pub async fn deliver(&self, function: &str, events: &[Value]) -> u16 {
        let mut query = vec![("functionName", function)];
        if let Some(key) = &self.shared.options.function_key {
            query.push(("code", key));
        }
        let query: Vec<String> =
            query.iter().map(|(key, value)| format!("{key}={}", query::percent(value, is_plain))).collect();
        let url = format!("{}/runtime/webhooks/EventGrid?{}", self.url(), query.join("&"));
        let request = process::client(None)
            .post(url)
            .timeout(self.shared.options.eventgrid_limit)
            .header("aeg-event-type", "Notification")
            .header("aeg-delivery-count", "0")
            .json(events);
        request.send().await.map_or(504, |response| response.status().as_u16())
    }

    /// Delivers until the host accepts or `attempts` are used up, `delay` apart (in reality from 10 s up to 12 h). 400,
    /// 404 and 413 end it at once; whether others do was not observed.
    pub async fn redeliver(
        &self,
        function: &str,
        events: &[Value],
        attempts: usize,
        delay: Duration,
    ) -> Vec<u16> {
        let mut answers = Vec::new();
        for attempt in 0..attempts {
            if attempt > 0 {
                tokio::time::sleep(delay).await;
            }
            let status = self.deliver(function, events).await;
            answers.push(status);
            if matches!(status, 200..300 | 400 | 404 | 413) {
                break;
            }
        }
        answers
    }

    /// Posts this envelope body as it is, for example a recorded one. The outcome is in [`Host::invocations`]; an error
    /// if no answer came. Panics if there is no such function.
    pub async fn invoke_raw(&self, function: &str, body: &[u8]) -> Result<Answer> {
        let function = self.function(function);
        let done = self.shared.invoke(function, bytes::Bytes::copy_from_slice(body), 1).await;
        done.answer.with_context(|| format!("no answer: {:?}", done.outcome))
    }

    /// All invocations that have ended, in the order of their ends.
    pub fn invocations(&self) -> Vec<Invocation> {
        self.shared.record.invocations()
    }

    /// Id and function of the invocations that have not ended.
    pub fn open_invocations(&self) -> Vec<(String, String)> {
        self.shared.record.open_invocations()
    }

    /// Waits until every invocation has ended.
    pub async fn quiet(&self) {
        self.shared.record.quiet().await;
    }

    /// Every line that the handler and the host wrote.
    pub fn lines(&self) -> Vec<Line> {
        self.shared.record.lines()
    }

    /// A queue of this host. Panics without `queue_dir`.
    pub fn queue(&self, name: &str) -> FolderQueue {
        FolderQueue::new(self.shared.options.queue_dir.as_ref().expect("queue_dir is set"), name)
    }

    /// Kills the handler with SIGKILL, from outside, which counts as a crash. Returns when it is gone. The host starts
    /// another at once, unless it was the third crash.
    pub async fn kill_handler(&self) {
        if matches!(*self.shared.phase.borrow(), Phase::Ready { pid: None, .. }) {
            return;
        }
        if let Some(generation) = self.generation() {
            self.shared.command(Command::Kill { generation });
            self.shared.gone(generation).await;
        }
    }

    /// Kills the handler that is running now, after a delay, whatever it is doing then.
    pub fn kill_handler_after(&self, delay: Duration) {
        let Some(generation) = self.generation() else { return };
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(async move {
            tokio::time::sleep(delay).await;
            shared.command(Command::Kill { generation });
        });
    }

    /// Makes the host replace the handler, as after a change of settings. This does not count as a crash. Returns when
    /// the new one is ready.
    pub async fn restart(&self) -> Result<()> {
        if let Some(generation) = self.generation() {
            let why = "host restart".to_owned();
            self.shared.command(Command::Restart { generation, why });
            self.shared.gone(generation).await;
        }
        self.ready().await
    }

    /// Stops the listeners, waits for running invocations up to the limit, then kills the handler with SIGKILL. The
    /// record can still be read.
    pub async fn stop(&self) {
        self.shared.begin_stopping();
        let done = async {
            self.shared.listeners_done().await;
            self.quiet().await;
        };
        // What is still running at the limit is lost: its messages stay invisible.
        let _ = tokio::time::timeout(self.shared.options.stop_bound, done).await;
        self.shared.abort_tasks();
        if let Some(generation) = self.generation() {
            self.shared.command(Command::Stop { reason: "stopped".to_owned() });
            self.shared.gone(generation).await;
            let mut phase = self.shared.phase.subscribe();
            // The sender lives in `self`, so the wait cannot fail.
            let _ = phase.wait_for(|phase| matches!(phase, Phase::Stopped { .. })).await;
        }
    }

    /// What is wrong with the run so far, a sentence for each fault.
    pub fn findings(&self) -> Vec<String> {
        self.shared.findings()
    }

    /// Panics with all findings unless every answer was a JSON object with the right content type, nothing was printed on
    /// stderr, no invocation is open or hung, and the handler listens only on 127.0.0.1 and its port.
    pub fn assert_clean(&self) {
        let findings = self.findings();
        assert!(findings.is_empty(), "the run was not clean:\n{}", findings.join("\n"));
    }

    /// Panics if a secret is in any line or answer, whether plain, JSON-escaped, URL-encoded or in base64.
    pub fn assert_no_secret(&self, secrets: &[String]) {
        let leaks = self.shared.leaks(secrets);
        assert!(leaks.is_empty(), "secrets were written:\n{}", leaks.join("\n"));
    }

    fn generation(&self) -> Option<u64> {
        self.shared.phase.borrow().generation()
    }

    fn function(&self, name: &str) -> &Function {
        let functions = &self.shared.functions;
        functions.good.get(name).unwrap_or_else(|| {
            panic!("no function '{name}' among {:?} (in error: {:?})", self.functions(), functions.errors)
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.begin_stopping();
        self.shared.abort_tasks();
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
