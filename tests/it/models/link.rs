//! The link core between two nodes, over every network.
//!
//! **Scope.** Two nodes that push a few blocks on the control and the data lane,
//! each at any time, before the first contact too; a new life pushes what is
//! left. One or two sessions, noticed by each side at its own time, cut by the
//! next one or noticed as closed before, and one restart of either node as a
//! new life, with a session more; the other may be told before that the old
//! life is ended. How many of each stands at the checks: all of it at once is
//! too much, so each check has all of some.
//!
//! **Properties.** The perfect link's, judged at each delivery. *Reliable
//! delivery* is asked of every state: if faults stop now and a session lasts,
//! all that was pushed between the two lives is delivered and credited, and
//! nothing is left in a queue.
//!
//! **Abstracted.**
//! - The network is a *set*: a frame, once written, may arrive any number of
//!   times, in any order, at any time, or never. That is every loss, every
//!   duplication and every order at once.
//! - Time stands still and every delay is zero, so a resend is always due: the
//!   writer runs, and the clock fires, at any time or never. Real delays allow
//!   less.
//! - One frame with a block is written at a time; acknowledgements are written
//!   with it or alone, whenever the writer runs.
//! - Frames of sessions that their receiver has left are taken away, after a
//!   copy of the receiver was seen to refuse them. An acknowledgement of what
//!   was acknowledged is taken away too: acknowledgements only rise.
//!
//! **Not covered.** Windows that fill, turns between lanes under load, probes,
//! bytes that are no frames: those have tests of their own.

use super::checked::check;
use super::is_full;
use bytes::Bytes;
use nodewright::component::Lane;
use nodewright::id::{Kind, Life, NodeId};
use nodewright::protocol::link::{Accept, Config, FrameHeader, Link, Mutant, Opened, What};
use nodewright::time::Time;
use stateright::{Model, Property};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CONFIG: Config = Config { window_bytes: 64, resend_after: Duration::ZERO, ack_after: Duration::ZERO };
const NOW: Time = Time::ZERO;
const BLOCK_BYTES: u64 = 5;
const LANES: [Lane; 2] = [Lane::Control, Lane::Data];

/// Who, to whom (nobody before the first contact), on which lane.
type Flow = (Life, Option<Life>, Lane);

/// Session, header, block.
type Frame = (u64, [u8; FrameHeader::BYTES], Bytes);

#[derive(Clone, Debug)]
pub struct Links {
    pub mutant: Option<Mutant>,
    pub sessions: u64,
    pub restarts: u8,
    /// Blocks that each side pushes, per lane.
    pub blocks: [[u8; 2]; 2],
    pub properties: &'static [&'static str],
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Side {
    life: Life,
    link: Link,
    /// The newest session that it opened.
    opened: u64,
    left: [u8; 2],
    /// Blocks to the current life of the other that were acknowledged, by lane.
    acked: [u64; 2],
    /// Frames on their way to it.
    frames: BTreeSet<Frame>,
}

#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
enum Broken {
    Duplicated,
    Created,
    Disordered,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    sides: [Side; 2],
    /// The newest session.
    session: u64,
    restarts: u8,
    pushed: BTreeMap<Flow, Vec<Bytes>>,
    delivered: BTreeMap<Flow, usize>,
    credited: BTreeMap<(Life, Option<Life>), u64>,
    broken: Option<Broken>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    Push {
        at: usize,
        lane: usize,
    },
    /// A new connection takes the place of the old one.
    Connect,
    Open {
        at: usize,
    },
    Close {
        at: usize,
    },
    Write {
        at: usize,
    },
    Arrive {
        at: usize,
        frame: Frame,
    },
    Clock {
        at: usize,
    },
    Restart {
        at: usize,
    },
    /// The other's crashed life is over by decision.
    End {
        at: usize,
    },
}

impl Links {
    fn link(&self) -> Link {
        self.mutant.map_or_else(|| Link::new(CONFIG), |mutant| Link::mutant(CONFIG, mutant))
    }
}

impl World {
    fn push(&mut self, at: usize, lane: usize) {
        let side = &mut self.sides[at];
        side.left[lane] -= 1;
        let name = format!("{}{}{}.{}", at, side.life.incarnation.0, lane, side.left[lane]);
        let block = Bytes::from(name);
        let flow = (side.life, side.link.peer().filter(|_| !side.link.ended()), LANES[lane]);
        if !side.link.ended() {
            self.pushed.entry(flow).or_default().push(block.clone());
        }
        // Credit is counted per component: here that is per lane.
        side.link.push(LANES[lane], Kind(lane as u32), block);
    }

    fn open(&mut self, at: usize) {
        let peer = self.sides[1 - at].life;
        let side = &mut self.sides[at];
        side.opened = self.session;
        let opened = side.link.session(NOW, peer, self.session);
        if matches!(opened, Opened::NewLife { .. }) || opened == Opened::First {
            side.acked = [0; 2];
        }
        if opened == Opened::First {
            // what waited for the first contact now is this life's
            for lane in LANES {
                if let Some(waited) = self.pushed.remove(&(side.life, None, lane)) {
                    self.pushed.insert((side.life, Some(peer), lane), waited);
                }
            }
        }
    }

    fn write(&mut self, at: usize) {
        let Some(session) = self.sides[at].link.epoch() else { return };
        let mut frames = Vec::new();
        self.sides[at].link.transmit(NOW, 1, &mut |header, block| {
            frames.push((session, header.encode(), block.clone()));
        });
        self.sides[1 - at].frames.extend(frames);
    }

    fn arrive(&mut self, at: usize, frame: &Frame) {
        let side = &mut self.sides[at];
        let header = FrameHeader::decode(&frame.1, 64).expect("as it was written");
        let mut credits = Vec::new();
        let from = side.link.peer();
        let accept = side.link.receive(frame.0, &header, NOW, &mut credits);
        for (lane, bytes) in credits {
            side.acked[lane.0 as usize] += bytes / BLOCK_BYTES;
            *self.credited.entry((side.life, from)).or_default() += bytes;
        }
        if accept != Accept::Deliver {
            return;
        }
        let flow = (from.unwrap_or(side.life), Some(side.life), header.lane);
        let place = self.delivered.entry(flow).or_default();
        let pushed = self.pushed.get(&flow).and_then(|pushed| pushed.iter().position(|block| *block == frame.2));
        let broken = match pushed {
            None => Some(Broken::Created),
            Some(at) if at < *place => Some(Broken::Duplicated),
            Some(at) if at > *place => Some(Broken::Disordered),
            Some(_) => None,
        };
        *place += 1;
        self.broken = self.broken.or(broken);
    }

    fn restart(&mut self, at: usize, model: &Links) {
        let side = &mut self.sides[at];
        side.life.incarnation.0 += 1;
        side.link = model.link();
        side.acked = [0; 2];
        side.frames.clear();
        self.session += 1;
        self.restarts += 1;
    }

    /// Takes away what can make no difference any more: frames of sessions that
    /// their receiver has left, and acknowledgements of what was acknowledged.
    fn tidy(&mut self) {
        for at in 0..2 {
            let (newest, side) = (self.session, &mut self.sides[at]);
            for mut frame in std::mem::take(&mut side.frames) {
                let mut header = FrameHeader::decode(&frame.1, 64).expect("as it was written");
                let ahead = frame.0 == newest && side.opened < newest;
                if side.link.epoch() != Some(frame.0) && !ahead {
                    let mut copy = side.link.clone();
                    let accept = copy.receive(frame.0, &header, NOW, &mut Vec::new());
                    assert!(
                        accept == Accept::Stale && copy == side.link,
                        "a frame of a session that is over was taken"
                    );
                    continue;
                }
                if !ahead && header.ack <= side.acked[header.lane as usize - 1] {
                    if header.what != What::Block {
                        continue;
                    }
                    header.ack = 0;
                    frame.1 = header.encode();
                }
                side.frames.insert(frame);
            }
        }
    }

    /// No faults any more: a session that lasts, until nothing is owed.
    fn healed(&self) -> World {
        let mut world = self.clone();
        world.session += 1;
        for at in 0..2 {
            world.sides[at].frames.clear();
            world.open(at);
        }
        for _ in 0..20 {
            for at in 0..2 {
                world.sides[at].link.tick(NOW);
                while world.sides[at].link.ready(NOW) {
                    world.write(at);
                }
                let to = 1 - at;
                for frame in std::mem::take(&mut world.sides[to].frames) {
                    world.arrive(to, &frame);
                }
            }
        }
        world
    }

    /// After that, everything pushed between the two lives was delivered and
    /// credited, and nothing is queued.
    fn delivers_all(&self) -> bool {
        let healed = self.healed();
        (0..2).all(|at| {
            let side = &healed.sides[at];
            let pair = (side.life, Some(healed.sides[1 - at].life));
            let mut pushed_bytes = 0;
            let complete = LANES.into_iter().all(|lane| {
                let flow = (pair.0, pair.1, lane);
                let pushed = healed.pushed.get(&flow).map_or(&[][..], Vec::as_slice);
                pushed_bytes += pushed.iter().map(|block| block.len() as u64).sum::<u64>();
                let delivered = healed.delivered.get(&flow).copied().unwrap_or(0);
                side.link.queued_bytes(lane) == 0 && delivered == pushed.len()
            });
            complete && healed.credited.get(&pair).copied().unwrap_or(0) == pushed_bytes && healed.broken.is_none()
        })
    }
}

impl Model for Links {
    type State = World;
    type Action = Action;

    /// The two never met.
    fn init_states(&self) -> Vec<World> {
        let side = |at: usize| Side {
            life: Life::new(NodeId(at as u64), 1),
            link: self.link(),
            opened: 0,
            left: self.blocks[at],
            acked: [0; 2],
            frames: BTreeSet::new(),
        };
        vec![World {
            sides: [side(0), side(1)],
            session: 0,
            restarts: 0,
            pushed: BTreeMap::new(),
            delivered: BTreeMap::new(),
            credited: BTreeMap::new(),
            broken: None,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.session < self.sessions {
            actions.push(Action::Connect);
        }
        for (at, side) in world.sides.iter().enumerate() {
            for lane in (0..2).filter(|lane| side.left[*lane] > 0) {
                actions.push(Action::Push { at, lane });
            }
            if side.opened < world.session {
                actions.push(Action::Open { at });
            }
            if side.link.epoch().is_some() {
                actions.extend([Action::Close { at }, Action::Write { at }, Action::Clock { at }]);
            }
            for frame in side.frames.iter().filter(|frame| side.link.epoch() == Some(frame.0)) {
                actions.push(Action::Arrive { at, frame: frame.clone() });
            }
            if world.restarts < self.restarts && world.session > 0 {
                actions.push(Action::Restart { at });
            }
            let other = world.sides[1 - at].life;
            if side.link.peer().is_some_and(|peer| peer < other) && !side.link.ended() {
                actions.push(Action::End { at });
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Push { at, lane } => next.push(at, lane),
            Action::Connect => next.session += 1,
            Action::Open { at } => next.open(at),
            Action::Close { at } => {
                let session = next.sides[at].link.epoch().unwrap_or(0);
                next.sides[at].link.closed(session);
            }
            Action::Write { at } => next.write(at),
            Action::Arrive { at, frame } => next.arrive(at, &frame),
            Action::Clock { at } => drop(next.sides[at].link.tick(NOW)),
            Action::Restart { at } => next.restart(at, self),
            Action::End { at } => next.sides[at].link.end(),
        }
        next.tidy();
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all: [Property<Self>; 4] = [
            Property::always("no duplication", |_, world: &World| world.broken != Some(Broken::Duplicated)),
            Property::always("no creation", |_, world: &World| world.broken != Some(Broken::Created)),
            Property::always("order", |_, world: &World| world.broken != Some(Broken::Disordered)),
            Property::always("reliable delivery", |_, world: &World| world.delivers_all()),
        ];
        all.into_iter().filter(|property| self.properties.contains(&property.name)).collect()
    }
}

pub const PROMISES: &[&str] = &["no duplication", "no creation", "order", "reliable delivery"];

fn holds(sessions: u64, restarts: u8, blocks: [[u8; 2]; 2]) {
    let model = Links { mutant: None, sessions, restarts, blocks, properties: PROMISES };
    let name = format!("link, {sessions} session(s), {restarts} restart(s), control and data blocks {blocks:?}");
    let outcome = check(&name, &model, None);
    assert!(outcome.found.is_none(), "{name}: {:?}", outcome.found);
}

#[test]
fn links_keep_what_they_promise() {
    holds(2, 0, [[0, 2], [0, 0]]);
    holds(1, 1, [[0, 1], [0, 0]]);
    if !is_full() {
        println!("link: the small scopes only; NODEWRIGHT_MODELS=full looks at 5 larger");
        return;
    }
    holds(2, 0, [[0, 2], [0, 1]]);
    holds(2, 1, [[0, 2], [0, 0]]);
    holds(2, 1, [[0, 1], [0, 1]]);
    holds(1, 1, [[0, 2], [0, 1]]);
    holds(1, 0, [[1, 1], [0, 1]]);
}
