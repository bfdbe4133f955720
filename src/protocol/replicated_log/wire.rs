//! The engine's messages in our own encoding, each field checked before the
//! engine sees it: peers' bytes never reach a protobuf parser
//! (RUSTSEC-2024-0437), and what would make the engine panic is dropped.

use super::INDEX_MAX;
use super::snapshot::Meta;
use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use serde::{Deserialize, Serialize};

/// Whether an entry changes the membership.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EntryKind {
    Normal,
    /// Its payload is a [`super::members::Change`] in our encoding; the engine's
    /// own stays on the leader that proposed it.
    Change,
}

/// A log entry as it travels and as it is written.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct WireEntry {
    pub(super) kind: EntryKind,
    pub(super) term: u64,
    pub(super) index: u64,
    pub(super) payload: Bytes,
}

impl WireEntry {
    pub(super) fn of(entry: &Entry) -> Self {
        let kind = match entry.get_entry_type() {
            EntryType::EntryNormal => EntryKind::Normal,
            _ => EntryKind::Change,
        };
        let payload = if kind == EntryKind::Normal { &entry.data } else { &entry.context };
        WireEntry { kind, term: entry.term, index: entry.index, payload: Bytes::copy_from_slice(payload) }
    }

    pub(super) fn to_raft(&self) -> Entry {
        let mut entry = Entry { term: self.term, index: self.index, ..Entry::default() };
        match self.kind {
            EntryKind::Normal => entry.data = self.payload.to_vec().into(),
            EntryKind::Change => {
                entry.set_entry_type(EntryType::EntryConfChangeV2);
                entry.context = self.payload.to_vec().into();
            }
        }
        entry
    }
}

/// A message between two engines.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct WireMessage {
    kind: u8,
    pub(super) from: u64,
    pub(super) to: u64,
    term: u64,
    log_term: u64,
    index: u64,
    commit: u64,
    commit_term: u64,
    reject: bool,
    reject_hint: u64,
    context: Bytes,
    entries: Vec<WireEntry>,
    snapshot: Option<Meta>,
}

const KINDS: [MessageType; 12] = [
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgSnapshot,
];

/// What of the receiver's state a message is checked against.
pub(super) struct Here {
    pub(super) id: u64,
    pub(super) last: u64,
    pub(super) commit: u64,
}

impl WireMessage {
    /// `None` for kinds that do not travel.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let kind = KINDS.iter().position(|kind| *kind == message.get_msg_type())? as u8;
        Some(WireMessage {
            kind,
            from: message.from,
            to: message.to,
            term: message.term,
            log_term: message.log_term,
            index: message.index,
            commit: message.commit,
            commit_term: message.commit_term,
            reject: message.reject,
            reject_hint: message.reject_hint,
            context: Bytes::copy_from_slice(&message.context),
            entries: message.entries.iter().map(WireEntry::of).collect(),
            snapshot: message.has_snapshot().then(|| Meta::of(message.get_snapshot())),
        })
    }

    /// Whether it carries log entries, which go on the lane for payloads.
    pub(super) fn carries_entries(&self) -> bool {
        self.kind == 0 && !self.entries.is_empty()
    }

    /// Whether it says nothing that `later`, to the same replica, does not: it
    /// brings the commit index, and `later` entries as well.
    pub(super) fn is_covered_by(&self, later: &WireMessage) -> bool {
        let empty = self.kind() == Some(MessageType::MsgAppend) && self.entries.is_empty() && !self.reject;
        empty
            && later.carries_entries()
            && (later.to, later.term) == (self.to, self.term)
            && later.index >= self.index
            && later.commit >= self.commit
    }

    /// The place of the snapshot that it announces.
    pub(super) fn snapshot(&self) -> Option<&Meta> {
        self.snapshot.as_ref()
    }

    /// The context of a read that it answers.
    pub(super) fn answers_read(&self) -> Option<&[u8]> {
        let answers = self.kind() == Some(MessageType::MsgReadIndexResp);
        self.entries.first().filter(|_| answers).map(|entry| &entry.payload[..])
    }

    fn kind(&self) -> Option<MessageType> {
        KINDS.get(usize::from(self.kind)).copied()
    }

    /// The engine's message, if the engine bears it.
    pub(super) fn to_raft(&self, here: &Here) -> Option<Message> {
        self.is_sound(here).then_some(())?;
        let mut message = Message::default();
        message.set_msg_type(self.kind()?);
        (message.from, message.to, message.term) = (self.from, self.to, self.term);
        (message.log_term, message.index) = (self.log_term, self.index);
        (message.commit, message.commit_term) = (self.commit, self.commit_term);
        (message.reject, message.reject_hint) = (self.reject, self.reject_hint);
        message.context = self.context.to_vec().into();
        message.set_entries(self.entries.iter().map(WireEntry::to_raft).collect());
        if let Some(meta) = &self.snapshot {
            message.set_snapshot(meta.to_raft());
        }
        Some(message)
    }

    fn is_sound(&self, here: &Here) -> bool {
        let Some(kind) = self.kind() else { return false };
        let asks_read = kind == MessageType::MsgReadIndex;
        let is_read = asks_read || kind == MessageType::MsgReadIndexResp;
        let numbers = [self.term, self.log_term, self.index, self.commit, self.commit_term, self.reject_hint];
        // Term zero marks a message of the engine to itself; only reads are asked without one.
        self.to == here.id
            && self.from != 0
            && self.from != here.id
            && (self.term > 0) != asks_read
            && numbers.iter().all(|number| *number < INDEX_MAX)
            && self.context.len() <= 64
            && (kind == MessageType::MsgSnapshot) == self.snapshot.is_some()
            && self.snapshot.as_ref().is_none_or(Meta::is_sound)
            && (!is_read || self.entries.len() == 1 && self.entries[0].payload.len() <= 64)
            && (is_read || kind == MessageType::MsgAppend || self.entries.is_empty())
            && match kind {
                MessageType::MsgAppend => self.follows(here),
                // its commit must be there: a replica that lost its log would panic
                MessageType::MsgHeartbeat => self.commit <= here.last,
                MessageType::MsgAppendResponse => self.reject || self.index <= here.last,
                _ => true,
            }
    }

    /// Entries stand in one row behind their predecessor, and contradict
    /// nothing that is committed by their place alone.
    fn follows(&self, here: &Here) -> bool {
        let (mut index, mut term) = (self.index, self.log_term);
        let in_row = self.entries.iter().all(|entry| {
            let follows = entry.index == index + 1 && entry.term >= term && entry.term <= self.term && entry.term > 0;
            (index, term) = (entry.index, entry.term);
            follows
        });
        in_row && (self.index == 0) == (self.log_term == 0) && (self.index <= here.last || here.commit <= here.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: Here = Here { id: 2, last: 10, commit: 5 };

    fn sound(kind: MessageType) -> WireMessage {
        let mut message = Message { from: 1, to: 2, term: 4, ..Message::default() };
        message.set_msg_type(kind);
        if kind == MessageType::MsgReadIndex {
            message.term = 0;
        }
        let mut wire = WireMessage::of(&message).expect("travels");
        if matches!(kind, MessageType::MsgReadIndex | MessageType::MsgReadIndexResp) {
            wire.entries =
                vec![WireEntry { kind: EntryKind::Normal, term: 0, index: 0, payload: Bytes::from_static(b"context") }];
        }
        if kind == MessageType::MsgSnapshot {
            let conf = super::super::snapshot::Conf { voters: vec![1, 2], ..Default::default() };
            wire.snapshot = Some(Meta { index: 9, term: 2, conf });
        }
        wire
    }

    #[test]
    fn what_travels_comes_back_and_what_does_not_is_refused() {
        for kind in KINDS {
            let raft = sound(kind).to_raft(&HERE).unwrap_or_else(|| panic!("{kind:?}"));
            assert_eq!(WireMessage::of(&raft).as_ref(), Some(&sound(kind)), "{kind:?}");
        }
        let mut local = Message { to: 2, from: 1, term: 1, ..Message::default() };
        for kind in [MessageType::MsgHup, MessageType::MsgPropose, MessageType::MsgBeat, MessageType::MsgUnreachable] {
            local.set_msg_type(kind);
            assert_eq!(WireMessage::of(&local), None, "{kind:?}");
        }
    }

    /// Trap 6: each of these makes the engine panic or takes it for its own.
    #[test]
    fn trap_6_a_malformed_field_never_reaches_the_engine() {
        let entry = |term, index| WireEntry { kind: EntryKind::Normal, term, index, payload: Bytes::new() };
        let append =
            |index, log_term, entries| WireMessage { index, log_term, entries, ..sound(MessageType::MsgAppend) };
        let heartbeat = sound(MessageType::MsgHeartbeat);
        for junk in [
            WireMessage { kind: 12, ..heartbeat.clone() },
            WireMessage { term: 0, ..heartbeat.clone() },
            WireMessage { from: 0, ..heartbeat.clone() },
            WireMessage { from: 2, ..heartbeat.clone() },
            WireMessage { to: 3, ..heartbeat.clone() },
            WireMessage { term: u64::MAX, ..heartbeat.clone() },
            WireMessage { commit: 11, ..heartbeat },
            WireMessage { index: 11, ..sound(MessageType::MsgAppendResponse) },
            WireMessage { snapshot: None, ..sound(MessageType::MsgSnapshot) },
            WireMessage { entries: vec![], ..sound(MessageType::MsgReadIndex) },
            WireMessage { entries: vec![], ..sound(MessageType::MsgReadIndexResp) },
            append(3, 1, vec![entry(1, 5)]),
            append(3, 2, vec![entry(1, 4)]),
            append(3, 1, vec![entry(5, 4)]),
            append(3, 1, vec![entry(2, 4), entry(2, 4)]),
            append(3, 0, vec![]),
        ] {
            assert_eq!(junk.to_raft(&HERE), None, "{junk:?}");
        }
        assert!(append(3, 1, vec![entry(1, 4), entry(4, 5)]).to_raft(&HERE).is_some());
    }

    proptest! {
        /// Trap 8: whatever a peer sends, no protobuf is parsed and nothing panics.
        #[test]
        fn trap_8_junk_is_no_message(junk in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(message) = postcard::from_bytes::<WireMessage>(&junk) {
                let _ = message.to_raft(&HERE);
            }
        }
    }
}
