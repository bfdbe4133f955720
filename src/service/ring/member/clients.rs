//! Connections of clients: lines and bodies come in, answers go out.
//!
//! ```text
//!   line     a request, or what is wrong with it -> busy, or body
//!   body     bytes of a push, as far as the push has room for them
//!   busy     the answer is on its way; what the client says meanwhile waits
//!   closing  what is to be said is written, then the connection ends
//! ```
//!
//! **Bounds.** A client may say [`LINE_CREDIT`] bytes ahead, or what its push has
//! room for; it is told no more than it takes. [`CLIENTS_MAX`] at once; a further
//! one hears `ERR BUSY`. One that says nothing within a line for [`STALLED_AFTER`],
//! or nothing at all for [`IDLE_AFTER`], is let go.

use super::ClientId;
use super::component::{Cx, Ring};
use crate::component::{ReplyTo, StreamId, StreamOp};
use crate::service::ring::cuts::BLOCK_BYTES;
use crate::service::ring::text::reply::{Code, coded, error};
use crate::service::ring::text::{Heard, Reader, Refused, Request};
use crate::time::Time;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Most connections at once.
pub(super) const CLIENTS_MAX: usize = 200;
/// Bytes that a client may be ahead of what is read.
const LINE_CREDIT: u64 = 64 << 10;
/// A client that is in the middle of something and gives no sign for so long is let
/// go.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// One that wants nothing.
const IDLE_AFTER: Duration = Duration::from_secs(600);
/// Pushes and reads at once, as if each were of a block or more; small files count as what
/// they are.
const UNDER_WAY_MAX: u64 = 6;
/// Bytes of all pushes and reads, which share it: each is held several times over, as it
/// was read, sealed for each holder, and on its way to sockets and disks.
const UNDER_WAY_BYTES: u64 = 10 << 20;
/// A life that does not see all members after so long goes on with most.
const SOON: Duration = Duration::from_secs(3);
/// A life that does not know the ring after so long does what it can.
const EARLY: Duration = Duration::from_secs(6);
/// Longest answer of a talk, in bytes.
const TALK_BYTES_MAX: usize = 64 << 20;
/// Bytes of all clients at the most.
pub(super) const MEMORY_BYTES_MAX: u64 = 80 << 20;

/// A talk was cut: what the node said so far is no whole answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the connection is cut: {0}")]
pub struct Cut(pub String);

/// How a client is reached.
enum Wire {
    Stream(StreamId),
    /// A talk: what is said is gathered.
    Talk(ReplyTo, Vec<u8>),
}

/// What a client is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    Line,
    Body,
    Busy,
    Closing,
    /// All is said; the other side has not ended yet.
    Said,
}

pub(super) struct Client {
    wire: Wire,
    reader: Reader,
    /// Said and not read yet.
    pending: VecDeque<Bytes>,
    pending_bytes: u64,
    /// May still be said.
    granted: u64,
    out: VecDeque<Bytes>,
    writable: u64,
    pub(super) at: At,
    ended: bool,
    admitted: bool,
    heard: Time,
}

/// All of them.
#[derive(Default)]
pub(super) struct Clients {
    next: u64,
    all: BTreeMap<ClientId, Client>,
    streams: BTreeMap<StreamId, ClientId>,
    /// Those who were answered and may have said more.
    ready: VecDeque<ClientId>,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&mut self, id: ClientId) -> Option<&mut Client> {
        self.all.get_mut(&id)
    }

    fn add(&mut self, wire: Wire, admitted: bool, now: Time) -> ClientId {
        self.next += 1;
        let (id, writable) = (ClientId(self.next), if let Wire::Talk(..) = wire { u64::MAX } else { 0 });
        if let Wire::Stream(stream) = wire {
            self.streams.insert(stream, id);
        }
        let client = Client {
            wire,
            reader: Reader::default(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            granted: 0,
            out: VecDeque::new(),
            writable,
            at: At::Line,
            ended: false,
            admitted,
            heard: now,
        };
        self.all.insert(id, client);
        id
    }

    fn remove(&mut self, id: ClientId) -> Option<Client> {
        let client = self.all.remove(&id)?;
        if let Wire::Stream(stream) = client.wire {
            self.streams.remove(&stream);
        }
        Some(client)
    }
}

impl Client {
    /// How many more bytes it can be told now.
    pub(super) fn room(&self) -> u64 {
        let waiting: usize = self.out.iter().map(Bytes::len).sum();
        self.writable.min(1 << 40).saturating_sub(waiting as u64)
    }

    /// What is left of the body, and how much of it is granted or here.
    pub(super) fn body(&self) -> (u64, u64) {
        (self.reader.body_left().unwrap_or(0), self.granted + self.pending_bytes)
    }

    fn grant(&mut self, bytes: u64, cx: Cx<'_, '_>) {
        if let (Wire::Stream(stream), true) = (&self.wire, bytes > 0 && !self.ended) {
            self.granted += bytes;
            cx.stream(*stream, StreamOp::Grant(bytes));
        }
    }

    /// It may say so much more than it has, all in all.
    pub(super) fn grant_up_to(&mut self, bytes: u64, cx: Cx<'_, '_>) {
        let more = bytes.saturating_sub(self.granted + self.pending_bytes);
        // not in crumbs: each is an exchange with the reader of the socket
        if more >= LINE_CREDIT / 2 || more > 0 && self.granted == 0 {
            self.grant(more, cx);
        }
    }

    fn hear(&mut self) -> Option<Heard> {
        while let Some(first) = self.pending.front_mut() {
            let before = first.len();
            let heard = self.reader.read(first);
            self.pending_bytes -= (before - first.len()) as u64;
            if first.is_empty() {
                self.pending.pop_front();
            }
            if heard.is_some() {
                return heard;
            }
        }
        // an empty body ends without a byte
        self.reader.read(&mut Bytes::new()).or_else(|| if self.ended { self.reader.end() } else { None })
    }

    /// Writes as much as is taken.
    fn write(&mut self, cx: Cx<'_, '_>) {
        while let Some(mut bytes) = self.out.pop_front() {
            match &mut self.wire {
                Wire::Talk(_, all) => {
                    if all.len() + bytes.len() <= TALK_BYTES_MAX {
                        all.extend_from_slice(&bytes);
                    }
                }
                Wire::Stream(stream) => {
                    let fits = self.writable.min(bytes.len() as u64) as usize;
                    let rest = bytes.split_off(fits);
                    if !rest.is_empty() {
                        self.out.push_front(rest);
                    }
                    if fits == 0 {
                        return;
                    }
                    self.writable -= fits as u64;
                    cx.stream(*stream, StreamOp::Write(bytes));
                }
            }
        }
    }
}

impl Ring {
    pub(super) fn connected(&mut self, stream: StreamId, name: &str, cx: Cx<'_, '_>) {
        let near = is_loopback(name);
        let crowded = self.clients.len() >= CLIENTS_MAX;
        let id = self.clients.add(Wire::Stream(stream), near, cx.now());
        if crowded {
            self.say(id, coded(Code::Busy, "too many connections: try again"), cx);
            return self.close(id, cx);
        }
        if let Some(client) = self.clients.get(id) {
            client.grant(LINE_CREDIT, cx);
        }
    }

    pub(super) fn talk(&mut self, bytes: Bytes, to: ReplyTo, cx: Cx<'_, '_>) {
        let id = self.clients.add(Wire::Talk(to, Vec::new()), true, cx.now());
        if let Some(client) = self.clients.get(id) {
            client.pending_bytes = bytes.len() as u64;
            client.pending.push_back(bytes);
            client.ended = true;
        }
        self.serve(id, cx);
    }

    pub(super) fn client_said(&mut self, stream: StreamId, bytes: Bytes, cx: Cx<'_, '_>) {
        let Some(id) = self.clients.streams.get(&stream).copied() else { return };
        let Some(client) = self.clients.get(id) else { return };
        client.heard = cx.now();
        client.granted = client.granted.saturating_sub(bytes.len() as u64);
        client.pending_bytes += bytes.len() as u64;
        client.pending.push_back(bytes);
        self.serve(id, cx);
    }

    pub(super) fn client_takes(&mut self, stream: StreamId, bytes: u64, cx: Cx<'_, '_>) {
        let Some(id) = self.clients.streams.get(&stream).copied() else { return };
        let Some(client) = self.clients.get(id) else { return };
        client.heard = cx.now();
        client.writable += bytes;
        client.write(cx);
        if client.at == At::Line {
            self.clients.ready.push_back(id);
        }
        self.read_on(id, cx);
        self.list_on(id, cx);
        self.end_if_said(id, cx);
    }

    pub(super) fn client_finished(&mut self, stream: StreamId, cx: Cx<'_, '_>) {
        let Some(id) = self.clients.streams.get(&stream).copied() else { return };
        let Some(client) = self.clients.get(id) else { return };
        client.ended = true;
        if client.at == At::Said {
            self.clients.remove(id);
            return;
        }
        self.serve(id, cx);
    }

    pub(super) fn client_gone(&mut self, stream: StreamId, cx: Cx<'_, '_>) {
        let Some(id) = self.clients.streams.get(&stream).copied() else { return };
        self.clients.remove(id);
        self.forget(id, cx);
    }

    /// Nothing more is done for it.
    fn forget(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        self.asking.drop_client(id);
        self.verbs.remove(&id);
        self.chores.remove(&id);
        self.give_up_push(id, cx);
        self.readings.remove(&id);
        self.queue.retain(|waiting| *waiting != id);
        self.early.retain(|(waiting, _)| *waiting != id);
        self.admit(cx);
    }

    /// Reads on as far as it can.
    pub(super) fn serve(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        loop {
            let Some(client) = self.clients.get(id) else { return };
            match client.at {
                // one that does not take its answers is asked nothing more
                At::Line if !client.out.is_empty() => return,
                At::Line => match client.hear() {
                    Some(Heard::Request(request)) => self.requested(id, request, cx),
                    Some(Heard::Refused(Refused { text, close, .. })) => {
                        self.say(id, error(&text), cx);
                        if close {
                            return self.close(id, cx);
                        }
                    }
                    Some(Heard::Body(_) | Heard::BodyEnds) => {} // of what was refused
                    None if client.ended => return self.close(id, cx),
                    None => return client.grant_up_to(LINE_CREDIT, cx),
                },
                At::Body => match client.hear() {
                    Some(Heard::Body(bytes)) => self.push_bytes(id, bytes, cx),
                    Some(_) => self.push_ends(id, cx),
                    None if client.ended => return self.push_breaks_off(id, cx),
                    None => return self.push_grants(id, cx),
                },
                At::Busy | At::Closing | At::Said => return,
            }
        }
    }

    fn requested(&mut self, id: ClientId, request: Request, cx: Cx<'_, '_>) {
        let Some(client) = self.clients.get(id) else { return };
        if let Request::Auth(token) = &request {
            let right = self.config.token.as_deref().is_some_and(|own| same(own.as_bytes(), token.as_bytes()));
            client.admitted |= right;
            let answer = if right { "OK\n".into() } else { coded(Code::Auth, "the token is not this node's") };
            return self.say(id, answer, cx);
        }
        if !client.admitted {
            client.reader.skip_body();
            self.say(id, coded(Code::Auth, "say AUTH <token> first"), cx);
            return self.close(id, cx);
        }
        client.at = At::Busy;
        if !matches!(request, Request::Ping | Request::Status) && !self.knows_the_ring(cx) {
            return self.early.push((id, request));
        }
        self.admitted(id, request, cx);
    }

    /// Whether this node stands in the ring and sees all of it, or after a while most,
    /// or has waited long enough for that: what is pushed lies where it will stay.
    fn knows_the_ring(&mut self, cx: Cx<'_, '_>) -> bool {
        let age = cx.now().since(self.started);
        if age >= EARLY {
            return true;
        }
        let (me, now, ring) = (cx.me().node, cx.now(), self.topology.ring());
        let there = ring.iter().filter(|node| self.peers.takes(**node, me, now)).count();
        let most = there > ring.len() / 2 && there >= ring.len().min(usize::from(self.config.copies));
        let all = self.topology.len() >= self.voters && there == ring.len();
        ring.contains(&me) && if age < SOON { all } else { most }
    }

    /// Those who came early go on.
    pub(super) fn early_tick(&mut self, cx: Cx<'_, '_>) {
        if self.early.is_empty() || !self.knows_the_ring(cx) {
            return;
        }
        for (id, request) in std::mem::take(&mut self.early) {
            self.admitted(id, request, cx);
        }
    }

    fn admitted(&mut self, id: ClientId, request: Request, cx: Cx<'_, '_>) {
        match request {
            Request::Push { size, name } => self.push(id, name, size, None, cx),
            Request::PushIf { expected, size, name } => self.push(id, name, size, Some(expected), cx),
            Request::Pull(name) => self.pull(id, name, None, cx),
            Request::Get { offset, length, name } => self.pull(id, name, Some((offset, length)), cx),
            other => self.verb(id, other, cx),
        }
    }

    /// Tells a client something.
    pub(super) fn say(&mut self, id: ClientId, text: impl Into<Bytes>, cx: Cx<'_, '_>) {
        if let Some(client) = self.clients.get(id) {
            client.out.push_back(text.into());
            client.write(cx);
        }
    }

    /// Answers, and reads the next request.
    pub(super) fn answer(&mut self, id: ClientId, text: impl Into<Bytes>, cx: Cx<'_, '_>) {
        self.say(id, text, cx);
        if let Some(client) = self.clients.get(id) {
            // what is left of a body that is not wanted
            client.reader.skip_body();
            client.at = At::Line;
            self.clients.ready.push_back(id);
        }
    }

    /// Those who were answered are read on.
    pub(super) fn serve_ready(&mut self, cx: Cx<'_, '_>) -> bool {
        let Some(id) = self.clients.ready.pop_front() else { return false };
        self.serve(id, cx);
        true
    }

    /// Ends the connection once all is said.
    pub(super) fn close(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        if let Some(client) = self.clients.get(id) {
            client.at = At::Closing;
        }
        self.end_if_said(id, cx);
    }

    fn end_if_said(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let Some(client) = self.clients.get(id) else { return };
        if client.at != At::Closing || !client.out.is_empty() {
            return;
        }
        client.at = At::Said;
        match &mut client.wire {
            Wire::Stream(stream) => {
                cx.stream(*stream, StreamOp::Finish);
                if !client.ended {
                    // what it still says is not read, but its end is heard
                    return client.grant(LINE_CREDIT, cx);
                }
            }
            Wire::Talk(to, all) => cx.reply(*to, Ok::<Bytes, Cut>(std::mem::take(all).into())),
        }
        self.clients.remove(id);
    }

    /// Ends the connection so that nobody takes what was said for the whole.
    pub(super) fn cut(&mut self, id: ClientId, why: &str, cx: Cx<'_, '_>) {
        match self.clients.remove(id).map(|client| client.wire) {
            Some(Wire::Stream(stream)) => cx.stream(stream, StreamOp::Reset(why.into())),
            Some(Wire::Talk(to, _)) => cx.reply(to, Err::<Bytes, Cut>(Cut(why.into()))),
            None => {}
        }
        self.forget(id, cx);
    }

    /// Whether one more may take memory; else it waits.
    pub(super) fn permit(&mut self, id: ClientId) -> bool {
        let free = self.has_room();
        if !free {
            self.queue.push_back(id);
        }
        free
    }

    /// All that is under way, each as far as it needs memory, in bytes.
    fn under_way(&self) -> u64 {
        let pushes: u64 = self.pushes.values().map(|push| push.size().min(BLOCK_BYTES)).sum();
        pushes + self.readings.len() as u64 * BLOCK_BYTES
    }

    fn has_room(&self) -> bool {
        self.under_way() < UNDER_WAY_MAX * BLOCK_BYTES
    }

    /// Bytes that each push and each read may have under way.
    pub(super) fn share(&self) -> u64 {
        UNDER_WAY_BYTES / self.under_way().div_ceil(BLOCK_BYTES).max(1)
    }

    /// Those who waited go on.
    pub(super) fn admit(&mut self, cx: Cx<'_, '_>) {
        while self.has_room() {
            let Some(id) = self.queue.pop_front() else { return };
            self.verb_admitted(id, cx);
        }
    }

    pub(super) fn clients_tick(&mut self, cx: Cx<'_, '_>) {
        let now = cx.now();
        let silent = |client: &Client| {
            let idle = now.since(client.heard);
            match client.at {
                At::Line if client.reader.is_between_lines() => idle > IDLE_AFTER,
                // the answer is this node's affair, as long as the client takes it
                At::Busy => !client.out.is_empty() && idle > STALLED_AFTER,
                _ => idle > STALLED_AFTER,
            }
        };
        let over: Vec<ClientId> =
            self.clients.all.iter().filter(|(_, client)| silent(client)).map(|(id, _)| *id).collect();
        for id in over {
            self.cut(id, "the client gives no sign", cx);
        }
    }
}

/// Whether an address, as the driver writes it, is this machine's own.
fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let digits = |host: &str| host.chars().all(|c| c.is_ascii_digit() || c == '.');
    host == "[::1]" || host.starts_with("127.") && digits(host)
}

/// Compares in a time that tells nothing.
fn same(a: &[u8], b: &[u8]) -> bool {
    blake3::hash(a) == blake3::hash(b)
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn who_is_on_this_machine_by_the_address() {
        for own in ["127.0.0.1:7000", "127.8.9.1:1", "[::1]:7000"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in ["10.0.0.1:7000", "127.0.0.1.example:7000", "[::ffff:10.0.0.1]:7000", "client", ""] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
