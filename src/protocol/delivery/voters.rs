//! The voters and their current lives.
//!
//! Who votes is configured, or said by a replicated log ([`super::list`]); which
//! lives they have now is learnt from links and from announcements. A place in
//! every majority belongs to a *node*, the promise behind it to a *life*: when a
//! newer life is heard of, by whatever way, what the earlier one acknowledged
//! counts no more.

use super::list::Before;
use super::message::{Holding, Under};
use crate::component::Uncompared;
use crate::id::{Incarnation, Life, NodeId};
use crate::protocol::membership::VoterList;
use std::sync::Arc;

/// The configured list is the only one, and the first.
pub(super) const CONFIGURED: u64 = 1;

/// One other node that votes, did, or may.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Voter {
    pub(super) node: NodeId,
    pub(super) name: Arc<str>,
    /// Whether it votes, by the list that is in force here.
    pub(super) listed: bool,
    /// The seat from which it was removed by that list, while it is still asked what
    /// it holds.
    pub(super) leaving: Option<u64>,
    /// The greatest incarnation of it that was removed by a list that was in force here.
    pub(super) removed: Option<Incarnation>,
    /// The list with which its seat came, where a log says so.
    pub(super) since: Option<u64>,
    /// A life of it was heard of.
    pub(super) seen: bool,
    /// Under what its current life speaks, as far as is known.
    pub(super) under: Under,
    /// Its current life; `None` between the end of one and the next.
    pub(super) life: Option<Life>,
    /// Whether that life is linked, not only announced by others.
    pub(super) linked: bool,
    pub(super) suspected: bool,
    /// A newer life is there and will be linked in a moment: until then nothing
    /// becomes stable without it.
    pub(super) succeeded: bool,
    /// Greatest incarnation of it that is over.
    pub(super) over: Option<Incarnation>,
    /// What its current life said of itself.
    pub(super) report: Option<Report>,
    /// Rises with each acknowledgement; a standstill is held against it, once
    /// more bytes are held than any model has.
    pub(super) progress: Uncompared<u64>,
    pub(super) progress_seen: Uncompared<u64>,
    pub(super) accused: bool,
    pub(super) paused: bool,
}

/// A voter's `State`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Report {
    /// The list under which it was said.
    pub(super) list: u64,
    /// The last list under which it was joined; 0 for a new life.
    pub(super) joined: u64,
    /// The last round of the cold start to which it said "new".
    pub(super) round: u32,
    pub(super) holdings: Vec<Holding>,
}

/// The other voters, in the order in which they were first seen: a voter's
/// *slot* is its place here, and never changes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Voters {
    pub(super) slots: Vec<Voter>,
    /// The number in the list, this node included.
    pub(super) configured: usize,
    /// Version of the list in force; 0 while the log has not said one.
    pub(super) version: u64,
    /// The log's list, once there is one.
    pub(super) list: Option<VoterList>,
    /// The planted bug: also what is acknowledged under later lists.
    pub(super) counts_all: bool,
    /// Who voted by the list before, if this life went from there.
    pub(super) before: Option<Before>,
    /// Voters that were never seen are no longer waited for.
    pub(super) absent_given_up: bool,
}

impl Voters {
    /// The slot of the current life of a voter, or of one that is leaving. One that
    /// speaks from another seat is neither.
    pub(super) fn slot(&self, life: Life) -> Option<usize> {
        let speaks = |voter: &Voter| {
            let seat = voter.leaving.or(voter.since);
            (voter.listed || voter.leaving.is_some()) && (voter.under.seat.is_none() || voter.under.seat == seat)
        };
        self.slots.iter().position(|voter| voter.life == Some(life) && speaks(voter))
    }

    pub(super) fn slot_of_node(&self, node: NodeId) -> Option<usize> {
        self.slots.iter().position(|voter| voter.node == node)
    }

    /// Makes a place for `node` where there is none.
    pub(super) fn place(&mut self, node: NodeId) -> usize {
        self.slot_of_node(node).unwrap_or_else(|| {
            self.slots.push(Voter {
                node,
                name: Arc::from(node.to_string()),
                listed: self.votes(node),
                leaving: None,
                removed: None,
                since: None,
                seen: false,
                under: Under { list: CONFIGURED, seat: None },
                life: None,
                linked: false,
                suspected: false,
                succeeded: false,
                over: None,
                report: None,
                progress: Uncompared(0),
                progress_seen: Uncompared(0),
                accused: false,
                paused: false,
            });
            self.slots.len() - 1
        })
    }

    /// Whether a node votes, as far as is known. Whoever is met where no log says
    /// it was configured.
    pub(super) fn votes(&self, node: NodeId) -> bool {
        self.list.as_ref().map_or(self.version == CONFIGURED, |list| list.seat(node).is_some())
    }

    /// The voters with their slots.
    pub(super) fn listed(&self) -> impl Iterator<Item = (usize, &Voter)> {
        self.slots.iter().enumerate().filter(|(_, voter)| voter.listed)
    }

    /// The voters' current lives with their slots.
    pub(super) fn lives(&self) -> impl Iterator<Item = (usize, Life)> {
        self.listed().filter_map(|(slot, voter)| Some((slot, voter.life?)))
    }

    /// Those that can be reached now.
    pub(super) fn linked(&self) -> impl Iterator<Item = (usize, Life)> {
        self.lives().filter(|(slot, _)| self.slots[*slot].linked)
    }

    /// Those who may be asked for what they hold.
    pub(super) fn holders(&self) -> impl Iterator<Item = (usize, Life)> {
        let asked = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, voter)| voter.linked && (voter.listed || voter.leaving.is_some()));
        asked.filter_map(|(slot, voter)| Some((slot, voter.life?)))
    }

    /// Whether this life is known to be over.
    pub(super) fn over(&self, life: Life) -> bool {
        self.slot_of_node(life.node).is_some_and(|slot| {
            let voter = &self.slots[slot];
            voter.over.is_some_and(|over| life.incarnation <= over)
                || voter.life.is_some_and(|current| life.incarnation < current.incarnation)
        })
    }

    /// How many voters were ever seen, this node included.
    pub(super) fn seen(&self) -> usize {
        self.listed().filter(|(_, voter)| voter.seen).count() + 1
    }

    /// Whether voters are still waited for that were never seen.
    pub(super) fn awaits_absent(&self) -> bool {
        !self.absent_given_up && self.seen() < self.configured
    }

    /// Whether this slot's life has gone on to a list that is not in force here:
    /// what it acknowledges there counts in no majority of this one.
    pub(super) fn is_ahead(&self, slot: usize) -> bool {
        self.slots[slot].under.list > self.version
    }

    /// Whether all other voters are linked, and speak under the list in force.
    pub(super) fn are_all_here(&self) -> bool {
        let here = |voter: &Voter| voter.linked && voter.report.as_ref().is_some_and(|it| it.list == self.version);
        self.listed().filter(|(_, voter)| here(voter)).count() + 1 >= self.configured
    }

    /// Whether this life had a seat that is no more: seats do not come back.
    pub(super) fn is_removed(&self, life: Life) -> bool {
        self.slot_of_node(life.node).is_some_and(|slot| {
            let voter = &self.slots[slot];
            let lost = |seat: u64| seat <= self.version && !(voter.listed && voter.since == Some(seat));
            voter.removed >= Some(life.incarnation) || voter.life == Some(life) && voter.under.seat.is_some_and(lost)
        })
    }

    /// How many voters are a majority.
    pub(super) fn majority(&self) -> usize {
        self.configured / 2 + 1
    }

    /// A name for people.
    pub(super) fn name(&self, node: NodeId) -> String {
        self.slot_of_node(node).map_or_else(|| node.to_string(), |slot| self.slots[slot].name.to_string())
    }
}

/// What a life holds of an origin according to `acked`; the origin itself
/// holds everything that it broadcast until it is stable.
fn held(voter: &Voter, slot: usize, origin: Life, acked: &[u64]) -> u64 {
    match voter.life {
        Some(life) if life == origin => u64::MAX,
        Some(_) => acked.get(slot).copied().unwrap_or(0),
        None => 0,
    }
}

/// How far a majority of the voters holds `origin`'s batches, this
/// node not counted among the acknowledging but in the majority: the caller
/// holds what it delivers. `scratch` saves an allocation.
pub(super) fn majority_holds(voters: &Voters, origin: Life, acked: &[u64], scratch: &mut Vec<u64>) -> u64 {
    let others = voters.majority() - 1;
    if others == 0 {
        return u64::MAX;
    }
    scratch.clear();
    let counted = voters.listed().filter(|(_, voter)| voter.under.list <= voters.version || voters.counts_all);
    scratch.extend(counted.map(|(slot, voter)| held(voter, slot, origin, acked)));
    scratch.sort_unstable_by(|a, b| b.cmp(a));
    scratch.get(others - 1).copied().unwrap_or(0)
}

/// How far every other life that is not over holds `origin`'s batches.
pub(super) fn all_hold(voters: &Voters, origin: Life, acked: &[u64]) -> u64 {
    least(voters, origin, acked, |_| true)
}

/// How far every other life that is not suspected holds them.
pub(super) fn unsuspected_hold(voters: &Voters, origin: Life, acked: &[u64]) -> u64 {
    least(voters, origin, acked, |voter| !voter.suspected)
}

fn least(voters: &Voters, origin: Life, acked: &[u64], counts: impl Fn(&Voter) -> bool) -> u64 {
    if voters.awaits_absent() || voters.listed().any(|(_, voter)| voter.succeeded) {
        return 0;
    }
    let lives = voters.listed().filter(|(_, voter)| voter.life.is_some() && counts(voter));
    lives.map(|(slot, voter)| held(voter, slot, origin, acked)).min().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(configured: usize) -> Voters {
        let mut voters = Voters { configured, version: CONFIGURED, ..Voters::default() };
        for node in 1..configured as u64 {
            let slot = voters.place(NodeId(node));
            voters.slots[slot].seen = true;
            voters.slots[slot].life = Some(Life::new(NodeId(node), 1));
        }
        voters
    }

    #[test]
    fn a_majority_counts_this_node_and_the_origin() {
        let me = Life::new(NodeId(0), 1);
        let scratch = &mut Vec::new();
        let five = voters(5);
        assert_eq!(majority_holds(&five, me, &[7, 5, 3, 0], scratch), 5, "two others and me");
        assert_eq!(majority_holds(&five, Life::new(NodeId(4), 1), &[7, 5, 3, 0], scratch), 7, "origin, one, me");
        assert_eq!(majority_holds(&voters(1), me, &[], scratch), u64::MAX);
    }

    #[test]
    fn an_earlier_life_is_no_origin_and_no_voter() {
        let mut three = voters(3);
        let old = Life::new(NodeId(1), 1);
        three.slots[0].life = Some(Life::new(NodeId(1), 2));
        assert_eq!(majority_holds(&three, old, &[0, 4], &mut Vec::new()), 4);
        assert!(three.over(old));
        assert_eq!(all_hold(&three, old, &[0, 4]), 0, "the new life lacks it");
        three.slots[0].life = None;
        assert_eq!(all_hold(&three, old, &[0, 4]), 4, "nobody waits for a life that is over");
    }

    #[test]
    fn who_has_gone_on_counts_no_more_and_who_is_not_listed_never() {
        let me = Life::new(NodeId(0), 1);
        let mut five = voters(5);
        five.slots[0].under.list = CONFIGURED + 1;
        assert_eq!(majority_holds(&five, me, &[7, 5, 3, 0], &mut Vec::new()), 3, "one has gone on");
        five.slots[1].listed = false;
        assert_eq!(majority_holds(&five, me, &[7, 5, 3, 1], &mut Vec::new()), 1);
        assert_eq!(all_hold(&five, me, &[7, 0, 3, 1]), 0, "four were seen, and five are waited for");
        five.absent_given_up = true;
        assert_eq!(all_hold(&five, me, &[7, 0, 3, 1]), 1, "stable is what all hold, under whatever list");
    }

    #[test]
    fn never_seen_voters_are_waited_for_until_given_up() {
        let mut voters = Voters { configured: 3, version: CONFIGURED, ..Voters::default() };
        let me = Life::new(NodeId(0), 1);
        assert_eq!(all_hold(&voters, me, &[]), 0);
        voters.absent_given_up = true;
        assert_eq!(all_hold(&voters, me, &[]), u64::MAX);
    }
}
