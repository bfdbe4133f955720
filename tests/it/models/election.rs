//! The election of three nodes, over every order of what arrives.
//!
//! **Scope.** Three voters, linked, none with a leader. Any timer of an election
//! fires at any time, also before messages that are on their way: that is every
//! timing at once. One crash, before any step or between any two effects of one,
//! with what was being written on the disk or not; a new life with that disk; the
//! crashed life is suspected by each at its own time, and one that is up, too, by
//! mistake. How many of each stands at the checks.
//!
//! **Safe mode** stands on a register with a compare-and-set in the place of the
//! log and the map: an index, a key, its version. What is asked of it is done at
//! any time, or answered as unknown and done later or never; the answer comes at
//! any time after. That is what the log promises, and no more.
//!
//! **Properties.** *One leader an epoch*, *epochs only rise* (a node follows no
//! lower one, over all its lives) at each step. *One leader at rest*: wherever
//! nothing is on its way, faults stop and the nodes run on, timers included, until
//! all that are up know one leader that is up. There the timers of the best fire
//! first: an answer is awaited shorter than a leadership.
//!
//! **Abstracted.** Links are queues, as in the models of the deliveries. Time
//! stands still, so leases never end: an old leader believes in itself for ever,
//! which is worse than what a lease allows. A leader does not repeat itself and
//! does not confirm: nothing is lost here. Ranks are ids.

use super::checked::check;
use nodewright::codec::{put_item, take_head};
use nodewright::component::{
    Adapter, AnyComponent, Boot, DiskDone, DiskOp, Effect, Effects, EndedWhy, Item, Lane, PeerChange, PeerRole, To,
    Token,
};
use nodewright::event::AnyEvent;
use nodewright::id::{Life, NodeId};
use nodewright::protocol::election::{Config, Election, Epoch, LeaderElected, Message, Mode, Mutant, Timer};
use nodewright::protocol::failure_detector::Suspicion;
use nodewright::time::Time;
use stateright::{Model, Property};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

const NODES: usize = 3;

/// How much may happen.
#[derive(Clone, Debug)]
pub struct Elections {
    pub mode: Mode,
    pub mutant: Option<Mutant>,
    /// Timers that fire, beside those at rest.
    pub timers: u8,
    pub crashes: u8,
    pub restarts: u8,
    /// Suspicions of lives that are up.
    pub mistakes: u8,
    /// Outcomes that stay unknown (safe mode).
    pub unknown: u8,
    pub properties: &'static [&'static str],
}

pub const PROMISES: [&str; 3] = ["one leader an epoch", "epochs only rise", "one leader at rest"];

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Left {
    timers: u8,
    crashes: u8,
    restarts: u8,
    mistakes: u8,
    unknown: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    places: [Place; NODES],
    /// By sender, receiver and lane.
    queues: BTreeMap<(Life, Life, Lane), VecDeque<Message>>,
    register: Register,
    left: Left,
    /// Who led in which epoch.
    led: BTreeMap<Epoch, Life>,
    broken: Option<usize>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Place {
    incarnation: u64,
    up: Option<Adapter<Election>>,
    file: Option<Vec<u8>>,
    disk: VecDeque<(Token, Wanted)>,
    asked: Vec<(Token, Asked)>,
    suspects: [bool; NODES],
    /// Over all lives.
    followed: Option<Epoch>,
    /// This life's last word on who leads.
    leader: Option<Life>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Wanted {
    Read,
    Replace(Vec<u8>),
}

/// The map, as far as an election sees it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Register {
    index: u64,
    /// The holder, and at which index it was written.
    key: Option<(Life, u64)>,
    /// Claims of which nobody waits for the outcome any more.
    limbo: Vec<(Option<u64>, Life)>,
}

#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
enum Asked {
    Get,
    Watch {
        after: u64,
    },
    Claim {
        version: Option<u64>,
        life: Life,
    },
    /// Done or read, not answered yet: the key's state, whether a claim was done.
    Got {
        key: Option<(Life, u64)>,
        index: u64,
    },
    Told {
        key: (Life, u64),
        index: u64,
    },
    Claimed {
        done: Option<u64>,
        key: Option<(Life, u64)>,
    },
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Act {
    Arrive(Life, Life, Lane),
    Fire(usize, Timer),
    Disk(usize),
    Perform(usize, Token),
    Answer(usize, Token),
    Lose(usize, Token),
    Limbo(usize),
    Suspect(usize, usize, bool),
    Crash(usize),
    Restart(usize),
}

/// What happens, and after how many of its effects the node crashes; and whether
/// what it was writing is on the disk then.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Action {
    act: Act,
    cut: Option<(usize, bool)>,
}

impl Register {
    fn claim(&mut self, version: Option<u64>, life: Life) -> Option<u64> {
        self.index += 1;
        (self.key.map(|(_, at)| at) == version).then(|| {
            self.key = Some((life, self.index));
            self.index
        })
    }
}

impl World {
    fn life(&self, at: usize) -> Life {
        Life::new(NodeId(at as u64 + 1), self.places[at].incarnation)
    }

    fn at(life: Life) -> usize {
        life.node.0 as usize - 1
    }

    fn is_current(&self, life: Life) -> bool {
        let at = World::at(life);
        self.places[at].up.is_some() && self.life(at) == life
    }

    fn give(&mut self, at: usize, item: Item, scope: &Elections, cut: Option<(usize, bool)>) {
        let Some(adapter) = &mut self.places[at].up else { return };
        let mut out = Effects::default();
        adapter.step(item, Time::ZERO, &mut out).expect("no fault");
        adapter.flush(Time::ZERO, &mut out).expect("no fault");
        let most = cut.map_or(usize::MAX, |(most, _)| most);
        let visible = out.list.into_iter().filter(|effect| !matches!(effect, Effect::Timer(..)));
        for effect in visible.take(most) {
            self.perform(at, effect, scope);
        }
        if let Some((_, flushed)) = cut {
            self.crash(at, flushed);
        }
    }

    fn perform(&mut self, at: usize, effect: Effect, scope: &Elections) {
        let me = self.life(at);
        match effect {
            Effect::Send { to: To::Life(to), lane, message } => {
                let (head, _) = take_head::<Message>(&message).expect("well-formed");
                if self.is_current(to) {
                    self.queues.entry((me, to, lane)).or_default().push_back(head);
                }
            }
            Effect::Publish(event) => self.published(at, &event, scope),
            Effect::Disk(token, op) => {
                let wanted = match op {
                    DiskOp::Replace { bytes, .. } => Wanted::Replace(bytes.to_vec()),
                    _ => Wanted::Read,
                };
                self.places[at].disk.push_back((token, wanted));
            }
            Effect::Call { token, call, .. } => {
                let asked = asked(call, me);
                self.places[at].asked.push((token, asked));
            }
            _ => {}
        }
    }

    fn published(&mut self, at: usize, event: &AnyEvent, scope: &Elections) {
        if let Some(LeaderElected { epoch, leader }) = event.get::<LeaderElected>() {
            let key = match scope.mode {
                Mode::Safe => Epoch { leader: NodeId(0), ..*epoch },
                Mode::Textbook => *epoch,
            };
            if *self.led.entry(key).or_insert(*leader) != *leader {
                self.broken = self.broken.or(Some(0));
            }
            let place = &mut self.places[at];
            if place.followed.is_some_and(|before| before > *epoch) {
                self.broken = self.broken.or(Some(1));
            }
            place.followed = Some(*epoch);
            place.leader = Some(*leader);
        } else if event.event_type().name == "leader_lost" {
            self.places[at].leader = None;
        }
    }

    fn crash(&mut self, at: usize, flushed: bool) {
        let life = self.life(at);
        let place = &mut self.places[at];
        place.up = None;
        for (_, wanted) in std::mem::take(&mut place.disk) {
            if let (Wanted::Replace(bytes), true) = (wanted, flushed) {
                place.file = Some(bytes);
            }
        }
        for (_, asked) in std::mem::take(&mut place.asked) {
            if let Asked::Claim { version, life } = asked {
                self.register.limbo.push((version, life));
            }
        }
        (place.leader, place.suspects) = (None, [false; NODES]);
        self.queues.retain(|(_, to, _), _| *to != life);
    }

    fn start(&mut self, at: usize, scope: &Elections) {
        let old = self.life(at);
        self.queues.retain(|(from, ..), _| *from != old);
        let place = &mut self.places[at];
        place.incarnation += 1;
        let config =
            Config { mode: scope.mode, mutant: scope.mutant, start_delay: Duration::ZERO, ..Config::default() };
        place.up = Some(Adapter::new(Election::new(config), 1));
        let me = self.life(at);
        let boot = Boot { me, name: "node".into(), voters: NODES, voter: true };
        self.give(at, Item::Started(boot), scope, None);
        for other in (0..NODES).filter(|other| *other != at) {
            if self.places[other].up.is_none() {
                continue;
            }
            let life = self.life(other);
            for (who, of) in [(at, life), (other, me)] {
                if who == other && old.incarnation.0 > 0 {
                    self.places[other].suspects[at] = false;
                    let ended = PeerChange::Ended { life: old, why: EndedWhy::Succeeded };
                    self.give(other, Item::Peer(ended), scope, None);
                }
                let joined = PeerChange::Joined { life: of, role: PeerRole::Voter, name: "node".into() };
                self.give(who, Item::Peer(joined), scope, None);
            }
        }
    }

    fn suspect(&mut self, at: usize, other: usize, suspected: bool, scope: &Elections, cut: Option<(usize, bool)>) {
        self.places[at].suspects[other] = suspected;
        let suspicion = Suspicion { life: self.life(other), name: "node".into(), suspected };
        self.give(at, Item::Event(AnyEvent::new(suspicion)), scope, cut);
    }

    fn after(&self, Action { act, cut }: Action, scope: &Elections) -> World {
        let mut world = self.clone();
        if cut.is_some() || matches!(act, Act::Crash(_)) {
            world.left.crashes -= 1;
        }
        world.act(act, scope, cut);
        world.queues.retain(|_, queue| !queue.is_empty());
        world
    }

    fn act(&mut self, act: Act, scope: &Elections, cut: Option<(usize, bool)>) {
        match act {
            Act::Arrive(from, to, lane) => {
                let head = self.queues.get_mut(&(from, to, lane)).and_then(VecDeque::pop_front).expect("on its way");
                let mut block = Vec::new();
                put_item(&mut block, |out| nodewright::codec::put_head(out, &head));
                self.give(World::at(to), Item::Messages { from, block: block.into() }, scope, cut);
            }
            Act::Fire(at, timer) => {
                self.left.timers = self.left.timers.saturating_sub(1);
                let set = self.places[at].up.as_ref().expect("is up").timers();
                let (_, id) = set.into_iter().find(|(set, _)| *set == timer).expect("is set");
                self.give(at, Item::Timer(id), scope, cut);
            }
            Act::Disk(at) => {
                let (token, wanted) = self.places[at].disk.pop_front().expect("is asked");
                let result = match (wanted, &self.places[at].file) {
                    (Wanted::Read, None) => Err(io::ErrorKind::NotFound.into()),
                    (Wanted::Read, Some(bytes)) => Ok(DiskDone::Read(bytes.clone().into())),
                    (Wanted::Replace(bytes), _) => {
                        self.places[at].file = Some(bytes);
                        Ok(DiskDone::Ok)
                    }
                };
                self.give(at, Item::Disk { token, result }, scope, cut);
            }
            Act::Perform(at, token) => {
                let asked = self.places[at].asked.iter_mut().find(|(it, _)| *it == token).expect("is asked");
                let register = &mut self.register;
                asked.1 = match asked.1 {
                    Asked::Claim { version, life } => {
                        let done = register.claim(version, life);
                        Asked::Claimed { done, key: register.key }
                    }
                    Asked::Watch { .. } => {
                        Asked::Told { key: register.key.expect("was written"), index: register.index }
                    }
                    _ => Asked::Got { key: register.key, index: register.index },
                };
            }
            Act::Answer(at, token) => {
                let asked = self.take(at, token);
                self.give(at, Item::Reply { token, value: Ok(answer(asked)) }, scope, cut);
            }
            Act::Lose(at, token) => {
                self.left.unknown -= 1;
                if let Asked::Claim { version, life } = self.take(at, token) {
                    self.register.limbo.push((version, life));
                }
                self.give(at, Item::Reply { token, value: Ok(lost()) }, scope, cut);
            }
            Act::Limbo(which) => {
                let (version, life) = self.register.limbo.remove(which);
                self.register.claim(version, life);
            }
            Act::Suspect(at, other, suspected) => {
                if self.places[other].up.is_some() && suspected {
                    self.left.mistakes -= 1;
                }
                self.suspect(at, other, suspected, scope, cut);
            }
            Act::Crash(at) => self.crash(at, false),
            Act::Restart(at) => {
                self.left.restarts -= 1;
                self.start(at, scope);
            }
        }
    }

    fn take(&mut self, at: usize, token: Token) -> Asked {
        let place = &mut self.places[at];
        let which = place.asked.iter().position(|(it, _)| *it == token).expect("is asked");
        place.asked.remove(which).1
    }

    /// What is on its way.
    fn under_way(&self) -> Vec<Act> {
        let mut acts: Vec<Act> = self.queues.keys().map(|(from, to, lane)| Act::Arrive(*from, *to, *lane)).collect();
        for (at, place) in self.places.iter().enumerate().filter(|(_, place)| place.up.is_some()) {
            if !place.disk.is_empty() {
                acts.push(Act::Disk(at));
            }
            for (token, asked) in &place.asked {
                match asked {
                    Asked::Watch { after } if self.register.key.is_none_or(|(_, version)| version <= *after) => {}
                    Asked::Get | Asked::Watch { .. } | Asked::Claim { .. } => acts.push(Act::Perform(at, *token)),
                    _ => acts.push(Act::Answer(at, *token)),
                }
            }
        }
        acts
    }

    /// The timers of an election that may fire.
    fn timers(&self) -> Vec<Act> {
        let up = self.places.iter().enumerate().filter_map(|(at, place)| Some((at, place.up.as_ref()?)));
        let set = up.flat_map(|(at, adapter)| adapter.timers().into_iter().map(move |(timer, _)| (at, timer)));
        set.filter(|(_, timer)| matches!(timer, Timer::Begin | Timer::Decide))
            .map(|(at, it)| Act::Fire(at, it))
            .collect()
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = self.under_way();
        if self.left.timers > 0 {
            acts.extend(self.timers());
        }
        for (at, place) in self.places.iter().enumerate() {
            if place.up.is_none() {
                if self.left.restarts > 0 {
                    acts.push(Act::Restart(at));
                }
                continue;
            }
            for other in (0..NODES).filter(|other| *other != at) {
                let up = self.places[other].up.is_some();
                match place.suspects[other] {
                    false if !up || self.left.mistakes > 0 => acts.push(Act::Suspect(at, other, true)),
                    true if up => acts.push(Act::Suspect(at, other, false)),
                    _ => {}
                }
            }
            if self.left.unknown > 0 {
                let claims =
                    place.asked.iter().filter(|(_, it)| matches!(it, Asked::Claim { .. } | Asked::Claimed { .. }));
                acts.extend(claims.map(|(token, _)| Act::Lose(at, *token)));
            }
        }
        acts.extend((0..self.register.limbo.len()).map(Act::Limbo));
        acts
    }

    /// Where this act is done, and a crash may cut it.
    fn doer(act: Act) -> Option<usize> {
        match act {
            Act::Arrive(_, to, _) => Some(World::at(to)),
            Act::Fire(at, _) | Act::Disk(at) | Act::Answer(at, _) | Act::Suspect(at, _, _) => Some(at),
            _ => None,
        }
    }

    /// How many effects an act has that others, or the disk, can see.
    fn effects(&self, act: Act, scope: &Elections) -> usize {
        let (Some(at), mut world) = (World::doer(act), self.clone()) else { return 0 };
        let count = |world: &World| {
            let sent: usize =
                world.queues.iter().filter(|((from, ..), _)| World::at(*from) == at).map(|(_, it)| it.len()).sum();
            sent + world.places[at].disk.len() + world.places[at].asked.len()
        };
        let own = match act {
            Act::Disk(_) | Act::Answer(..) => 1, // is taken away by the act
            _ => 0,
        };
        let before = count(&world);
        world.act(act, scope, None);
        (count(&world) + own).saturating_sub(before)
    }

    /// Faults stop, all that is up runs on; whether one leader is known to all.
    fn comes_to_one_leader(&self, scope: &Elections) -> bool {
        let mut world = self.clone();
        world.left = Left { timers: u8::MAX, ..Left::default() };
        for at in 0..NODES {
            for other in (0..NODES).filter(|other| *other != at) {
                let (up, seen) = (world.places[other].up.is_some(), world.places[at].suspects[other]);
                if world.places[at].up.is_some() && up == seen {
                    world.suspect(at, other, !up, scope, None);
                }
            }
        }
        for _ in 0..2000 {
            world.queues.retain(|_, queue| !queue.is_empty());
            if let Some(act) = world.under_way().first() {
                world.act(*act, scope, None);
            } else if world.is_led() {
                return true;
            } else if let Some(act) = world.timers().last() {
                world.left.timers = u8::MAX;
                world.act(*act, scope, None);
            } else {
                return false;
            }
        }
        false
    }

    fn is_led(&self) -> bool {
        let mut up = self.places.iter().filter(|place| place.up.is_some());
        let Some(first) = up.next() else { return true };
        first.leader.is_some_and(|leader| self.is_current(leader)) && up.all(|place| place.leader == first.leader)
    }
}

#[cfg(feature = "replicated_log")]
mod map {
    use super::{Asked, Life};
    use nodewright::component::Erased;
    use nodewright::error::CallError;
    use nodewright::protocol::election::KEY;
    use nodewright::protocol::replicated_map::{Call, Change, Committed, Condition, Entry, Got, Watched};

    pub fn asked(call: Erased, me: Life) -> Asked {
        match *call.downcast::<Call>().expect("the map is called") {
            Call::Commit { transaction, .. } => {
                let version = match transaction.conditions[..] {
                    [Condition::Version(_, version)] => Some(version),
                    _ => None,
                };
                Asked::Claim { version, life: me }
            }
            Call::Watch { after, .. } => Asked::Watch { after },
            _ => Asked::Get,
        }
    }

    fn entry((life, version): (Life, u64)) -> Entry {
        let value = postcard::to_stdvec(&life).expect("two numbers").into();
        Entry { key: KEY.into(), value, version }
    }

    pub fn answer(asked: Asked) -> Erased {
        match asked {
            Asked::Got { key, index } => {
                Box::new(Ok::<_, CallError>(Got { applied: index, value: vec![key.map(entry)] }))
            }
            Asked::Told { key, index } => {
                let Entry { key, value, version } = entry(key);
                let changes = vec![Change { index: version, key, value: Some(value) }];
                Box::new(Ok::<_, CallError>(Got {
                    applied: index,
                    value: Watched::Changes { changes, through: index },
                }))
            }
            Asked::Claimed { done: Some(version), .. } => Box::new(Ok::<_, CallError>(Committed::Done { version })),
            Asked::Claimed { done: None, key } => {
                Box::new(Ok::<_, CallError>(Committed::Failed { at: 0, condition: 0, found: key.map(entry) }))
            }
            other => unreachable!("{other:?} is not answered yet"),
        }
    }

    pub fn lost() -> Erased {
        Box::new(Err::<Committed, _>(CallError::TimedOut(std::time::Duration::ZERO)))
    }
}

#[cfg(not(feature = "replicated_log"))]
mod map {
    use super::{Asked, Life};
    use nodewright::component::Erased;

    pub fn asked(_: Erased, _: Life) -> Asked {
        unreachable!("textbook mode calls nobody")
    }
    pub fn answer(_: Asked) -> Erased {
        unreachable!("textbook mode calls nobody")
    }
    pub fn lost() -> Erased {
        unreachable!("textbook mode calls nobody")
    }
}

use map::{answer, asked, lost};

impl Model for Elections {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let place = Place {
            incarnation: 0,
            up: None,
            file: None,
            disk: VecDeque::new(),
            asked: Vec::new(),
            suspects: [false; NODES],
            followed: None,
            leader: None,
        };
        let Elections { timers, crashes, restarts, mistakes, unknown, .. } = *self;
        let mut world = World {
            places: [place.clone(), place.clone(), place],
            queues: BTreeMap::new(),
            register: Register::default(),
            left: Left { timers, crashes, restarts, mistakes, unknown },
            led: BTreeMap::new(),
            broken: None,
        };
        (0..NODES).for_each(|at| world.start(at, self));
        // all have read their disk, or the map
        while let Some(act) = world.under_way().first() {
            world.act(*act, self, None);
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let acts = world.acts();
        if world.left.crashes > 0 {
            for act in &acts {
                for cut in 0..world.effects(*act, self) {
                    actions.extend([false, true].map(|flushed| Action { act: *act, cut: Some((cut, flushed)) }));
                }
            }
            let up = (0..NODES).filter(|at| world.places[*at].up.is_some());
            actions.extend(up.map(|at| Action { act: Act::Crash(at), cut: None }));
        }
        actions.extend(acts.into_iter().map(|act| Action { act, cut: None }));
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let next = world.after(action, self);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let property = |name: &&'static str| {
            let condition: fn(&Elections, &World) -> bool = match *name {
                "one leader an epoch" => |_, world| world.broken != Some(0),
                "epochs only rise" => |_, world| world.broken != Some(1),
                _ => |scope, world| !world.under_way().is_empty() || world.comes_to_one_leader(scope),
            };
            Property::always(name, condition)
        };
        self.properties.iter().map(property).collect()
    }
}

impl Elections {
    pub fn of(mode: Mode) -> Self {
        let unknown = u8::from(mode == Mode::Safe);
        Elections {
            mode,
            mutant: None,
            timers: 3,
            crashes: 1,
            restarts: 1,
            mistakes: 0,
            unknown,
            properties: &PROMISES,
        }
    }
}

fn holds(scope: &Elections) {
    let name = format!("election {scope:?}");
    if let Some((property, way)) = check(&name, scope, None).found {
        let way: Vec<String> = way.iter().map(|action| format!("{action:?}")).collect();
        panic!("{property} fails:\n{}", way.join("\n"));
    }
}

#[test]
fn textbook_mode() {
    let scope = Elections { timers: 2, restarts: 0, ..Elections::of(Mode::Textbook) };
    holds(&scope);
}

#[cfg(feature = "replicated_log")]
#[test]
fn safe_mode() {
    let scope = Elections { timers: 2, restarts: 0, unknown: 0, ..Elections::of(Mode::Safe) };
    holds(&Elections { timers: 1, ..scope });
}
