//! Listeners: members without a vote, fed by one sponsor each.
//!
//! A sponsor hands a listener what it delivers, in the order in which it
//! delivers it (which is in the rung's order, and for uniform rungs already
//! safe), beginning after its stable watermark per origin. The listener
//! acknowledges bytes to its sponsor only; nobody's stability waits for it. One
//! that does not keep up loses the oldest that wait for it and is told the gap.
//! If its sponsor's life ends it asks another, which begins at its own
//! watermark; what was heard before is recognised by number, and what ended
//! meanwhile is told with its end. A sponsor that is removed from the voters has
//! nothing more to tell: its listeners hear of that only when it stops.

use super::GapWhy;
use super::broadcast::{Broadcast, Cx};
use super::held::Held;
use super::message::Message;
use crate::component::{Lane, PeerRole, To};
use crate::id::Life;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// How many windows may wait for one listener before the oldest are dropped.
const QUEUED_WINDOWS: u64 = 10;

/// The sponsor's side.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Feeds {
    feeds: BTreeMap<Life, Feed>,
    asked: Vec<Life>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Feed {
    queue: VecDeque<Course>,
    queued_bytes: u64,
    sent: u64,
    acked: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Course {
    Batch(Life, u64, Held),
    /// This sponsor never delivers the origin's batches up to here.
    Skip(Life, u64),
    End(Life, u64),
}

impl Feeds {
    pub(super) fn push(&mut self, origin: Life, seq: u64, held: &Held) {
        for feed in self.feeds.values_mut() {
            feed.queued_bytes += held.cost();
            feed.queue.push_back(Course::Batch(origin, seq, held.clone()));
        }
    }

    /// Nothing of `origin` comes after `end`.
    pub(super) fn close(&mut self, origin: Life, end: u64) {
        for feed in self.feeds.values_mut() {
            feed.queue.push_back(Course::End(origin, end));
        }
    }

    /// The sponsor itself begins `origin` after `base`: so does who hears from it.
    pub(super) fn skip(&mut self, origin: Life, base: u64) {
        for feed in self.feeds.values_mut() {
            feed.queue.push_back(Course::Skip(origin, base));
        }
    }

    pub(super) fn acked(&mut self, listener: Life, bytes: u64) {
        if let Some(feed) = self.feeds.get_mut(&listener) {
            feed.acked = bytes.clamp(feed.acked, feed.sent);
        }
    }

    pub(super) fn end(&mut self, listener: Life) {
        self.feeds.remove(&listener);
    }

    pub(super) fn len(&self) -> usize {
        self.feeds.len()
    }
}

/// The listener's side.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Listening {
    pub(super) sponsor: Option<Life>,
    /// What was heard, per origin.
    pub(super) marks: BTreeMap<Life, u64>,
    handled: u64,
    told: u64,
}

impl Broadcast {
    pub(super) fn listener_asked(&mut self, listener: Life) {
        self.feeds.asked.push(listener);
    }

    /// Once a flush: what fits into the listeners' windows goes out, and a
    /// listener acknowledges.
    pub(super) fn feed(&mut self, cx: Cx<'_, '_>) {
        for listener in std::mem::take(&mut self.feeds.asked) {
            self.begin_feed(listener, cx);
        }
        let window = self.config.feed_window_bytes;
        for (listener, feed) in &mut self.feeds.feeds {
            while feed.queued_bytes > window * QUEUED_WINDOWS {
                let oldest = feed.queue.iter().position(|course| matches!(course, Course::Batch(..)));
                let Some(Course::Batch(_, _, held)) = oldest.and_then(|at| feed.queue.remove(at)) else { break };
                feed.queued_bytes -= held.cost();
            }
            while feed.sent - feed.acked < window {
                let Some(course) = feed.queue.pop_front() else { break };
                let bytes = match course {
                    Course::End(origin, end) => {
                        cx.send(To::Life(*listener), Lane::Data, &Message::FeedEnd { origin, end })
                    }
                    Course::Skip(origin, base) => {
                        cx.send(To::Life(*listener), Lane::Data, &Message::FeedStart(vec![(origin, base)]))
                    }
                    Course::Batch(origin, seq, held) => {
                        feed.queued_bytes -= held.cost();
                        feed.sent += held.cost();
                        let message = Message::Feed { origin, head: held.head(seq) };
                        cx.send_with(To::Life(*listener), Lane::Data, &message, held.body())
                    }
                };
                self.window.passed(*listener, bytes);
            }
        }
        let Listening { sponsor, handled, told, .. } = &mut self.listening;
        if let Some(sponsor) = sponsor.filter(|_| *handled > *told && !self.pressure.withheld) {
            *told = *handled;
            let bytes = cx.send(To::Life(sponsor), Lane::Control, &Message::FeedAck { bytes: *handled });
            self.window.passed(sponsor, bytes);
        }
    }

    fn begin_feed(&mut self, listener: Life, cx: Cx<'_, '_>) {
        let bases = self.origins.values().map(|origin| (origin.life, origin.released)).collect();
        let bytes = cx.send(To::Life(listener), Lane::Data, &Message::FeedStart(bases));
        self.window.passed(listener, bytes);
        let mut delivered: Vec<(u64, Life, u64, Held)> = Vec::new();
        for origin in self.origins.values() {
            let held = origin.held_from(0).take_while(|(_, held)| *held.delivered_as > 0);
            delivered.extend(held.map(|(seq, held)| (*held.delivered_as, origin.life, seq, held.clone())));
        }
        delivered.sort_by_key(|(order, ..)| *order);
        // What ended while the listener had no sponsor: it may lack the last of it.
        let ended = self.closed.iter().map(|(origin, end)| Course::End(*origin, *end));
        let mut feed = Feed { queue: ended.collect(), ..Feed::default() };
        for (_, origin, seq, held) in delivered {
            feed.queued_bytes += held.cost();
            feed.queue.push_back(Course::Batch(origin, seq, held));
        }
        self.feeds.feeds.insert(listener, feed);
    }

    pub(super) fn sponsor_appeared(&mut self, life: Life, cx: Cx<'_, '_>) {
        if self.listening.sponsor.is_none() && !self.config.voters_by_log {
            self.listening.sponsor = Some(life);
            (self.listening.handled, self.listening.told) = (0, 0);
            let bytes = cx.send(To::Life(life), Lane::Control, &Message::Listen);
            self.window.passed(life, bytes);
        }
    }

    pub(super) fn sponsor_ended(&mut self, life: Life, cx: Cx<'_, '_>) {
        if self.listening.sponsor == Some(life) {
            self.listening.sponsor = None;
            let next = self.peers.values().find(|(_, role)| *role == PeerRole::Voter).map(|(life, _)| *life);
            if let Some(next) = next {
                self.sponsor_appeared(next, cx);
            }
        }
    }

    /// Up to where a listener has heard `origin`, or is owed nothing of it: all
    /// of it, if it ended so long ago that where is forgotten.
    fn heard_upto(&self, origin: Life) -> u64 {
        let ended = || self.closed_at(origin).map(|end| end.unwrap_or(u64::MAX));
        self.listening.marks.get(&origin).copied().or_else(ended).unwrap_or(0)
    }

    pub(super) fn fed(&mut self, from: Life, message: Message, body: Bytes, cx: Cx<'_, '_>) {
        if self.listening.sponsor != Some(from) {
            self.dropped.unknown += 1;
            return;
        }
        match message {
            Message::FeedStart(bases) => {
                for (origin, base) in bases {
                    let mark = self.heard_upto(origin);
                    if base > mark {
                        self.listening.marks.insert(origin, base);
                        self.gap(origin, mark + 1, base, GapWhy::BeforeThisLife, cx);
                    }
                }
            }
            Message::FeedEnd { origin, end } => {
                if let Some(mark) = self.listening.marks.remove(&origin).filter(|mark| *mark < end)
                    && self.holds()
                {
                    self.gap(origin, mark + 1, end, GapWhy::BeforeThisLife, cx);
                }
                // Another sponsor may still have it open. What came since may
                // have followed from it, so it must not come now.
                self.remember_closed(origin, end);
                self.config.clocks.forget(origin);
            }
            Message::Feed { origin, head } => {
                let Some(held) = Held::arrived(&head, body) else {
                    self.dropped.malformed += 1;
                    return;
                };
                self.listening.handled += held.cost();
                let heard = self.heard_upto(origin);
                let mark = self.listening.marks.entry(origin).or_insert(heard);
                if head.seq <= *mark {
                    self.dropped.duplicates += 1;
                    return;
                }
                let missing = std::mem::replace(mark, head.seq) + 1;
                if missing < head.seq && self.holds() {
                    self.gap(origin, missing, head.seq - 1, GapWhy::TooSlow, cx);
                }
                self.hand_up(origin, head.seq, held, cx);
            }
            _ => self.dropped.unknown += 1,
        }
    }
}
