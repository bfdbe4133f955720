//! One thread that serves all connections.

use super::gate::{self, Token};
use super::patient::Patient;
use super::problem::Problem;
use super::rate::Rates;
use super::routes;
use super::serving::{Serving, accept, drain};
use super::store::Store;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// Longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// What a front takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest body, in bytes. 4 MiB. A longer one is refused before it is read.
    pub body_bytes: usize,
    /// Connections at a time, watches among them. 256; below the 1,024 items that
    /// wait for a component. A further one is told so and closed.
    pub connections: usize,
    /// Watches at a time. 64.
    pub watches: usize,
    /// Requests of one address, a second, and as many at once. 50,000.
    pub requests_per_second: u32,
    /// For the head of a request, and between two requests. 30 s.
    pub head_within: Duration,
    /// For the body of a request. 30 s.
    pub body_within: Duration,
    /// For a client that does not read. 30 s.
    pub write_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let half_a_minute = Duration::from_secs(30);
        Limits {
            body_bytes: 4 << 20,
            connections: 256,
            watches: 64,
            requests_per_second: 50_000,
            head_within: half_a_minute,
            body_within: half_a_minute,
            write_within: half_a_minute,
        }
    }
}

/// How a front is.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What each request has to carry. Without one only loopback is served.
    pub token: Option<Token>,
    /// Bounds.
    pub limits: Limits,
}

/// What the routes share.
pub(super) struct Front {
    pub(super) store: Arc<dyn Store>,
    pub(super) options: Options,
    pub(super) watches: Arc<Semaphore>,
    /// Held for one look at a table by the one thread that serves.
    rates: Mutex<Rates>,
    /// Changes when the server stops: streams end then.
    pub(super) stopping: watch::Receiver<bool>,
}

/// A front that serves. Dropping it stops it.
pub struct Server(Serving);

impl Server {
    /// Serves on a bound listener, on a thread of its own.
    ///
    /// # Errors
    /// The machine refuses a thread; or others can reach the address, and there is
    /// no token.
    pub fn start(listener: TcpListener, options: Options, store: Arc<dyn Store>) -> io::Result<Self> {
        let token = options.token.clone();
        let serving = Serving::start("http", listener, token.as_ref(), |listener, stopping| {
            let front = Arc::new(Front {
                store,
                watches: Arc::new(Semaphore::new(options.limits.watches)),
                rates: Mutex::new(Rates::new(options.limits.requests_per_second)),
                options,
                stopping,
            });
            serve(listener, front)
        });
        serving.map(Server)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.address()
    }

    /// Takes no more requests, lets those under way end for two seconds, and stops.
    pub fn stop(&mut self) {
        self.0.stop();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.0.address())
    }
}

async fn serve(listener: tokio::net::TcpListener, front: Arc<Front>) {
    let limits = &front.options.limits;
    let connections = Arc::new(Semaphore::new(limits.connections));
    let (mut stopping, router) = (front.stopping.clone(), routes::router(&front));
    while let Some((stream, from)) = accept(&listener, &mut stopping).await {
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            turn_away(&stream, limits.connections);
            continue;
        };
        let _ = stream.set_nodelay(true); // answers leave late without it, and still leave
        let gate = front.clone();
        let service = router.clone().layer(middleware::from_fn(move |request: Request, next: Next| {
            let gate = gate.clone();
            async move { gate.let_in(from, request, next).await }
        }));
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.head_within).max_buf_size(HEAD_BYTES_MAX);
        let io = TokioIo::new(Patient::new(stream, limits.write_within));
        let mut stopping = front.stopping.clone();
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(http.serve_connection(io, TowerToHyperService::new(service)));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = stopping.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                log::debug!(target: "nodewright::http", "the connection of {from} broke: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    drain(&connections, limits.connections).await;
}

/// One connection too many hears why, if its socket takes it at once.
fn turn_away(stream: &tokio::net::TcpStream, most: usize) {
    let hint = "close some, or ask another node";
    let why = format!("{most} connections are open already");
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "connections", why, hint);
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let text = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // A new socket's buffer is empty, so this is all or nothing.
    let _ = stream.try_write(text.as_bytes());
}

impl Front {
    async fn let_in(&self, from: SocketAddr, request: Request, next: Next) -> Response {
        let may = self.rates.lock().unwrap_or_else(PoisonError::into_inner).take(from.ip(), Instant::now());
        if !may {
            let most = self.options.limits.requests_per_second;
            let why = format!("more than {most} requests a second come from {}", from.ip());
            let hint = "wait a second, and join writes to batches";
            return Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", why, hint).into_response();
        }
        match gate::check(self.options.token.as_ref(), request.headers()) {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    }
}
