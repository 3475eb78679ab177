//! The host's record: every line and every invocation, open or ended. Nothing is ever removed.

use super::lines::{Level, Line};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What the handler answered, as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// In order, with names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Answer {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text, with replacement characters where it is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// 2xx with a JSON object (or any answer, for a forwarded HTTP request).
    Succeeded {
        /// `ReturnValue`, null if absent.
        return_value: Value,
        logs: Vec<String>,
        /// `Outputs`, as answered.
        outputs: Map<String, Value>,
    },
    /// The host counts the invocation as failed.
    Failed {
        /// In the host's words.
        reason: String,
    },
    /// An empty or null 2xx answer: the invocation is never completed, and the handler is killed.
    Hung,
    /// The handler's process ended during it.
    Killed,
}

/// One invocation that has ended.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The value of `X-Azure-Functions-InvocationId`; new for each attempt.
    pub id: String,
    pub function: String,
    /// When the host started it.
    pub started: Timestamp,
    /// How long it took, including waiting for a handler.
    pub took: Duration,
    pub outcome: Outcome,
    /// 1 for the first try; grows with a retry policy and with a queue's dequeue count.
    pub attempt: u32,
    /// The handler's answer, if there was one.
    pub answer: Option<Answer>,
    /// The request was forwarded as plain HTTP, so the answer need not be an envelope.
    pub forwarded: bool,
}

impl Invocation {
    /// Whether the host counts it as a success.
    pub fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Succeeded { .. })
    }
}

#[derive(Default)]
struct Inner {
    lines: Vec<Line>,
    open: BTreeMap<String, String>,
    ended: Vec<Invocation>,
    slowest_ping: Duration,
}

pub(super) struct Record {
    inner: Mutex<Inner>,
    open_count: watch::Sender<usize>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self { inner: Mutex::default(), open_count: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn line(&self, line: Line) {
        self.lock().lines.push(line);
    }

    pub(super) fn say(&self, level: Level, text: impl Into<String>) {
        self.line(Line::host(level, text.into()));
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        self.lock().lines.clone()
    }

    pub(super) fn invocations(&self) -> Vec<Invocation> {
        self.lock().ended.clone()
    }

    pub(super) fn open_invocations(&self) -> Vec<(String, String)> {
        self.lock().open.iter().map(|(id, name)| (id.clone(), name.clone())).collect()
    }

    pub(super) fn ping_took(&self, took: Duration) {
        let mut inner = self.lock();
        inner.slowest_ping = inner.slowest_ping.max(took);
    }

    pub(super) fn slowest_ping(&self) -> Duration {
        self.lock().slowest_ping
    }

    pub(super) fn open(self: &Arc<Self>, function: &str, attempt: u32, forwarded: bool) -> Open {
        let id = uuid::Uuid::new_v4().to_string();
        self.lock().open.insert(id.clone(), function.to_owned());
        self.open_count.send_modify(|count| *count += 1);
        Open {
            record: Arc::clone(self),
            began: Instant::now(),
            invocation: Some(Invocation {
                id,
                function: function.to_owned(),
                started: Timestamp::now(),
                took: Duration::ZERO,
                outcome: Outcome::Killed,
                attempt,
                answer: None,
                forwarded,
            }),
        }
    }

    /// Waits until no invocation is open.
    pub(super) async fn quiet(&self) {
        let mut count = self.open_count.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = count.wait_for(|open| *open == 0).await;
    }
}

/// An invocation that has not ended. If it is dropped, because the host is gone, it is recorded as killed.
pub(super) struct Open {
    record: Arc<Record>,
    began: Instant,
    invocation: Option<Invocation>,
}

impl Open {
    pub(super) fn id(&self) -> &str {
        self.invocation.as_ref().map_or("", |invocation| &invocation.id)
    }

    pub(super) fn end(mut self, outcome: Outcome, answer: Option<Answer>) -> Invocation {
        let mut invocation = self.invocation.take().expect("ended once");
        invocation.outcome = outcome;
        invocation.answer = answer;
        self.close(invocation)
    }

    fn close(&self, mut invocation: Invocation) -> Invocation {
        invocation.took = self.began.elapsed();
        let mut inner = self.record.lock();
        inner.open.remove(&invocation.id);
        inner.ended.push(invocation.clone());
        drop(inner);
        self.record.open_count.send_modify(|count| *count -= 1);
        invocation
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(invocation) = self.invocation.take() {
            self.close(invocation);
        }
    }
}
