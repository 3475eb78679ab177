//! Timer invocations, and the listener with a shortened schedule: a timer never overlaps itself; at the start there is
//! one run for everything that was missed; the status is written after the run and kept from one host to the next.

use super::envelope::{Metadata, RetryContext, Sys, body};
use super::functions::{Function, Trigger};
use super::options::Timers;
use super::record::Invocation;
use super::shared::Shared;
use super::text::stamp;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Which `TimerInfo` an invocation gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// `Next` is the occurrence being served.
    OnTime,
    /// The one catch-up run at start: `IsPastDue`, and `Next` is the missed occurrence.
    PastDue,
    /// Never run before (`runOnStartup`): `Last` is in the year 1, `Next` in the future.
    First,
    /// `useMonitor: false` or more often than once a minute: no `ScheduleStatus`.
    NoMonitor,
}

/// What the host remembers of a timer between runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) last: Option<Timestamp>,
    pub(super) next: Timestamp,
    pub(super) updated: Timestamp,
}

pub(super) fn timer_info(adjust: bool, status: Option<&Status>, past_due: bool) -> Value {
    let status = status.map(|status| {
        json!({
            "Last": status.last.map_or("0001-01-01T00:00:00".to_owned(), |last| stamp(last, "+00:00")),
            "Next": stamp(status.next, "+00:00"),
            "LastUpdated": stamp(status.updated, "+00:00"),
        })
    });
    json!({"Schedule": {"AdjustForDST": adjust}, "ScheduleStatus": status, "IsPastDue": past_due})
}

pub(super) fn timer_body(function: &Function, info: Value, sys: &Sys, retry: Option<RetryContext>) -> Bytes {
    let mut metadata = Metadata::default();
    metadata.sys(sys);
    metadata.retry(&function.name, retry);
    body(&function.binding, info, metadata)
}

/// What a run of this kind would get if it fired at `now`.
pub(super) fn info_of(function: &Function, kind: TimerKind, now: Timestamp) -> Value {
    let Trigger::Timer { schedule, .. } = &function.trigger else { return Value::Null };
    let period = schedule.period(now).unwrap_or(SignedDuration::from_mins(15));
    let second =
        now.round(jiff::TimestampRound::new().smallest(jiff::Unit::Second).mode(jiff::RoundMode::Trunc));
    let second = second.unwrap_or(now);
    // The host writes its status a few milliseconds after an occurrence.
    let ran = |at: Timestamp| at + SignedDuration::from_micros(3_114);
    let status = match kind {
        TimerKind::OnTime => {
            let last = ran(second - period);
            Some(Status { last: Some(last), next: second, updated: last })
        }
        TimerKind::PastDue => {
            let last = ran(second - period - period);
            Some(Status { last: Some(last), next: second - period, updated: last })
        }
        TimerKind::First => {
            Some(Status { last: None, next: schedule.after(now).unwrap_or(second), updated: now })
        }
        TimerKind::NoMonitor => None,
    };
    timer_info(schedule.adjusts_for_dst(), status.as_ref(), kind == TimerKind::PastDue)
}

impl Shared {
    pub(super) async fn run_timer(self: &Arc<Self>, function: &Function, info: Value) -> Invocation {
        self.invoke_with_retry(function, 1, |sys, retry| timer_body(function, info.clone(), sys, retry)).await
    }

    /// Fires one timer with the shortened schedule, for as long as the host runs.
    pub(super) async fn listen_to_timer(self: Arc<Self>, function: Function) {
        let Timers::Every(every) = self.options.timers else { return };
        let Trigger::Timer { schedule, run_on_startup, use_monitor } = &function.trigger else { return };
        let step = SignedDuration::try_from(every).unwrap_or(SignedDuration::from_secs(1));
        let monitored = *use_monitor && !schedule.is_too_frequent(Timestamp::now());
        let path = self.options.status_dir.as_ref().map(|dir| dir.join(format!("{}.json", function.name)));
        let adjust = schedule.adjusts_for_dst();
        let stored = if monitored { path.as_ref().and_then(load) } else { None };
        let now = Timestamp::now();
        let mut status = stored.unwrap_or(Status { last: None, next: now + step, updated: now });
        if monitored && status.next < now {
            let info = timer_info(adjust, Some(&status), true);
            self.run_timer(&function, info).await;
            status = advance(&status, step);
            save(path.as_ref(), &status, monitored);
        } else if *run_on_startup {
            let info = timer_info(adjust, monitored.then_some(&status), false);
            self.run_timer(&function, info).await;
        }
        loop {
            let wait = Duration::try_from(status.next.duration_since(Timestamp::now())).unwrap_or_default();
            tokio::select! { () = tokio::time::sleep(wait) => {}, () = self.stop_begun() => {} }
            if self.is_stopping() {
                return;
            }
            let info = timer_info(adjust, monitored.then_some(&status), false);
            self.run_timer(&function, info).await;
            // Also after a failure, because the status only says that the occurrence was served.
            status = advance(&status, step);
            save(path.as_ref(), &status, monitored);
        }
    }
}

/// The next occurrence; those missed while running are skipped.
fn advance(status: &Status, step: SignedDuration) -> Status {
    let now = Timestamp::now();
    let next = status.next + step;
    Status { last: Some(status.next), next: if next < now { now + step } else { next }, updated: now }
}

fn load(path: &PathBuf) -> Option<Status> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn save(path: Option<&PathBuf>, status: &Status, monitored: bool) {
    let Some(path) = path.filter(|_| monitored) else { return };
    if let (Some(dir), Ok(text)) = (path.parent(), serde_json::to_vec(status)) {
        // If the status cannot be written, the next host runs the timer once more, as the real host does.
        let _ = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(path, text));
    }
}
