//! What a delivery component says to people: of itself, and of one message.

use super::Guarantee;
use super::broadcast::Broadcast;
use super::origin::Origin;
use super::voters::all_hold;
use crate::component::Inspection;
use crate::id::{Life, MessageId};

impl Broadcast {
    pub(super) fn describe(&self, into: &mut Inspection) {
        if self.config.voters_by_log && !self.voter {
            let why = if self.awaits_list() { "the log has not said who votes" } else { "this node does not vote" };
            into.row("joined", format!("no: {why}"));
        } else if !self.voter {
            let sponsor = self.listening.sponsor.map_or_else(|| "none".into(), |life| self.name(life));
            into.row("listener, fed by", sponsor);
            for (origin, mark) in &self.listening.marks {
                into.row(format!("heard from {}", self.name(*origin)), mark);
            }
        } else if self.holds() {
            let joined = match (self.joining.joined, self.joining.under) {
                (true, _) => "yes",
                (false, 0) => "no: a new life that has not heard enough voters",
                (false, _) => "no: too few voters of the list before have gone on to this one",
            };
            into.row("joined", joined);
            into.row("voters seen", format!("{} of {}", self.voters.seen(), self.voters.configured));
            if let Some(list) = &self.voters.list {
                into.row("voters listed", format!("by entry {} of the log", list.version));
            }
            into.row("held unstable", format!("{} B", self.held_bytes()));
        } else {
            into.row("on the way", format!("{} B", self.window.bytes()));
        }
        for origin in self.origins.values() {
            let over = if origin.over.is_some() { ", its life is over" } else { "" };
            let row = format!(
                "stable {}, delivered {}, held {}, early {}, {} B{over}",
                origin.released,
                origin.delivered,
                origin.have(),
                origin.early(),
                origin.bytes
            );
            into.row(format!("origin {}", self.name(origin.life)), row);
        }
        if let Some(causal) = &self.causal {
            into.row("held back for causes", causal.held_back());
        }
        into.row("handed up, not handled", format!("{} B", self.pressure.backlog()));
        if self.pressure.withheld {
            into.row("acknowledging", "no: a consumer here is slow");
        }
        if self.feeds.len() > 0 {
            into.row("listeners fed", self.feeds.len());
        }
        let dropped = &self.dropped;
        let counts = [
            ("dropped: unknown or earlier life", dropped.unknown),
            ("dropped: malformed", dropped.malformed),
            ("dropped: duplicate", dropped.duplicates),
            ("dropped: no room, asked for again", dropped.no_room),
        ];
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            into.row(name, count);
        }
    }

    pub(super) fn account_of(&self, message: MessageId) -> String {
        let (life, seq) = (message.origin, message.batch);
        if !self.voter {
            let heard = self.listening.marks.get(&life).is_some_and(|mark| seq <= *mark);
            return if heard { "delivered, or reported as a gap" } else { "never seen" }.into();
        }
        if !self.holds() {
            let sent = life == self.me && seq < self.next_seq;
            let seen = sent || self.seen.get(&life).is_some_and(|seen| seq <= *seen);
            return if seen { "delivered here; best effort keeps nothing" } else { "never seen" }.into();
        }
        let Some(origin) = self.origins.get(&life) else {
            let closed = self.closed_at(life).is_some();
            return if closed {
                "its sender's life is over and nothing of it is left to deliver"
            } else {
                "never seen"
            }
            .into();
        };
        if seq <= origin.released {
            "stable in all lives".into()
        } else if seq <= origin.delivered {
            format!("delivered here; not stable: {} lacks it", self.lacking(origin, seq))
        } else if seq <= origin.have() {
            self.waiting_in_prefix(origin, seq)
        } else if origin.knows(seq) {
            format!("waiting for {} from {}", origin.have() + 1, self.name(life))
        } else if seq <= Broadcast::known(origin) {
            format!("not here yet; held by {}", self.holders(origin, seq).join(", "))
        } else {
            "never seen".into()
        }
    }

    fn waiting_in_prefix(&self, origin: &Origin, seq: u64) -> String {
        if !self.joining.joined {
            return "held; this life has not joined yet".into();
        }
        if seq <= origin.offered {
            let cause = self.causal.as_ref().and_then(|causal| causal.waits_for(origin.life));
            return match cause {
                Some((life, count)) => format!("waiting for {count} from {}", self.name(life)),
                None => "about to be delivered".into(),
            };
        }
        match self.guarantee {
            Guarantee::Uniform => {
                let mut holders = self.holders(origin, seq);
                holders.push(self.name(self.me));
                format!("{} of {} voters hold it: {}", holders.len(), self.voters.configured, holders.join(", "))
            }
            _ => format!("held; {} lacks it", self.lacking(origin, seq)),
        }
    }

    fn holders(&self, origin: &Origin, seq: u64) -> Vec<String> {
        let holds = |slot: usize, life: Life| life == origin.life || origin.acked_by(slot) >= seq;
        let lives = self.voters.lives().filter(|(slot, life)| holds(*slot, *life));
        lives.map(|(_, life)| self.name(life)).collect()
    }

    fn lacking(&self, origin: &Origin, seq: u64) -> String {
        if self.voters.awaits_absent() && all_hold(&self.voters, origin.life, &origin.acked) < seq {
            return "a voter that was never seen".into();
        }
        let lacks = |slot: usize, life: Life| life != origin.life && origin.acked_by(slot) < seq;
        let lives = self.voters.lives().filter(|(slot, life)| lacks(*slot, *life));
        let names: Vec<String> = lives.map(|(_, life)| self.name(life)).collect();
        if names.is_empty() { "nobody".into() } else { names.join(", ") }
    }

    fn name(&self, life: Life) -> String {
        if life == self.me { "this node".into() } else { self.voters.name(life.node) }
    }
}
