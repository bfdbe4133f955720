//! The guarantee as a property: two nodes, a network that loses, repeats and
//! reorders, sessions that are cut, lives that end. The same property must
//! catch the planted bugs.

use super::half::SEQUENCED;
use super::*;
use crate::component::Lane;
use crate::id::{Kind, NodeId};
use crate::time::Time;
use bytes::Bytes;
use std::collections::BTreeMap;

const CONFIG: Config =
    Config { window_bytes: 64, resend_after: Duration::from_millis(100), ack_after: Duration::from_millis(5) };

/// Who, to whom (none before the first contact), on which lane.
type Flow = (Life, Option<Life>, Lane);

struct Flight {
    to: usize,
    epoch: u64,
    header: FrameHeader,
    block: Bytes,
}

struct World {
    rng: fastrand::Rng,
    now: Time,
    lives: [Life; 2],
    links: [Link; 2],
    epoch: u64,
    network: Vec<Flight>,
    pushed: BTreeMap<Flow, Vec<Bytes>>,
    delivered: BTreeMap<Flow, Vec<Bytes>>,
    pushed_bytes: BTreeMap<(Life, Option<Life>), u64>,
    credited_bytes: BTreeMap<(Life, Option<Life>), u64>,
    next: u64,
    mutant: Option<Mutant>,
}

fn link(mutant: Option<Mutant>) -> Link {
    mutant.map_or_else(|| Link::new(CONFIG), |mutant| Link::mutant(CONFIG, mutant))
}

impl World {
    fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        World {
            rng: fastrand::Rng::with_seed(seed),
            now: Time::ZERO,
            lives: [Life::new(NodeId(1), 1), Life::new(NodeId(2), 1)],
            links: [link(mutant), link(mutant)],
            epoch: 0,
            network: Vec::new(),
            pushed: BTreeMap::new(),
            delivered: BTreeMap::new(),
            pushed_bytes: BTreeMap::new(),
            credited_bytes: BTreeMap::new(),
            next: 0,
            mutant,
        }
    }

    fn push(&mut self, at: usize) {
        let lane = Lane::ALL[self.rng.usize(1..4)];
        self.next += 1;
        let mut bytes = self.next.to_le_bytes().to_vec();
        bytes.resize(8 + self.rng.usize(0..40), 0);
        let block = Bytes::from(bytes);
        let pair = (self.lives[at], self.links[at].peer());
        self.pushed.entry((pair.0, pair.1, lane)).or_default().push(block.clone());
        *self.pushed_bytes.entry(pair).or_default() += block.len() as u64;
        self.links[at].push(lane, Kind(7), block);
    }

    /// One side learns of the newest session; the other may already know.
    fn open(&mut self, at: usize) {
        if self.links[at].epoch() == Some(self.epoch) {
            return;
        }
        let peer = self.lives[1 - at];
        if self.links[at].session(self.now, peer, self.epoch) == Opened::First {
            // what waited for the first contact now is this life's
            for lane in SEQUENCED {
                if let Some(waited) = self.pushed.remove(&(self.lives[at], None, lane)) {
                    self.pushed.insert((self.lives[at], Some(peer), lane), waited);
                }
            }
            if let Some(waited) = self.pushed_bytes.remove(&(self.lives[at], None)) {
                self.pushed_bytes.insert((self.lives[at], Some(peer)), waited);
            }
        }
    }

    fn transmit(&mut self, at: usize) {
        let Some(epoch) = self.links[at].epoch() else { return };
        let network = &mut self.network;
        self.links[at].transmit(self.now, 200, &mut |header, block| {
            network.push(Flight { to: 1 - at, epoch, header: *header, block: block.clone() });
        });
    }

    fn receive(&mut self, flight: &Flight) -> Result<(), String> {
        let at = flight.to;
        let mut credits = Vec::new();
        let from = self.links[at].peer();
        let accept = self.links[at].receive(flight.epoch, &flight.header, self.now, &mut credits);
        for (_, bytes) in credits {
            *self.credited_bytes.entry((self.lives[at], from)).or_default() += bytes;
        }
        if accept != Accept::Deliver {
            return Ok(());
        }
        let Some(from) = from else { return Err("delivered without a session".into()) };
        let flow = (from, Some(self.lives[at]), flight.header.lane);
        let delivered = self.delivered.entry(flow).or_default();
        let place = delivered.len();
        let pushed = self.pushed.get(&flow).and_then(|pushed| pushed.get(place));
        if pushed != Some(&flight.block) {
            return Err(format!("{flow:?}: block {place} delivered is not block {place} pushed"));
        }
        delivered.push(flight.block.clone());
        Ok(())
    }

    fn restart(&mut self, at: usize) {
        self.lives[at].incarnation.0 += 1;
        self.links[at] = link(self.mutant);
        self.epoch += 1;
    }

    fn chaos(&mut self) -> Result<(), String> {
        let at = self.rng.usize(0..2);
        match self.rng.u32(0..100) {
            0..25 => self.push(at),
            25..50 => self.transmit(at),
            50..52 => self.epoch += 1,
            52..60 => self.open(at),
            60..62 => {
                let epoch = self.links[at].epoch().unwrap_or(0);
                self.links[at].closed(epoch);
                self.epoch += 1;
            }
            62 => self.restart(at),
            63..72 => {
                self.now = self.now + Duration::from_millis(self.rng.u64(1..60));
                self.links[at].tick(self.now);
            }
            _ if self.network.is_empty() => {}
            72..76 => drop(self.network.swap_remove(self.rng.usize(0..self.network.len()))),
            76..82 => {
                let flight = &self.network[self.rng.usize(0..self.network.len())];
                let again = Flight { block: flight.block.clone(), ..*flight };
                self.receive(&again)?;
            }
            82..90 => {
                let flight = self.network.swap_remove(self.rng.usize(0..self.network.len()));
                self.receive(&flight)?;
            }
            _ => {
                let flight = self.network.remove(0);
                self.receive(&flight)?;
            }
        }
        Ok(())
    }

    /// Faults stop; time runs until nothing is owed.
    fn heal(&mut self) -> Result<(), String> {
        self.epoch += 1;
        self.open(0);
        self.open(1);
        for _ in 0..10_000 {
            self.transmit(0);
            self.transmit(1);
            while !self.network.is_empty() {
                let flight = self.network.remove(0);
                self.receive(&flight)?;
            }
            let deadlines = self.links.iter().filter_map(Link::deadline).min();
            match deadlines {
                Some(at) => self.now = self.now.max(at),
                None if self.links.iter().any(|link| link.ready(self.now)) => {}
                None => break,
            }
            self.links[0].tick(self.now);
            self.links[1].tick(self.now);
        }
        for at in 0..2 {
            let pair = (self.lives[at], Some(self.lives[1 - at]));
            for lane in SEQUENCED {
                let flow = (pair.0, pair.1, lane);
                let count = |all: &BTreeMap<Flow, Vec<Bytes>>| all.get(&flow).map_or(0, Vec::len);
                if count(&self.pushed) != count(&self.delivered) {
                    return Err(format!(
                        "{flow:?}: {} of {} delivered after the heal",
                        count(&self.delivered),
                        count(&self.pushed)
                    ));
                }
                if self.links[at].queued_bytes(lane) != 0 {
                    return Err(format!("{flow:?}: bytes are still queued"));
                }
            }
            let (pushed, credited) = (self.pushed_bytes.get(&pair), self.credited_bytes.get(&pair));
            if pushed != credited {
                return Err(format!("{pair:?}: {pushed:?} bytes pushed, {credited:?} credited"));
            }
        }
        Ok(())
    }
}

/// The property for one seed: what it found, and what the links saw.
fn check(seed: u64, mutant: Option<Mutant>) -> Result<Counters, String> {
    let mut world = World::new(seed, mutant);
    for _ in 0..400 {
        world.chaos()?;
    }
    world.heal()?;
    let [a, b] = [world.links[0].counters(), world.links[1].counters()];
    Ok(Counters {
        resent: a.resent + b.resent,
        duplicates: a.duplicates + b.duplicates,
        early: a.early + b.early,
        stale: a.stale + b.stale,
        probes_dropped: 0,
        impossible_acks: a.impossible_acks + b.impossible_acks,
    })
}

#[test]
fn a_link_neither_loses_nor_repeats_nor_reorders_between_lives() {
    let mut seen = Counters::default();
    for seed in 0..3000 {
        let one = check(seed, None).unwrap_or_else(|found| panic!("seed {seed}: {found}"));
        seen.resent += one.resent;
        seen.duplicates += one.duplicates;
        seen.early += one.early;
        seen.stale += one.stale;
        assert_eq!(one.impossible_acks, 0, "seed {seed}");
    }
    // a run in which nothing went wrong proves nothing
    assert!(seen.resent > 1000 && seen.duplicates > 1000 && seen.early > 1000 && seen.stale > 1000, "{seen:?}");
}

#[test]
fn the_property_catches_the_planted_bugs() {
    for mutant in [Mutant::DedupeDropped, Mutant::IncarnationForgotten, Mutant::EarlyTaken, Mutant::EarlierLifeHeard] {
        let caught = (0..300).filter(|seed| check(*seed, Some(mutant)).is_err()).count();
        assert!(caught > 30, "{mutant:?} was caught by {caught} of 300 seeds");
    }
}

fn open_pair() -> (Link, Link) {
    let (mut a, mut b) = (Link::new(CONFIG), Link::new(CONFIG));
    a.session(Time::ZERO, Life::new(NodeId(2), 1), 1);
    b.session(Time::ZERO, Life::new(NodeId(1), 1), 1);
    (a, b)
}

#[test]
fn the_window_bounds_what_is_in_flight_and_lets_one_long_block_through() {
    let (mut a, _) = open_pair();
    a.push(Lane::Data, Kind(1), Bytes::from(vec![0; 1000]));
    a.push(Lane::Data, Kind(1), Bytes::from(vec![0; 10]));
    let mut frames = 0;
    a.transmit(Time::ZERO, 1 << 20, &mut |_, _| frames += 1);
    assert_eq!(frames, 1);
    assert_eq!(a.queued_bytes(Lane::Data), 1010);
}

#[test]
fn no_lane_is_starved_and_control_comes_first() {
    let mut a = Link::new(Config { window_bytes: 64 << 20, ..CONFIG });
    a.session(Time::ZERO, Life::new(NodeId(2), 1), 1);
    for _ in 0..200 {
        for lane in [Lane::Bulk, Lane::Data, Lane::Control] {
            a.push(lane, Kind(1), Bytes::from(vec![0; 16 << 10]));
        }
    }
    let mut lanes = Vec::new();
    for _ in 0..4 {
        a.transmit(Time::ZERO, 256 << 10, &mut |header, _| lanes.push(header.lane));
    }
    assert_eq!(lanes[0], Lane::Control);
    for lane in SEQUENCED {
        assert!(lanes.contains(&lane), "{lane:?} was starved: {lanes:?}");
    }
}

#[test]
fn an_acknowledgement_waits_for_a_block_but_not_for_long() {
    let (mut a, mut b) = open_pair();
    a.push(Lane::Control, Kind(1), Bytes::from_static(b"request"));
    let mut sent = Vec::new();
    a.transmit(Time::ZERO, 1 << 16, &mut |header, _| sent.push(*header));
    let mut credits = Vec::new();
    assert_eq!(b.receive(1, &sent[0], Time::ZERO, &mut credits), Accept::Deliver);
    assert!(!b.ready(Time::ZERO));
    let due = b.deadline().expect("an acknowledgement is owed");
    assert_eq!(due, Time::ZERO + CONFIG.ack_after);
    let mut acks = Vec::new();
    b.transmit(due, 1 << 16, &mut |header, _| acks.push(*header));
    assert_eq!(acks, [FrameHeader::ack(Lane::Control, 1)]);
    a.receive(1, &acks[0], due, &mut credits);
    assert_eq!(credits, [(Kind(1), 7)]);
    assert_eq!((a.deadline(), b.deadline()), (None, None));
}

#[test]
fn an_ended_life_stays_ended_and_nothing_gathers_for_it() {
    let (mut a, _) = open_pair();
    let old = Life::new(NodeId(2), 1);
    a.push(Lane::Data, Kind(1), Bytes::from_static(b"x"));
    a.end();
    a.push(Lane::Data, Kind(1), Bytes::from_static(b"y"));
    assert_eq!(a.queued_bytes(Lane::Data), 0);
    assert_eq!(a.session(Time::ZERO, old, 2), Opened::Outlived { by: old });
    assert_eq!(a.session(Time::ZERO, Life::new(NodeId(2), 2), 3), Opened::First);
    assert_eq!(a.session(Time::ZERO, old, 4), Opened::Outlived { by: Life::new(NodeId(2), 2) });
}

#[test]
fn probes_are_not_kept_for_a_session_to_come() {
    let mut a = Link::new(CONFIG);
    a.push(Lane::Probe, Kind(1), Bytes::from_static(b"lost"));
    a.session(Time::ZERO, Life::new(NodeId(2), 1), 1);
    assert!(!a.ready(Time::ZERO));
    assert_eq!(a.counters().probes_dropped, 1);
}
