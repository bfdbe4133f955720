//! A component of your own, in both drivers: it greets every peer that joins.
//!
//! `cargo run --example custom_component`
#![expect(clippy::print_stdout, reason = "an example shows its point")]

use nodewright::component::{Context, Input, Lane, Manifest, NetComponent, PeerChange, To};
use nodewright::node::{Node, start_together};
use nodewright::{error::Fault, event::Event, sim::World};
use std::{convert::Infallible, error::Error, time::Duration};

struct Greeter(u32);

#[derive(Clone, Debug)]
struct Greeted(u32);
impl Event for Greeted {
    const NAME: &'static str = "greeted";
    const RETAINED: bool = true;
}

impl NetComponent for Greeter {
    type Message = String;
    type Call = Infallible;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest::new("greeter")
    }
    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        if let Input::Peer(PeerChange::Joined { life, name, .. }) = input {
            cx.send(To::Life(*life), Lane::Data, &format!("hello {name}"));
        } else if let Input::Message { .. } = input {
            self.0 += 1;
            cx.publish(Greeted(self.0));
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let node = |name: &str| Node::new(name, 0, 2).has_component(|| Greeter(0));
    let mesh = start_together(["alpha", "beta", "gamma"].map(node))?;
    for running in &mesh {
        let events = running.events::<Greeted>(); // the last one is retained
        while events.next_within(Duration::from_secs(30)).ok_or("nobody greets")?.0 < 2 {}
    }
    mesh.iter().for_each(|running| running.stop());

    let mut world = World::new(7); // the same composition, in virtual time
    for name in ["alpha", "beta", "gamma"] {
        world.add_node(name, node(name).into_stack()?);
    }
    world.run_for(Duration::from_secs(5));
    let all_greeted = world.all().all(|at| world.events::<Greeted>(at).any(|(_, _, greeted)| greeted.0 == 2));
    println!("greeted twice each, on threads and in the world of seed 7: {all_greeted}");
    if all_greeted { Ok(()) } else { Err("somebody was not greeted in the simulator".into()) }
}
