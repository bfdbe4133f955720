//! The clock components: what users name in the builder and read by calls.

use super::Clocks;
use crate::component::{Context, Input, Inspection, Manifest, NetComponent, Role, Run};
use crate::error::Fault;

/// What can be asked of a clock component.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ClockCall {
    /// The time now: [`Lamport`](super::Lamport) or
    /// [`VectorClock`](super::VectorClock).
    Read,
    /// Counts this many local events, then reads.
    Tick(u32),
}

/// The component `lamport_clock`: answers [`ClockCall`] with a
/// [`Lamport`](super::Lamport).
#[derive(Debug)]
pub struct LamportClock {
    clocks: Clocks,
}

impl LamportClock {
    /// Its name.
    pub const NAME: &'static str = "lamport_clock";

    /// Reads from `clocks`, which the node's delivery components share.
    pub fn new(clocks: Clocks) -> Self {
        LamportClock { clocks }
    }
}

/// The component `vector_clock`: answers [`ClockCall`] with a
/// [`VectorClock`](super::VectorClock).
#[derive(Debug)]
pub struct VectorTime {
    clocks: Clocks,
}

impl VectorTime {
    /// Its name.
    pub const NAME: &'static str = "vector_clock";

    /// Reads from `clocks`, which the node's delivery components share.
    pub fn new(clocks: Clocks) -> Self {
        VectorTime { clocks }
    }
}

fn clock_manifest(name: &'static str, provides: &'static str, guarantee: &'static str) -> Manifest {
    Manifest { provides: vec![provides], run: Run::InPlace, role: Role::Leaf, guarantee, ..Manifest::new(name) }
}

impl NetComponent for LamportClock {
    type Message = ();
    type Call = ClockCall;
    type Timer = ();
    type Job = std::convert::Infallible;
    type Done = std::convert::Infallible;

    fn manifest(&self) -> Manifest {
        clock_manifest(Self::NAME, "clock.lamport", "what happened before has a smaller time; no failure assumption")
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => self.clocks.begin(boot.me),
            Input::Call { call, reply_to } => {
                if let ClockCall::Tick(events) = call {
                    self.clocks.local(events);
                }
                cx.reply(reply_to, self.clocks.lamport().unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        into.row("time", self.clocks.lamport().unwrap_or_default().0);
    }
}

impl NetComponent for VectorTime {
    type Message = ();
    type Call = ClockCall;
    type Timer = ();
    type Job = std::convert::Infallible;
    type Done = std::convert::Infallible;

    fn manifest(&self) -> Manifest {
        clock_manifest(Self::NAME, "clock.vector", "times compare exactly as events happened; no failure assumption")
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Started(boot) => self.clocks.begin(boot.me),
            Input::Call { call, reply_to } => {
                if let ClockCall::Tick(events) = call {
                    self.clocks.local(events);
                }
                cx.reply(reply_to, self.clocks.vector().unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    }

    fn inspect(&self, into: &mut Inspection) {
        for (life, count) in self.clocks.vector().unwrap_or_default().entries() {
            into.row(life.to_string(), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lamport;
    use super::*;
    use crate::component::{Adapter, AnyComponent, Boot, Effect, Effects, Item, ReplyTo, Token};
    use crate::id::{Life, NodeId};
    use crate::time::Time;

    #[test]
    fn users_read_and_tick() {
        let mut clock = Adapter::new(LamportClock::new(Clocks::new(true, true)), 1);
        let mut out = Effects::default();
        let boot = Boot { me: Life::new(NodeId(1), 1), name: "a".into(), voters: 1, voter: true };
        let reply_to = ReplyTo { component: ReplyTo::USER, token: Token(1) };
        clock.step(Item::Started(boot), Time::ZERO, &mut out).expect("no fault");
        clock
            .step(Item::Call { call: Box::new(ClockCall::Tick(3)), reply_to }, Time::ZERO, &mut out)
            .expect("no fault");
        let Some(Effect::Reply(_, value)) = out.list.pop() else { panic!("no answer") };
        assert_eq!(value.downcast_ref::<Lamport>(), Some(&Lamport(3)));
    }
}
