//! The component: asks, gives up at the deadline, and lets answer.

mod answering;

use super::asked::{Asked, Pending};
use super::{Answer, Ask, Call, Config, Message, Outcome, Peer, Request, lane_for};
use crate::component::{
    Context, Input, Inspection, Manifest, NetComponent, PeerChange, PeerRole, ReplyTo, Role, Run, To, Token,
};
use crate::error::{CallError, Fault};
use crate::id::{Kind, Life, NodeId};
use crate::time::Time;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// The one timer: armed to the earliest deadline, and not disarmed when that
/// request is answered. Requests that follow one another set it once a deadline,
/// not once a request.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Sweep;

/// Request and reply: see [`super`].
pub struct Requests {
    config: Config,
    peers: BTreeMap<NodeId, Linked>,
    asked: Asked,
    serving: BTreeMap<Token, (Life, u64)>,
    armed: Option<Time>,
    counts: Counts,
}

struct Linked {
    life: Life,
    role: PeerRole,
    name: Arc<str>,
    asked: usize,
    serving: usize,
    unacknowledged: u64,
}

#[derive(Default)]
struct Counts {
    asked: u64,
    answered: u64,
    timed_out: u64,
    late: u64,
    served: u64,
    refused: u64,
    dropped: u64,
    panicked: u64,
}

impl Requests {
    /// Requests with this configuration.
    pub fn new(config: Config) -> Self {
        Requests {
            config,
            peers: BTreeMap::new(),
            asked: Asked::default(),
            serving: BTreeMap::new(),
            armed: None,
            counts: Counts::default(),
        }
    }

    /// The linked peer of this life.
    fn linked(&mut self, life: Life) -> Option<&mut Linked> {
        self.peers.get_mut(&life.node).filter(|linked| linked.life == life)
    }

    fn ask(&mut self, ask: Ask, reply_to: ReplyTo, cx: &mut Context<'_, Self>) {
        let life = match self.askable(&ask, cx.me()) {
            Ok(life) => life,
            Err(why) => {
                self.counts.refused += 1;
                cx.reply::<Answer>(reply_to, Err(CallError::Refused(why)));
                return;
            }
        };
        self.counts.asked += 1;
        let Ask { name, version, params, body, within, .. } = ask;
        let kind = Kind::of(&name);
        let deadline = cx.now() + within;
        let id = self.asked.add(Pending { to: life, name, reply_to, within, deadline });
        if self.armed.is_none_or(|armed| deadline < armed) {
            self.arm(cx);
        }
        if life == cx.me() {
            self.serve(id, Request { from: life, kind, version, params, body, within }, cx);
            return;
        }
        let within_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        let head = Message::Request { id, kind, version, within_ms, params };
        let bytes = cx.send_with(To::Life(life), lane_for(body.len()), &head, &body);
        if let Some(linked) = self.linked(life) {
            linked.asked += 1;
            linked.unacknowledged += bytes;
        }
    }

    /// The life to ask, or why it cannot be asked now.
    fn askable(&self, ask: &Ask, me: Life) -> Result<Life, String> {
        let Ask { to, name, params, body, .. } = ask;
        let config = &self.config;
        let bytes = body.len() + params.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        if bytes > config.body_bytes_max {
            return Err(format!("'{name}' has {bytes} bytes, at most {} are carried", config.body_bytes_max));
        }
        if self.asked.len() >= config.asked_max {
            return Err(format!("busy: {} requests wait for an answer", config.asked_max));
        }
        let node = match *to {
            Peer::Node(node) => node,
            Peer::Life(life) => life.node,
        };
        let current = if node == me.node { Some(me) } else { self.peers.get(&node).map(|linked| linked.life) };
        let Some(life) = current else {
            return Err(format!("{node} is not linked with this node"));
        };
        if let Peer::Life(wanted) = *to
            && wanted != life
        {
            return Err(format!("the life {wanted} is not linked with this node; its node's life is {life}"));
        }
        let Some(linked) = self.peers.get(&node) else { return Ok(life) };
        if linked.role == PeerRole::Client {
            return Err(format!("{} is a client: clients answer no requests", linked.name));
        }
        if linked.asked >= config.asked_per_peer_max {
            return Err(format!("busy: {} requests wait for {}", linked.asked, linked.name));
        }
        if linked.unacknowledged > config.unacknowledged_bytes_max {
            return Err(format!("busy: {} bytes wait on the link to {}", linked.unacknowledged, linked.name));
        }
        Ok(life)
    }

    /// An answer to the request `id` came.
    fn settle(&mut self, id: u64, from: Life, outcome: Outcome, body: Bytes, cx: &mut Context<'_, Self>) {
        let Some(pending) = self.asked.take(id, from) else {
            self.counts.late += 1;
            return;
        };
        self.counts.answered += 1;
        let linked = self.linked(from).map(|linked| {
            linked.asked -= 1;
            &*linked.name
        });
        let peer = linked.unwrap_or("this node");
        let answer = match outcome {
            Outcome::Done => Ok(body),
            Outcome::NoHandler => Err(CallError::Refused(format!("{peer} has no handler for '{}'", pending.name))),
            Outcome::Busy => Err(CallError::Refused(format!("{peer} is busy with other requests"))),
            Outcome::Refused(why) => Err(CallError::Refused(format!("{peer} refused '{}': {why}", pending.name))),
            Outcome::Failed(why) => Err(CallError::Failed(format!("'{}' at {peer}: {why}", pending.name))),
        };
        cx.reply::<Answer>(pending.reply_to, answer);
    }

    fn arm(&mut self, cx: &mut Context<'_, Self>) {
        self.armed = self.asked.next_deadline();
        if let Some(deadline) = self.armed {
            cx.set_timer(Sweep, deadline.since(cx.now()));
        }
    }

    fn sweep(&mut self, cx: &mut Context<'_, Self>) {
        while let Some(pending) = self.asked.take_overdue(cx.now()) {
            self.counts.timed_out += 1;
            if let Some(linked) = self.linked(pending.to) {
                linked.asked -= 1;
            }
            cx.reply::<Answer>(pending.reply_to, Err(CallError::TimedOut(pending.within)));
        }
        self.arm(cx);
    }

    fn message(&mut self, from: Life, head: Message, body: Bytes, cx: &mut Context<'_, Self>) {
        match head {
            Message::Reply { id, outcome } => self.settle(id, from, outcome, body, cx),
            Message::Request { id, kind, version, within_ms, params } => {
                let max = self.config.unacknowledged_bytes_max;
                let unacknowledged = self.linked(from).map_or(u64::MAX, |linked| linked.unacknowledged);
                if unacknowledged > 2 * max {
                    self.counts.dropped += 1; // it asks and asks and takes no answer
                } else if unacknowledged > max {
                    self.answer(from, id, Outcome::Busy, &[], cx);
                } else {
                    let within = Duration::from_millis(u64::from(within_ms));
                    self.serve(id, Request { from, kind, version, params, body, within }, cx);
                }
            }
        }
    }

    fn ended(&mut self, life: Life, cx: &mut Context<'_, Self>) {
        if self.linked(life).is_none() {
            return;
        }
        let name = self.peers.remove(&life.node).map(|linked| linked.name).unwrap_or_default();
        for pending in self.asked.take_all(life) {
            cx.reply::<Answer>(pending.reply_to, Err(CallError::Ended(format!("{name} ({life})"))));
        }
        // What components still answer for it is dropped when it comes.
    }
}

impl NetComponent for Requests {
    type Message = Message;
    type Call = Call;
    type Timer = Sweep;
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest {
            provides: vec!["request"],
            run: Run::InPlace,
            role: Role::Protocol,
            wants_credit: true,
            guarantee: "a request is done at most once and its answer says whether it was: done, refused (not done), \
                        or unknown (timed out, failed, the life ended); no detector and no majority needed",
            memory_ceiling: Some(|peers| {
                let config = Config::default();
                peers as u64 * 2 * config.unacknowledged_bytes_max + config.asked_max as u64 * 256
            }),
            ..Manifest::new("request")
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Message { from, head, body } => self.message(from, head, body, cx),
            Input::Call { call: Call::Ask(ask), reply_to } => self.ask(ask, reply_to, cx),
            Input::Call { call: Call::Serve { name, route }, reply_to } => {
                let registered = self.register(&name, route);
                cx.reply(reply_to, registered);
            }
            Input::Reply { token, value } => self.served(token, value, cx),
            Input::Timer(Sweep) => {
                self.armed = None;
                self.sweep(cx);
            }
            Input::Credit { life, bytes } => {
                if let Some(linked) = self.linked(life) {
                    linked.unacknowledged = linked.unacknowledged.saturating_sub(bytes);
                }
            }
            Input::Peer(PeerChange::Joined { life, role, name }) => {
                let (life, role, name) = (*life, *role, name.clone());
                let linked = Linked { life, role, name, asked: 0, serving: 0, unacknowledged: 0 };
                self.peers.insert(life.node, linked);
            }
            Input::Peer(PeerChange::Ended { life, .. }) => self.ended(*life, cx),
            _ => {}
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        let Counts { asked, answered, timed_out, late, served, refused, dropped, panicked } = self.counts;
        into.row("asked", format!("{asked}, answered {answered}, timed out {timed_out}, waiting {}", self.asked.len()));
        into.row("served", format!("{served}, refused {refused}, under way {}", self.serving.len()));
        for (what, count) in
            [("late answers dropped", late), ("requests dropped", dropped), ("handlers panicked", panicked)]
        {
            if count > 0 {
                into.row(what, count);
            }
        }
    }
}
