//! A component that says numbered blocks to every peer when it is asked to,
//! and publishes what it sends and receives.

use crate::component::{Context, Input, Lane, Manifest, NetComponent, PeerChange, To};
use crate::error::Fault;
use crate::event::{AnyEvent, Event};
use crate::id::{Kind, Life, NodeId};
use crate::sim::check::Passed;
use crate::sim::{NodeIndex, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

const TALKER: &str = "talker";
const BYTES_MAX: usize = 2000;

/// A block sent or received.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Block(pub(super) Passed);

impl Event for Block {
    const NAME: &'static str = "block";
}

/// Reads it.
pub(super) fn passed(event: &AnyEvent) -> Option<Passed> {
    event.get::<Block>().map(|block| block.0)
}

/// Says one block to every peer, on some lane.
pub(super) struct Say;

/// The head of a block.
#[derive(Serialize, Deserialize)]
pub(super) struct Word {
    lane: u8,
    number: u64,
}

#[derive(Default)]
pub(super) struct Talker {
    peers: BTreeMap<NodeId, Life>,
    sent: BTreeMap<(Life, Lane), u64>,
}

/// Has the talker of `node` say something.
pub(super) fn say(world: &mut World, node: NodeIndex) {
    world.call(node, Kind::of(TALKER), Box::new(Say), Duration::from_millis(500));
}

impl NetComponent for Talker {
    type Message = Word;
    type Call = Say;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest::new(TALKER)
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Call { reply_to, .. } => {
                cx.reply(reply_to, ());
                for &peer in self.peers.values() {
                    let lane = [Lane::Control, Lane::Data, Lane::Bulk][cx.rng().usize(0..3)];
                    let number = self.sent.entry((peer, lane)).or_insert(0);
                    *number += 1;
                    // before it is sent: a crash between the two owes nothing
                    cx.publish(Block(Passed { sent: true, peer, lane, number: *number }));
                    let body = vec![0; cx.rng().usize(0..BYTES_MAX)];
                    cx.send_with(To::Life(peer), lane, &Word { lane: lane as u8, number: *number }, &body);
                }
            }
            Input::Message { from, head, .. } => {
                if let Some(lane) = Lane::from_u8(head.lane) {
                    cx.publish(Block(Passed { sent: false, peer: from, lane, number: head.number }));
                }
            }
            Input::Peer(PeerChange::Joined { life, .. }) => drop(self.peers.insert(life.node, *life)),
            Input::Peer(PeerChange::Ended { life, .. }) if self.peers.get(&life.node) == Some(life) => {
                self.peers.remove(&life.node);
            }
            _ => {}
        }
        Ok(())
    }
}
