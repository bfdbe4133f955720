//! One thread that serves all connections.

use super::nodes::Nodes;
use super::{proxy, web};
use crate::http::Token;
use crate::http::rate::Rates;
use crate::http::serving::{Serving, accept, drain};
use crate::service::ring::text::HEADER_BYTES_MAX;
use bytes::{Bytes, BytesMut};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

/// What a gateway takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at a time. 256. A further one is told so and closed.
    pub connections: usize,
    /// New connections and HTTP requests of one address, a second, and as many at
    /// once. 50,000.
    pub requests_per_second: u32,
    /// For a client's first line, or the head of an HTTP request. 30 s.
    pub head_within: Duration,
    /// A client or a node that takes or sends nothing for so long, while it should,
    /// is let go. 30 s.
    pub stall_within: Duration,
    /// A connection on which nothing at all is said. 10 min, as at a node.
    pub idle_within: Duration,
    /// For a node to take a connection, and then to say that it lives. 1 s: at a
    /// node that is stopped, this is what a client waits before another is asked.
    pub connect_within: Duration,
    /// For a node to answer, where no bytes are moved. 75 s, as a heal walk may take
    /// 60 s.
    pub answer_within: Duration,
    /// Longest HTTP body whose length is told nowhere, in bytes: it is held in
    /// memory, since a push begins with its size. 256 KiB.
    pub unsized_body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 256,
            requests_per_second: 50_000,
            head_within: Duration::from_secs(30),
            stall_within: Duration::from_secs(30),
            idle_within: Duration::from_secs(600),
            connect_within: Duration::from_secs(1),
            answer_within: Duration::from_secs(75),
            unsized_body_bytes: 256 << 10,
        }
    }
}

/// How a gateway is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The nodes, as `host:port`: those of the ring that it finds it by. Those that
    /// join later it learns from them.
    pub nodes: Vec<String>,
    /// How often the netmap is asked for. 5 s. A node that fails is passed over at
    /// once all the same.
    pub poll: Duration,
    /// What clients have to say, and what is said to the nodes. Without one only
    /// loopback is served.
    pub token: Option<Token>,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Options { nodes: Vec::new(), poll: Duration::from_secs(5), token: None, limits: Limits::default() }
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) nodes: Arc<Nodes>,
    pub(super) token: Option<Token>,
    pub(super) limits: Limits,
    /// Held for one look at a table by the one thread that serves.
    rates: Mutex<Rates>,
    pub(super) stopping: watch::Receiver<bool>,
}

impl Shared {
    /// Whether an address may ask once more.
    pub(super) fn may(&self, from: SocketAddr) -> bool {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).take(from.ip(), Instant::now())
    }
}

/// A gateway that serves. Dropping it stops it.
pub struct Gateway(Serving);

impl Gateway {
    /// Serves on a bound listener, on a thread of its own.
    ///
    /// # Errors
    /// The machine refuses a thread; no node is named; or others can reach the
    /// address, and there is no token.
    pub fn start(listener: TcpListener, options: Options) -> io::Result<Self> {
        if options.nodes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no node of the ring is named"));
        }
        let Options { nodes, poll, token, limits } = options;
        let clients = token.clone();
        let serving = Serving::start("ring gateway", listener, clients.as_ref(), move |listener, stopping| {
            let shared = Arc::new(Shared {
                nodes: Arc::new(Nodes::new(nodes, token.clone(), limits.clone(), poll)),
                token,
                rates: Mutex::new(Rates::new(limits.requests_per_second)),
                limits,
                stopping,
            });
            serve(listener, shared)
        });
        serving.map(Gateway)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.address()
    }

    /// Takes no more connections, lets HTTP requests under way end for two seconds,
    /// and stops.
    pub fn stop(&mut self) {
        self.0.stop();
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gateway({})", self.0.address())
    }
}

async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let connections = Arc::new(Semaphore::new(shared.limits.connections));
    let mut stopping = shared.stopping.clone();
    let nodes = shared.nodes.clone();
    tokio::spawn(async move { nodes.watch().await });
    while let Some((stream, from)) = accept(&listener, &mut stopping).await {
        let permit = connections.clone().try_acquire_owned().ok();
        let Some(permit) = permit.filter(|_| shared.may(from)) else {
            // A new socket's buffer is empty, so this is all or nothing. What the
            // client speaks is not known yet.
            let _ = stream.try_write(b"ERR BUSY too many connections: try again\n");
            continue;
        };
        let _ = stream.set_nodelay(true); // answers leave late without it, and still leave
        let shared = shared.clone();
        tokio::spawn(async move {
            if let Err(error) = connected(stream, from, &shared).await {
                log::debug!(target: "nodewright::ring_gateway", "the connection of {from} broke: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    drain(&connections, shared.limits.connections).await;
}

/// Finds out what the client speaks.
async fn connected(mut stream: TcpStream, from: SocketAddr, shared: &Arc<Shared>) -> io::Result<()> {
    let mut said = BytesMut::new();
    let first = tokio::time::timeout(shared.limits.head_within, first_line(&mut stream, &mut said)).await;
    match first {
        Err(_) => Ok(()), // it said nothing: nobody is there who could be answered
        Ok(Ok(())) if web::speaks_http(&said) => web::serve(stream, said.freeze(), from, shared).await,
        Ok(Ok(())) => proxy::serve(stream, said.freeze(), shared).await,
        Ok(Err(error)) => {
            if error.kind() == io::ErrorKind::InvalidData {
                stream.write_all(format!("ERR {error}\n").as_bytes()).await?;
                proxy::linger(&mut stream).await;
            }
            Err(error)
        }
    }
}

/// Reads until a line stands in `said`; at the end of the input what is there is one.
pub(super) async fn first_line(stream: &mut TcpStream, said: &mut BytesMut) -> io::Result<()> {
    let mut looked = 0;
    loop {
        if said[looked..].contains(&b'\n') {
            return Ok(());
        }
        looked = said.len();
        if looked >= HEADER_BYTES_MAX {
            let why = format!("the line is longer than {HEADER_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        said.reserve(4 << 10);
        if stream.read_buf(said).await? == 0 {
            return Ok(());
        }
    }
}

/// Up to the line's end, and what stands behind it.
pub(super) fn split_line(said: &Bytes) -> (Bytes, Bytes) {
    let end = said.iter().position(|byte| *byte == b'\n').map_or(said.len(), |end| end + 1);
    (said.slice(..end), said.slice(end..))
}
