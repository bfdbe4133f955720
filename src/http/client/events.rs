//! Changes as they happen, through whatever node answers.

use super::connection::{Broken, Connection, whole};
use super::{Attempt, Reply};
use super::{Client, PAUSE, Request, judged, nobody};
use crate::http::problem::Problem;
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// A node sends something every ten seconds; one that is silent so long is left for
/// another.
const SILENCE_MAX: Duration = Duration::from_secs(25);
/// Longest line of an event.
const LINE_BYTES_MAX: usize = 8 << 20;

/// What a watch tells.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// `document`, `state`, `change`, `through` or `gone`.
    pub name: String,
    /// The token behind which a watch goes on.
    pub token: Option<u64>,
    /// What is told.
    pub data: Value,
}

/// Events of a watch, without end: when a node falls silent or is gone it goes on
/// behind the last token at the next one.
pub struct Events<'c> {
    client: &'c mut Client,
    path: String,
    filter: Option<String>,
    /// Where it goes on; `None` begins with the state.
    token: Option<u64>,
    open: Option<Open>,
    ready: VecDeque<Event>,
    /// Events behind the last token, which come again after a break.
    behind: usize,
    /// Of those, how many were told before the break.
    skip: usize,
}

struct Open {
    _connection: Connection,
    body: Incoming,
    line: Vec<u8>,
    event: Partial,
}

#[derive(Default)]
struct Partial {
    name: String,
    token: Option<u64>,
    data: String,
}

impl Client {
    /// Watches a collection, or all: behind an index, or its state first.
    pub fn watch(&mut self, collection: Option<&str>, after: Option<u64>, filter: Option<&str>) -> Events<'_> {
        let path = match collection {
            Some(name) => format!("/v1/collections/{}/watch", super::segment(name)),
            None => "/v1/watch".to_string(),
        };
        let (filter, ready) = (filter.map(str::to_string), VecDeque::new());
        Events { client: self, path, filter, token: after, open: None, ready, behind: 0, skip: 0 }
    }
}

impl Events<'_> {
    /// The next event within this time; `None` if there is none.
    ///
    /// # Errors
    /// The watch is refused; or no node answers within the time.
    pub fn next_within(&mut self, within: Duration) -> Result<Option<Event>, Problem> {
        let until = Instant::now() + within;
        loop {
            while let Some(event) = self.ready.pop_front() {
                if event.name == "problem" {
                    self.broke(); // the node itself cannot go on: another one can
                    continue;
                }
                self.behind = if event.token.is_some() { 0 } else { self.behind + 1 };
                self.token = event.token.or(self.token);
                if self.skip > 0 && event.token.is_none() {
                    self.skip -= 1;
                    continue;
                }
                self.skip = 0;
                return Ok(Some(event));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            match self.open.take() {
                None => {
                    if let Err(problem) = self.connect(left)? {
                        if Instant::now() + PAUSE >= until {
                            return Err(problem);
                        }
                        std::thread::sleep(PAUSE);
                    }
                }
                Some(open) => self.read(open, left),
            }
        }
    }

    /// After a break the events behind the last token come again: of a state that was
    /// not whole all of them, of a batch those that were told.
    fn broke(&mut self) {
        self.open = None;
        self.ready.clear();
        self.skip = if self.token.is_some() { self.behind } else { 0 };
        self.behind = 0;
        let count = self.client.addresses.len().max(1);
        self.client.at = (self.client.at + 1) % count;
    }

    fn read(&mut self, mut open: Open, left: Duration) {
        let client = &*self.client;
        let frame = client.runtime.block_on(async { timeout(left.min(SILENCE_MAX), open.body.frame()).await });
        match frame {
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    self.ready.extend(open.take(&bytes));
                }
                if open.line.len() > LINE_BYTES_MAX {
                    self.broke();
                } else {
                    self.open = Some(open);
                }
            }
            Err(_) if left < SILENCE_MAX => self.open = Some(open),
            _ => self.broke(),
        }
    }

    /// Begins at the node in turn; a problem within is one that another node or
    /// another time may not have.
    fn connect(&mut self, left: Duration) -> Result<Result<(), Problem>, Problem> {
        let address = self.client.address().to_string();
        let mut headers = HeaderMap::new();
        let mut put = |name: header::HeaderName, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        put(header::HOST, address.clone());
        if let Some(token) = &self.client.token {
            put(header::AUTHORIZATION, format!("Bearer {}", token.as_str()));
        }
        let mut request = Request::new("GET", self.path.clone());
        match self.token {
            Some(token) => put(header::HeaderName::from_static("last-event-id"), token.to_string()),
            None => request = request.query("state", "true"),
        }
        if let Some(filter) = &self.filter {
            request = request.query("filter", filter);
        }
        let target = format!("{}{}", request.path, request.query);
        let begun = self.client.runtime.block_on(async {
            let mut connection = Connection::open(&address, left).await?;
            let response = connection.begin("GET", &target, headers, Bytes::new(), left.min(SILENCE_MAX)).await?;
            if response.status().is_success() {
                return Ok(Ok((connection, response.into_body())));
            }
            whole(response, left).await.map(Err::<(Connection, Incoming), Reply>)
        });
        let problem = match begun {
            Ok(Ok((connection, body))) => {
                let (line, event) = (Vec::new(), Partial::default());
                self.open = Some(Open { _connection: connection, body, line, event });
                return Ok(Ok(()));
            }
            Ok(Err(reply)) => match judged(reply) {
                // A node that lags behind the token: it, or another, will have come so far.
                Attempt::Refused(problem) if problem.code != "token" => return Err(problem),
                Attempt::Refused(problem) | Attempt::Elsewhere(problem) | Attempt::Unknown(problem) => problem,
                Attempt::Answered(_) => nobody("no stream", ""),
            },
            Err(Broken::NotSent(why) | Broken::Sent(why)) => {
                nobody(&format!("{address} cannot be watched: {why}"), "is a node running there?")
            }
        };
        self.broke();
        Ok(Err(problem))
    }
}

impl Open {
    /// The events that end in `bytes`.
    fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.line).into_owned();
            self.line.clear();
            match line.split_once(": ").unwrap_or((&line, "")) {
                ("event", name) => self.event.name = name.to_string(),
                ("id", token) => self.event.token = token.parse().ok(),
                ("data", data) => self.event.data = data.to_string(),
                ("", "") if !self.event.name.is_empty() => {
                    let Partial { name, token, data } = std::mem::take(&mut self.event);
                    let data = serde_json::from_str(&data).unwrap_or(Value::Null);
                    events.push(Event { name, token, data });
                }
                _ => {}
            }
        }
        events
    }
}
