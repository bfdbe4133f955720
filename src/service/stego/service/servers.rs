//! The servers as one of them sees them: who is up, how loaded, and who is to have
//! the next task. Pure.

use crate::id::{Life, NodeId};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a server says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Load {
    /// Where clients reach it.
    pub address: String,
    /// Its load score without its tasks, in tenths of a point; none if it is not
    /// measured.
    pub tenths: Option<u16>,
    /// Tasks that run or wait.
    pub active: u32,
    /// Most that may.
    pub most: u32,
}

/// Tenths of a point that a task adds: those of the election's score, which stops
/// at ten tasks; here twenty and forty are told apart.
const TASK_TENTHS: u64 = 30;

#[derive(Clone, Debug)]
struct Server {
    life: Life,
    load: Load,
}

/// Everyone that has been heard.
#[derive(Clone, Default, Debug)]
pub(super) struct Servers {
    known: BTreeMap<NodeId, Server>,
    suspected: BTreeSet<Life>,
}

impl Servers {
    pub(super) fn hear(&mut self, life: Life, load: Load) {
        let newer = self.known.get(&life.node).is_none_or(|known| known.life <= life);
        if newer {
            self.known.insert(life.node, Server { life, load });
        }
    }

    pub(super) fn suspect(&mut self, life: Life, suspected: bool) {
        if suspected {
            self.suspected.insert(life);
        } else {
            self.suspected.remove(&life);
        }
    }

    pub(super) fn ended(&mut self, life: Life) {
        self.suspected.remove(&life);
        if self.known.get(&life.node).is_some_and(|known| known.life == life) {
            // Remembered as fallen until its next life speaks.
            self.suspected.insert(life);
        }
    }

    /// Whether this life can do tasks; unknown of one that was not heard yet.
    pub(super) fn is_up(&self, life: Life) -> Option<bool> {
        if self.suspected.contains(&life) {
            return Some(false);
        }
        match self.known.get(&life.node) {
            Some(known) if known.life == life => Some(true),
            Some(known) if known.life > life => Some(false),
            _ => None,
        }
    }

    /// Whether what this life has is to be given to another one, `led` after the
    /// leader's election.
    pub(super) fn has_fallen(&self, life: Life, led: Duration, unheard_after: Duration) -> bool {
        self.is_up(life).map_or(led >= unheard_after, |up| !up)
    }

    /// The least loaded with room, by what it said and by what it was assigned
    /// since (`open`). If none has room, the least loaded. `not` only if there is
    /// no other.
    pub(super) fn least_loaded(&self, open: impl Fn(NodeId) -> u32, not: Option<NodeId>) -> Option<(Life, &str)> {
        let up = self.known.iter().filter(|(_, server)| !self.suspected.contains(&server.life));
        let least = up.min_by_key(|(node, server)| {
            let tasks = server.load.active.max(open(**node));
            let score = u64::from(server.load.tenths.unwrap_or(0)) + TASK_TENTHS * u64::from(tasks);
            (not == Some(**node), tasks >= server.load.most, score, tasks, **node)
        });
        least.map(|(_, server)| (server.life, server.load.address.as_str()))
    }

    /// All, for people.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Life, &Load, bool)> {
        self.known.values().map(|server| (server.life, &server.load, !self.suspected.contains(&server.life)))
    }
}

/// When a leadership began.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Leading {
    pub(super) epoch: crate::protocol::election::Epoch,
    pub(super) since: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(active: u32, most: u32, tenths: u16) -> Load {
        Load { address: format!("{active}/{most}"), tenths: Some(tenths), active, most }
    }

    fn life(node: u64) -> Life {
        Life::new(NodeId(node), 1)
    }

    fn chosen(servers: &Servers, open: &[(u64, u32)], not: Option<u64>) -> Option<u64> {
        let open = |node: NodeId| open.iter().find(|(it, _)| *it == node.0).map_or(0, |(_, open)| *open);
        servers.least_loaded(open, not.map(NodeId)).map(|(life, _)| life.node.0)
    }

    #[test]
    fn the_least_loaded_has_the_next_task() {
        let mut servers = Servers::default();
        assert_eq!(chosen(&servers, &[], None), None);
        servers.hear(life(1), load(0, 10, 253));
        servers.hear(life(2), load(0, 10, 187));
        servers.hear(life(3), load(0, 10, 421));
        assert_eq!(chosen(&servers, &[], None), Some(2), "the documents' example");
        assert_eq!(chosen(&servers, &[], Some(2)), Some(1), "one that was full is asked last");
        assert_eq!(chosen(&servers, &[(2, 3)], None), Some(1), "what was just assigned counts");
        servers.suspect(life(2), true);
        servers.suspect(life(1), true);
        assert_eq!(chosen(&servers, &[], None), Some(3));
        assert_eq!(chosen(&servers, &[], Some(3)), Some(3), "there is no other");
    }

    #[test]
    fn a_burst_is_spread_and_a_full_server_passed_over() {
        let mut servers = Servers::default();
        (1..=3).for_each(|node| servers.hear(life(node), load(0, 20, 100)));
        let mut open = [(1, 0), (2, 0), (3, 0)];
        for _ in 0..60 {
            let node = chosen(&servers, &open, None).expect("three are up");
            open[node as usize - 1].1 += 1;
        }
        assert_eq!(open, [(1, 20), (2, 20), (3, 20)]);
        servers.hear(life(1), load(20, 20, 0));
        assert_eq!(chosen(&servers, &[(2, 19), (3, 20)], None), Some(2), "1 is full, whatever its score");
    }

    #[test]
    fn a_life_that_is_over_has_fallen_and_one_not_yet_heard_is_waited_for() {
        let (mut servers, wait) = (Servers::default(), Duration::from_secs(2));
        assert!(!servers.has_fallen(life(1), Duration::from_secs(1), wait));
        assert!(servers.has_fallen(life(1), wait, wait));
        servers.hear(life(1), load(0, 1, 0));
        assert!(!servers.has_fallen(life(1), wait, wait));
        servers.ended(life(1));
        assert!(servers.has_fallen(life(1), Duration::ZERO, wait));
        let next = Life::new(NodeId(1), 2);
        servers.hear(next, load(0, 1, 0));
        assert!(servers.has_fallen(life(1), Duration::ZERO, wait), "its next life has nothing of it");
        assert_eq!(servers.is_up(next), Some(true));
    }
}
