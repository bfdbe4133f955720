//! One disk, two drivers: the same component asks the same things of the
//! simulated disk and of real files, and gets the same answers.
//!
//! A list of cases says what is right, and random sequences of operations say
//! that there is no case beside it in which the two differ. What a crash leaves
//! is a property of the simulated disk's model, tried where it stands
//! (`src/sim/disk/tests`): **the real disk's crash cannot be done here**, since a
//! process that is killed takes nothing from its files. Nor can its failures be
//! asked for (EIO, ENOSPC): those are the simulated disk's alone.

mod cases;
mod clerk;
mod random;

use clerk::{Answer, Clerk, Step};
use nodewright::component::{Factory, NetComponent, Stack};
use nodewright::runtime::{self, Options};
use nodewright::sim::World;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

fn stack() -> Stack {
    Stack { factories: vec![Factory::new(Clerk::default)] }
}

/// What the simulated disk answers.
fn simulated(steps: Vec<Step>) -> Vec<Answer> {
    let mut world = World::new(steps.len() as u64);
    let node = world.add_node("alpha", stack());
    let ticket = world.call(node, Clerk::default().manifest().kind(), Box::new(steps), DEADLINE);
    world.run_for(DEADLINE);
    world.answer(ticket).expect("a virtual minute has passed").expect("it answers within it")
}

/// A directory of its own, removed afterwards.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("nodewright-conformance-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        Directory(dir)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What real files answer.
fn real(steps: Vec<Step>) -> Vec<Answer> {
    let dir = Directory::new();
    let node = runtime::start(stack(), Options { dir: Some(dir.0.clone()), ..Options::new("alpha") }).expect("starts");
    let answers = node.call(Clerk::default().manifest().kind(), Box::new(steps), DEADLINE).expect("answers");
    node.stop();
    *answers.downcast().expect("a clerk answers so")
}

/// Both must give these answers.
#[track_caller]
fn check(name: &str, case: Vec<(Step, Answer)>) {
    let (steps, expected): (Vec<Step>, Vec<Answer>) = case.into_iter().unzip();
    for (disk, answers) in [("simulated", simulated(steps.clone())), ("real", real(steps.clone()))] {
        assert_eq!(answers.len(), expected.len(), "{name}: the {disk} disk");
        for ((step, answer), expected) in steps.iter().zip(answers).zip(&expected) {
            assert_eq!(answer, *expected, "{name}: the {disk} disk at {step:?}");
        }
    }
}
