//! A component of your own, in both drivers: it greets every peer that joins
//! and counts the greetings it gets.
//!
//! `cargo run --example custom_component`

use nodewright::component::{Context, Input, Lane, Manifest, NetComponent, PeerChange, To};
use nodewright::error::Fault;
use nodewright::event::Event;
use nodewright::node::{Node, start_together};
use nodewright::sim::World;
use std::{convert::Infallible, error::Error, time::Duration};

#[derive(Default)]
struct Greeter {
    greeted: u32,
}

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
        match input {
            Input::Peer(PeerChange::Joined { life, name, .. }) => {
                cx.send(To::Life(*life), Lane::Data, &format!("hello {name}"));
            }
            Input::Message { .. } => {
                self.greeted += 1;
                cx.publish(Greeted(self.greeted));
            }
            _ => {}
        }
        Ok(())
    }
}

fn node(name: &str) -> Node {
    Node::new(name, 0, 2).has_component(Greeter::default)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mesh = start_together(["alpha", "beta", "gamma"].map(node))?;
    for running in &mesh {
        let events = running.events::<Greeted>(); // the last one is retained
        while events.next_within(Duration::from_secs(30)).ok_or("nobody greets")?.0 < 2 {}
    }
    mesh.iter().for_each(|running| running.stop());

    let mut world = World::new(7); // the same stacks, in virtual time
    for name in ["alpha", "beta", "gamma"] {
        world.add_node(name, node(name).into_stack()?);
    }
    world.run_for(Duration::from_secs(5));
    let all_greeted = world.all().all(|at| world.events::<Greeted>(at).any(|(_, _, Greeted(n))| *n == 2));
    println!("greeted twice each, on threads and in the world of seed 7: {all_greeted}");
    if all_greeted { Ok(()) } else { Err("somebody was not greeted in the simulator".into()) }
}
