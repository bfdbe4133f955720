//! What can happen next in a [`World`].

use super::scope::Scope;
use super::world::{NODES, Run, World, life_name};
use bytes::Bytes;
use nodewright::component::{EndedWhy, Item, Lane, PeerChange, PeerRole};
use nodewright::event::AnyEvent;
use nodewright::id::Life;
use nodewright::protocol::failure_detector::Suspicion;

/// What a node knows of another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Peer {
    /// Never met; what is sent to all waits for the first life.
    Unmet(Vec<(Lane, Bytes)>),
    Met(Life),
    /// Ended by decision; what is sent to all is dropped.
    Ended(Life),
}

/// One step of one node, or of the world around it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Broadcast {
        at: usize,
    },
    /// The first message of a queue arrives, or all of it in one block.
    Arrive {
        from: Life,
        to: Life,
        lane: Lane,
        all: bool,
    },
    /// A node learns that another's newest life is there.
    Meet {
        at: usize,
        other: usize,
    },
    /// A node is told that a majority ended this life.
    Told {
        at: usize,
        life: Life,
    },
    /// A node's detector changes its opinion.
    Opinion {
        at: usize,
        of: usize,
        suspected: bool,
    },
    /// The timer at this place of those that are set fires.
    Timer {
        at: usize,
        which: usize,
    },
}

/// What the checker chooses from.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Action {
    Step(Step),
    /// A crash after so many effects of a step that others can see.
    Cut(Step, usize),
    Crash {
        at: usize,
    },
    Restart {
        at: usize,
    },
    /// What a crashed life had sent to another and has not arrived is lost.
    Lose {
        from: Life,
        to: Life,
    },
    /// A majority ends a crashed life.
    Decide {
        life: Life,
    },
}

impl World {
    /// The steps that will come if nothing fails any more, timers apart.
    fn pending(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (from, to, lane) in self.queues() {
            let receiver = self.node(to.node.0 as usize);
            if receiver.is_some_and(|node| node.peers[from.node.0 as usize] == Peer::Met(from)) {
                steps.push(Step::Arrive { from, to, lane, all: false });
            }
        }
        for (at, node) in self.up() {
            for (other, peer) in self.up().filter(|(other, _)| *other != at) {
                let new = match &node.peers[other] {
                    Peer::Unmet(_) => true,
                    Peer::Met(life) | Peer::Ended(life) => *life < peer.life,
                };
                if new {
                    steps.push(Step::Meet { at, other });
                }
            }
            for life in self.ended.iter().filter(|life| life.node != node.life.node && !node.told.contains(life)) {
                steps.push(Step::Told { at, life: *life });
            }
        }
        steps
    }

    /// Nothing is on its way; only timers, users and faults can go on.
    pub fn is_quiet(&self) -> bool {
        self.pending().is_empty()
    }

    pub fn actions(&self, scope: &Scope, actions: &mut Vec<Action>) {
        let mut steps = self.pending();
        let quiet = steps.is_empty();
        let lumps = steps.iter().filter_map(|step| match *step {
            Step::Arrive { from, to, lane, .. } if self.queued((from, to, lane)) > 1 => {
                Some(Step::Arrive { from, to, lane, all: true })
            }
            _ => None,
        });
        steps.extend(lumps.collect::<Vec<_>>());
        for (at, node) in self.up() {
            if self.places[at].broadcasts > 0 {
                steps.push(Step::Broadcast { at });
            }
            for (of, suspected) in node.suspects.iter().copied().enumerate().filter(|(of, _)| *of != at) {
                let Peer::Met(life) = node.peers[of] else { continue };
                let allowed = if self.is_up(life) {
                    suspected || self.mistakes < scope.mistakes
                } else {
                    scope.suspicions && !suspected
                };
                if allowed {
                    steps.push(Step::Opinion { at, of, suspected: !suspected });
                }
            }
        }
        if quiet || self.hurried < scope.hurried {
            steps.extend(self.timers());
        }
        for step in &steps {
            actions.push(Action::Step(*step));
        }
        if self.may_crash(scope) {
            for step in &steps {
                let mut run = Run::whole();
                self.clone().perform(*step, scope, &mut run);
                actions.extend((1..run.seen).map(|after| Action::Cut(*step, after)));
            }
            actions.extend(self.up().map(|(at, _)| Action::Crash { at }));
        }
        let down = (0..NODES).filter(|at| self.node(*at).is_none());
        for at in down {
            if self.restarts < scope.restarts {
                actions.push(Action::Restart { at });
            }
            let life = self.life(at);
            if scope.ends && !self.ended.contains(&life) {
                actions.push(Action::Decide { life });
            }
        }
        let mut lost: Vec<_> = self.queues().filter(|(from, ..)| !self.is_up(*from)).collect();
        lost.dedup_by_key(|(from, to, _)| (*from, *to));
        actions.extend(lost.into_iter().map(|(from, to, _)| Action::Lose { from, to }));
    }

    /// At most a minority is down or has not joined again at any time.
    fn may_crash(&self, scope: &Scope) -> bool {
        let counted_on = |(_, node): &(usize, &super::world::Node)| node.life.incarnation.0 == 1 || node.joined();
        self.crashes < scope.crashes && self.up().filter(counted_on).count() == NODES
    }

    /// The world after an action.
    pub fn after(&self, action: Action, scope: &Scope, run: &mut Run<'_>) -> World {
        let mut next = self.clone();
        match action {
            Action::Step(step) => next.perform(step, scope, run),
            Action::Cut(step, after) => {
                run.crash_after = Some(after);
                next.perform(step, scope, run);
            }
            Action::Crash { at } => next.crash(at, scope, run),
            Action::Restart { at } => {
                run.say(|| format!("n{at} starts again, without its memory"));
                next.restarts += 1;
                next.start(at, scope, run);
            }
            Action::Lose { from, to } => {
                run.say(|| format!("what {} had sent to {} is lost", life_name(from), life_name(to)));
                next.lose(from, to);
            }
            Action::Decide { life } => {
                run.say(|| format!("a majority ends {}", life_name(life)));
                next.ended.insert(life);
            }
        }
        next.forget_the_undeliverable();
        if scope.restarts > 0 {
            next.drop_known(scope);
        }
        next
    }

    pub fn perform(&mut self, step: Step, scope: &Scope, run: &mut Run<'_>) {
        match step {
            Step::Broadcast { at } => {
                run.say(|| format!("{} broadcasts", life_name(self.life(at))));
                self.broadcast(at, scope, run);
            }
            Step::Arrive { from, to, lane, all } => self.arrive((from, to, lane), all, scope, run),
            Step::Meet { at, other } => self.meet(at, other, scope, run),
            Step::Told { at, life } => {
                run.say(|| format!("{} is told that {} is ended", life_name(self.life(at)), life_name(life)));
                self.change(at, |node| {
                    node.told.insert(life);
                    if node.peers[life.node.0 as usize] == Peer::Met(life) {
                        node.peers[life.node.0 as usize] = Peer::Ended(life);
                    }
                });
                self.give(at, ended(life, EndedWhy::Decided), scope, run);
            }
            Step::Opinion { at, of, suspected } => {
                let Some(Peer::Met(life)) = self.node(at).map(|node| node.peers[of].clone()) else { return };
                let how = if suspected { "suspects" } else { "trusts" };
                run.say(|| format!("{} {how} {}", life_name(self.life(at)), life_name(life)));
                self.mistakes += u8::from(suspected && self.is_up(life));
                self.change(at, |node| node.suspects[of] = suspected);
                let event = AnyEvent::new(Suspicion { life, name: life_name(life).into(), suspected });
                self.give(at, Item::Event(event), scope, run);
            }
            Step::Timer { at, which } => {
                self.hurried += u8::from(scope.hurried > 0 && !self.is_quiet());
                let Some((timer, id)) = self.node(at).and_then(|node| node.adapter.timers().get(which).cloned()) else {
                    return;
                };
                run.say(|| format!("{}'s timer {timer:?} fires", life_name(self.life(at))));
                self.give(at, Item::Timer(id), scope, run);
            }
        }
    }

    fn meet(&mut self, at: usize, other: usize, scope: &Scope, run: &mut Run<'_>) {
        let (me, life) = (self.life(at), self.life(other));
        run.say(|| format!("{} meets {}", life_name(me), life_name(life)));
        let mut before = None;
        self.change(at, |node| {
            node.suspects[other] = false;
            before = Some(std::mem::replace(&mut node.peers[other], Peer::Met(life)));
        });
        match before {
            Some(Peer::Unmet(waiting)) => self.queue(me, life, waiting),
            Some(Peer::Met(old)) => self.give(at, ended(old, EndedWhy::Succeeded), scope, run),
            Some(Peer::Ended(_)) | None => {}
        }
        let joined = PeerChange::Joined { life, role: PeerRole::Voter, name: life_name(life).into() };
        self.give(at, Item::Peer(joined), scope, run);
    }

    /// Nothing fails any more: what is pending happens, in one order, then the
    /// timers, until nothing changes or the same comes again. `None` if it
    /// never comes to that.
    pub fn settled(&self, scope: &Scope) -> Option<World> {
        let mut world = self.clone();
        let mut rests = vec![];
        for _ in 0..30 {
            while let Some(step) = world.pending().first().copied() {
                world.perform(step, scope, &mut Run::whole());
                world.forget_the_undeliverable();
            }
            if rests.contains(&world) {
                return Some(world);
            }
            rests.push(world.clone());
            for step in world.clone().timers() {
                world.perform(step, scope, &mut Run::whole());
            }
        }
        None
    }
}

fn ended(life: Life, why: EndedWhy) -> Item {
    Item::Peer(PeerChange::Ended { life, why })
}
