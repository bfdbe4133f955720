//! One round after the other: what the engine asks for is written, sent and
//! applied; what it may know by now it is told.
//!
//! 1. Proposals and reads go to the leader.
//! 2. The engine's work: a leader's messages leave at once, beside its own sync;
//!    everything else that rests on what is to be written waits for it.
//! 3. What is durable releases what waited for it.
//! 4. What is committed is applied, delivered, answered.
//! 5. The next write begins, if none is under way.

use super::component::{Phase, ReplicatedLog, Timer};
use super::config::Mutant;
use super::event::LogLeader;
use super::message::{Body, Done, Message, Proposed};
use crate::component::{Context, Lane, Progress, Target, To};
use crate::error::Fault;
use crate::id::Kind;
use bytes::Bytes;

type Cx<'a, 'b> = &'a mut Context<'b, ReplicatedLog>;

impl ReplicatedLog {
    /// See the module.
    pub(super) fn pump(&mut self, cx: Cx<'_, '_>) -> Result<(), Fault> {
        loop {
            self.ask_leader(cx);
            let mut moved = false;
            while let Phase::Running(replica) = &mut self.phase
                && let Some(engine) = &mut replica.engine
                && let Some(work) = engine.work()?
            {
                self.work(work, cx)?;
                moved = true;
            }
            moved |= self.release(cx);
            moved |= self.apply(cx)?;
            if !moved {
                break;
            }
        }
        self.send(cx);
        self.answer(cx);
        if let Phase::Running(replica) = &mut self.phase {
            replica.wal.write(&mut |op| cx.disk(op));
        }
        for (channel, broadcasts) in &mut self.broadcasts {
            if std::mem::take(&mut broadcasts.dirty) {
                let (done, released_bytes, failed) = (broadcasts.done, broadcasts.released_bytes, broadcasts.failed);
                let (via, target) = (Kind::of(super::NAME), Target::All);
                cx.progress(*channel, Progress { via, target, delivered: done, stable: done, released_bytes, failed });
            }
        }
        self.lead(cx);
        if let Phase::Running(replica) = &mut self.phase
            && let Some(state) = &replica.state
        {
            replica.following.seat(&state.seats, cx);
        }
        self.compare(cx);
        Ok(())
    }

    /// Tells the node who leads, when that changes.
    fn lead(&mut self, cx: Cx<'_, '_>) {
        let Phase::Running(replica) = &mut self.phase else { return };
        let Some(engine) = &replica.engine else { return };
        let led = (engine.leader(), engine.term());
        // a term that is not durable may yet be taken back
        if replica.following.led != Some(led) && led.1 == replica.rounds.durable.term {
            let before = replica.following.led.replace(led);
            if before.is_none_or(|(leader, _)| leader != led.0) || led.0 != 0 {
                let node = replica.leader(cx.me().node);
                cx.publish(LogLeader { node, term: led.1 });
                match node {
                    Some(node) => log::info!(target: "nodewright::replicated_log", "{node} leads in term {}", led.1),
                    None => log::info!(target: "nodewright::replicated_log", "no leader in term {}", led.1),
                }
            }
        }
    }

    fn ask_leader(&mut self, cx: Cx<'_, '_>) {
        let mutant = self.config.mutant;
        let Phase::Running(replica) = &mut self.phase else { return };
        let (Some(engine), Some(state)) = (&mut replica.engine, &replica.state) else { return };
        let leader = engine.leader();
        if leader == 0 {
            return;
        }
        let (me, group, now) = (cx.me(), state.founders.group(), cx.now());
        if !self.proposals.is_empty() {
            let life = self.lives.get(&leader).copied();
            let term = engine.term();
            self.proposals.send(me, (leader, term), now, |entry| {
                if engine.leads() {
                    return replica.gathered.add(entry, engine);
                }
                let Some(life) = life else { return false };
                let lane = if entry.len() < 4096 { Lane::Control } else { Lane::Data };
                cx.send_with(To::Life(life), lane, &Message(Body::Propose(group)), &entry);
                true
            });
            if mutant == Some(Mutant::AckBeforeMajority) && engine.leads() {
                for reply_to in self.proposals.believe() {
                    let done = Done { term, index: engine.last(), synced: 1, reply: Bytes::new() };
                    cx.reply::<Proposed>(reply_to, Ok(done));
                }
            }
        }
        if let Some(moment) = replica.gathered.propose(engine) {
            cx.set_timer(Timer::Gather, moment);
        }
        if mutant == Some(Mutant::LeaseRead) && engine.leads() {
            replica.reads.believe(state.applied);
        }
        if let Some(context) = replica.reads.attempt(now) {
            engine.read_index(context);
        }
    }
}
