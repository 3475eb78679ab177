//! Sends an invocation to the handler and says how it ended. Waits, time-outs and kills are those of the real host.

use super::answer::{Judgement, judge};
use super::envelope::{RetryContext, Sys};
use super::functions::Function;
use super::lines::Line;
use super::process::HOST_VERSION;
use super::record::{Answer, Invocation, Outcome};
use super::shared::{Command, Phase, Shared};
use super::text::print_span;
use bytes::Bytes;
use rand::Rng;
use std::sync::Arc;
use std::time::Duration;

/// The largest chunk of a request body. Real chunks depend on the host's buffers; small ones test a reader better.
const MAX_CHUNK: usize = 512;
/// How long after a broken connection the end of the process may be noticed.
const NOTICE: Duration = Duration::from_millis(300);

/// A body in pieces of random size.
pub(super) fn chunks(body: &Bytes) -> Vec<Bytes> {
    let mut rng = rand::rng();
    let mut rest = body.clone();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        parts.push(rest.split_to(rng.random_range(1..=MAX_CHUNK).min(rest.len())));
    }
    parts
}

fn streamed(body: &Bytes) -> reqwest::Body {
    let parts = chunks(body).into_iter().map(Ok::<_, std::convert::Infallible>);
    reqwest::Body::wrap_stream(futures::stream::iter(parts))
}

/// A handler that can be called.
pub(super) struct Target {
    pub(super) client: reqwest::Client,
    pub(super) port: u16,
    pub(super) invocation: String,
}

/// Adds what the host adds to every call. Two things differ from the real host's requests: our client adds `Accept: */*`,
/// and it writes `-Hostversion` and `-Invocationid`.
pub(super) fn with_host_headers(
    request: reqwest::RequestBuilder,
    invocation: &str,
) -> reqwest::RequestBuilder {
    request
        .header("X-Azure-Functions-HostVersion", HOST_VERSION)
        .header("X-Azure-Functions-InvocationId", invocation)
}

impl Shared {
    pub(super) async fn invoke(
        self: &Arc<Self>,
        function: &Function,
        body: Bytes,
        attempt: u32,
    ) -> Invocation {
        let name = &function.name;
        let make = |target: &Target| {
            let url = format!("http://127.0.0.1:{}/{name}", target.port);
            with_host_headers(target.client.post(url), &target.invocation)
                .header("User-Agent", format!("Azure-Functions-Host/{HOST_VERSION}"))
                .header("Content-Type", "application/json; charset=utf-8")
                .body(streamed(&body))
        };
        let judge = |answer: &Answer| match judge(answer) {
            Judgement::Null => None,
            Judgement::Ended(outcome) => Some(self.write_outputs(function, outcome)),
        };
        let done = self.call(name, attempt, false, make, judge).await;
        if let Outcome::Succeeded { logs, .. } = &done.outcome {
            for text in logs {
                self.record.line(Line::function(name, text));
            }
        }
        done
    }

    /// All attempts that the function's retry policy allows; the last one is returned. State is in memory only.
    pub(super) async fn invoke_with_retry<F>(
        self: &Arc<Self>,
        function: &Function,
        first: u32,
        body: F,
    ) -> Invocation
    where
        F: Fn(&Sys, Option<RetryContext>) -> Bytes,
    {
        let mut count = 0;
        loop {
            let context = function.retry.map(|retry| RetryContext { count, max: retry.max });
            let done = self.invoke(function, body(&Sys::now(&function.name), context), first + count).await;
            let Some(retry) = function.retry else { return done };
            if done.succeeded() || self.is_stopping() || (retry.max >= 0 && i64::from(count) >= retry.max) {
                return done;
            }
            tokio::time::sleep(self.options.retry_delay.unwrap_or_else(|| retry.delay(count))).await;
            count += 1;
        }
    }

    /// One call of the handler. `read` returns `None` for an answer that never completes the invocation.
    pub(super) async fn call(
        self: &Arc<Self>,
        function: &str,
        attempt: u32,
        forwarded: bool,
        make: impl Fn(&Target) -> reqwest::RequestBuilder,
        read: impl Fn(&Answer) -> Option<Outcome>,
    ) -> Invocation {
        let open = self.record.open(function, attempt, forwarded);
        let (generation, client) = match self.handler().await {
            Ok(handler) => handler,
            Err(reason) => return open.end(Outcome::Failed { reason }, None),
        };
        let target = Target { client, port: self.port, invocation: open.id().to_owned() };
        let limit = self.config.function_timeout.unwrap_or(Duration::MAX);
        let result = tokio::select! {
            biased;
            result = tokio::time::timeout(limit, send(make(&target))) => result,
            () = self.gone(generation) => return open.end(Outcome::Killed, None),
        };
        match result {
            Err(_) => {
                let reason = format!(
                    "FunctionTimeoutException: Timeout value of {} exceeded by function: Functions.{function}",
                    print_span(limit)
                );
                self.replace(generation, &reason).await;
                open.end(Outcome::Failed { reason }, None)
            }
            Ok(Err(error)) => {
                let reason = format!("HttpRequestException: {error:#}");
                match tokio::time::timeout(NOTICE, self.gone(generation)).await {
                    Ok(()) => open.end(Outcome::Killed, None),
                    Err(_) => open.end(Outcome::Failed { reason }, None),
                }
            }
            Ok(Ok(answer)) => {
                if let Some(outcome) = read(&answer) {
                    return open.end(outcome, Some(answer));
                }
                let hang = tokio::time::sleep(self.options.hung_after);
                tokio::select! { () = hang => {}, () = self.gone(generation) => {} }
                self.replace(generation, &format!("{function} never completed (empty or null answer)")).await;
                open.end(Outcome::Hung, Some(answer))
            }
        }
    }

    /// Kills the handler and has a new one started; all its other invocations die with it.
    async fn replace(&self, generation: u64, why: &str) {
        self.command(Command::Restart { generation, why: why.to_owned() });
        self.gone(generation).await;
    }

    /// The handler, once it is ready. An invocation that comes too early waits for four initialization time-outs; then
    /// the host shuts down.
    async fn handler(&self) -> Result<(u64, reqwest::Client), String> {
        let mut phase = self.phase.subscribe();
        let settled = phase.wait_for(|phase| !matches!(phase, Phase::Starting { .. }));
        let Ok(settled) =
            tokio::time::timeout(self.config.initialization_timeout.saturating_mul(4), settled).await
        else {
            let reason = "Initialization timed out and host is shutting down";
            self.stop_with(reason);
            return Err(reason.to_owned());
        };
        match settled.map(|phase| phase.clone()) {
            Ok(Phase::Ready { generation, client, .. }) => Ok((generation, client)),
            Ok(Phase::Stopped { reason }) => Err(format!("the host has stopped: {reason}")),
            Ok(Phase::Idle | Phase::Starting { .. }) | Err(_) => Err("there is no handler".to_owned()),
        }
    }
}

pub(super) async fn send(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Ok(Answer {
        status: response.status().as_u16(),
        headers: headers.collect(),
        body: response.bytes().await?,
    })
}
