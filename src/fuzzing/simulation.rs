//! The simulator, driven by bytes.
//!
//! ```text
//!   [scenario][nodes][calls][chaos][faults, 2 bytes][seed, up to 8 bytes]
//! ```

use crate::scenario::scenarios;
use crate::sim::{FaultClass, FaultClasses, Setup};

pub(super) fn simulation(input: &[u8]) {
    let byte = |at: usize| input.get(at).copied().unwrap_or(0);
    let scenarios = scenarios();
    let scenario = &scenarios[usize::from(byte(0)) % scenarios.len()];
    let sizes: Vec<usize> = scenario.nodes().collect();
    let bits = u16::from_le_bytes([byte(4), byte(5)]);
    let chosen = FaultClass::ALL.into_iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
    let seed = input.iter().skip(6).take(8).rev().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    let setup = Setup {
        seed,
        nodes: sizes[usize::from(byte(1)) % sizes.len()],
        calls: usize::from(byte(2)) % 41,
        faults: chosen.fold(FaultClasses::none(), |classes, (_, class)| classes.with(class)),
        chaos: u32::from(byte(3)) % 151,
    };
    if let Err(violation) = scenario.run(&setup, None).result {
        panic!("{violation}\nreplay: nodewright sim --what {} {setup}", scenario.name());
    }
}
