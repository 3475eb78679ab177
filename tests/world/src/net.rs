//! The accept loops, and the steps of one request: record, hooks, faults, effect, answer.
//!
//! Guarantees: when a fault drops a connection, the client sees an error, never a status.

pub(crate) mod ask;
pub(crate) mod reply;
mod spoil;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::calls::{Call, CallKind, Service};
use crate::faults::{self, Kind};
use crate::hooks::Moment;
use crate::net::ask::Ask;
use crate::net::reply::Reply;
use crate::state::{Running, Shared};
use crate::{azure, entra, program, qualys, storage, vault};

/// The service behind a listener.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    Qualys,
    Arm,
    Entra,
    Identity,
    Vault,
    Storage,
    Control,
}

/// An error that makes hyper drop the connection without an answer.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

type Answer = Result<Response<BoxBody<Bytes, io::Error>>, Dropped>;

/// Accepts connections until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, door: Door) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(connection(stream, shared, door, None));
    }
}

/// Serves one connection until either side ends it. `origin` is `https://` and the host name that the client asked the
/// proxy for, where it came through the proxy.
pub(crate) async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shared: Arc<Shared>,
    door: Door,
    origin: Option<String>,
) {
    let service = hyper::service::service_fn(|request| {
        let (shared, origin) = (Arc::clone(&shared), origin.clone());
        answer(shared, door, origin, request)
    });
    // An error means that the client went away, or that a fault was requested.
    let mut http = hyper::server::conn::http1::Builder::new();
    // Qualys has a clock of its own, so its answers get their `Date` there.
    http.auto_date_header(!matches!(door, Door::Qualys));
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    shared: Arc<Shared>,
    door: Door,
    origin: Option<String>,
    request: Request<Incoming>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let ask = Ask::new(&parts, body, origin);
    let service = match door {
        Door::Control => return Ok(whole(program::control::answer(&shared, &ask))),
        Door::Qualys => Service::Qualys,
        Door::Arm => Service::Arm,
        Door::Entra => Service::Entra,
        Door::Identity => Service::Identity,
        Door::Vault => Service::Vault,
        Door::Storage => Service::Storage,
    };
    // In a task of its own, because a real server also finishes what it began when the client goes away.
    let handled = tokio::spawn(async move { handle(&shared, service, &ask).await }).await;
    let (end, _running) = handled.map_err(|_| Dropped)?;
    match end {
        End::Whole(reply) => Ok(whole(reply)),
        End::Torn(reply) => Ok(torn(&reply)),
        End::Dropped => Err(Dropped),
        End::Never => std::future::pending().await,
    }
}

/// How a request ends for the client.
enum End {
    Whole(Reply),
    Torn(Reply),
    Dropped,
    Never,
}

fn classify(service: Service, ask: &Ask) -> CallKind {
    match service {
        Service::Qualys => qualys::classify(ask),
        Service::Arm => azure::arm::classify(ask),
        Service::Entra => entra::token::classify(ask),
        Service::Identity => entra::identity::classify(ask),
        Service::Vault => vault::answer::classify(ask),
        Service::Storage => storage::classify(ask),
    }
}

async fn handle(shared: &Arc<Shared>, service: Service, ask: &Ask) -> (End, Option<Running>) {
    let counted = (service == Service::Qualys).then(|| shared.enter());
    let running = counted.as_ref().map_or(0, |(_, running)| *running);
    let call = classify(service, ask);
    let Arrival { number, kind, latency } = arrive(shared, service, call, ask);
    run_hooks(shared, Moment::Arrival, number);

    if let Some(latency) = latency {
        tokio::time::sleep(latency).await;
    }
    if let Some(Kind::Slow(delay)) = kind {
        tokio::time::sleep(delay).await;
    }
    let reply = match &kind {
        Some(kind) if !kind.has_effect() => {
            let (form, now) = {
                let state = shared.lock();
                (state.qualys.manners.limit_body, state.now())
            };
            spoil::instead(service, call, kind, form, now)
        }
        _ => Some(match service {
            Service::Qualys => qualys::answer(shared, ask, call, number.unwrap_or_default(), running),
            Service::Arm => azure::arm::answer(shared, ask, call),
            Service::Entra => entra::token::answer(shared, ask),
            Service::Identity => entra::identity::answer(shared, ask),
            Service::Vault => vault::answer::answer(shared, ask),
            Service::Storage => storage::forward(shared, ask).await,
        }),
    };
    let reply = match (&kind, reply) {
        (Some(kind), Some(reply)) => Some(spoil::after(service, kind, reply)),
        (_, reply) => reply,
    };
    let reply = match service {
        Service::Qualys => reply.map(|reply| shared.lock().dated(reply)),
        _ => reply,
    };
    let sent = reply.filter(|_| !matches!(kind, Some(Kind::ResetAfter | Kind::TimeoutAfter)));
    if let (Some(reply), Some(number)) = (&sent, number) {
        shared.lock().calls.edit(number, |call| {
            call.status = Some(reply.status);
            call.code.clone_from(&reply.code);
        });
    }
    run_hooks(shared, Moment::Answer, number);
    let end = match (kind, sent) {
        (Some(Kind::TimeoutAfter), _) => End::Never,
        (Some(Kind::TornBody), Some(reply)) => End::Torn(reply),
        (_, Some(reply)) => End::Whole(reply),
        (_, None) => End::Dropped,
    };
    (end, counted.map(|(running, _)| running))
}

/// What was decided about a request when it arrived.
struct Arrival {
    /// Its number in the record, if it is recorded.
    number: Option<u64>,
    kind: Option<Kind>,
    latency: Option<std::time::Duration>,
}

/// Records the request and decides what happens to it.
fn arrive(shared: &Shared, service: Service, call: CallKind, ask: &Ask) -> Arrival {
    let mut state = shared.lock();
    state.progress();
    let stores = service == Service::Storage;
    // The host polls. If that were recorded, the number of every other request would depend on chance.
    let unseen = stores && !state.routes.shows_host && storage::is_from_host(ask);
    let text = |part: &str| if stores { storage::contains(ask, part) } else { ask.contains(part) };
    let request = faults::Request { service, call, by_name: unseen, text: &text };
    let kind = faults::strike(&mut state.faults, &request);
    if unseen && kind.is_none() {
        return Arrival { number: None, kind, latency: None };
    }
    let (connector_id, subscription) = match service {
        Service::Qualys => qualys::about(&state.qualys, ask),
        Service::Arm => (None, azure::arm::subscription_in(ask)),
        Service::Entra | Service::Identity | Service::Vault | Service::Storage => (None, None),
    };
    let at = state.now();
    let number = state.calls.record(Call {
        number: 0,
        at,
        service,
        call,
        method: ask.method.clone(),
        path: if stores { storage::path(ask) } else { ask.target.clone() },
        status: None,
        code: None,
        connector_id,
        subscription,
        requested_with: ask.header("x-requested-with").is_some(),
        sent: if stores { storage::sent(call, ask) } else { ask.json().ok() },
        fault: kind.as_ref().map(|kind| format!("{kind:?}")),
    });
    let latency = state.qualys.manners.latency.filter(|_| service == Service::Qualys);
    Arrival { number: Some(number), kind, latency }
}

fn run_hooks(shared: &Shared, moment: Moment, number: Option<u64>) {
    let Some(number) = number else { return };
    let (hooks, call) = {
        let mut state = shared.lock();
        if state.hooks.is_empty() {
            return;
        }
        let Some(call) = state.calls.kept().iter().rfind(|call| call.number == number).cloned() else {
            return;
        };
        (state.hooks.take(moment, &call), call)
    };
    if hooks.is_empty() {
        return;
    }
    // A hook may kill a process and wait for its end, and the other worker must go on meanwhile.
    tokio::task::block_in_place(|| {
        for hook in hooks {
            hook(&call);
        }
    });
}

fn head(reply: &Reply) -> hyper::http::response::Builder {
    let mut head = Response::builder().status(reply.status);
    if !reply.body.is_empty() && !reply.content_type.is_empty() {
        head = head.header("content-type", reply.content_type);
    }
    for (name, value) in &reply.headers {
        head = head.header(name.as_ref(), value);
    }
    head
}

fn whole(reply: Reply) -> Response<BoxBody<Bytes, io::Error>> {
    let head = head(&reply);
    let body = Full::new(Bytes::from(reply.body)).map_err(|never: Infallible| match never {}).boxed();
    head.body(body).expect("the world's own headers are valid")
}

/// Declares the whole length and ends the connection after half of the body.
fn torn(reply: &Reply) -> Response<BoxBody<Bytes, io::Error>> {
    let head = head(reply).header("content-length", reply.body.len());
    let half = Bytes::copy_from_slice(&reply.body[..reply.body.len() / 2]);
    let parts = stream::iter([Ok(Frame::data(half))]).chain(stream::once(async {
        // Gives the first half time to be sent: if the error came at once, not even the head would be.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        Err(io::Error::other(Dropped))
    }));
    head.body(BodyExt::boxed(StreamBody::new(parts))).expect("the world's own headers are valid")
}
