//! Three nodes with one delivery component each, as a value: the state of the
//! models above the link.
//!
//! What runs is the delivery core itself, in its adapter, fed with encoded
//! messages. Around it stand perfect links (a queue for each pair of lives and
//! lane; the link's own model says why that may be assumed), an oracle for
//! suspicions and decisions, and the checker's own book of what was broadcast
//! and delivered.

use super::scope::Scope;
use super::step::{Peer, Step};
use bytes::Bytes;
use nodewright::codec::{BatchBuilder, put_item, take_head};
use nodewright::component::{
    Adapter, AnyComponent, Boot, Effect, Effects, Inspection, Item, Lane, NetComponent, Target, To,
};
use nodewright::id::{Kind, Life, MessageId, NodeId};
use nodewright::protocol::delivery::{Broadcast, Config, Gap, Order};
use nodewright::time::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

pub const NODES: usize = 3;
const CHANNEL: Kind = Kind(7);

/// A message: who broadcast it, and which of its broadcasts it is.
pub type Msg = (Life, u64);

/// From whom, to whom, on which lane.
pub type Queue = (Life, Life, Lane);

/// What must never happen.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Broken {
    Duplicated,
    Created,
    Disordered,
}

/// All that can still make a difference.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub places: [Place; NODES],
    queues: BTreeMap<Queue, VecDeque<Bytes>>,
    /// What was broadcast; for causal order, after which deliveries.
    pub sent: BTreeMap<Msg, BTreeSet<Msg>>,
    /// What lives delivered that crashed since, where that counts.
    pub ghosts: BTreeSet<Msg>,
    pub broken: Option<Broken>,
    /// Lives that a majority has ended; every life will be told.
    pub ended: BTreeSet<Life>,
    pub crashes: u8,
    pub restarts: u8,
    /// Lives that were suspected although they were up.
    pub mistakes: u8,
    /// Timers that fired before messages that were on their way arrived.
    pub hurried: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    pub incarnation: u64,
    pub broadcasts: u8,
    up: Option<Arc<Node>>,
}

/// A life that is up. Most steps change one of three, so each knows its hash.
#[derive(Clone, Debug)]
pub struct Node {
    pub adapter: Adapter<Broadcast>,
    pub life: Life,
    pub peers: [Peer; NODES],
    pub suspects: [bool; NODES],
    /// Decisions that it was told.
    pub told: BTreeSet<Life>,
    /// In no order: that was judged when they were delivered.
    pub delivered: Vec<Msg>,
    /// What it was told that it will never have.
    gaps: BTreeSet<(Life, u64, u64)>,
    hash: u64,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.adapter == other.adapter
            && self.peers == other.peers
            && self.suspects == other.suspects
            && (&self.told, &self.delivered, &self.gaps) == (&other.told, &other.delivered, &other.gaps)
    }
}

impl Eq for Node {}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Node {
    fn rehash(&mut self) {
        let mut hasher = DefaultHasher::new();
        (&self.adapter, &self.peers, self.suspects, &self.told, &self.delivered, &self.gaps).hash(&mut hasher);
        self.hash = hasher.finish();
    }

    /// Whether it may be counted on: a new life of a uniform rung joins first.
    pub fn joined(&self) -> bool {
        let mut rows = Inspection::default();
        self.adapter.component().inspect(&mut rows);
        rows.rows.iter().all(|(name, value)| name != "joined" || value == "yes")
    }

    /// Whether a life that began later is not owed `msg`: it was told so, or
    /// all that was left of its sender had been settled before.
    pub fn excused(&self, msg: Msg, scope: &Scope) -> bool {
        let told = |(origin, from, to): &(Life, u64, u64)| *origin == msg.0 && (*from..=*to).contains(&msg.1);
        let id = MessageId { origin: msg.0, delivery: scope.rung.kind(), batch: msg.1, index: 0 };
        let account = self.adapter.component().explain(id).unwrap_or_default();
        self.life.incarnation.0 > 1 && (self.gaps.iter().any(told) || account.starts_with("its sender's life is over"))
    }
}

/// `a1` is the first broadcast of the first life of n0, `a'1` of its second.
pub fn name(msg: Msg) -> String {
    let letter = char::from(b'a' + msg.0.node.0 as u8);
    let primes = "'".repeat(msg.0.incarnation.0 as usize - 1);
    format!("{letter}{primes}{}", msg.1)
}

pub fn life_name(life: Life) -> String {
    format!("n{}{}", life.node.0, "'".repeat(life.incarnation.0 as usize - 1))
}

/// How much of a step is performed, and who writes down what it does.
pub struct Run<'a> {
    /// A crash falls after this many effects that others can see.
    pub crash_after: Option<usize>,
    /// Such effects so far.
    pub seen: usize,
    pub log: Option<&'a mut Vec<String>>,
}

impl Run<'_> {
    pub fn whole() -> Run<'static> {
        Run { crash_after: None, seen: 0, log: None }
    }

    pub fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(what());
        }
    }

    fn falls(&self) -> bool {
        self.crash_after.is_some_and(|after| self.seen >= after)
    }
}

impl World {
    /// Nobody is up yet.
    pub fn empty(scope: &Scope) -> Self {
        let place = |n: usize| Place { incarnation: 0, broadcasts: scope.broadcasts[n], up: None };
        World {
            places: std::array::from_fn(place),
            queues: BTreeMap::new(),
            sent: BTreeMap::new(),
            ghosts: BTreeSet::new(),
            broken: None,
            ended: BTreeSet::new(),
            crashes: 0,
            restarts: 0,
            mistakes: 0,
            hurried: 0,
        }
    }

    pub fn node(&self, n: usize) -> Option<&Node> {
        self.places[n].up.as_deref()
    }

    pub fn up(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.places.iter().enumerate().filter_map(|(n, place)| Some((n, place.up.as_deref()?)))
    }

    /// The newest life of a node.
    pub fn life(&self, n: usize) -> Life {
        Life::new(NodeId(n as u64), self.places[n].incarnation)
    }

    pub fn is_up(&self, life: Life) -> bool {
        self.node(life.node.0 as usize).is_some_and(|node| node.life == life)
    }

    pub fn queues(&self) -> impl Iterator<Item = Queue> {
        self.queues.keys().copied()
    }

    pub fn start(&mut self, n: usize, scope: &Scope, run: &mut Run<'_>) {
        self.places[n].incarnation += 1;
        let life = self.life(n);
        let config = Config::new(scope.rung);
        let component = match scope.mutant {
            Some(mutant) => Broadcast::mutant(config, mutant),
            None => Broadcast::new(config),
        };
        let node = Node {
            adapter: Adapter::new(component, 1),
            life,
            peers: std::array::from_fn(|_| Peer::Unmet(Vec::new())),
            suspects: [false; NODES],
            told: BTreeSet::new(),
            delivered: Vec::new(),
            gaps: BTreeSet::new(),
            hash: 0,
        };
        self.places[n].up = Some(Arc::new(node));
        let name = life_name(life).into();
        self.give(n, Item::Started(Boot { me: life, name, voters: NODES, voter: true }), scope, run);
    }

    pub fn crash(&mut self, n: usize, scope: &Scope, run: &mut Run<'_>) {
        let Some(node) = self.places[n].up.take() else { return };
        run.say(|| format!("{} crashes", life_name(node.life)));
        if scope.uniform {
            self.ghosts.extend(node.delivered.iter().copied());
        }
        self.crashes += 1;
    }

    pub fn broadcast(&mut self, n: usize, scope: &Scope, run: &mut Run<'_>) {
        self.places[n].broadcasts -= 1;
        let life = self.life(n);
        let number = self.sent.keys().filter(|msg| msg.0 == life).count() as u64 + 1;
        let msg = (life, number);
        let causes = match (scope.rung.order(), self.node(n)) {
            (Order::Causal, Some(node)) => node.delivered.iter().copied().collect(),
            _ => BTreeSet::new(),
        };
        self.sent.insert(msg, causes);
        let mut batch = BatchBuilder::default();
        batch.push(|out| out.extend_from_slice(name(msg).as_bytes()));
        let batch = batch.take().expect("one message");
        self.give(n, Item::Request { from: CHANNEL, target: Target::All, batch }, scope, run);
    }

    /// The first message of a queue arrives, or all of it in one block.
    pub fn arrive(&mut self, queue: Queue, all: bool, scope: &Scope, run: &mut Run<'_>) {
        let (from, to, _) = queue;
        let Some(messages) = self.queues.get_mut(&queue) else { return };
        let some = if all { messages.len() } else { 1 };
        let mut block = Vec::new();
        for message in messages.drain(..some) {
            run.say(|| format!("{} receives {} of {}", life_name(to), what(&message), life_name(from)));
            put_item(&mut block, |out| out.extend_from_slice(&message));
        }
        self.give(to.node.0 as usize, Item::Messages { from, block: Bytes::from(block) }, scope, run);
    }

    pub fn queued(&self, queue: Queue) -> usize {
        self.queues.get(&queue).map_or(0, VecDeque::len)
    }

    pub fn lose(&mut self, from: Life, to: Life) {
        self.queues.retain(|(sender, receiver, _), _| (*sender, *receiver) != (from, to));
    }

    pub fn change(&mut self, n: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = &mut self.places[n].up {
            change(Arc::make_mut(node));
        }
    }

    /// One input and a flush; then its effects in order, as far as they come.
    pub fn give(&mut self, n: usize, item: Item, scope: &Scope, run: &mut Run<'_>) {
        if run.falls() {
            return; // it crashed in the first half of this step
        }
        let Some(mut shared) = self.places[n].up.take() else { return };
        let node = Arc::make_mut(&mut shared);
        let mut out = Effects::default();
        // Time stands still: the core only sets timers by it.
        node.adapter.step(item, Time::ZERO, &mut out).expect("no fault");
        node.adapter.flush(Time::ZERO, &mut out).expect("no fault");
        for effect in out.list {
            match effect {
                Effect::Send { to, lane, message } => self.send(node, to, lane, message, run),
                Effect::Deliver(_, delivered) => {
                    for (index, body) in delivered.batch.iter().enumerate() {
                        let msg = (delivered.id.origin, delivered.id.batch + index as u64);
                        self.judge(node, msg, body, scope);
                        run.say(|| format!("    {} delivers {}", life_name(node.life), name(msg)));
                        node.delivered.push(msg);
                        node.delivered.sort_unstable();
                        run.seen += 1;
                        if run.falls() {
                            break;
                        }
                    }
                }
                Effect::Publish(event) => {
                    if let Some(gap) = event.get::<Gap>() {
                        node.gaps.insert((gap.origin, gap.from, gap.to));
                    }
                }
                _ => {}
            }
            if run.falls() {
                break;
            }
        }
        node.rehash();
        self.places[n].up = Some(shared);
        if run.falls() {
            self.crash(n, scope, run);
        }
    }

    fn send(&mut self, node: &mut Node, to: To, lane: Lane, message: Bytes, run: &mut Run<'_>) {
        for other in 0..NODES {
            if run.falls() {
                return;
            }
            if other == node.life.node.0 as usize || matches!(to, To::Life(life) if life.node.0 as usize != other) {
                continue;
            }
            let current = self.life(other);
            match (&mut node.peers[other], to) {
                (Peer::Unmet(waiting), To::All) => waiting.push((lane, message.clone())),
                (Peer::Met(life), to) if to == To::All || to == To::Life(*life) => {
                    run.say(|| {
                        format!("    {} sends {} to {}", life_name(node.life), what(&message), life_name(*life))
                    });
                    run.seen += 1;
                    if *life == current && self.places[other].up.is_some() {
                        self.queues.entry((node.life, *life, lane)).or_default().push_back(message.clone());
                    }
                }
                _ => {}
            }
        }
    }

    /// What was queued before the first contact goes to the first life.
    pub fn queue(&mut self, from: Life, to: Life, waiting: Vec<(Lane, Bytes)>) {
        for (lane, message) in waiting {
            self.queues.entry((from, to, lane)).or_default().push_back(message);
        }
    }

    /// The checker's word on a delivery that is about to happen.
    fn judge(&mut self, node: &Node, msg: Msg, body: &[u8], scope: &Scope) {
        let original = node.life.incarnation.0 == 1;
        let has = |msg: &Msg| node.delivered.contains(msg);
        let broken = if !self.sent.contains_key(&msg) || body != name(msg).as_bytes() {
            Some(Broken::Created)
        } else if has(&msg) {
            Some(Broken::Duplicated)
        } else {
            let later = node.delivered.iter().any(|seen| seen.0 == msg.0 && seen.1 > msg.1);
            let skipped = original && msg.1 > 1 && !has(&(msg.0, msg.1 - 1));
            let unheard = original && !self.sent[&msg].iter().all(has);
            let disordered = match scope.rung.order() {
                Order::None => false,
                Order::Fifo | Order::Total => later || skipped,
                Order::Causal => later || skipped || unheard,
            };
            disordered.then_some(Broken::Disordered)
        };
        self.broken = self.broken.or(broken);
    }

    /// Drops what can never arrive any more, so that it makes no difference.
    pub fn forget_the_undeliverable(&mut self) {
        let places = &self.places;
        self.queues.retain(|(from, to, _), queue| {
            let receiver = places[to.node.0 as usize].up.as_deref().filter(|node| node.life == *to);
            let sender = places[from.node.0 as usize].up.as_deref().is_some_and(|node| node.life == *from);
            let arrives = receiver.is_some_and(|node| match &node.peers[from.node.0 as usize] {
                Peer::Unmet(_) => sender,
                Peer::Met(life) => life == from || (sender && life < from),
                Peer::Ended(life) => sender && life < from,
            });
            arrives && !queue.is_empty()
        });
    }

    /// Drops word of a life that its reader knows of already: it changes
    /// nothing, now (which is tried) or later (what is known of lives only
    /// grows). Without this, each order in which nothing happens is a state.
    pub fn drop_known(&mut self, scope: &Scope) {
        let mut known = Vec::new();
        for (queue, messages) in &self.queues {
            let (from, to, _) = *queue;
            let at = to.node.0 as usize;
            let met = |node: &&Node| node.peers[from.node.0 as usize] == Peer::Met(from);
            let Some(node) = self.node(at).filter(met) else { continue };
            for (index, message) in messages.iter().enumerate().rev().filter(|(_, message)| is_new_life(message)) {
                let mut trial = World { places: self.places.clone(), ..World::empty(scope) };
                trial.queues.insert(*queue, VecDeque::from([message.clone()]));
                trial.arrive(*queue, false, scope, &mut Run::whole());
                if trial.queues.values().all(VecDeque::is_empty) && trial.node(at) == Some(node) {
                    known.push((*queue, index));
                }
            }
        }
        for (queue, index) in known {
            if let Some(messages) = self.queues.get_mut(&queue) {
                messages.remove(index);
            }
        }
        self.queues.retain(|_, messages| !messages.is_empty());
    }

    /// The timers that are set.
    pub fn timers(&self) -> impl Iterator<Item = Step> {
        self.up().flat_map(|(at, node)| (0..node.adapter.timers().len()).map(move |which| Step::Timer { at, which }))
    }
}

/// Whether it is word of a new life. The variant's number comes first; reading
/// the name of every message would take longer than all else.
fn is_new_life(message: &Bytes) -> bool {
    const NEW_LIFE: u8 = 3;
    let is = message.first() == Some(&NEW_LIFE);
    assert!(!is || what(message) == "NewLife", "the messages were numbered anew");
    is
}

/// What a message is, for people.
fn what(message: &Bytes) -> String {
    let Some((head, body)) = take_head::<<Broadcast as NetComponent>::Message>(message) else {
        return "junk".into();
    };
    let head = format!("{head:?}");
    let kind: String = head.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
    let item = message.slice(body..);
    let text = nodewright::codec::Items::new(&item).next();
    let text = text.map(|(_, item)| String::from_utf8_lossy(item).into_owned());
    match text {
        Some(text) => format!("{kind}({text})"),
        None => kind,
    }
}
