//! The node's bus: what a late one must be told, and who wants to be told.

use super::counters::{Counts, count};
use crate::component::{Item, PeerChange};
use crate::event::{AnyEvent, EventType};
use crate::id::{Life, NodeId};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Events that wait for a subscriber of the user's. When it is slow the oldest
/// goes, since retained events describe a state and the newest is true; what it
/// missed is counted.
const SUBSCRIBER_EVENTS_MAX: usize = 1024;

struct Subscriber {
    wanted: EventType,
    events: flume::Sender<AnyEvent>,
    /// The same channel's other end, to take the oldest event out.
    oldest: flume::Receiver<AnyEvent>,
}

#[derive(Default)]
struct State {
    life: Option<Life>,
    retained: BTreeMap<(EventType, u64), AnyEvent>,
    peers: BTreeMap<NodeId, PeerChange>,
    subscribers: Vec<Subscriber>,
}

/// One lock, because retained state and the list of those who hear it must
/// change together: else a late subscriber could miss an event, or hear an
/// older one after a newer one. Items are only queued under it, no component
/// runs. Bounded by the number of retained keys (peers) and subscribers.
#[derive(Default)]
pub(super) struct Board {
    state: Mutex<State>,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A life begins: what the last one said is void.
    pub(super) fn begin(&self, life: Life) {
        let mut state = self.state();
        state.life = Some(life);
        state.retained.clear();
        state.peers.clear();
    }

    /// Takes an event of `life`; `queue` hands it to the components.
    pub(super) fn publish(&self, life: Life, event: AnyEvent, counts: &Counts, queue: impl FnOnce(AnyEvent)) {
        let mut state = self.state();
        if state.life != Some(life) {
            return;
        }
        if let Some(key) = event.retained() {
            state.retained.insert((event.event_type(), key), event.clone());
        }
        state.subscribers.retain(Subscriber::is_heard);
        for subscriber in &state.subscribers {
            if subscriber.wanted == event.event_type() {
                subscriber.tell(event.clone(), counts);
            }
        }
        queue(event);
    }

    /// Takes a peer's change; `queue` hands it to the components.
    pub(super) fn peer(&self, life: Life, change: PeerChange, queue: impl FnOnce(PeerChange)) {
        let mut state = self.state();
        if state.life != Some(life) {
            return;
        }
        match &change {
            PeerChange::Joined { life, .. } => {
                state.peers.insert(life.node, change.clone());
            }
            PeerChange::Ended { life: ended, .. } => {
                let known = state.peers.get(&ended.node);
                if matches!(known, Some(PeerChange::Joined { life, .. }) if life == ended) {
                    state.peers.remove(&ended.node);
                }
            }
        }
        queue(change);
    }

    /// Whether this life is linked now.
    pub(super) fn is_linked(&self, life: Life) -> bool {
        let state = self.state();
        matches!(state.peers.get(&life.node), Some(PeerChange::Joined { life: linked, .. }) if *linked == life)
    }

    /// What a component that begins anew has to be told first. It may hear
    /// some of it once more from its mailbox.
    pub(super) fn replay(&self, hears: &[EventType]) -> Vec<Item> {
        let state = self.state();
        let peers = state.peers.values().cloned().map(Item::Peer);
        let events = state.retained.iter().filter(|((wanted, _), _)| hears.contains(wanted));
        peers.chain(events.map(|(_, event)| Item::Event(event.clone()))).collect()
    }

    pub(super) fn subscribe(&self, wanted: EventType, counts: &Counts) -> flume::Receiver<AnyEvent> {
        let (events, heard) = flume::bounded(SUBSCRIBER_EVENTS_MAX);
        let subscriber = Subscriber { wanted, events, oldest: heard.clone() };
        let mut state = self.state();
        for ((event_type, _), event) in &state.retained {
            if *event_type == wanted {
                subscriber.tell(event.clone(), counts);
            }
        }
        state.subscribers.push(subscriber);
        heard
    }

    /// The node is over: subscribers' channels close.
    pub(super) fn close(&self) {
        *self.state() = State::default();
    }
}

impl Subscriber {
    /// Whether the user still holds the receiver.
    fn is_heard(&self) -> bool {
        self.oldest.receiver_count() > 1
    }

    fn tell(&self, mut event: AnyEvent, counts: &Counts) {
        while let Err(flume::TrySendError::Full(back)) = self.events.try_send(event) {
            event = back;
            if self.oldest.try_recv().is_ok() {
                count(&counts.events_missed);
            }
        }
    }
}
