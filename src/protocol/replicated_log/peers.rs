//! What comes from peers: who they are, the engine's messages, proposals, wishes,
//! snapshots.

use super::component::{Phase, ReplicatedLog, VERSION};
use super::members::{Founders, Member};
use super::message::Body;
use super::state::State;
use super::transfer::{self};
use super::wishes::Wish;
use crate::component::{Context, PeerChange, PeerRole, StreamId, StreamInput, StreamOp};
use crate::error::Fault;
use crate::id::{Life, NodeId};
use bytes::Bytes;

impl ReplicatedLog {
    pub(super) fn peer(&mut self, change: &PeerChange, cx: &mut Context<'_, Self>) {
        match change {
            PeerChange::Joined { life, role: role @ (PeerRole::Voter | PeerRole::Joiner), .. } => {
                self.peers.insert(life.node, *life);
                match role {
                    PeerRole::Voter => self.configured.insert(life.node),
                    _ => self.configured.remove(&life.node),
                };
                self.forget(life.node);
                self.greet(Some(*life), cx);
            }
            PeerChange::Ended { life, .. } if self.peers.get(&life.node) == Some(life) => {
                self.peers.remove(&life.node);
                self.forget(life.node);
                if let Phase::Running(replica) = &mut self.phase {
                    for to in replica.transfers.ended(*life) {
                        replica.snapshot_ended(to, false);
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        if let Some(hello) = self.hellos.remove(&node) {
            self.lives.remove(&hello.replica);
        }
    }

    pub(super) fn message(
        &mut self,
        from: Life,
        body: Body,
        bytes: Bytes,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), Fault> {
        if self.peers.get(&from.node) != Some(&from) {
            return Ok(());
        }
        if let Body::Hello(hello) = body {
            let sound = hello.version == VERSION && hello.founders.as_ref().is_none_or(Founders::is_sound);
            if !sound || hello.replica == 0 {
                self.junk += 1;
                return Ok(());
            }
            self.forget(from.node);
            self.lives.insert(hello.replica, from);
            self.hellos.insert(from.node, hello);
            return self.gather(cx);
        }
        let Some(hello) = self.hellos.get(&from.node) else { return Ok(()) };
        let sender = hello.replica;
        let Phase::Running(replica) = &mut self.phase else { return Ok(()) };
        // Who is to join has no group yet; one of another group is not heard.
        let own = replica.state.as_ref().map(|state| state.founders.group());
        let Some(group) = own.or(hello.group()) else { return Ok(()) };
        let ours = hello.group().is_none_or(|of| of == group);
        let taken = ours
            && match body {
                Body::Engine(of, message) => of == group && message.from == sender && replica.step(&message),
                Body::Propose(of) => of == group && replica.forwarded(from, &bytes),
                Body::Wish(of, wish) => {
                    let own = Member { replica: sender, node: from.node };
                    let sound = of == group && !matches!(wish, Wish::Join(member) if member != own);
                    if sound {
                        replica.grant(&wish);
                    }
                    sound
                }
                Body::Hash { group: of, index, hash } => of == group && replica.following.heard(sender, index, hash),
                Body::Hello(_) => true,
            };
        self.junk += u64::from(!taken);
        Ok(())
    }

    pub(super) fn stream(&mut self, id: StreamId, input: StreamInput, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let machines = &self.config.machines;
        let Phase::Running(replica) = &mut self.phase else {
            if let StreamInput::Opened { .. } = input {
                cx.stream(id, StreamOp::Reset("this replica does not run".into()));
            }
            return Ok(());
        };
        match input {
            StreamInput::Opened { peer: Some(from), name } if name == transfer::NAME && id.0 & 1 == 0 => {
                replica.transfers.opened(id, from);
                cx.stream(id, StreamOp::Grant(transfer::WINDOW));
            }
            StreamInput::Opened { .. } => {}
            StreamInput::Chunk(bytes) => {
                let op = match replica.transfers.chunk(id, &bytes) {
                    true => StreamOp::Grant(bytes.len() as u64),
                    false => StreamOp::Reset("too long for a snapshot".into()),
                };
                cx.stream(id, op);
            }
            StreamInput::Writable(bytes) => {
                let (ops, sent) = replica.transfers.writable(id, bytes);
                ops.into_iter().for_each(|op| cx.stream(id, op));
                if let Some(to) = sent {
                    replica.snapshot_ended(to, true);
                }
            }
            StreamInput::Finished => {
                let Some(arrived) = replica.transfers.finished(id) else {
                    self.junk += 1;
                    return Ok(());
                };
                let known = self.lives.get(&arrived.message.from) == Some(&arrived.from);
                let state = State::restored(arrived.meta.index, arrived.meta.conf.clone(), &arrived.state, machines);
                match state {
                    Ok(state) if known && state.founders.group() == arrived.group => {
                        replica.following.arrived = Some((arrived.meta, arrived.bytes, state));
                        self.junk += u64::from(!replica.step(&arrived.message));
                    }
                    _ => self.junk += 1,
                }
            }
            StreamInput::Reset(_) => {
                if let Some(to) = replica.transfers.cut(id) {
                    replica.snapshot_ended(to, false);
                }
            }
        }
        Ok(())
    }
}
