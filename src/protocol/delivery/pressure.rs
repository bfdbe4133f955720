//! Memory stays flat: slow consumers slow the senders, and a life that keeps
//! all others from releasing is named.
//!
//! What was handed up and not yet handled is counted per channel. Too much of
//! it, and this node stops acknowledging (best effort: asks for a pause) until
//! half is handled; the senders' windows fill and their users wait. What is
//! held because *another* life does not acknowledge is counted too: too much of
//! it, for too long without any progress of that life, and [`HoldingBack`] is
//! published, on which a majority may end that life.

use super::broadcast::{Broadcast, Cx, Timer};
use super::message::Message;
use crate::component::Lane;
use crate::id::{Kind, Life};
use crate::protocol::membership::HoldingBack;
use std::collections::BTreeMap;

/// What was handed up and is not handled yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Pressure {
    backlog: BTreeMap<Kind, Backlog>,
    /// Nothing is acknowledged until the consumers have caught up.
    pub(super) withheld: bool,
    watching: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Backlog {
    delivered: u64,
    consumed: u64,
}

impl Pressure {
    pub(super) fn delivered(&mut self, channel: Kind, bytes: u64) {
        self.backlog.entry(channel).or_default().delivered += bytes;
    }

    /// The greatest backlog of all channels, in bytes.
    pub(super) fn backlog(&self) -> u64 {
        self.backlog.values().map(|channel| channel.delivered.saturating_sub(channel.consumed)).max().unwrap_or(0)
    }
}

impl Broadcast {
    pub(super) fn consumed(&mut self, channel: Kind, bytes: u64, cx: Cx<'_, '_>) {
        self.pressure.backlog.entry(channel).or_default().consumed += bytes;
        if self.pressure.withheld && self.pressure.backlog() <= self.config.consumed_backlog_bytes_max / 2 {
            self.pressure.withheld = false;
            if self.holds() {
                self.touch_all();
            } else {
                self.window.resume(&mut self.receipts);
                self.send_pause(false, cx);
            }
        }
    }

    /// Once a flush: whether too much waits here, for a consumer or for a life.
    pub(super) fn watch_memory(&mut self, cx: Cx<'_, '_>) {
        if !self.pressure.withheld && self.pressure.backlog() > self.config.consumed_backlog_bytes_max {
            log::info!("{} waits for a slow consumer on {}", self.config.delivery, self.me);
            self.pressure.withheld = true;
            if !self.holds() {
                self.send_pause(true, cx);
            }
        }
        if !self.voter {
            return;
        }
        let held = self.held_bytes();
        if self.voters.awaits_absent() && held >= self.config.unstable_bytes_max / 2 && self.holds() {
            self.voters.absent_given_up = true;
            self.touch_all();
            self.settle(cx);
        }
        if !self.pressure.watching && held >= self.config.unstable_bytes_max {
            self.pressure.watching = true;
            for voter in &mut self.voters.slots {
                voter.progress_seen = voter.progress;
            }
            cx.set_timer(Timer::Patience, self.config.hold_patience);
        }
    }

    /// The timer: accuses lives that made no progress since it was set.
    pub(super) fn patience_over(&mut self, cx: Cx<'_, '_>) {
        let too_much = self.held_bytes() >= self.config.unstable_bytes_max;
        let mut accused_any = false;
        for slot in 0..self.voters.slots.len() {
            let voter = &self.voters.slots[slot];
            let Some(life) = voter.life.filter(|_| voter.listed) else { continue };
            let stuck = too_much && *voter.progress == *voter.progress_seen && self.lags(slot, life);
            if stuck && !voter.accused {
                self.voters.slots[slot].accused = true;
                cx.publish(HoldingBack { life, holding: true });
            } else if !stuck {
                self.retract(slot, cx);
            }
            accused_any |= stuck;
            self.voters.slots[slot].progress_seen = self.voters.slots[slot].progress;
        }
        self.pressure.watching = too_much || accused_any;
        if self.pressure.watching {
            cx.set_timer(Timer::Patience, self.config.hold_patience);
        }
    }

    /// Takes an accusation back.
    pub(super) fn retract(&mut self, slot: usize, cx: Cx<'_, '_>) {
        let voter = &mut self.voters.slots[slot];
        if let Some(life) = voter.life.filter(|_| std::mem::take(&mut voter.accused)) {
            cx.publish(HoldingBack { life, holding: false });
        }
    }

    /// Bytes kept of all origins.
    pub(super) fn held_bytes(&self) -> u64 {
        self.origins.values().map(|origin| origin.bytes).sum()
    }

    fn lags(&self, slot: usize, life: Life) -> bool {
        self.origins.values().any(|origin| origin.life != life && origin.acked_by(slot) < origin.have())
    }

    fn send_pause(&mut self, paused: bool, cx: Cx<'_, '_>) {
        let mut bytes = 0;
        for to in self.all() {
            bytes = cx.send(to, Lane::Control, &Message::Pause(paused));
        }
        for (_, life) in self.voters.linked() {
            self.window.passed(life, bytes);
        }
    }
}
