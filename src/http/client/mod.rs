//! A client of a cluster: asks one node over HTTP, and the next one where that is
//! safe.
//!
//! ```no_run
//! use nodewright::http::Client;
//! use serde_json::json;
//!
//! # fn main() -> Result<(), nodewright::http::Problem> {
//! let mut client = Client::new(["127.0.0.1:8080", "127.0.0.1:8081"]);
//! client.create_collection("people")?;
//! let ada = client.insert("people", &json!({"name": "Ada", "born": 1815}))?;
//! println!("{:?} is synced on {} nodes, at index {}", ada.value.id, ada.synced, ada.index);
//! let page = client.find("people", &json!({"filter": {"born": {"$lt": 1900}}}))?;
//! println!("{}", page["documents"]);
//! # Ok(())
//! # }
//! ```
//!
//! **Guarantee.** Each write has a key of its own, so it is done once, however often
//! it is tried and through whatever node; it is tried until its time is over. What
//! comes back then says whether it is not done, or unknown, and its key.

mod connection;
mod events;
mod typed;

pub use events::{Event, Events};

use super::gate::Token;
use super::problem::Problem;
use super::{IDEMPOTENCY_KEY, RECEIPT};
use crate::protocol::replicated_log::Key;
use crate::service::documents::Fate;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use connection::{Broken, Connection};
use serde_json::Value;
use std::fmt::Write;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// How long a call is tried unless it is said.
const WITHIN: Duration = Duration::from_secs(10);
/// A node answers at its deadline; the client waits a little longer.
const GRACE: Duration = Duration::from_secs(3);
/// Between two rounds over all nodes.
const PAUSE: Duration = Duration::from_millis(50);

/// A client. One call at a time; make several for several threads.
pub struct Client {
    addresses: Vec<String>,
    /// The address in use, or to be tried next.
    at: usize,
    token: Option<Token>,
    within: Duration,
    key: Option<Key>,
    runtime: tokio::runtime::Runtime,
    connection: Option<Connection>,
}

/// A request to a route.
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    path: String,
    query: String,
    body: Bytes,
    /// Whether it may be asked again without a key.
    reads: bool,
    headers: Vec<(&'static str, String)>,
}

impl Request {
    /// A request without a body. Parts of the path are encoded by [`segment`].
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        let (path, reads) = (path.into(), method == "GET");
        Request { method, path, query: String::new(), body: Bytes::new(), reads, headers: Vec::new() }
    }

    /// With a body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        Request { body: body.to_string().into(), ..self }
    }

    /// With a body that is JSON already.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Request { body: body.into(), ..self }
    }

    /// A read, whatever its method: it is asked again at another node.
    #[must_use]
    pub fn reading(self) -> Self {
        Request { reads: true, ..self }
    }

    /// With `name=value` in the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query += if self.query.is_empty() { "?" } else { "&" };
        self.query += &format!("{name}={}", segment(value));
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A text as a part of a path: all but letters, digits and `-_.~` encoded.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // into memory
        }
    }
    out
}

/// An answer that is well.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is none: the other side is of another kind.
    pub fn value(&self) -> Result<Value, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| foreign(&error.to_string()))
    }

    /// The receipt of a write, as the header tells it.
    pub fn receipt(&self) -> Option<&str> {
        self.headers.get(RECEIPT)?.to_str().ok()
    }
}

/// What one attempt at one node brought.
enum Attempt {
    Answered(Reply),
    Refused(Problem),
    /// Nothing was done; another node may do it.
    Elsewhere(Problem),
    /// It may have been done.
    Unknown(Problem),
}

impl Client {
    /// A client of the nodes that answer HTTP at these addresses (`host:port`). Links
    /// with none yet.
    ///
    /// # Panics
    /// Where the system has no descriptors left for a runtime.
    pub fn new<A: Into<String>>(addresses: impl IntoIterator<Item = A>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        Client {
            addresses: addresses.into_iter().map(Into::into).collect(),
            at: 0,
            token: None,
            within: WITHIN,
            key: None,
            runtime: runtime.expect("a process has a few descriptors left"),
            connection: None,
        }
    }

    /// With the token that the nodes ask for.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// With calls that are tried so long; 10 s unless it is said.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The next write has this key: to go on with one whose outcome is unknown.
    pub fn next_key(&mut self, key: Key) {
        self.key = Some(key);
    }

    /// The address in use, or to be tried next.
    pub fn address(&self) -> &str {
        self.addresses.get(self.at).map_or("", String::as_str)
    }

    /// Asks, and asks again where that is safe.
    ///
    /// # Errors
    /// [`Problem::state`] says what became of it.
    pub fn call(&mut self, request: Request) -> Result<Reply, Problem> {
        let key = self.key.take().unwrap_or_else(new_key);
        let until = Instant::now() + self.within;
        let (mut tried, mut unknown): (usize, Option<Problem>) = (0, None);
        loop {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let problem = match self.attempt(&request, key, left) {
                Attempt::Answered(reply) => return Ok(reply),
                Attempt::Refused(problem) => return Err(problem),
                Attempt::Elsewhere(problem) => problem,
                Attempt::Unknown(problem) => unknown.insert(problem).clone(),
            };
            self.connection = None;
            self.at = (self.at + 1) % self.addresses.len().max(1);
            tried += 1;
            let over = Instant::now() + PAUSE >= until;
            if over || self.addresses.is_empty() {
                return Err(match unknown {
                    Some(unknown) if !request.reads => Problem {
                        hint: format!("ask again with the idempotency key {key:032x}, or for its outcome"),
                        ..unknown
                    },
                    _ => problem,
                });
            }
            if tried.is_multiple_of(self.addresses.len()) {
                std::thread::sleep(PAUSE); // all were asked: one is elected, or comes back
            }
        }
    }

    fn attempt(&mut self, request: &Request, key: Key, left: Duration) -> Attempt {
        let Some(address) = self.addresses.get(self.at) else {
            return Attempt::Refused(nobody("no address is known", "name one"));
        };
        let mut headers = HeaderMap::new();
        let mut put = |name: header::HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        put(header::HOST, address);
        put(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            put(header::AUTHORIZATION, &format!("Bearer {}", token.as_str()));
        }
        if !request.reads {
            put(header::HeaderName::from_static(IDEMPOTENCY_KEY), &format!("{key:032x}"));
        }
        for (name, value) in &request.headers {
            put(header::HeaderName::from_static(name), value);
        }
        let separator = if request.query.is_empty() { '?' } else { '&' };
        let within = left.min(Duration::from_secs(290)).as_millis().max(1);
        let target = format!("{}{}{separator}within={within}ms", request.path, request.query);
        let kept = self.connection.take().filter(Connection::is_open);
        let asked = self.runtime.block_on(async {
            let mut connection = match kept {
                Some(connection) => connection,
                None => Connection::open(address, left).await?,
            };
            let reply = connection.ask(request.method, &target, headers, request.body.clone(), left + GRACE).await?;
            Ok((connection, reply))
        });
        match asked {
            Ok((connection, reply)) => {
                self.connection = Some(connection);
                judged(reply)
            }
            Err(Broken::NotSent(why)) => {
                Attempt::Elsewhere(nobody(&format!("{address} cannot be reached: {why}"), "is a node running there?"))
            }
            Err(Broken::Sent(why)) => Attempt::Unknown(Problem {
                state: Fate::Unknown,
                ..nobody(&format!("{address} did not answer: {why}"), "")
            }),
        }
    }
}

fn judged(reply: Reply) -> Attempt {
    if reply.status < 400 {
        return Attempt::Answered(reply);
    }
    let problem = match serde_json::from_slice::<Problem>(&reply.body) {
        Ok(problem) => Problem { status: reply.status, ..problem },
        Err(error) => foreign(&format!("status {}: {error}", reply.status)),
    };
    match (problem.state, problem.code.as_str()) {
        (Fate::Unknown, _) => Attempt::Unknown(problem),
        (Fate::NotDone, "unavailable" | "connections" | "watches" | "rate") => Attempt::Elsewhere(problem),
        _ => Attempt::Refused(problem),
    }
}

fn nobody(message: &str, hint: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unreachable", message, hint)
}

fn foreign(why: &str) -> Problem {
    let message = format!("the answer is not one of a node's: {why}");
    Problem {
        state: Fate::Unknown,
        ..Problem::new(StatusCode::BAD_GATEWAY, "foreign", message, "is that a node's address?")
    }
}

/// A random key. The standard library's hashers are keyed by the system's randomness.
pub fn new_key() -> Key {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.addresses.join(", "))
    }
}
