//! A component of your own, tested under partitions, loss and pauses with a
//! property of your own, in thousands of simulated worlds; then the same with
//! a bug, which is found, shrunk and shown.
//!
//! `cargo run --release --example test_your_component`
#![expect(clippy::print_stdout, reason = "an example shows its point")]

use nodewright::component::{Context, Input, Lane, Manifest, NetComponent, Stack, To};
use nodewright::error::{CallError, Fault};
use nodewright::id::{Kind, NodeId};
use nodewright::sim::check::Violation;
use nodewright::sim::{Counts, Setup, Smallest, World, seeds};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

/// A replicated counter: each node counts its own increments and gossips what
/// it knows of everyone's; the total is their sum.
#[derive(Default)]
struct Counter {
    known: BTreeMap<NodeId, u64>,
    told: BTreeMap<NodeId, u64>,
    bug: bool,
}

enum Call {
    Increment,
    Total,
}

impl NetComponent for Counter {
    type Message = BTreeMap<NodeId, u64>;
    type Call = Call;
    type Timer = ();
    type Job = Infallible;
    type Done = Infallible;

    fn manifest(&self) -> Manifest {
        Manifest::new("counter")
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Call { call: Call::Increment, reply_to } => {
                *self.known.entry(cx.me().node).or_insert(0) += 1;
                cx.reply(reply_to, ());
            }
            Input::Call { call: Call::Total, reply_to } => cx.reply(reply_to, self.known.values().sum::<u64>()),
            Input::Message { head, .. } => {
                for (node, count) in head {
                    let known = self.known.entry(node).or_insert(0);
                    *known = count.max(*known); // what comes twice or late counts once
                }
            }
            Input::Started(_) | Input::Timer(()) => {
                // The bug: "they know that already." But gossip may be lost.
                if !self.bug || self.told != self.known {
                    self.told = self.known.clone();
                    cx.send(To::All, Lane::Probe, &self.known);
                }
                cx.set_timer((), ms(100));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Increments under all faults but crashes; in the end all nodes show them all.
fn run(setup: &Setup, bug: bool) -> (World, Result<(), Violation>) {
    let (mut world, counter) = (World::new(setup.seed), Kind::of("counter"));
    let stack = || Stack::of(move || Counter { bug, ..Counter::default() });
    let nodes: Vec<_> = (0..setup.nodes).map(|n| world.add_node(&format!("n{n}"), stack())).collect();
    let faults = setup.draw(&mut world.rng().fork(), 0); // at most 0 nodes are down at a time
    world.set_faults(faults);
    for _ in 0..setup.calls {
        let node = nodes[world.rng().usize(..nodes.len())];
        world.call(node, counter, Box::new(Call::Increment), ms(10_000));
        world.run_for(setup.chaos(ms(100)));
    }
    world.heal();
    world.run_for(ms(1000));
    for node in nodes {
        let total: Result<u64, CallError> = world.ask(node, counter, Call::Total, ms(1000));
        if total != Ok(setup.calls as u64) {
            let what = format!("{node:?} shows {total:?} after {} increments", setup.calls);
            return (world, Err(Violation::new("every increment counts once", what)));
        }
    }
    (world, Ok(()))
}

fn explore(bug: bool) -> Result<Counts, String> {
    seeds("counter", 0..2000)
        .replayed_by("cargo run --example test_your_component")
        .sometimes(&["partitions", "pauses", "frames lost", "frames duplicated", "frames reordered"])
        .measures(Setup { nodes: 4, calls: 10, ..Setup::default() }, Smallest { nodes: 2, calls: 1 })
        .explore(|setup| run(setup, bug))
}

fn main() -> Result<(), String> {
    let counts = explore(false)?;
    println!("2000 worlds, {} partitions, {} frames lost: right", counts["partitions"], counts["frames lost"]);
    match explore(true) {
        Ok(_) => Err("the bug was not found".to_string()),
        Err(failure) => {
            println!("with a bug, seed by seed:\n{failure}");
            Ok(())
        }
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
