//! The component: what a server knows, and where its inputs go.

use super::clients::Clients;
use super::config::Config;
use super::history::History;
use super::message::{Call, Message};
use super::mirror::Asked;
use super::request::{Answer, Refused, Request};
use super::servers::{Leading, Load, Servers};
use super::stats::Stats;
use super::task::TaskId;
use super::workers::{Done, Job, Workers};
use crate::component::{
    Context, Input, Inspection, Lane, LoadSample, Manifest, NetComponent, PeerChange, ReplyTo, Role, Run, StreamId, To,
    Token,
};
use crate::error::Fault;
use crate::event::EventType;
use crate::id::{Kind, Life};
use crate::protocol::election::{self, Election, LeaderElected, LeaderLost, score::score};
use crate::protocol::failure_detector::Suspicion;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The component's name.
pub const NAME: &str = "steganography";
/// First bytes of a client's connection: the greatest byte of a frame's length.
const DIALECT: [&[u8]; 8] = [&[0], &[1], &[2], &[3], &[4], &[5], &[6], &[7]];
/// Questions handed on to the leader at a time; a further one is told to ask again.
const FORWARDED_MAX: usize = 4096;

/// The component's timers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Timer {
    /// The own load is due.
    Publish,
    /// Orphans are looked for.
    Look,
    /// The map is asked again.
    Again,
    /// The leader has not answered this.
    Forwarded(u64),
    /// A client has been silent for too long.
    Client(StreamId),
}

/// Who is to hear an answer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Waiter {
    Client(StreamId),
    Caller(ReplyTo),
    Peer(Life, u64),
    /// A reply was not asked for.
    Nobody,
}

pub(super) type Cx<'a, 'b> = &'a mut Context<'b, StegoService>;

/// See [the module](super).
pub struct StegoService {
    pub(super) config: Config,
    pub(super) me: Life,
    pub(super) stats: Stats,
    pub(super) clients: Clients,
    pub(super) servers: Servers,
    pub(super) history: History,
    pub(super) workers: Workers,
    /// The leader, as last heard.
    pub(super) leader: Option<LeaderElected>,
    /// This life leads.
    pub(super) leading: Option<Leading>,
    /// What was asked of the map.
    pub(super) asked: BTreeMap<Token, Asked>,
    /// Assignments under way to the map, and who waits for them.
    pub(super) assigning: BTreeMap<TaskId, super::assign::Assigning>,
    /// Questions handed on to the leader.
    forwarded: BTreeMap<u64, Waiter>,
    next_forwarded: u64,
    sample: Option<LoadSample>,
    told_active: u32,
    /// Of a planted bug.
    pub(super) planted_results: BTreeMap<u64, bytes::Bytes>,
}

impl StegoService {
    /// A server with these settings.
    pub fn new(config: Config) -> Self {
        let stats = Stats {
            address: config.address.clone(),
            queued_max: config.queue_max,
            workers: config.workers,
            ..Stats::default()
        };
        StegoService {
            clients: Clients::default(),
            workers: Workers::new(config.workers, config.queue_max),
            stats,
            config,
            me: Life::new(crate::id::NodeId(0), 0),
            servers: Servers::default(),
            history: History::default(),
            leader: None,
            leading: None,
            asked: BTreeMap::new(),
            assigning: BTreeMap::new(),
            forwarded: BTreeMap::new(),
            next_forwarded: 0,
            sample: None,
            told_active: 0,
            planted_results: BTreeMap::new(),
        }
    }

    /// Does what is asked, or sees to it.
    pub(super) fn ask(&mut self, request: Request, waiter: Waiter, cx: Cx<'_, '_>) {
        let named = match &request {
            Request::Assign { task, .. } | Request::Submit { task, .. } | Request::Ack { task } => Some(task),
            _ => None,
        };
        if named.is_some_and(|task| !task.is_sound()) {
            let why = format!("a client's name has 1 to {} bytes", super::task::CLIENT_BYTES_MAX);
            return self.refuse(waiter, Refused::Bad(why), cx);
        }
        match request {
            Request::Leader => {
                let answer = match self.leader_address() {
                    Some((elected, address)) => Answer::Leader(elected.leader.node.0, address, elected.epoch.number),
                    None => Answer::Refused(Refused::NoLeader),
                };
                self.answer(waiter, answer, cx);
            }
            Request::Assign { task, image, refused } => self.assign(task, image, refused, waiter, cx),
            Request::Submit { task, fence, work } => self.submit(task, fence, work, waiter, cx),
            Request::Ack { task } => self.acknowledge(task, waiter, cx),
            Request::Where { task } => match self.history.get(&task).map(|held| held.assignment.clone()) {
                Some(assignment) => self.answer(waiter, Answer::Assigned(assignment), cx),
                None => self.refuse(waiter, Refused::NoSuchTask, cx),
            },
            Request::Stats => {
                let stats = Box::new(self.stats());
                self.answer(waiter, Answer::Stats(stats), cx);
            }
            Request::ServerVerb(verb) => {
                self.stats.forged += 1;
                log::warn!(target: "nodewright::steganography", "a stranger said '{verb}', which is for servers: not believed");
                self.refuse(waiter, Refused::ServerVerb(verb.to_string()), cx);
            }
        }
    }

    pub(super) fn answer(&mut self, waiter: Waiter, answer: Answer, cx: Cx<'_, '_>) {
        match waiter {
            Waiter::Client(id) => self.answer_client(id, answer, None, cx),
            Waiter::Caller(reply_to) => cx.reply(reply_to, answer),
            Waiter::Peer(life, token) => {
                let decision = match answer {
                    Answer::Assigned(assignment) => Ok(assignment),
                    Answer::Refused(why) => Err(why),
                    _ => Err(Refused::NoLeader),
                };
                cx.send(To::Life(life), Lane::Control, &Message::Assigned { token, decision });
            }
            Waiter::Nobody => {}
        }
    }

    pub(super) fn refuse(&mut self, waiter: Waiter, why: Refused, cx: Cx<'_, '_>) {
        self.answer(waiter, Answer::Refused(why), cx);
    }

    /// Hands a question on to the leader.
    pub(super) fn forward(
        &mut self,
        task: TaskId,
        image: Option<super::task::ImageHash>,
        refused: Option<u32>,
        waiter: Waiter,
        cx: Cx<'_, '_>,
    ) {
        let leader = self.leader.map(|elected| elected.leader).filter(|leader| *leader != self.me);
        let (Some(leader), true) = (leader, self.forwarded.len() < FORWARDED_MAX) else {
            return self.refuse(waiter, Refused::NoLeader, cx);
        };
        self.next_forwarded += 1;
        let token = self.next_forwarded;
        cx.send(To::Life(leader), Lane::Control, &Message::Assign { token, task, image, refused });
        self.forwarded.insert(token, waiter);
        cx.set_timer(Timer::Forwarded(token), self.config.leader_within);
    }

    fn leader_address(&self) -> Option<(LeaderElected, String)> {
        let elected = self.leader?;
        if elected.leader == self.me {
            return Some((elected, self.config.address.clone()));
        }
        let mut rows = self.servers.rows();
        rows.find(|(life, ..)| *life == elected.leader).map(|(_, load, _)| (elected, load.address.clone()))
    }

    /// The score without the tasks, in tenths.
    fn tenths(&self) -> Option<u16> {
        let score = score(&self.sample?, 0)?;
        Some((score * 10.0).round() as u16)
    }

    fn load(&self) -> Load {
        let most = self.config.workers.saturating_add(self.config.queue_max);
        Load { address: self.config.address.clone(), tenths: self.tenths(), active: self.workers.active(), most }
    }

    pub(super) fn stats(&self) -> Stats {
        let active = self.workers.active();
        Stats {
            server: self.me.node.0,
            load: self.sample.and_then(|sample| score(&sample, active)),
            running: self.workers.running(),
            queued: self.workers.queued(),
            open: self.history.len() as u64,
            leader: self.leader.map(|elected| elected.leader.node.0),
            epoch: self.leader.map(|elected| elected.epoch.number),
            clients: self.clients.len() as u64,
            ..self.stats.clone()
        }
    }

    /// Tells the others how loaded it is.
    fn publish(&mut self, cx: Cx<'_, '_>) {
        let load = self.load();
        self.servers.hear(self.me, load.clone());
        cx.send(To::All, Lane::Probe, &Message::Load(load));
        cx.set_timer(Timer::Publish, self.config.publish_every);
    }

    /// Tells the election, whose score counts them, how many tasks there are.
    fn tell_election(&mut self, cx: Cx<'_, '_>) {
        let active = self.workers.active();
        if active != self.told_active {
            self.told_active = active;
            let call = election::Call::ActiveTasks(active);
            cx.call::<Election>(Kind::of(election::NAME), call, Duration::from_secs(10));
        }
    }

    fn message(&mut self, from: Life, message: Message, cx: Cx<'_, '_>) {
        if from.node.is_client() {
            self.stats.forged += 1; // a client's link is no server's
            return;
        }
        match message {
            Message::Load(load) => self.servers.hear(from, load),
            Message::Assign { token, task, image, refused } => {
                let waiter = if token == 0 { Waiter::Nobody } else { Waiter::Peer(from, token) };
                if task.is_sound() {
                    self.assign(task, image, refused, waiter, cx);
                }
            }
            Message::Assigned { token, decision } => {
                if let Some(waiter) = self.forwarded.remove(&token) {
                    cx.cancel_timer(&Timer::Forwarded(token));
                    let answer = decision.map_or_else(Answer::Refused, Answer::Assigned);
                    self.answer(waiter, answer, cx);
                }
            }
        }
    }

    fn event(&mut self, event: &crate::event::AnyEvent, cx: Cx<'_, '_>) {
        if let Some(suspicion) = event.get::<Suspicion>() {
            self.servers.suspect(suspicion.life, suspicion.suspected);
            self.look_after(cx);
        } else if let Some(elected) = event.get::<LeaderElected>() {
            if self.leader.is_none_or(|leader| leader.leader != elected.leader) {
                self.give_up_forwarded(cx);
            }
            self.leader = Some(*elected);
            let again = self.leading.is_some_and(|leading| leading.epoch == elected.epoch);
            if elected.leader != self.me {
                self.leading = None;
            } else if !again {
                self.leading = Some(Leading { epoch: elected.epoch, since: cx.now() });
                // The watch tells of changes only: where there is none behind the epoch,
                // nobody would say that all before it is known.
                self.list_history(None, cx);
            }
            self.look_after(cx);
        } else if let Some(lost) = event.get::<LeaderLost>()
            && self.leader.is_some_and(|leader| leader.epoch == lost.epoch)
        {
            self.leader = None;
            self.leading = None;
            self.give_up_forwarded(cx);
        }
    }

    /// The leader that was asked answers no more: clients ask again, whoever leads
    /// then.
    fn give_up_forwarded(&mut self, cx: Cx<'_, '_>) {
        for (token, waiter) in std::mem::take(&mut self.forwarded) {
            cx.cancel_timer(&Timer::Forwarded(token));
            self.refuse(waiter, Refused::NoLeader, cx);
        }
    }
}

impl NetComponent for StegoService {
    type Message = Message;
    type Call = Call;
    type Timer = Timer;
    type Job = Job;
    type Done = Done;

    fn manifest(&self) -> Manifest {
        Manifest {
            provides: vec![NAME],
            requires: vec!["replicated_map", "election", "failure_detector"],
            hears: vec![EventType::of::<Suspicion>(), EventType::of::<LeaderElected>(), EventType::of::<LeaderLost>()],
            run: Run::Thread,
            role: Role::Leaf,
            wants_load: true,
            dialects: DIALECT.to_vec(),
            guarantee: "a task that was assigned is done at least once and recorded at most once, while a majority of \
                        the voters is up in the end and its client asks on; no two leaders assign",
            memory_ceiling: Some(|_| 1 << 30),
            ..Manifest::new(NAME)
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => {
                self.me = boot.me;
                self.stats.server = boot.me.node.0;
                self.stats.name = boot.name.to_string();
                self.list_history(None, cx);
                self.publish(cx);
                cx.set_timer(Timer::Look, self.config.look_every);
            }
            Input::Message { from, head, .. } => self.message(from, head, cx),
            Input::Event(event) => self.event(event, cx),
            Input::Peer(PeerChange::Ended { life, .. }) => {
                self.servers.ended(*life);
                self.look_after(cx);
            }
            Input::Timer(Timer::Publish) => self.publish(cx),
            Input::Timer(Timer::Look) => {
                self.look_after(cx);
                cx.set_timer(Timer::Look, self.config.look_every);
            }
            Input::Timer(Timer::Again) => self.list_history(None, cx),
            Input::Timer(Timer::Forwarded(token)) => {
                if let Some(waiter) = self.forwarded.remove(&token) {
                    self.refuse(waiter, Refused::NoLeader, cx);
                }
            }
            Input::Timer(Timer::Client(id)) => self.client_silent(id, cx),
            Input::Call { call: Call(request), reply_to } => self.ask(request, Waiter::Caller(reply_to), cx),
            Input::Reply { token, value } => self.map_answered(token, value, cx),
            Input::Done { token, done } => self.job_done(token, done, cx),
            Input::Stream { id, input } => self.client_input(id, input, cx),
            Input::Load(sample) => self.sample = Some(sample),
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        self.tell_election(cx);
        Ok(())
    }

    fn run(job: Job) -> Done {
        super::workers::run(job)
    }

    fn inspect(&self, into: &mut Inspection) {
        let stats = self.stats();
        into.row("tasks", format!("{} run, {} wait of {} at most", stats.running, stats.queued, stats.queued_max));
        into.row("results", format!("{} given, {} failed, {} found no room", stats.served, stats.failed, stats.full));
        into.row("open in the history", self.history.len());
        into.row("leads", self.leading.map_or("no".to_string(), |it| format!("since epoch {}", it.epoch)));
        into.row("clients", self.clients.len());
        for (life, load, up) in self.servers.rows() {
            let standing = if up { "up" } else { "fallen" };
            into.row(format!("server {life}"), format!("{standing}, {} active of {}", load.active, load.most));
        }
    }
}

/// Settings that factories share.
pub fn factory(config: Config) -> crate::component::Factory {
    let config = Arc::new(config);
    crate::component::Factory::new(move || StegoService::new((*config).clone()))
}
