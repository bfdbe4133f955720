//! raft's messages and log records in our own encoding: peers' bytes never
//! reach a protobuf parser.

use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use serde::{Deserialize, Serialize};

/// A log entry.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct WireEntry {
    kind: u8,
    pub term: u64,
    pub index: u64,
    data: Vec<u8>,
    context: Vec<u8>,
}

/// A message between two engines (all kinds but snapshots).
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct WireMessage {
    kind: u8,
    to: u64,
    from: u64,
    term: u64,
    log_term: u64,
    index: u64,
    commit: u64,
    commit_term: u64,
    request_snapshot: u64,
    reject: bool,
    reject_hint: u64,
    priority: i64,
    context: Vec<u8>,
    entries: Vec<WireEntry>,
}

/// What the log file holds.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub enum Record {
    /// The voters' ids: first record of the file.
    Voters(Vec<u64>),
    /// Term, vote, commit index.
    Hard(u64, u64, u64),
    /// An entry; replaces what stood at its index and drops what followed.
    Entry(WireEntry),
}

impl Record {
    /// Appends `[length][crc32c][postcard]`.
    pub fn put(&self, out: &mut Vec<u8>) {
        let bytes = postcard::to_stdvec(self).expect("records always serialize");
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        out.extend_from_slice(&bytes);
    }

    /// Reads records up to the first torn one; says how many bytes are whole.
    pub fn take_all(mut bytes: &[u8]) -> (Vec<Record>, usize) {
        let (mut records, mut whole) = (Vec::new(), 0);
        while let Some((record, size)) = Record::take(bytes) {
            records.push(record);
            whole += size;
            bytes = &bytes[size..];
        }
        (records, whole)
    }

    fn take(bytes: &[u8]) -> Option<(Record, usize)> {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let body = rest.get(..u32::from_le_bytes(*len) as usize)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        Some((postcard::from_bytes(body).ok()?, 8 + body.len()))
    }
}

const KINDS: [MessageType; 11] = [
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
];

impl WireMessage {
    /// Whose message it claims to be; the receiver compares it with the life.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// Whether it carries log entries, which go on the lane for payloads.
    pub fn carries_entries(&self) -> bool {
        !self.entries.is_empty()
    }

    /// `None` for kinds that do not travel.
    pub fn of(message: &Message) -> Option<Self> {
        Some(WireMessage {
            kind: KINDS.iter().position(|kind| *kind == message.get_msg_type())? as u8,
            to: message.to,
            from: message.from,
            term: message.term,
            log_term: message.log_term,
            index: message.index,
            commit: message.commit,
            commit_term: message.commit_term,
            request_snapshot: message.request_snapshot,
            reject: message.reject,
            reject_hint: message.reject_hint,
            priority: message.priority,
            context: message.context.to_vec(),
            entries: message.get_entries().iter().map(WireEntry::of).collect(),
        })
    }

    /// `None` if a peer sent a kind that does not travel.
    pub fn into_raft(self) -> Option<Message> {
        let mut message = Message::default();
        message.set_msg_type(*KINDS.get(self.kind as usize)?);
        message.to = self.to;
        message.from = self.from;
        message.term = self.term;
        message.log_term = self.log_term;
        message.index = self.index;
        message.commit = self.commit;
        message.commit_term = self.commit_term;
        message.request_snapshot = self.request_snapshot;
        message.reject = self.reject;
        message.reject_hint = self.reject_hint;
        message.priority = self.priority;
        message.context = self.context.into();
        message.set_entries(self.entries.into_iter().map(WireEntry::into_raft).collect());
        Some(message)
    }
}

impl WireEntry {
    pub fn of(entry: &Entry) -> Self {
        WireEntry {
            kind: entry.get_entry_type() as u8,
            term: entry.term,
            index: entry.index,
            data: entry.data.to_vec(),
            context: entry.context.to_vec(),
        }
    }

    pub fn into_raft(self) -> Entry {
        let mut entry = Entry::default();
        if self.kind != EntryType::EntryNormal as u8 {
            entry.set_entry_type(EntryType::EntryConfChange);
        }
        entry.term = self.term;
        entry.index = self.index;
        entry.data = self.data.into();
        entry.context = self.context.into();
        entry
    }
}
