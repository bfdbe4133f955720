//! Causal order: a batch waits until everything that its sender had delivered
//! before broadcasting it is delivered here.
//!
//! The vector counts *broadcasts delivered* per life, not events. Each batch
//! carries all of it. Only what changed since the sender's previous batch would
//! do as long as every receiver delivers that one first; a new life that begins
//! in the middle does not, and would miss what the skipped ones had waited for.
//! Guarantee: given a core that offers each sender's batches in its order and
//! withholds none forever, deliveries respect happened-before and the hold-back
//! queue empties. Source: Cachin, Guerraoui, Rodrigues, Algorithm 3.15 (waiting
//! causal broadcast); Birman, Schiper, Stephenson, 1991.

use super::dependencies::Dependencies;
use crate::id::{Incarnation, Life, NodeId};
use std::collections::{BTreeMap, VecDeque};

/// Closed lives remembered per node; constants, so memory and batches stay
/// small under any number of lives.
const CLOSED_KEPT: usize = 8;

/// Closed lives that had broadcast, named in dependencies, per node.
const CLOSED_NAMED: usize = 2;

/// The hold-back queue of one node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Causal {
    delivered: BTreeMap<Life, u64>,
    held: BTreeMap<Life, VecDeque<(u64, Dependencies)>>,
    /// The last lives of each node of which nothing more can come, and their
    /// counts, in their order.
    closed: BTreeMap<NodeId, VecDeque<(Incarnation, u64)>>,
    /// The planted bug: only the sum of a vector counts.
    one_number: bool,
}

impl Causal {
    /// A queue with a planted bug: it compares how much was delivered of
    /// whomever, as a Lamport clock would.
    #[doc(hidden)]
    pub fn by_one_number() -> Self {
        Causal { one_number: true, ..Causal::default() }
    }

    /// Takes batch `seq` of `origin`; appends to `ready` what may be delivered
    /// now, in order. Counters are raised here, so before anything is handed to
    /// a user.
    pub fn offer(&mut self, origin: Life, seq: u64, deps: &Dependencies, ready: &mut Vec<(Life, u64)>) {
        let first_in_line = self.held.get(&origin).is_none_or(VecDeque::is_empty);
        if first_in_line && self.missing(origin, seq, deps).is_none() {
            self.deliver(origin, seq, ready);
            self.release(ready);
        } else {
            self.held.entry(origin).or_default().push_back((seq, deps.clone()));
        }
    }

    /// Batches of `life` may come: it is waited for, even if a later life of
    /// its node is closed.
    pub fn open(&mut self, life: Life) {
        self.delivered.entry(life).or_insert(0);
    }

    /// Counts everything of `origin` up to `seq` as delivered: it never will be
    /// here. Appends what that frees.
    pub fn skip(&mut self, origin: Life, seq: u64, ready: &mut Vec<(Life, u64)>) {
        let count = self.delivered.entry(origin).or_insert(0);
        *count = seq.max(*count);
        if let Some(queue) = self.held.get_mut(&origin) {
            queue.retain(|(held, _)| *held > seq);
        }
        self.release(ready);
    }

    /// Nothing more of `life` or its node's earlier lives can come after
    /// `count`: nobody here waits for it. Others may have it still open, so the
    /// last such lives of each node stay in the dependencies; the others'
    /// entries go. Appends what that frees.
    pub fn close(&mut self, life: Life, count: u64, ready: &mut Vec<(Life, u64)>) {
        let closed = self.closed.entry(life.node).or_default();
        match closed.binary_search_by_key(&life.incarnation, |(closed, _)| *closed) {
            Ok(at) => closed[at].1 = count.max(closed[at].1),
            Err(at) => closed.insert(at, (life.incarnation, count)),
        }
        if closed.len() > CLOSED_KEPT {
            closed.pop_front();
        }
        self.delivered.remove(&life);
        self.held.remove(&life);
        self.release(ready);
    }

    /// What a broadcast of this node, whose life is `me`, waits for elsewhere:
    /// all that is delivered here. Its own earlier ones go without saying.
    pub fn dependencies(&self, me: Life) -> Dependencies {
        let closed = self.closed.iter().flat_map(|(node, lives)| {
            let last = lives.iter().rev().filter(|(_, count)| *count > 0).take(CLOSED_NAMED);
            last.map(|(incarnation, count)| (Life { node: *node, incarnation: *incarnation }, *count))
        });
        let open = self.delivered.iter().map(|(life, count)| (*life, *count)).filter(|(_, count)| *count > 0);
        Dependencies::of(closed.chain(open).filter(|(life, _)| *life != me))
    }

    /// Broadcasts of `life` delivered here.
    pub fn count(&self, life: Life) -> u64 {
        self.delivered.get(&life).copied().unwrap_or(0)
    }

    /// How many batches are held back.
    pub fn held_back(&self) -> usize {
        self.held.values().map(VecDeque::len).sum()
    }

    /// What the next batch of `origin` waits for, if one is held back.
    pub fn waits_for(&self, origin: Life) -> Option<(Life, u64)> {
        let (seq, deps) = self.held.get(&origin)?.front()?;
        self.missing(origin, *seq, deps)
    }

    /// What is waited for of lives that are not open and `gone`, or closed: more than
    /// they had when they were closed. If nobody opens them again soon, nobody holds it.
    pub fn waits_for_closed(&self, gone: impl Fn(Life) -> bool) -> Vec<(Life, u64)> {
        let heads = self.held.keys().filter_map(|origin| self.waits_for(*origin));
        let closed = |life: &Life| {
            let last = self.closed.get(&life.node).and_then(VecDeque::back);
            last.is_some_and(|(closed, _)| *closed >= life.incarnation)
        };
        heads.filter(|(life, _)| !self.delivered.contains_key(life) && (closed(life) || gone(*life))).collect()
    }

    fn missing(&self, origin: Life, seq: u64, deps: &Dependencies) -> Option<(Life, u64)> {
        if self.count(origin) + 1 < seq {
            return Some((origin, seq - 1));
        }
        if self.one_number {
            let delivered: u64 = self.delivered.values().sum();
            let wanted = deps.iter().map(|(_, count)| count).sum();
            return (delivered < wanted).then_some((origin, wanted));
        }
        deps.iter().find(|(life, count)| match self.delivered.get(life) {
            Some(delivered) => delivered < count,
            None => !self.closed.get(&life.node).is_some_and(|closed| {
                let forgotten = closed.len() == CLOSED_KEPT && closed[0].0 > life.incarnation;
                forgotten || closed.iter().any(|(closed, end)| *closed == life.incarnation && end >= count)
            }),
        })
    }

    fn deliver(&mut self, origin: Life, seq: u64, ready: &mut Vec<(Life, u64)>) {
        self.delivered.insert(origin, seq);
        ready.push((origin, seq));
    }

    fn release(&mut self, ready: &mut Vec<(Life, u64)>) {
        loop {
            self.held.retain(|_, queue| !queue.is_empty());
            let free = self.held.iter().find_map(|(origin, queue)| {
                let (seq, deps) = queue.front()?;
                self.missing(*origin, *seq, deps).is_none().then_some((*origin, *seq))
            });
            let Some((origin, seq)) = free else { return };
            if let Some(queue) = self.held.get_mut(&origin) {
                queue.pop_front();
            }
            self.deliver(origin, seq, ready);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(n: u64) -> Life {
        Life::new(NodeId(n), 1)
    }

    #[test]
    fn an_answer_waits_for_its_question() {
        let (mut b, mut c) = (Causal::default(), Causal::default());
        let (mut at_b, mut at_c) = (Vec::new(), Vec::new());
        b.offer(life(1), 1, &Dependencies::default(), &mut at_b); // a's question reaches b
        let deps = b.dependencies(life(2));
        assert_eq!(deps, Dependencies::of([(life(1), 1)]));
        c.offer(life(2), 1, &deps, &mut at_c); // b's answer overtakes it
        assert!(at_c.is_empty());
        assert_eq!(c.waits_for(life(2)), Some((life(1), 1)));
        c.offer(life(1), 1, &Dependencies::default(), &mut at_c);
        assert_eq!(at_c, vec![(life(1), 1), (life(2), 1)]);
        assert_eq!(c.held_back(), 0);
    }

    /// The second answer says again what the first one waited for: a new life
    /// skipped that one, and still must not deliver before the question.
    #[test]
    fn a_skipped_batch_does_not_hide_a_cause() {
        let (mut b, mut c) = (Causal::default(), Causal::default());
        let (mut ready, mut at_c) = (Vec::new(), Vec::new());
        b.offer(life(1), 1, &Dependencies::default(), &mut ready);
        let first = b.dependencies(life(2));
        b.offer(life(2), 1, &first, &mut ready);
        let second = b.dependencies(life(2));
        c.skip(life(2), 1, &mut at_c);
        c.offer(life(2), 2, &second, &mut at_c);
        assert!(at_c.is_empty());
        c.offer(life(1), 1, &Dependencies::default(), &mut at_c);
        assert_eq!(at_c, vec![(life(1), 1), (life(2), 2)]);
    }

    #[test]
    fn what_nobody_holds_is_not_waited_for() {
        let mut c = Causal::default();
        let mut ready = Vec::new();
        c.offer(life(2), 1, &Dependencies::of([(life(1), 3)]), &mut ready);
        assert!(ready.is_empty());
        c.close(life(1), 2, &mut ready);
        assert!(ready.is_empty(), "somebody may hold the third");
        assert_eq!(c.waits_for_closed(|_| false), vec![(life(1), 3)]);
        c.close(life(1), 3, &mut ready);
        assert_eq!(ready, vec![(life(2), 1)]);
    }
}
