//! Those whom a leader commands, each behind a fence.

use crate::component::{Context, Input, Lane, Manifest, NetComponent, PeerChange, To};
use crate::error::Fault;
use crate::event::{Event, EventType};
use crate::id::{Life, NodeId};
use crate::protocol::election::{Epoch, Fence, LeaderElected, LeaderLost};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

/// Leads when it is told so, obeys who leads.
pub(super) struct Commander {
    fenced: bool,
    fence: Fence,
    leads: Option<Epoch>,
    peers: BTreeMap<NodeId, Life>,
}

/// A command was done here.
#[derive(Copy, Clone, Debug)]
pub(super) struct Obeyed(pub(super) Epoch);

impl Event for Obeyed {
    const NAME: &'static str = "command_obeyed";
}

/// A command was refused here.
#[derive(Copy, Clone, Debug)]
struct Refused;

impl Event for Refused {
    const NAME: &'static str = "command_refused";
}

impl Commander {
    pub(super) fn new(fenced: bool) -> Self {
        Commander { fenced, fence: Fence::default(), leads: None, peers: BTreeMap::new() }
    }
}

impl NetComponent for Commander {
    type Message = Epoch;
    type Call = Infallible;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        let hears = vec![EventType::of::<LeaderElected>(), EventType::of::<LeaderLost>()];
        Manifest { hears, ..Manifest::new("commander") }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(_) => cx.set_timer((), Duration::from_millis(100)),
            Input::Event(event) => {
                if let Some(elected) = event.get::<LeaderElected>() {
                    self.leads = (elected.leader == cx.me()).then_some(elected.epoch);
                } else if event.get::<LeaderLost>().is_some_and(|lost| lost.leader == cx.me()) {
                    self.leads = None;
                }
            }
            Input::Peer(PeerChange::Joined { life, .. }) => _ = self.peers.insert(life.node, *life),
            Input::Timer(()) => {
                if let Some(epoch) = self.leads {
                    for life in self.peers.values() {
                        cx.send(To::Life(*life), Lane::Data, &epoch);
                    }
                }
                cx.set_timer((), Duration::from_millis(100));
            }
            Input::Message { head, .. } => match self.fence.admit(head) {
                Err(_) if self.fenced => cx.publish(Refused),
                _ => cx.publish(Obeyed(head)),
            },
            _ => {}
        }
        Ok(())
    }
}
