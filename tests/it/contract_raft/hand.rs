//! A driver by hand: performs effects one by one, so that a cut can fall
//! after any of them, with a disk that forgets what was not synced.

use super::engine::{Applied, Persist, Propose, Proposed, RaftLog};
use bytes::Bytes;
use nodewright::codec;
use nodewright::component::{
    Adapter, AnyComponent, Boot, DiskDone, DiskOp, Effect, Effects, EndedWhy, Item, PeerChange, PeerRole, ReplyTo,
    TimerId, To, Token,
};
use nodewright::id::{Life, NodeId};
use nodewright::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long the proposer waits before it turns to another node.
const ANSWER: Duration = Duration::from_millis(100);

/// Where the power is cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// All nodes, after this effect of the whole run.
    All { effect: usize },
    /// One node, after this effect of its own.
    One { node: usize, effect: usize },
}

#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

/// Performs its operations in order, but later than they were asked for.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, File>,
    asked: VecDeque<(Token, DiskOp)>,
}

impl Disk {
    fn perform(&mut self, op: DiskOp) -> io::Result<DiskDone> {
        match op {
            DiskOp::Append { name, bytes } => self.files.entry(name).or_default().bytes.extend_from_slice(&bytes),
            DiskOp::Sync { name } => {
                let file = self.files.entry(name).or_default();
                file.synced.clone_from(&file.bytes);
            }
            DiskOp::Allocate { name, bytes } => self.files.entry(name).or_default().bytes.resize(bytes as usize, 0),
            DiskOp::SyncDir { .. } => {}
            DiskOp::Read { name, offset, bytes } => {
                let file = self.files.get(&name).ok_or(io::ErrorKind::NotFound)?;
                let rest = &file.bytes[(offset as usize).min(file.bytes.len())..];
                return Ok(DiskDone::Read(Bytes::copy_from_slice(&rest[..rest.len().min(bytes as usize)])));
            }
            other => panic!("the spike does not use {other:?}"),
        }
        Ok(DiskDone::Ok)
    }

    /// What a power cut leaves: the synced bytes and a torn part of the rest.
    fn cut(&mut self, rng: &mut fastrand::Rng) {
        self.asked.clear();
        for file in self.files.values_mut() {
            let common = file.synced.len().min(file.bytes.len());
            let torn = rng.usize(0..=file.bytes.len() - common);
            file.bytes.truncate(common + torn);
            file.bytes[..common].copy_from_slice(&file.synced[..common]);
            file.synced.clone_from(&file.bytes);
        }
    }
}

struct Node {
    component: Adapter<RaftLog>,
    life: Life,
    mailbox: VecDeque<Item>,
    effects: VecDeque<Effect>,
    timers: BTreeMap<TimerId, Time>,
    disk: Disk,
    performed: usize,
    applied: Vec<Applied>,
}

impl Node {
    fn is_busy(&self) -> bool {
        !self.mailbox.is_empty() || !self.effects.is_empty() || !self.disk.asked.is_empty()
    }
}

/// Three nodes, a network without faults of its own, virtual time.
pub struct World {
    nodes: Vec<Node>,
    past: Vec<Vec<Applied>>,
    persist: Persist,
    now: Time,
    rng: fastrand::Rng,
    performed: usize,
    cut: Option<Cut>,
    was_cut: bool,
    /// Proposals not acknowledged yet; the first was last asked for by `asked`.
    open: VecDeque<Vec<u8>>,
    asked: Option<Token>,
    ask_again: Time,
    tokens: u64,
    acknowledged: Vec<Vec<u8>>,
}

impl World {
    pub fn new(nodes: usize, seed: u64, persist: Persist) -> Self {
        let mut world = World {
            nodes: Vec::new(),
            past: Vec::new(),
            persist,
            now: Time::ZERO,
            rng: fastrand::Rng::with_seed(seed),
            performed: 0,
            cut: None,
            was_cut: false,
            open: VecDeque::new(),
            asked: None,
            ask_again: Time::ZERO,
            tokens: 0,
            acknowledged: Vec::new(),
        };
        for n in 0..nodes {
            let life = Life::new(NodeId(n as u64 + 1), 1);
            let node = world.born(life, Disk::default(), nodes);
            world.nodes.push(node);
        }
        for n in 0..nodes {
            world.introduce(n);
        }
        world
    }

    pub fn cut_at(&mut self, cut: Cut) {
        self.cut = Some(cut);
    }

    pub fn was_cut(&self) -> bool {
        self.was_cut
    }

    pub fn propose(&mut self, data: &[u8]) {
        self.open.push_back(data.to_vec());
    }

    pub fn acknowledged(&self) -> Vec<Vec<u8>> {
        self.acknowledged.clone()
    }

    /// What each life applied.
    pub fn histories(&self) -> Vec<Vec<Applied>> {
        self.past.iter().cloned().chain(self.nodes.iter().map(|node| node.applied.clone())).collect()
    }

    /// What the node's present life applied, once each.
    pub fn applied_now(&self, node: usize) -> Vec<Vec<u8>> {
        let mut seen = Vec::new();
        for applied in &self.nodes[node].applied {
            if !seen.contains(&applied.data) {
                seen.push(applied.data.clone());
            }
        }
        seen
    }

    /// Runs until every proposal is acknowledged and all have applied the
    /// same, or until `limit` of virtual time has passed.
    pub fn run_until_idle_or(&mut self, limit: Duration) {
        let end = self.now + limit;
        while self.now < end {
            self.ask();
            let busy: Vec<usize> = (0..self.nodes.len()).filter(|n| self.nodes[*n].is_busy()).collect();
            match busy.as_slice() {
                [] if self.settled() => return,
                [] => self.pass_time(),
                busy => {
                    let n = busy[self.rng.usize(..busy.len())];
                    self.step(n);
                }
            }
        }
    }

    fn settled(&self) -> bool {
        let alike = self.nodes.iter().all(|node| node.applied.len() == self.nodes[0].applied.len());
        self.open.is_empty() && self.asked.is_none() && alike
    }

    /// Hands the next proposal to a random node, one at a time.
    fn ask(&mut self) {
        if self.now < self.ask_again {
            return;
        }
        let Some(data) = self.open.front() else { return };
        let n = self.rng.usize(..self.nodes.len());
        self.tokens += 1;
        let token = Token(self.tokens);
        let reply_to = ReplyTo { component: ReplyTo::USER, token };
        self.nodes[n].mailbox.push_back(Item::Call { call: Box::new(Propose(data.clone())), reply_to });
        self.asked = Some(token);
        self.ask_again = self.now + ANSWER;
    }

    fn pass_time(&mut self) {
        let next = self.nodes.iter().flat_map(|node| node.timers.values()).min().copied();
        self.now = self.now.max(next.expect("a running engine has its tick set"));
        for node in &mut self.nodes {
            let now = self.now;
            let due: Vec<TimerId> = node.timers.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
            for id in due {
                node.timers.remove(&id);
                node.mailbox.push_back(Item::Timer(id));
            }
        }
    }

    /// One effect or disk operation, or, when none is left, one run of inputs.
    fn step(&mut self, n: usize) {
        let disk_first = self.rng.u8(..4) == 0;
        let node = &mut self.nodes[n];
        if node.mailbox.is_empty() || !node.effects.is_empty() || disk_first {
            match if disk_first { None } else { node.effects.pop_front() } {
                Some(effect) => self.perform(n, effect),
                None => match node.disk.asked.pop_front() {
                    Some((token, op)) => {
                        let result = node.disk.perform(op);
                        node.mailbox.push_back(Item::Disk { token, result });
                    }
                    None => return,
                },
            }
            self.performed += 1;
            self.nodes[n].performed += 1;
            match self.cut {
                Some(Cut::All { effect }) if effect < self.performed => self.cut_now(0..self.nodes.len()),
                Some(Cut::One { node, effect }) if node == n && effect < self.nodes[n].performed => {
                    self.cut_now(n..n + 1);
                }
                _ => {}
            }
            return;
        }
        let node = &mut self.nodes[n];
        let mut effects = Effects::default();
        for item in node.mailbox.drain(..) {
            node.component.step(item, self.now, &mut effects).expect("no fault");
        }
        node.component.flush(self.now, &mut effects).expect("no fault");
        node.effects.extend(effects.list);
    }

    fn perform(&mut self, n: usize, effect: Effect) {
        let from = self.nodes[n].life;
        match effect {
            Effect::Send { to: To::Life(to), message, .. } => {
                let mut block = Vec::new();
                codec::put_item(&mut block, |out| out.extend_from_slice(&message));
                if let Some(peer) = self.nodes.iter_mut().find(|node| node.life == to) {
                    peer.mailbox.push_back(Item::Messages { from, block: Bytes::from(block) });
                }
            }
            Effect::Disk(token, op) => self.nodes[n].disk.asked.push_back((token, op)),
            Effect::Timer(id, Some(at)) => {
                self.nodes[n].timers.insert(id, at);
            }
            Effect::Timer(id, None) => {
                self.nodes[n].timers.remove(&id);
            }
            Effect::Publish(event) => {
                self.nodes[n].applied.extend(event.get::<Applied>().cloned());
            }
            Effect::Reply(to, value) => {
                if self.asked == Some(to.token) {
                    self.asked = None;
                    if value.downcast_ref() == Some(&Proposed::Applied) {
                        self.ask_again = self.now;
                        self.acknowledged.extend(self.open.pop_front());
                    }
                }
            }
            _ => panic!("an effect that the spike does not use"),
        }
    }

    /// Cuts the power of these nodes and starts their next lives.
    fn cut_now(&mut self, which: std::ops::Range<usize>) {
        self.cut = None;
        self.was_cut = true;
        for n in which.clone() {
            let voters = self.nodes.len();
            let mut disk = std::mem::take(&mut self.nodes[n].disk);
            disk.cut(&mut self.rng);
            let old = self.nodes[n].life;
            let node = self.born(Life::new(old.node, old.incarnation.0 + 1), disk, voters);
            self.past.push(std::mem::replace(&mut self.nodes[n], node).applied);
            for other in (0..voters).filter(|other| *other != n) {
                let ended = PeerChange::Ended { life: old, why: EndedWhy::Succeeded };
                self.nodes[other].mailbox.push_back(Item::Peer(ended));
            }
        }
        for n in which {
            self.introduce(n);
        }
    }

    fn born(&self, life: Life, disk: Disk, voters: usize) -> Node {
        let boot = Boot { me: life, name: Arc::from("spike"), voters, voter: true };
        Node {
            component: Adapter::new(RaftLog::new(self.persist), life.node.0 ^ life.incarnation.0 << 32),
            life,
            mailbox: VecDeque::from([Item::Started(boot)]),
            effects: VecDeque::new(),
            timers: BTreeMap::new(),
            disk,
            performed: 0,
            applied: Vec::new(),
        }
    }

    /// Tells the others of node `n`'s life, and that life of theirs.
    fn introduce(&mut self, n: usize) {
        let joined = |life| Item::Peer(PeerChange::Joined { life, role: PeerRole::Voter, name: Arc::from("spike") });
        for other in (0..self.nodes.len()).filter(|other| *other != n) {
            let (here, there) = (self.nodes[n].life, self.nodes[other].life);
            self.nodes[n].mailbox.push_back(joined(there));
            self.nodes[other].mailbox.push_back(joined(here));
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let applied: Vec<_> = self.nodes.iter().map(|node| (node.life, node.applied.len())).collect();
        write!(
            f,
            "{:?}: {} effects, {} acknowledged, applied {applied:?}",
            self.now,
            self.performed,
            self.acknowledged.len()
        )
    }
}
