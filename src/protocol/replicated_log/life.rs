//! A life begins: the directory is read or made, the log goes on, and a group is
//! founded or found.

use super::boot::{Loaded, Step, make, snapshot_name};
use super::component::{Phase, REMOVED, ReplicatedLog, VERSION};
use super::config::Mutant;
use super::elsewhere::Elsewhere;
use super::engine::{Engine, Hard};
use super::event::{Skipped, TornTail};
use super::following::{Following, Then};
use super::gathered::Gathered;
use super::members::{Founders, Hello, Member};
use super::message::{Body, Message};
use super::reads::Reads;
use super::record::Header;
use super::replica::Replica;
use super::rounds::Rounds;
use super::snapshot::Meta;
use super::state::State;
use super::transfer::Transfers;
use super::wal::Wal;
use crate::component::{Context, DiskDone, DiskOp, Lane, To, Token};
use crate::error::Fault;
use crate::id::Life;
use bytes::Bytes;
use std::io;

impl ReplicatedLog {
    pub(super) fn disk(
        &mut self,
        token: Token,
        result: io::Result<DiskDone>,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), Fault> {
        let failed = |error: io::Error| Fault::Broken(format!("the log's disk failed: {error}"));
        match &mut self.phase {
            Phase::Loading(loader) => match loader.done(result).map_err(failed)? {
                Step::Ask(op) => _ = cx.disk(op),
                Step::Refused(why) => self.unusable(why, cx),
                Step::Loaded(loaded) => self.loaded(*loaded, cx)?,
            },
            Phase::Making(replica, made) => {
                result.map_err(failed)?;
                if *made == token {
                    let replica = *replica;
                    self.begin(
                        replica,
                        Loaded { replica: None, recovered: None, snapshots: vec![], newest: Bytes::new() },
                        cx,
                    )?;
                }
            }
            Phase::Running(_) => {
                // Whatever failed, what is on the disk is unknown: never tried again by this life.
                if self.config.mutant != Some(Mutant::FailedSyncIgnored) {
                    result.map_err(failed)?;
                }
                self.performed(token, cx)?;
            }
            Phase::Idle | Phase::Unusable(_) => {}
        }
        Ok(())
    }

    pub(super) fn loaded(&mut self, loaded: Loaded, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let replica = match loaded.replica {
            Some(replica) if loaded.recovered.is_some() => return self.begin(replica, loaded, cx),
            // an earlier life's sync of it may have failed, and nothing rests on it yet: made once more
            Some(replica) => replica,
            None => cx.rng().u64(1..),
        };
        let [format, identity] = make(cx.me().node, replica);
        cx.disk(format);
        self.phase = Phase::Making(replica, cx.disk(identity));
        Ok(())
    }

    /// The replica's log goes on, or begins.
    pub(super) fn begin(&mut self, id: u64, loaded: Loaded, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let seed = cx.rng().u64(..);
        let mut hard = loaded.recovered.as_ref().map(|it| it.hard).unwrap_or_default();
        if self.has(Mutant::TermForgotten) {
            let floor = loaded.recovered.as_ref().and_then(|it| it.entries.last().map(|entry| entry.term));
            let floor = floor.or(loaded.recovered.as_ref().and_then(|it| it.snapshot.as_ref().map(|it| it.0.term)));
            hard = Hard { term: floor.unwrap_or(0), vote: 0, ..hard };
        }
        let (mut engine, mut state) = (None, None);
        let (mut next, mut header, mut rewrite, mut live, mut dead) = (1, Header::default(), vec![], vec![], vec![]);
        let mut newest = Meta::default();
        if let Some(recovered) = loaded.recovered {
            if recovered.torn {
                cx.publish(TornTail);
            }
            (next, header, rewrite) = (recovered.next, recovered.header, recovered.rewrite);
            (live, dead) = (recovered.live, recovered.dead);
            if let Some((meta, bytes)) = recovered.snapshot {
                match State::restored(meta.index, meta.conf.clone(), &bytes, &self.config.machines) {
                    Ok(restored) => state = Some(restored),
                    Err(why) => {
                        self.unusable(format!("its snapshot is of another program: {why}"), cx);
                        return Ok(());
                    }
                }
                newest = meta.clone();
                engine = Some(Engine::new(id, seed, hard, meta, &recovered.entries)?);
            }
        }
        if let Some(state) = state.as_ref().filter(|state| !state.conf.has(id)) {
            cx.publish(state.seats.list());
            self.unusable(REMOVED.into(), cx);
            return Ok(());
        }
        if !loaded.newest.is_empty() && (loaded.snapshots.len() == 1 || header.after.is_none()) {
            // an earlier life's sync of its name may have failed, and no other connects with the log
            cx.disk(DiskOp::Replace { name: snapshot_name(newest.index), bytes: loaded.newest.clone() });
        }
        let mut wal = Wal::new(id, self.config.segment_bytes, live, hard);
        wal.begin(next, header, rewrite, dead, &mut |op| cx.disk(op));
        if let Some(state) = &mut state {
            state.twice = self.config.mutant == Some(Mutant::ApplyTwice);
            if state.applied > 1 {
                cx.publish(Skipped { through: state.applied });
            }
        }
        let following = Following::new(newest.index, loaded.snapshots, loaded.newest);
        let reads = Reads::new(id, seed);
        let (rounds, transfers) = (Rounds::new(wal.wanted(), hard), Transfers::default());
        self.phase = Phase::Running(Box::new(Replica {
            id,
            seed,
            wal,
            hard,
            engine,
            state,
            rounds,
            following,
            gathered: Gathered::default(),
            reads,
            transfers,
            elsewhere: Elsewhere::default(),
        }));
        self.greet(None, cx);
        self.gather(cx)
    }

    /// Tells one peer, or all, which replica this is and of which group.
    pub(super) fn greet(&mut self, to: Option<Life>, cx: &mut Context<'_, Self>) {
        let Phase::Running(replica) = &self.phase else { return };
        let founders = replica.state.as_ref().map(|state| state.founders.clone());
        let hello = Message(Body::Hello(Hello { version: VERSION, replica: replica.id, founders }));
        match to {
            Some(life) => _ = cx.send(To::Life(life), Lane::Control, &hello),
            None => {
                for life in self.peers.values() {
                    cx.send(To::Life(*life), Lane::Control, &hello);
                }
            }
        }
    }

    /// A replica without a group founds one with all voters that have none
    /// either, takes part in one that it is a founder of, or is to join one. A joiner
    /// only joins.
    pub(super) fn gather(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let (Some(boot), Phase::Running(replica)) = (&self.boot, &mut self.phase) else { return Ok(()) };
        if replica.state.is_some() {
            return Ok(());
        }
        let groups: Vec<&Founders> = self.hellos.values().filter_map(|hello| hello.founders.as_ref()).collect();
        if let Some(founders) = groups.iter().find(|founders| founders.has(replica.id)) {
            let founders = (*founders).clone();
            return self.found(founders, cx);
        }
        if !groups.is_empty() {
            if replica.engine.is_none() {
                replica.engine = Some(Engine::new(replica.id, replica.seed, replica.hard, Meta::default(), &[])?);
            }
            return Ok(());
        }
        let met = || self.hellos.iter().filter(|(node, _)| self.configured.contains(node));
        if boot.voter && met().count() + 1 == boot.voters && replica.engine.is_none() {
            let mut members: Vec<Member> =
                met().map(|(node, hello)| Member { replica: hello.replica, node: *node }).collect();
            members.push(Member { replica: replica.id, node: cx.me().node });
            let founders = Founders::new(members);
            if !founders.is_sound() {
                self.unusable("two nodes have the same data directory, or there are too many voters".into(), cx);
                return Ok(());
            }
            return self.found(founders, cx);
        }
        Ok(())
    }

    /// Begins as a founder: the group's snapshot of nothing is written first.
    pub(super) fn found(&mut self, founders: Founders, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let mut state = State::founded(founders.clone(), &self.config.machines);
        state.twice = self.has(Mutant::ApplyTwice);
        let Some(replica) = self.running() else { return Ok(()) };
        let meta = founders.meta();
        let hard = replica.hard;
        let hard = if hard.term == 0 { Hard { term: 1, vote: 0, commit: 1 } } else { Hard { commit: 1, ..hard } };
        let bytes = super::snapshot::encode(&meta, &(state.snapshot().0)());
        replica.following.keep(meta.clone(), bytes, Then::Begin, false, cx);
        replica.wal.hold();
        replica.engine = Some(Engine::new(replica.id, replica.seed, hard, meta, &[])?);
        replica.state = Some(state);
        self.greet(None, cx);
        Ok(())
    }
}
