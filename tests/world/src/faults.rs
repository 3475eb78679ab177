//! Failures that a test can ask for, for every operation of every service.
//!
//! Guarantees: a fault strikes only the chosen requests. Each kind says whether the request still has its effect.

use std::time::Duration;

use crate::calls::{CallKind, Service};

/// How a request fails. "No effect" means that the service's state is untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This HTTP status, with an error body like the service's own. No effect.
    Status(u16),
    /// This HTTP status with this error code, in a body like the service's own. No effect.
    StorageCode(u16, &'static str),
    /// HTTP 404 with an HTML page, as for a wrong path or host. No effect.
    Html404,
    /// HTTP 409 with the Qualys code 1960 (concurrency), 1965 (rate) or 1920; `wait` is sent as
    /// `X-RateLimit-ToWait-Sec` and `SECONDS_TO_WAIT`. No effect.
    Conflict409 {
        code: u32,
        /// Seconds to wait, if the answer is to say so.
        wait: Option<u64>,
    },
    /// HTTP 429, with or without `Retry-After`. No effect.
    TooMany429 {
        /// Seconds for `Retry-After`.
        retry_after: Option<u64>,
    },
    /// HTTP 502 with the HTML page of a proxy. No effect.
    Html502,
    /// The effect happens; half of the JSON arrives, in a complete HTTP answer.
    TruncatedJson,
    /// The effect happens; the connection ends in the middle of the declared body.
    TornBody,
    /// HTTP 200 with an empty body. No effect.
    Empty200,
    /// HTTP 200 with this Qualys response code in the body (for other services: an error object with that code). No effect.
    ErrorUnder200(String),
    /// Nothing happens for this long, in real time. Then the request is handled as usual, even if the client has gone away.
    Slow(Duration),
    /// The connection is dropped. No effect.
    ResetBefore,
    /// The effect happens, then the connection is dropped.
    ResetAfter,
    /// The effect happens, and the client never gets an answer.
    TimeoutAfter,
    /// The count in the answer is off by this much.
    WrongCount(i64),
    /// A page lacks its middle row, with nothing to show for it.
    DropRow,
    /// A page has its first row twice.
    DuplicateRow,
    /// The rows of the answer lack this field (the schema lets almost every field be missing).
    WithoutField(&'static str),
    /// A page of a Qualys search says that no more records follow.
    EndsEarly,
}

impl Kind {
    /// Whether the request is handled as usual and only its answer is changed.
    pub(crate) fn has_effect(&self) -> bool {
        matches!(
            self,
            Self::TruncatedJson
                | Self::TornBody
                | Self::Slow(_)
                | Self::ResetAfter
                | Self::TimeoutAfter
                | Self::WrongCount(_)
                | Self::DropRow
                | Self::DuplicateRow
                | Self::WithoutField(_)
                | Self::EndsEarly
        )
    }
}

/// A failure, and the requests that it strikes; by default only the next one.
#[derive(Clone, Debug)]
pub struct Fault {
    call: CallKind,
    kind: Kind,
    skip: u64,
    every: u64,
    left: Option<u64>,
    containing: Option<String>,
    seen: u64,
}

impl Fault {
    /// A failure of the next request of kind `call`.
    pub fn new(call: CallKind, kind: Kind) -> Self {
        Self { call, kind, skip: 0, every: 1, left: Some(1), containing: None, seen: 0 }
    }

    /// Strikes `n` times.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.left = Some(n);
        self
    }

    /// Strikes every `n`-th matching request, until it is disarmed.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.every = n.max(1);
        self.left = None;
        self
    }

    /// Strikes every matching request, until it is disarmed.
    #[must_use]
    pub fn always(self) -> Self {
        self.every(1)
    }

    /// Lets `n` matching requests pass first.
    #[must_use]
    pub fn after(mut self, n: u64) -> Self {
        self.skip = n;
        self
    }

    /// Strikes only requests whose path, query or body contains `text`. For storage that is the path and query, as sent
    /// or decoded, or the action on a lease.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.containing = Some(text.to_owned());
        self
    }

    /// Counts a request that it could strike. True if it strikes this one.
    fn wants(&mut self, request: &Request<'_>) -> bool {
        let Request { service, call, by_name, text } = *request;
        if by_name && self.call.is_family() {
            return false;
        }
        if !self.call.covers(call, service) || self.containing.as_deref().is_some_and(|part| !text(part)) {
            return false;
        }
        self.seen += 1;
        self.left != Some(0) && self.seen > self.skip && (self.seen - self.skip).is_multiple_of(self.every)
    }
}

/// What faults are matched against.
pub(crate) struct Request<'a> {
    pub(crate) service: Service,
    pub(crate) call: CallKind,
    /// Only a fault for this very operation may strike, not one for a family of operations.
    pub(crate) by_name: bool,
    pub(crate) text: &'a dyn Fn(&str) -> bool,
}

/// The first of `faults` that strikes this request. Each counts the requests that it could have struck.
pub(crate) fn strike(faults: &mut [Fault], request: &Request<'_>) -> Option<Kind> {
    let mut struck = None;
    for fault in faults {
        if fault.wants(request) && struck.is_none() {
            fault.left = fault.left.map(|left| left - 1);
            struck = Some(fault.kind.clone());
        }
    }
    struck
}
