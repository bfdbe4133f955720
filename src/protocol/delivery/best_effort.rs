//! Best effort: to every linked life, delivered on receipt.
//!
//! Guarantee: if the sender stays up, every life that stays up and linked
//! delivers, once, in the sender's order. No failure assumption is needed and
//! nothing is repaired: a sender that fails half-way leaves some without. The
//! order comes from the links; a watermark per life keeps it across lanes of
//! repair that links know and this does not. Source: Cachin, Guerraoui,
//! Rodrigues, Algorithm 3.1 (basic broadcast).

use super::broadcast::{Broadcast, Cx};
use super::config::Mutant;
use super::held::Held;
use super::message::{Head, Message};
use super::window::Sent;
use crate::component::{Lane, Target, To};
use crate::id::Life;
use bytes::Bytes;

impl Broadcast {
    pub(super) fn send_best_effort(&mut self, target: Target, first: u64, seq: u64, held: Held, cx: Cx<'_, '_>) {
        let (channel, messages) = (held.channel, held.count());
        let sent = Sent::new(channel, target, first, messages, held.run_bytes() as u64);
        let message = Message::Data(held.head(seq));
        let to = match target {
            Target::All => Some(To::All),
            Target::Node(node) if node == self.me.node => None,
            // Requests to nodes that are not linked were refused; one that went
            // since then counts as through, because nobody else waits for it.
            Target::Node(node) => self.peers.get(&node).map(|(life, _)| To::Life(*life)),
        };
        if to == Some(To::All) && self.is(Mutant::StopAtFirstError) {
            return self.send_until_the_first_error(&message, seq, held, cx);
        }
        let mut bytes = 0;
        match to {
            Some(To::All) => self.all().for_each(|to| bytes = cx.send_with(to, Lane::Data, &message, held.body())),
            Some(to) => bytes = cx.send_with(to, Lane::Data, &message, held.body()),
            None => {}
        }
        let voters = &self.voters;
        let lives = self.peers.values().map(|(life, _)| *life).filter(|life| match to {
            Some(To::All) => voters.slot(*life).is_some_and(|slot| voters.slots[slot].linked),
            Some(To::Life(one)) => *life == one,
            None => false,
        });
        self.window.send(seq, sent, lives, bytes, &mut self.receipts);
        let to_self = matches!(target, Target::All) || target == Target::Node(self.me.node);
        if to_self && !self.is(Mutant::SkipSelf) {
            self.hand_up(self.me, seq, held, cx);
        }
        if target == Target::All {
            self.receipts.delivered(channel, target, messages);
        }
    }

    /// The planted bug: who comes after one that fails is left out.
    fn send_until_the_first_error(&mut self, message: &Message, seq: u64, held: Held, cx: Cx<'_, '_>) {
        for (_, voter) in self.voters.listed() {
            match voter.life.filter(|_| voter.linked && !voter.suspected) {
                Some(life) => _ = cx.send_with(To::Life(life), Lane::Data, message, held.body()),
                None => break,
            }
        }
        self.hand_up(self.me, seq, held, cx);
    }

    pub(super) fn best_effort_arrived(&mut self, from: Life, head: Head, body: Bytes, cx: Cx<'_, '_>) {
        let Some(held) = Held::arrived(&head, body) else {
            self.dropped.malformed += 1;
            return;
        };
        let seen = self.seen.entry(from).or_insert(0);
        if head.seq <= *seen && self.mutant != Some(Mutant::DropDedupe) {
            self.dropped.duplicates += 1;
            return;
        }
        *seen = head.seq;
        self.hand_up(from, head.seq, held, cx);
    }
}
