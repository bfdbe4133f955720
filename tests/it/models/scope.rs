//! What a model looks at, beside every order of arrivals.

use nodewright::protocol::delivery::{Delivery, Guarantee, Mutant};
use std::fmt;

/// How much may happen in a model of a delivery.
#[derive(Clone, Debug)]
pub struct Scope {
    pub rung: Delivery,
    pub mutant: Option<Mutant>,
    /// How often each node broadcasts, at any time.
    pub broadcasts: [u8; 3],
    /// Crashes, each before a step or between any two effects of one; at most
    /// one node at a time is down or has not joined again.
    pub crashes: u8,
    /// Crashed nodes that come back as a new life without memory, at any time.
    pub restarts: u8,
    /// Whether a crashed life may be ended by decision; each life is told at
    /// its own time.
    pub ends: bool,
    /// Whether a crashed life may be suspected, by each at its own time.
    pub suspicions: bool,
    /// Suspicions, taken back at any time, of lives that are up.
    pub mistakes: u8,
    /// Timers that fire although messages are on their way; all others wait
    /// until none is.
    pub hurried: u8,
    /// Only what so many steps can come to: then a check is no proof.
    pub depth: Option<usize>,
    /// Whether agreement is to hold with what crashed lives delivered.
    pub uniform: bool,
}

impl Scope {
    /// Two senders, one broadcast each, one crash and nothing else.
    pub fn new(rung: Delivery) -> Self {
        Scope {
            rung,
            mutant: None,
            broadcasts: [1, 1, 0],
            crashes: 1,
            restarts: 0,
            ends: false,
            suspicions: false,
            mistakes: 0,
            hurried: 0,
            depth: None,
            uniform: matches!(rung.guarantee(), Guarantee::Uniform | Guarantee::UniformAllAck),
        }
    }

    /// One sender; a node crashes and comes back without memory, and when it
    /// has joined, another crashes.
    pub fn rolling_restart(rung: Delivery) -> Self {
        Scope { broadcasts: [1, 0, 0], crashes: 2, restarts: 1, ..Scope::new(rung) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rung)?;
        if let Some(mutant) = self.mutant {
            write!(f, " with {mutant:?}")?;
        }
        let [a, b, c] = self.broadcasts;
        write!(f, ", {a}+{b}+{c} broadcasts, {} crash(es)", self.crashes)?;
        for (count, what) in
            [(self.restarts, "restart(s)"), (self.mistakes, "false suspicion(s)"), (self.hurried, "hurried timer(s)")]
        {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        for (has, what) in [(self.ends, "ends"), (self.suspicions, "suspicions")] {
            if has {
                write!(f, ", {what}")?;
            }
        }
        match self.depth {
            Some(depth) => write!(f, ", only {depth} steps far"),
            None => Ok(()),
        }
    }
}
