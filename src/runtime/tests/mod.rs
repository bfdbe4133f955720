//! The runtime with little components.

mod core;
mod disk;
mod falls;
mod leaks;
mod links;
mod streams;

use super::*;
use crate::component::{Context, Factory, Input, Item, Manifest, NetComponent, Role, Run};
use crate::error::Fault;
use crate::id::Kind;
use std::time::{Duration, Instant};

/// Longest wait for what must happen.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

type Step = Box<dyn FnMut(Input<'_, Little>, &mut Context<'_, Little>) -> Result<(), Fault> + Send>;

/// A component made of one closure.
pub(super) struct Little {
    manifest: Manifest,
    step: Step,
}

impl NetComponent for Little {
    type Message = u64;
    type Call = u64;
    type Timer = u64;
    type Job = u64;
    type Done = u64;

    fn manifest(&self) -> Manifest {
        self.manifest.clone()
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        (self.step)(input, cx)
    }

    fn run(job: u64) -> u64 {
        assert_ne!(job, 13, "a planted panic");
        job * 2
    }
}

/// A factory of little components; `make` makes the closure anew each time.
pub(super) fn little<S>(manifest: Manifest, make: impl Fn() -> S + Send + Sync + 'static) -> Factory
where
    S: FnMut(Input<'_, Little>, &mut Context<'_, Little>) -> Result<(), Fault> + Send + 'static,
{
    Factory::new(move || Little { manifest: manifest.clone(), step: Box::new(make()) })
}

pub(super) fn named(name: &'static str) -> Manifest {
    Manifest::new(name)
}

pub(super) fn started(factories: Vec<Factory>) -> Handle {
    start(Stack { factories }, Options::new("test")).expect("starts")
}

/// Asks a component in the way of its own calls.
pub(super) fn ask(handle: &Handle, to: &'static str, call: u64) -> Result<u64, crate::error::CallError> {
    let answer = handle.call(Kind::of(to), Box::new(call), DEADLINE)?;
    Ok(*answer.downcast::<u64>().expect("little components answer with numbers"))
}

/// Waits until `met`.
pub(super) fn until(what: &str, mut met: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !met() {
        assert!(begun.elapsed() < DEADLINE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
