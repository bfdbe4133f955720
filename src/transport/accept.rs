//! The node's one port: accepting, telling links from client dialects by their
//! first bytes, and shaking hands.
//!
//! Every connection has a thread of its own until it has proven who it is, at
//! most so many at once; a further one pushes the oldest out. Strangers thus
//! delay nobody: a good peer is through in milliseconds, whatever the number
//! of silent connections.

use super::admission::Via;
use super::dial::configure;
use super::handshake::{self, MAGIC};
use super::hello::Hello;
use super::peer::lock;
use super::planted::Mutant;
use super::shared::Shared;
use crate::id::Kind;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long to wait when the system has no descriptor left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// Of a planted bug.
const FOREVER: Duration = Duration::from_secs(3600);

/// Accepts until the links stop.
pub(super) fn accept_loop(shared: &Arc<Shared>, listener: &TcpListener) {
    let half_open = Arc::new(HalfOpen::default());
    loop {
        let accepted = listener.accept();
        if shared.crew.stopped() {
            return half_open.close();
        }
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                log::warn!(target: "nodewright::link", "cannot accept: {error}");
                shared.crew.pause(EXHAUSTED_PAUSE);
                continue;
            }
        };
        let stream = Arc::new(stream);
        let unbounded = shared.planted.is(Mutant::HalfOpenUnbounded);
        if half_open.enter(&stream, if unbounded { usize::MAX } else { shared.limits.half_open_max }) {
            shared.counters.refused("pushed out half-open");
        }
        let half_open = half_open.clone();
        let welcome = move |shared: &Arc<Shared>| welcome(shared, stream, remote, &half_open);
        if let Err(error) = shared.crew.spawn(shared, "nw-accept", welcome) {
            log::warn!(target: "nodewright::link", "{remote} not served: {error}");
        }
    }
}

/// What a connection turns out to be.
enum Sniffed {
    Link,
    Dialect(Kind),
    Unknown,
}

fn welcome(shared: &Arc<Shared>, stream: Arc<TcpStream>, remote: SocketAddr, half_open: &HalfOpen) {
    let forever = shared.planted.is(Mutant::DeadlineNotKept);
    let deadline = Instant::now() + if forever { FOREVER } else { shared.limits.handshake_within };
    let mut first = Vec::new();
    let sniffed = configure(&stream, shared)
        .and_then(|()| sniff(&stream, deadline, &shared.dialects, &mut first))
        .unwrap_or(Sniffed::Unknown);
    let mut judged = None;
    let agreed = match sniffed {
        Sniffed::Link => {
            let judge = |hello: Hello, key| {
                judged = Some(hello.life);
                shared.judge(&hello, key, Via::Accepted, remote)
            };
            let members = || lock(&shared.book).members();
            handshake::accept(&stream, &first, &shared.security, &shared.mine, deadline, judge, members)
        }
        Sniffed::Dialect(component) => {
            half_open.leave(&stream);
            if let Some(stream) = Arc::into_inner(stream)
                && stream.set_read_timeout(None).is_ok()
            {
                shared.sink.dialect(component, stream, first);
            }
            return;
        }
        Sniffed::Unknown => {
            half_open.leave(&stream);
            shared.counters.refused(if first.is_empty() { "silent connection" } else { "unknown first bytes" });
            return;
        }
    };
    half_open.leave(&stream);
    let attached = match agreed {
        Ok(agreed) => Arc::into_inner(stream).and_then(|stream| shared.attach(stream, agreed)),
        Err(failure) => {
            if let handshake::Failure::Io(_) = failure {
                shared.counters.refused("broken-off handshake");
            }
            shared.failed(&failure, &remote);
            None
        }
    };
    match attached {
        Some((peer, reading)) => {
            let life = reading.life;
            reading.run(shared, &peer);
            shared.ended_reading(life);
        }
        None => drop(judged.inspect(|life| shared.abandoned(*life))),
    }
}

/// Reads byte by byte until it is clear what the connection is; no byte more,
/// because the rest belongs to whoever goes on with it.
fn sniff(
    mut stream: &TcpStream,
    deadline: Instant,
    dialects: &[(&'static [u8], Kind)],
    first: &mut Vec<u8>,
) -> io::Result<Sniffed> {
    loop {
        if first.as_slice() == MAGIC {
            return Ok(Sniffed::Link);
        }
        let said = dialects.iter().filter(|(prefix, _)| !prefix.is_empty());
        if let Some((_, component)) = said.clone().find(|(prefix, _)| *prefix == first.as_slice()) {
            return Ok(Sniffed::Dialect(*component));
        }
        if !MAGIC.starts_with(first) && !said.clone().any(|(prefix, _)| prefix.starts_with(first)) {
            let other = dialects.iter().find(|(prefix, _)| prefix.is_empty());
            return Ok(other.map_or(Sniffed::Unknown, |(_, component)| Sniffed::Dialect(*component)));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => first.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Connections that have not proven who they are, the oldest first. A lock
/// because the accepting thread must reach what other threads wait for.
#[derive(Default)]
struct HalfOpen(Mutex<VecDeque<std::sync::Weak<TcpStream>>>);

impl HalfOpen {
    /// True if the oldest had to go.
    fn enter(&self, stream: &Arc<TcpStream>, max: usize) -> bool {
        let mut open = lock(&self.0);
        open.push_back(Arc::downgrade(stream));
        if open.len() <= max.max(1) {
            return false;
        }
        if let Some(oldest) = open.pop_front() {
            end(&oldest);
        }
        true
    }

    fn close(&self) {
        lock(&self.0).iter().for_each(end);
    }

    fn leave(&self, stream: &Arc<TcpStream>) {
        lock(&self.0).retain(|open| !std::ptr::eq(open.as_ptr(), Arc::as_ptr(stream)));
    }
}

/// Shuts a connection; its thread finds it closed and ends.
fn end(stream: &std::sync::Weak<TcpStream>) {
    if let Some(stream) = stream.upgrade() {
        // it may be closed already
        let _ = stream.shutdown(Shutdown::Both);
    }
}
