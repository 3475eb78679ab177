//! The HTTP server: connections, and what each may cost.
//!
//! Guarantees: whoever opens connections and says nothing, or speaks slowly, takes neither the files that the storage needs
//! nor the memory; all connections end with the future that serves them.

use super::Caller;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// When no file can be opened, the next connection has to wait for one to be closed.
const PAUSE: Duration = Duration::from_millis(200);
/// A connection whose time is over may still end the request that it is at.
const GRACE: Duration = Duration::from_mins(1);

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Connections at the same time. More wait until one ends.
    connections: usize,
    /// A connection that sends no whole request header for this long is closed; also between requests.
    header: Duration,
    /// How long a connection lasts.
    lifetime: Option<Duration>,
}

impl Limits {
    fn of(caller: &Caller) -> Self {
        match caller {
            // The host alone connects. Its HTTP client opens a connection for each call in progress, keeps idle ones for a
            // minute (two in older versions of .NET), and must be the one that closes them: a call that is sent on a
            // connection as it closes is lost.
            // <https://learn.microsoft.com/dotnet/api/system.net.http.socketshttphandler.pooledconnectionidletimeout>
            Caller::Host => Self { connections: 1024, header: Duration::from_mins(5), lifetime: None },
            // People and pipelines. A process has at least 256 open files, and cycles need their share.
            Caller::Anyone { .. } => Self {
                connections: 128,
                header: Duration::from_secs(10),
                // Longer than any answer takes. It ends connections whose other side does not read.
                lifetime: Some(Duration::from_mins(5)),
            },
        }
    }
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, router: Router, caller: &Caller) -> Infallible {
    let limits = Limits::of(caller);
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= limits.connections {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => _ = connections.spawn(answer(stream, router.clone(), limits)),
                Err(error) => wait_after(&error).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers the requests of one connection.
async fn answer(stream: TcpStream, router: Router, limits: Limits) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    // A connection that breaks is its caller's affair: what it asked for is safe to stop anywhere.
    let Some(lifetime) = limits.lifetime else {
        let _ = connection.await;
        return;
    };
    if timeout(lifetime, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(GRACE, connection).await;
    }
}

async fn wait_after(error: &io::Error) {
    // These concern the one connection that was coming in.
    // <https://man7.org/linux/man-pages/man2/accept.2.html>
    let is_its_own = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !is_its_own {
        warn!(error = %error, "Cannot accept a connection: {error}");
        sleep(PAUSE).await;
    }
}
