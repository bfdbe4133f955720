//! Snapshots: where one stands ([`Meta`]) and its bytes in a file or a stream.
//!
//! ```text
//!   magic 8   [length 4][crc32c 4][bytes] ...   [0 4][crc32c of all bytes 4]
//! ```
//!
//! The content is the meta in postcard, length-prefixed, and the state's own
//! bytes. A file is written beside its name, synced, renamed, and its directory
//! synced; the one before it is kept until the next.

use crate::codec::{put_item, take_varint};
use bytes::Bytes;
use raft::eraftpb::{ConfState, Snapshot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const MAGIC: &[u8; 8] = b"NWSNAP1\n";
const BLOCK_BYTES: usize = 64 << 10;

/// Who votes and who only follows, by replica id.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Conf {
    pub(super) voters: Vec<u64>,
    pub(super) learners: Vec<u64>,
    pub(super) voters_outgoing: Vec<u64>,
    pub(super) learners_next: Vec<u64>,
    pub(super) auto_leave: bool,
}

impl Conf {
    pub(super) fn of(conf: &ConfState) -> Self {
        Conf {
            voters: conf.voters.clone(),
            learners: conf.learners.clone(),
            voters_outgoing: conf.voters_outgoing.clone(),
            learners_next: conf.learners_next.clone(),
            auto_leave: conf.auto_leave,
        }
    }

    pub(super) fn to_raft(&self) -> ConfState {
        ConfState {
            voters: self.voters.clone(),
            learners: self.learners.clone(),
            voters_outgoing: self.voters_outgoing.clone(),
            learners_next: self.learners_next.clone(),
            auto_leave: self.auto_leave,
            ..ConfState::default()
        }
    }

    /// Whether the engine can hold it: it panics where it cannot.
    pub(super) fn is_sound(&self) -> bool {
        let lists = [&self.voters, &self.learners, &self.voters_outgoing, &self.learners_next];
        let distinct = |list: &Vec<u64>| list.iter().collect::<BTreeSet<_>>().len() == list.len();
        let voters = |id: &u64| self.voters.contains(id) || self.voters_outgoing.contains(id);
        let joint = !self.voters_outgoing.is_empty();
        !self.voters.is_empty()
            && lists.iter().all(|list| distinct(list) && !list.contains(&0) && list.len() <= super::MEMBERS_MAX)
            && !self.learners.iter().any(voters)
            && self.learners_next.iter().all(|id| self.voters_outgoing.contains(id) && !self.voters.contains(id))
            && (joint || (self.learners_next.is_empty() && !self.auto_leave))
    }

    /// Whether this replica is one of them, in whatever place.
    pub(super) fn has(&self, id: u64) -> bool {
        [&self.voters, &self.learners, &self.voters_outgoing, &self.learners_next].iter().any(|it| it.contains(&id))
    }

    pub(super) fn votes(&self, id: u64) -> bool {
        self.voters.contains(&id) || self.voters_outgoing.contains(&id)
    }
}

/// Where a snapshot stands in the log.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Meta {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) conf: Conf,
}

impl Meta {
    pub(super) fn to_raft(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        metadata.index = self.index;
        metadata.term = self.term;
        metadata.set_conf_state(self.conf.to_raft());
        snapshot
    }

    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let metadata = snapshot.get_metadata();
        Meta { index: metadata.index, term: metadata.term, conf: Conf::of(metadata.get_conf_state()) }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.index > 0 && self.term > 0 && self.index < super::INDEX_MAX && self.conf.is_sound()
    }
}

/// The bytes of a snapshot, checksummed.
pub(super) fn encode(meta: &Meta, state: &[u8]) -> Bytes {
    let mut content = Vec::with_capacity(state.len() + 256);
    put_item(&mut content, |out| crate::codec::put_head(out, meta));
    content.extend_from_slice(state);
    let mut bytes = MAGIC.to_vec();
    for block in content.chunks(BLOCK_BYTES) {
        bytes.extend_from_slice(&(block.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(block).to_le_bytes());
        bytes.extend_from_slice(block);
    }
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&content).to_le_bytes());
    bytes.into()
}

/// The snapshot that these bytes are, if they are a whole one.
pub(super) fn decode(bytes: &[u8]) -> Option<(Meta, Vec<u8>)> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut content = Vec::new();
    loop {
        let (length, after) = rest.split_first_chunk()?;
        let (sum, after) = after.split_first_chunk()?;
        let (length, sum) = (u32::from_le_bytes(*length) as usize, u32::from_le_bytes(*sum));
        if length == 0 {
            if sum != crc32c::crc32c(&content) || !after.is_empty() {
                return None;
            }
            break;
        }
        let (block, after) = after.split_at_checked(length).filter(|_| length <= BLOCK_BYTES)?;
        if crc32c::crc32c(block) != sum {
            return None;
        }
        content.extend_from_slice(block);
        rest = after;
    }
    let (length, prefix) = take_varint(&content)?;
    let end = prefix.checked_add(usize::try_from(length).ok()?)?;
    let meta: Meta = postcard::from_bytes(content.get(prefix..end)?).ok()?;
    Some((meta, content.split_off(end))).filter(|(meta, _)| meta.is_sound())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta { index: 7, term: 3, conf: Conf { voters: vec![1, 2, 3], learners: vec![4], ..Conf::default() } }
    }

    #[test]
    fn a_snapshot_reads_as_it_was_written_and_any_damage_is_found() {
        let state: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let bytes = encode(&meta(), &state);
        assert_eq!(decode(&bytes), Some((meta(), state)));
        for at in (0..bytes.len()).step_by(997).chain([0, 8, bytes.len() - 1]) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 4;
            assert_eq!(decode(&damaged), None, "byte {at}");
            assert_eq!(decode(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_membership_that_the_engine_would_panic_on_is_unsound() {
        let sound = meta().conf;
        assert!(sound.is_sound() && sound.has(4) && !sound.votes(4));
        for unsound in [
            Conf { voters: vec![], ..sound.clone() },
            Conf { voters: vec![1, 1], ..sound.clone() },
            Conf { voters: vec![0], ..sound.clone() },
            Conf { learners: vec![1], ..sound.clone() },
            Conf { learners_next: vec![9], ..sound.clone() },
            Conf { auto_leave: true, ..sound },
        ] {
            assert!(!unsound.is_sound(), "{unsound:?}");
        }
        assert!(!Meta { index: 0, ..meta() }.is_sound(), "trap 10: a snapshot at index zero");
    }
}
