//! The handler process, from start to end: started without a shell, read line by line, ready at its first HTTP answer.

use super::lines::{Level, Line, Stream};
use super::options::ExitZero;
use super::shared::{Command, Phase, Shared};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The version that ran in production in August 2026.
pub(super) const HOST_VERSION: &str = "4.1054.250.26428";
/// The pause between two tries to reach a handler that does not listen yet (read in source).
const PING_PAUSE: Duration = Duration::from_millis(25);

/// Why a handler ended.
pub(super) enum End {
    /// Counts towards the three errors that stop the host.
    Error(String),
    /// It is started again, and this does not count as an error.
    Again,
    /// It is dead, and the host does nothing (exit code 0 on old hosts).
    Dead,
    Stop(String),
}

pub(super) async fn live(
    shared: &Arc<Shared>,
    generation: u64,
    commands: &mut mpsc::UnboundedReceiver<Command>,
) -> End {
    let said = shared.record.lines().len();
    let mut child = match start(shared) {
        Ok(child) => child,
        Err(error) => {
            let path = shared.config.executable.display();
            shared.phase.send_replace(Phase::Starting { generation: generation + 1 });
            return End::Error(format!("Failed to start Worker Channel. Process fileName: {path}: {error}"));
        }
    };
    let began = Instant::now();
    let mut readers = JoinSet::new();
    read_lines(&mut readers, shared, child.stdout.take(), Stream::Stdout);
    read_lines(&mut readers, shared, child.stderr.take(), Stream::Stderr);
    let client = client(shared.config.function_timeout);
    let mut ready = Box::pin(become_ready(shared, client.clone()));
    let mut is_ready = false;
    let end = loop {
        tokio::select! {
            status = child.wait() => break exited(shared, status),
            result = &mut ready, if !is_ready => match result {
                Ok(()) => {
                    is_ready = true;
                    shared.record.say(Level::Information, "Worker process started and initialized.");
                    let (client, took) = (client.clone(), began.elapsed());
                    shared.phase.send_replace(Phase::Ready { generation, pid: child.id(), client, took });
                }
                Err(reason) => {
                    kill(&mut child).await;
                    break End::Error(reason);
                }
            },
            command = commands.recv() => match command {
                Some(Command::Kill { generation: wanted }) if wanted == generation => {
                    // Its exit is noticed above and counted. A process that has just exited needs no signal.
                    let _ = child.start_kill();
                }
                Some(Command::Restart { generation: wanted, why }) if wanted == generation => {
                    shared.record.say(Level::Warning, format!("Restarting worker process: {why}"));
                    kill(&mut child).await;
                    break End::Again;
                }
                Some(Command::Stop { reason }) => {
                    kill(&mut child).await;
                    break End::Stop(reason);
                }
                None => {
                    kill(&mut child).await;
                    break End::Stop("the host was dropped".to_owned());
                }
                Some(_) => {}
            },
        }
    };
    match &end {
        // Calls in flight are lost; later ones find nobody listening.
        End::Dead => shared.phase.send_replace(Phase::Ready {
            generation: generation + 1,
            pid: None,
            client,
            took: began.elapsed(),
        }),
        _ => shared.phase.send_replace(Phase::Starting { generation: generation + 1 }),
    };
    // A grandchild may keep the pipes open, so the end of the output is not waited for.
    let _ =
        tokio::time::timeout(Duration::from_secs(1), async { while readers.join_next().await.is_some() {} })
            .await;
    match end {
        End::Error(reason) => End::Error(with_last_words(shared, said, &reason)),
        other => other,
    }
}

fn start(shared: &Shared) -> std::io::Result<Child> {
    let port = shared.port.to_string();
    tokio::process::Command::new(&shared.config.executable)
        .args(shared.config.arguments(&shared.options, shared.port))
        .current_dir(&shared.config.working_directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(shared.options.env.iter().map(|(name, value)| (name, value)))
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", &port)
        .env("FUNCTIONS_HTTPWORKER_PORT", &port)
        .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &shared.worker_id)
        .env("FUNCTIONS_HTTPWORKER_ID", &shared.worker_id)
        .env("FUNCTIONS_APP_ROOT_PATH", &shared.config.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// SIGKILL, and up to a second for the exit, as in the host. There is no SIGTERM.
async fn kill(child: &mut Child) {
    let _ = tokio::time::timeout(Duration::from_secs(1), child.kill()).await;
}

fn exited(shared: &Shared, status: std::io::Result<ExitStatus>) -> End {
    let status = match status {
        Ok(status) => status,
        Err(error) => return End::Error(format!("wait for the handler: {error}")),
    };
    match status.code() {
        Some(0) => {
            shared.record.say(Level::Warning, "The handler exited with code 0.");
            if shared.options.exit_zero == ExitZero::Restart { End::Again } else { End::Dead }
        }
        Some(200) => {
            shared.record.say(Level::Information, "The handler asked for a restart (exit code 200).");
            End::Again
        }
        _ => End::Error(format!("{} exited: {status}", shared.config.executable.display())),
    }
}

/// The reason with the last three lines of standard error, as in the host's exit event.
fn with_last_words(shared: &Shared, said: usize, reason: &str) -> String {
    let lines = shared.record.lines();
    let words: Vec<&str> = lines
        .iter()
        .skip(said)
        .filter(|line| line.stream == Stream::Stderr)
        .map(|line| line.text.as_str())
        .collect();
    let last = &words[words.len().saturating_sub(3)..];
    if last.is_empty() {
        reason.to_owned()
    } else {
        format!("{reason}; last on stderr: {}", last.join(" | "))
    }
}

fn read_lines<R>(readers: &mut JoinSet<()>, shared: &Arc<Shared>, pipe: Option<R>, stream: Stream)
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let Some(pipe) = pipe else { return };
    let (record, worker) = (Arc::clone(&shared.record), shared.worker_id.clone());
    readers.spawn(async move {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while let Ok(1..) = pipe.read_until(b'\n', &mut line).await {
            let text = String::from_utf8_lossy(&line);
            record.line(Line::console(stream, &worker, text.trim_end_matches(['\n', '\r'])));
            line.clear();
        }
    });
}

/// Each handler gets a client of its own, so that no connection to a dead handler is used again.
pub(super) fn client(function_timeout: Option<Duration>) -> reqwest::Client {
    // .NET's longest time-out means "no limit".
    let timeout =
        function_timeout.map_or(Duration::from_secs(2_147_483), |limit| limit + Duration::from_mins(1));
    reqwest::Client::builder()
        .no_proxy()
        .timeout(timeout)
        .http1_title_case_headers()
        .build()
        .expect("a client without TLS always builds")
}

/// Sends `GET /` until anything answers. As in the host, only the pauses count towards the time-out. A ping that is
/// accepted and not answered is cut off after the same time (the real host waits for its client's time-out).
async fn become_ready(shared: &Arc<Shared>, client: reqwest::Client) -> Result<(), String> {
    let limit = shared.config.initialization_timeout;
    let mut paused = Duration::ZERO;
    loop {
        let began = Instant::now();
        let ping = client.get(format!("http://127.0.0.1:{}/", shared.port)).timeout(limit).send().await;
        shared.record.ping_took(began.elapsed());
        match ping {
            Err(error) if error.is_connect() => {}
            Err(error) if error.is_timeout() => break,
            // A connection that breaks without an answer counts as ready too.
            Ok(_) | Err(_) => return Ok(()),
        }
        if paused >= limit {
            break;
        }
        tokio::time::sleep(PING_PAUSE).await;
        paused += PING_PAUSE;
    }
    Err("TimeoutException: Initializing HttpWorker timed out.".to_owned())
}

impl Shared {
    /// The health check of the platform. Its errors are ignored.
    pub(super) async fn ping(&self) {
        let client = match &*self.phase.borrow() {
            Phase::Ready { client, .. } => client.clone(),
            _ => return,
        };
        let began = Instant::now();
        let _ = client.get(format!("http://127.0.0.1:{}/", self.port)).send().await;
        self.record.ping_took(began.elapsed());
    }
}
