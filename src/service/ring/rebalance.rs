//! The order to move files to today's ring, as it stands in the map: see
//! [`member`](super::member) for who does it.

use super::text::Rate;
use serde::{Deserialize, Serialize};

/// Bytes a second, where nobody says.
const USUAL_RATE: u64 = 32 << 20;

/// How a rebalance stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Standing {
    /// Nobody asked for one.
    #[default]
    None,
    /// Files are moved.
    Running,
    /// All files lie as today's ring would have them.
    Done,
    /// It was stopped.
    Stopped,
}

/// The order, and how far it has come.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// How it stands.
    pub state: Standing,
    /// Bytes a second.
    pub rate: u64,
    /// Files that were moved, and their bytes.
    pub moved: u64,
    /// Of the files that were moved.
    pub bytes: u64,
    /// Files that the last pass had to leave.
    pub left: u64,
}

impl Progress {
    /// The order that a client's request makes of this one; `None` to be told only.
    pub fn ordered(&self, rate: Rate) -> Option<Progress> {
        let running = self.state == Standing::Running;
        // what is under way goes on at another rate
        let start = |rate: u64| {
            if running {
                Progress { rate, ..self.clone() }
            } else {
                Progress { rate, state: Standing::Running, ..Progress::default() }
            }
        };
        match rate {
            Rate::Status => None,
            Rate::Stop if !running => None,
            Rate::Stop => Some(Progress { state: Standing::Stopped, ..self.clone() }),
            Rate::Usual => Some(start(USUAL_RATE)),
            Rate::Bytes(bytes) => Some(start(bytes.max(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_goes_on_with_what_runs() {
        let running = Progress { state: Standing::Running, rate: 5, moved: 3, bytes: 9, left: 1 };
        let faster = running.ordered(Rate::Bytes(7));
        assert_eq!(faster, Some(Progress { rate: 7, ..running.clone() }));
        let stopped = running.ordered(Rate::Stop).expect("it runs");
        assert_eq!((stopped.state, stopped.moved), (Standing::Stopped, 3));
        assert_eq!(stopped.ordered(Rate::Stop), None, "nothing is to be stopped");
        let anew = stopped.ordered(Rate::Usual).expect("it begins");
        assert_eq!((anew.state, anew.moved, anew.rate), (Standing::Running, 0, USUAL_RATE));
        assert_eq!(running.ordered(Rate::Status), None);
    }
}
