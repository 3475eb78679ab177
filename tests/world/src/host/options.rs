//! The options of a simulated host. The defaults are those of the real host, unless a field says otherwise.

use super::azure_queue::AzureQueues;
use std::path::PathBuf;
use std::time::Duration;

/// How timers fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timers {
    /// Never, not even at start.
    Off,
    /// Each timer fires once in this time, whatever its schedule says.
    Every(Duration),
    /// Only through [`Host::fire_timer`](super::Host::fire_timer).
    Manual,
}

/// What the host does when the handler exits with code 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitZero {
    /// It starts the handler again and does not count it as a crash: hosts since January 2026 (azure-functions-host #11576).
    Restart,
    /// Nothing: every further call fails with "connection refused". Hosts before that (#6301, #11500).
    StaysDead,
}

/// What forwarding does with a request body that has no length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkedBody {
    /// The handler sees an empty body (issues #4926, #7930).
    Lost,
    /// The call fails with 500: .NET refuses a `Transfer-Encoding` header without content (read in source).
    Refused,
}

/// What a host is started with.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The folder with `host.json` and a folder for each function.
    pub app_dir: PathBuf,
    /// Replaces `customHandler.description.defaultExecutablePath`.
    pub executable: Option<PathBuf>,
    /// App settings. They are the handler's environment (with the host's own variables and `PATH`), the values of `%X%`,
    /// and overrides of host.json (`AzureFunctionsJobHost__a__b`).
    pub env: Vec<(String, String)>,
    /// The directory of the folder queues. Without it and without [`queue_account`](Self::queue_account) no queue is
    /// listened to.
    pub queue_dir: Option<PathBuf>,
    /// The storage account with the queues, instead of a directory.
    pub queue_account: Option<AzureQueues>,
    /// Where timers keep their status from one host to the next. Without it, every host starts as the first one.
    pub status_dir: Option<PathBuf>,
    /// How timers fire; the default is only by hand.
    pub timers: Timers,
    /// Replaces host.json's `functionTimeout`.
    pub function_timeout: Option<Duration>,
    /// Replaces host.json's `customHandler.initializationTimeout`.
    pub initialization_timeout: Option<Duration>,
    /// How long an invocation with an empty or null 2xx answer hangs before the handler is killed (in reality
    /// `functionTimeout`).
    pub hung_after: Duration,
    /// How long Event Grid waits for the host's answer.
    pub eventgrid_limit: Duration,
    /// How long a received message stays invisible unless it is renewed, which happens at half of this time. Storage
    /// accounts only know whole seconds.
    pub invisibility: Duration,
    /// How often queues are read, if `maxPollingInterval` is not shorter.
    pub poll: Duration,
    /// Replaces the delays of `retry` policies.
    pub retry_delay: Option<Duration>,
    /// What happens on exit code 0, which depends on the version of the host.
    pub exit_zero: ExitZero,
    /// Only errors that follow each other within this time add up to the three that stop the host.
    pub error_window: Duration,
    /// How long a stop waits for running invocations.
    pub stop_bound: Duration,
    /// What forwarding does with bodies that have no length.
    pub chunked: ChunkedBody,
    /// The one key of the function, admin and Event Grid endpoints. Without it, keys are not checked, as with local tools.
    pub function_key: Option<String>,
    /// Sets the handler's port, for example to one that is taken.
    pub handler_port: Option<u16>,
    /// The host's own port; 0 lets the system choose.
    pub port: u16,
    /// Sends `GET /` to the handler from time to time, as the health check of the platform does.
    pub ping_every: Option<Duration>,
}

impl HostOptions {
    /// The defaults for an app folder.
    pub fn new(app_dir: impl Into<PathBuf>) -> Self {
        Self {
            app_dir: app_dir.into(),
            executable: None,
            env: Vec::new(),
            queue_dir: None,
            queue_account: None,
            status_dir: None,
            timers: Timers::Manual,
            function_timeout: None,
            initialization_timeout: None,
            hung_after: Duration::from_millis(500),
            eventgrid_limit: Duration::from_secs(30),
            invisibility: Duration::from_mins(10),
            poll: Duration::from_millis(50),
            retry_delay: None,
            exit_zero: ExitZero::Restart,
            error_window: Duration::from_mins(30),
            stop_bound: Duration::from_secs(10),
            chunked: ChunkedBody::Lost,
            function_key: None,
            handler_port: None,
            port: 0,
            ping_every: None,
        }
    }

    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
