//! Files in.

use super::super::ask::Trouble;
use super::super::link::Link;
use super::super::server::Shared;
use super::files::{names, stat, tag};
use super::problem::Problem;
use super::{Answer, json};
use crate::service::ring::name::Name;
use crate::service::ring::text::answer::{Pushed, accepted};
use crate::service::ring::text::reply::Code;
use crate::service::ring::text::{Expected, Request as Line, SIZE_MAX};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap};
use hyper::{Request, StatusCode};
use serde_json::json;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long what is left of a refused body is read: a connection that is closed while
/// its client still speaks is reset, and takes the answer away with it.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn put(shared: &Arc<Shared>, name: Name, request: Request<Incoming>) -> Answer {
    let (head, mut body) = request.into_parts();
    // one that waits to be told to go on has sent nothing, and is told nothing
    let waits = head.headers.contains_key(header::EXPECT);
    let answer = store(shared, name, &head.headers, &mut body).await;
    if answer.is_err() && !waits {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        let _ = timeout(DRAIN_WITHIN, rest).await; // as much as there is time for
    }
    answer
}

async fn store(shared: &Arc<Shared>, name: Name, headers: &HeaderMap, body: &mut Incoming) -> Answer {
    let expected = expected(shared, &name, headers).await?;
    let stall = shared.limits.stall_within;
    let (size, early) = match declared(headers, body)? {
        Some(size) => (size, Bytes::new()),
        None => {
            let held = hold(body, shared.limits.unsized_body_bytes, stall).await?;
            (held.len() as u64, held)
        }
    };
    let line = match expected {
        Some(expected) => Line::PushIf { expected, size, name: name.clone() },
        None => Line::Push { size, name: name.clone() },
    };
    let order = shared.nodes.order(Some(name.as_str().as_bytes()));
    let mut link = shared.nodes.open(order).await.map_err(Trouble::Nobody)?;
    let mut sent = Sent { size, bytes: 0 };
    let within = shared.limits.answer_within;
    let pushed = push(&mut link, &line, early, body, &mut sent, stall, within).await.map_err(|trouble| {
        match trouble {
            // a push that is not whole is none
            Trouble::Broken { .. } if sent.is_whole() => Problem::unknown(&trouble),
            trouble => trouble.into(),
        }
    })?;
    let Pushed { size, root, version, copies, durability } = pushed;
    let told = json!({
        "name": name.as_str(), "size": size, "root": root, "version": version, "copies": copies,
        "durability": durability.name(),
    });
    let mut response = json(if version == 1 { StatusCode::CREATED } else { StatusCode::OK }, &told);
    if let Ok(tag) = tag(&root).parse() {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// What is to stand there before.
async fn expected(shared: &Shared, name: &Name, headers: &HeaderMap) -> Result<Option<Expected>, Problem> {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*") {
        return Ok(Some(Expected::Nothing));
    }
    let Some(wanted) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let failed = |why: &str| Problem::new(StatusCode::PRECONDITION_FAILED, "conflict", why);
    match stat(shared, name).await {
        Ok(stat) if names(Some(wanted), &tag(&stat.root)) => Ok(Some(Expected::Version(stat.version))),
        Ok(_) => Err(failed("another content stands there")),
        Err(trouble) if trouble.code() == Some(Code::NotFound) => Err(failed("no file stands there")),
        Err(trouble) => Err(trouble.into()),
    }
}

/// How long the body will be, where the client says so.
fn declared(headers: &HeaderMap, body: &Incoming) -> Result<Option<u64>, Problem> {
    let told = headers.get("x-file-size").map(|value| {
        let number = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
        number.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "size", "X-File-Size: a number of bytes"))
    });
    let size = match (body.size_hint().exact(), told.transpose()?) {
        (Some(length), Some(told)) if length != told => {
            let why = format!("Content-Length is {length}, X-File-Size {told}");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "size", why));
        }
        (length, told) => length.or(told),
    };
    match size {
        Some(size) if size > SIZE_MAX => {
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "size", format!("at most {SIZE_MAX} bytes")))
        }
        size => Ok(size),
    }
}

/// The next bytes of a body.
async fn next(body: &mut Incoming, within: Duration) -> Result<Option<Bytes>, Trouble> {
    loop {
        match timeout(within, body.frame()).await {
            Err(_) => return Err(Trouble::Client(format!("nothing of the body came for {within:?}"))),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(Trouble::Client(format!("the body breaks off: {error}"))),
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// A short body of which nobody said how long it is.
async fn hold(body: &mut Incoming, most: usize, stall: Duration) -> Result<Bytes, Problem> {
    let mut held = BytesMut::new();
    while let Some(bytes) = next(body, stall).await? {
        if held.len() + bytes.len() > most {
            let why = format!(
                "a body of more than {most} bytes needs its length beforehand: Content-Length, or X-File-Size with a chunked one"
            );
            return Err(Problem::new(StatusCode::LENGTH_REQUIRED, "length", why));
        }
        held.extend_from_slice(&bytes);
    }
    Ok(held.freeze())
}

/// How much of a push has left.
struct Sent {
    size: u64,
    bytes: u64,
}

impl Sent {
    fn is_whole(&self) -> bool {
        self.bytes == self.size
    }
}

/// Sends a push and reads its receipt. The last bytes are held back until it is sure
/// that they are the last.
async fn push(
    link: &mut Link,
    line: &Line,
    early: Bytes,
    body: &mut Incoming,
    sent: &mut Sent,
    stall: Duration,
    within: Duration,
) -> Result<Pushed, Trouble> {
    let node = link.node.clone();
    let broken = |error: io::Error| Trouble::Broken { node: node.clone(), error };
    link.say(format!("{line}\n")).await.map_err(broken)?;
    let mut held = early;
    loop {
        // a node that refuses says so before it has everything
        let more = tokio::select! {
            biased;
            more = next(body, stall) => more?,
            answer = link.line() => {
                accepted(&answer.map_err(broken)?)?;
                return Err(Trouble::Client("the node answered before it had all".into()));
            }
        };
        let Some(more) = more else { break };
        if sent.bytes + held.len() as u64 + more.len() as u64 > sent.size {
            return Err(Trouble::Client(format!("the body is longer than {} bytes", sent.size)));
        }
        let before = std::mem::replace(&mut held, more);
        sent.bytes += before.len() as u64;
        link.say(&before).await.map_err(broken)?;
    }
    if sent.bytes + held.len() as u64 != sent.size {
        let got = sent.bytes + held.len() as u64;
        return Err(Trouble::Client(format!("the body is shorter than it should be: {got} of {} bytes", sent.size)));
    }
    sent.bytes = sent.size;
    link.say(&held).await.map_err(broken)?;
    let receipt = async {
        let first = link.line().await.map_err(broken)?;
        accepted(&first)?;
        Ok::<_, Trouble>(Pushed::read(&link.line().await.map_err(broken)?)?)
    };
    timeout(within, receipt).await.unwrap_or_else(|_| Err(broken(io::ErrorKind::TimedOut.into())))
}
