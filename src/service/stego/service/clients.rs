//! Clients' connections: frames in, answers out, one request at a time on each.
//!
//! A connection reads on only while its frame is wanted: the first 64 KiB freely,
//! the rest of a longer frame once the sum of what all connections declare has room
//! for it. A frame that is not whole in time ends its connection, however steadily
//! it drips.

use super::binary;
use super::component::{Cx, StegoService, Timer, Waiter};
use super::frame::{Frames, HEAD_BYTES, head};
use super::json::{self, Words};
use super::request::{Answer, Refused, Request};
use super::workers::Job;
use crate::component::{StreamId, StreamInput, StreamOp};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Bytes that are read ahead without asking anybody.
const AHEAD_BYTES: usize = 64 << 10;
/// How long a client has to take the last words and close.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// In which dialect a request was put.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Dialect {
    Binary,
    Json(Words),
}

#[derive(Default)]
struct Client {
    frames: Frames,
    /// Granted and not yet arrived.
    granted: usize,
    /// What the frame under way declares, where that has been made room for.
    declared: usize,
    /// A request that is not answered yet.
    busy: Option<Dialect>,
    /// A worker reads its request.
    being_read: bool,
    out: VecDeque<Bytes>,
    writable: u64,
    /// The client writes no more.
    finished: bool,
    /// Nothing is read any more.
    closing: bool,
    /// Its frames are being taken, further up the stack.
    reading: bool,
    timed: Timed,
}

#[derive(Copy, Clone, PartialEq, Eq, Default)]
enum Timed {
    #[default]
    No,
    Idle,
    Frame,
}

/// All of them.
#[derive(Default)]
pub(super) struct Clients {
    open: BTreeMap<StreamId, Client>,
    /// Sum of what is declared.
    declared: usize,
    /// Those whose frame waits for room.
    waiting: VecDeque<StreamId>,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The request id, if this client's task is to be answered in JSON.
    pub(super) fn task_in_json(&self, waiter: Waiter) -> Option<u64> {
        let Waiter::Client(id) = waiter else { return None };
        match self.open.get(&id)?.busy {
            Some(Dialect::Json(Words::Task(request))) => Some(request),
            _ => None,
        }
    }
}

impl StegoService {
    pub(super) fn client_input(&mut self, id: StreamId, input: StreamInput, cx: Cx<'_, '_>) {
        match input {
            StreamInput::Opened { .. } => {
                if self.clients.len() >= self.config.clients_max {
                    self.stats.cut += 1;
                    return cx.stream(id, StreamOp::Reset("as many clients as there may be".into()));
                }
                self.clients.open.insert(id, Client::default());
                self.read_on(id, cx);
            }
            StreamInput::Chunk(bytes) => {
                let Some(client) = self.clients.open.get_mut(&id) else { return };
                client.granted = client.granted.saturating_sub(bytes.len());
                if !client.closing {
                    client.frames.push(bytes);
                    self.read_on(id, cx);
                }
            }
            StreamInput::Writable(bytes) => {
                let Some(client) = self.clients.open.get_mut(&id) else { return };
                client.writable = client.writable.saturating_add(bytes);
                self.write_on(id, cx);
            }
            StreamInput::Finished => {
                let Some(client) = self.clients.open.get_mut(&id) else { return };
                client.finished = true;
                self.read_on(id, cx);
            }
            StreamInput::Reset(_) => self.forget_client(id, cx),
        }
    }

    /// Nothing came in time.
    pub(super) fn client_silent(&mut self, id: StreamId, cx: Cx<'_, '_>) {
        let Some(client) = self.clients.open.get(&id) else { return };
        if client.timed == Timed::Frame {
            self.stats.cut += 1;
            log::info!(target: "nodewright::steganography", "a client is cut: {} bytes of a frame within {:?}", client.frames.held(), self.config.frame_within);
        }
        cx.stream(id, StreamOp::Reset("nothing came in time".into()));
        self.forget_client(id, cx);
    }

    fn forget_client(&mut self, id: StreamId, cx: Cx<'_, '_>) {
        cx.cancel_timer(&Timer::Client(id));
        if let Some(client) = self.clients.open.remove(&id) {
            self.workers.forget(Waiter::Client(id));
            self.clients.waiting.retain(|waiting| *waiting != id);
            self.give_back(client.declared, cx);
        }
    }

    /// Room that one frame had is another's.
    fn give_back(&mut self, declared: usize, cx: Cx<'_, '_>) {
        self.clients.declared -= declared;
        if declared > 0
            && let Some(next) = self.clients.waiting.pop_front()
        {
            self.read_on(next, cx);
        }
    }

    /// Takes what is whole, and asks for what is not. An answer that is there at
    /// once comes back here: it must not go deeper with each frame.
    fn read_on(&mut self, id: StreamId, cx: Cx<'_, '_>) {
        let Some(client) = self.clients.open.get_mut(&id) else { return };
        if !std::mem::replace(&mut client.reading, true) {
            self.take_frames(id, cx);
            if let Some(client) = self.clients.open.get_mut(&id) {
                client.reading = false;
            }
        }
    }

    fn take_frames(&mut self, id: StreamId, cx: Cx<'_, '_>) {
        while let Some(client) = self.clients.open.get_mut(&id) {
            if client.busy.is_some() || client.being_read || !client.out.is_empty() || client.closing {
                return;
            }
            match client.frames.next(self.config.frame_bytes_max) {
                Ok(Some(body)) => self.frame(id, body, cx),
                Ok(None) if client.finished => {
                    if client.frames.is_amid() {
                        self.stats.cut += 1;
                    }
                    return self.close(id, cx);
                }
                Ok(None) => return self.want_more(id, cx),
                Err(why) => return self.cut_with(id, Refused::Bad(why.to_string()), cx),
            }
        }
    }

    fn want_more(&mut self, id: StreamId, cx: Cx<'_, '_>) {
        let Some(client) = self.clients.open.get_mut(&id) else { return };
        let wanted = if client.frames.is_amid() { Timed::Frame } else { Timed::Idle };
        if client.timed != wanted {
            client.timed = wanted;
            let within = if wanted == Timed::Frame { self.config.frame_within } else { self.config.idle_within };
            cx.set_timer(Timer::Client(id), within);
        }
        let declared = client.frames.declared(self.config.frame_bytes_max).ok().flatten().unwrap_or(0);
        let mut most = AHEAD_BYTES;
        if declared + HEAD_BYTES > AHEAD_BYTES {
            if client.declared == 0 {
                if self.clients.declared + declared > self.config.declared_bytes_max {
                    if !self.clients.waiting.contains(&id) {
                        self.clients.waiting.push_back(id);
                    }
                    // It is not the client's fault: its time begins when there is room.
                    client.timed = Timed::No;
                    return cx.cancel_timer(&Timer::Client(id));
                }
                client.declared = declared;
                self.clients.declared += declared;
            }
            most = declared + HEAD_BYTES;
        }
        let more = most.saturating_sub(client.frames.held() + client.granted);
        if more > 0 && (client.granted == 0 || more >= AHEAD_BYTES / 2 || most > AHEAD_BYTES) {
            client.granted += more;
            cx.stream(id, StreamOp::Grant(more as u64));
        }
    }

    fn frame(&mut self, id: StreamId, body: Bytes, cx: Cx<'_, '_>) {
        let Some(client) = self.clients.open.get_mut(&id) else { return };
        client.timed = Timed::No;
        cx.cancel_timer(&Timer::Client(id));
        if !json::is_json(&body) {
            client.busy = Some(Dialect::Binary);
            return match binary::decode(&body) {
                Ok(request) => self.ask(request, Waiter::Client(id), cx),
                Err(why) => self.cut_with(id, why, cx),
            };
        }
        if body.len() <= json::LONG_BYTES {
            return self.client_asks_json(id, json::decode(&body), cx);
        }
        client.being_read = true;
        let token = cx.job(Job::Read(body));
        self.workers.reading.insert(token, id);
    }

    /// A body of the JSON dialect was read.
    pub(super) fn client_asks_json(&mut self, id: StreamId, read: Result<(Request, Words), Refused>, cx: Cx<'_, '_>) {
        let Some(client) = self.clients.open.get_mut(&id) else { return };
        client.being_read = false;
        match read {
            Ok((request @ Request::Ack { .. }, Words::Nothing)) => {
                let declared = std::mem::take(&mut client.declared);
                self.give_back(declared, cx);
                self.ask(request, Waiter::Nobody, cx);
                self.read_on(id, cx);
            }
            Ok((request, words)) => {
                client.busy = Some(Dialect::Json(words));
                self.ask(request, Waiter::Client(id), cx);
            }
            Err(why) => {
                client.busy = Some(Dialect::Json(Words::Nothing));
                self.cut_with(id, why, cx);
            }
        }
    }

    /// The last words to a client that is not understood.
    fn cut_with(&mut self, id: StreamId, why: Refused, cx: Cx<'_, '_>) {
        self.stats.cut += 1;
        log::info!(target: "nodewright::steganography", "a client is cut: {why}");
        let Some(client) = self.clients.open.get_mut(&id) else { return };
        let text = match client.busy {
            Some(Dialect::Json(_)) => serde_json::json!({ "Error": { "message": why.to_string() } }).to_string().into(),
            _ => Bytes::from(binary::encode_answer(Answer::Refused(why)).0),
        };
        client.busy = None;
        client.closing = true;
        client.out.extend([Bytes::copy_from_slice(&head(text.len())), text]);
        self.write_on(id, cx);
    }

    /// Answers the request that a client has put; `text` is the same in JSON, where
    /// a worker wrote it.
    pub(super) fn answer_client(&mut self, id: StreamId, answer: Answer, text: Option<Bytes>, cx: Cx<'_, '_>) {
        let Some(client) = self.clients.open.get_mut(&id) else { return };
        let Some(dialect) = client.busy.take() else { return };
        match dialect {
            Dialect::Binary => {
                let (first, file) = binary::encode_answer(answer);
                let length = first.len() + file.as_ref().map_or(0, Bytes::len);
                client.out.push_back([&head(length)[..], &first].concat().into());
                client.out.extend(file);
            }
            Dialect::Json(words) => match text.or_else(|| json::encode_answer(&answer, words)) {
                Some(text) => client.out.extend([Bytes::copy_from_slice(&head(text.len())), text]),
                None => client.closing = true,
            },
        }
        let declared = std::mem::take(&mut client.declared);
        self.give_back(declared, cx);
        self.write_on(id, cx);
    }

    /// Writes as far as there is room; then reads on, or closes.
    fn write_on(&mut self, id: StreamId, cx: Cx<'_, '_>) {
        let Some(client) = self.clients.open.get_mut(&id) else { return };
        while client.writable > 0
            && let Some(front) = client.out.front_mut()
        {
            let part = front.len().min(usize::try_from(client.writable).unwrap_or(usize::MAX));
            let bytes = front.split_to(part);
            client.writable -= part as u64;
            if front.is_empty() {
                client.out.pop_front();
            }
            if !bytes.is_empty() {
                cx.stream(id, StreamOp::Write(bytes));
            }
        }
        if client.out.is_empty() && client.closing {
            self.close(id, cx);
        } else if client.out.is_empty() {
            self.read_on(id, cx);
        } else if client.timed == Timed::No {
            // One that takes nothing is no client.
            client.timed = Timed::Idle;
            cx.set_timer(Timer::Client(id), self.config.idle_within);
        }
    }

    /// All is said. What is written still arrives; then the connection is cut.
    fn close(&mut self, id: StreamId, cx: Cx<'_, '_>) {
        let Some(client) = self.clients.open.get_mut(&id) else { return };
        cx.stream(id, StreamOp::Finish);
        if client.finished {
            return self.forget_client(id, cx); // both sides are done
        }
        client.closing = true;
        client.timed = Timed::Idle;
        let declared = std::mem::take(&mut client.declared);
        cx.set_timer(Timer::Client(id), CLOSE_WITHIN);
        self.give_back(declared, cx);
    }
}
