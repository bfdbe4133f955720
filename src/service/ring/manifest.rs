//! What the ring knows of one content of one file: written when it is pushed,
//! replaced only as a whole.
//!
//! ```text
//!   ring/f/<name>    the file as it is               -> Manifest
//!   ring/o/<name>    what it was, while undo is open -> Manifest
//!   ring/t/<push>    a push under way                -> Manifest, without sums
//! ```
//!
//! A content is named by its version *and* its push: versions count from 1 and may
//! begin anew when a file was long gone, pushes never come twice.
//!
//! **Bounds.** At most [`MANIFEST_BYTES_MAX`] bytes, and the name where its key of
//! the map does not hold the whole of it.

use super::cuts::Cuts;
use super::name::Name;
use super::placement::{SLOTS_MAX, place};
use super::sums::Hash;
use crate::id::{Life, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Longest encoding, the name apart, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 1024;
/// Files as they are.
pub const FILES: &[u8] = b"ring/f/";
/// What they were.
pub const OLD: &[u8] = b"ring/o/";
/// Pushes under way.
pub const PUSHES: &[u8] = b"ring/t/";
/// The first byte of an encoding. A higher one is of a newer program.
const FORMAT: u8 = 1;

/// Names one push, once and for ever: the entry node's life, and a count in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PushId {
    /// The entry node.
    pub life: Life,
    /// From 1.
    pub number: u64,
}

/// What has become of a content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum State {
    /// It is the file.
    Live,
    /// The file was deleted; until then it can be undone.
    Deleted {
        /// Milliseconds since 1970.
        until_ms: u64,
    },
}

/// One content of one file.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Manifest {
    /// The file's name.
    pub name: Name,
    /// Counts the file's contents.
    pub version: u64,
    /// The push it came with.
    pub push: PushId,
    /// Size, number of parts, where they are cut.
    pub cuts: Cuts,
    /// Its BLAKE3, as `b3sum` prints it.
    pub root: Hash,
    /// The frozen ring, one slot for each part. The first is the start node.
    pub slots: Vec<NodeId>,
    /// A digest for each part.
    pub digests: Vec<Hash>,
    /// How many copies of each part there should be.
    pub copies: u8,
    /// When it was pushed, in milliseconds since 1970.
    pub mtime_ms: u64,
    /// What has become of it.
    pub state: State,
}

/// Why bytes are no manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is of a newer program.
    #[error("a manifest of format {0}, newer than {FORMAT}: bring all nodes to one version")]
    Newer(u8),
    /// It does not decode, or contradicts itself.
    #[error("a manifest that does not decode")]
    Damaged,
    /// It is another file's.
    #[error("a manifest that stands under another file's key")]
    Misplaced,
}

impl Manifest {
    /// Its key in the map, behind [`FILES`] or [`OLD`].
    pub fn key(&self, prefix: &[u8]) -> Vec<u8> {
        self.name.map_key(prefix)
    }

    /// Its value in the map.
    pub fn encode(&self) -> Vec<u8> {
        let name = (!self.name.stands_in_map_key()).then_some(&self.name);
        encoded(&(name, Fields::of(self)))
    }

    /// Reads what stands in the map under a key behind `prefix`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(prefix: &[u8], key: &[u8], value: &[u8]) -> Result<Self, ManifestError> {
        let (name, fields): (Option<Name>, Fields) = decoded(value)?;
        let rest = key.strip_prefix(prefix).ok_or(ManifestError::Misplaced)?;
        let name = name.map_or_else(|| Name::from_bytes(rest).map_err(|_| ManifestError::Misplaced), Ok)?;
        if name.map_key(prefix) != key {
            return Err(ManifestError::Misplaced);
        }
        fields.manifest(name)
    }

    /// An encoding that holds the name whatever its length, for disks.
    pub fn encode_whole(&self) -> Vec<u8> {
        encoded(&(Some(&self.name), Fields::of(self)))
    }

    /// Reads [`Manifest::encode_whole`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode_whole(bytes: &[u8]) -> Result<Self, ManifestError> {
        let (name, fields): (Option<Name>, Fields) = decoded(bytes)?;
        fields.manifest(name.ok_or(ManifestError::Damaged)?)
    }

    /// Who holds part `part` (from 1): the owner first.
    pub fn holders(&self, part: u16, members: &BTreeSet<NodeId>) -> Vec<NodeId> {
        place(&self.slots, part, self.copies, members)
    }

    /// The parts that `node` holds, and whether as their owner.
    pub fn parts_of(&self, node: NodeId, members: &BTreeSet<NodeId>) -> Vec<(u16, bool)> {
        let holds = |part: u16| {
            let at = self.holders(part, members).iter().position(|holder| *holder == node)?;
            Some((part, at == 0))
        };
        (1..=self.cuts.parts()).filter_map(holds).collect()
    }
}

/// All but the name.
#[derive(Serialize, Deserialize)]
struct Fields {
    version: u64,
    push: PushId,
    size: u64,
    exact: bool,
    root: Hash,
    parts: Vec<(NodeId, Hash)>,
    copies: u8,
    mtime_ms: u64,
    state: State,
}

impl Fields {
    fn of(manifest: &Manifest) -> Self {
        let digests = manifest.digests.iter().copied().chain(std::iter::repeat(Hash::default()));
        Fields {
            version: manifest.version,
            push: manifest.push,
            size: manifest.cuts.size(),
            exact: manifest.cuts.is_exact(),
            root: manifest.root,
            parts: manifest.slots.iter().copied().zip(digests).collect(),
            copies: manifest.copies,
            mtime_ms: manifest.mtime_ms,
            state: manifest.state,
        }
    }

    fn manifest(self, name: Name) -> Result<Manifest, ManifestError> {
        if self.parts.is_empty() || self.parts.len() > SLOTS_MAX || self.version == 0 {
            return Err(ManifestError::Damaged);
        }
        let cuts = Cuts::new(self.size, self.parts.len() as u16, self.exact);
        let (slots, digests) = self.parts.into_iter().unzip();
        let (version, push, root, copies) = (self.version, self.push, self.root, self.copies);
        let (mtime_ms, state) = (self.mtime_ms, self.state);
        Ok(Manifest { name, version, push, cuts, root, slots, digests, copies, mtime_ms, state })
    }
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    // of plain values into memory: nothing in it can refuse
    postcard::to_extend(value, vec![FORMAT]).unwrap_or_default()
}

fn decoded<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ManifestError> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => match postcard::take_from_bytes(rest) {
            Ok((value, [])) => Ok(value),
            _ => Err(ManifestError::Damaged),
        },
        Some((&newer, _)) if newer > FORMAT => Err(ManifestError::Newer(newer)),
        _ => Err(ManifestError::Damaged),
    }
}

impl PushId {
    /// Its key in the map.
    pub fn key(&self) -> Vec<u8> {
        [PUSHES, self.to_string().as_bytes()].concat()
    }
}

/// A plain name for a directory: `n<hex>.<incarnation>.<number>`.
impl fmt::Display for PushId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.life, self.number)
    }
}

impl fmt::Debug for PushId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads what `Display` writes.
impl std::str::FromStr for PushId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once('.').and_then(|(life, number)| Some((life.parse().ok()?, number.parse().ok()?)));
        let id = parts.map(|(life, number)| PushId { life, number }).filter(|id| id.to_string() == text);
        id.ok_or_else(|| format!("'{text}' names no push (n<hex>.<incarnation>.<number>)"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn manifest(name: &str, version: u64, size: u64, slots: &[u64]) -> Manifest {
        Manifest {
            name: Name::from_bytes(name.as_bytes()).expect("is taken"),
            version,
            push: PushId { life: Life::new(NodeId(7), 1_700_000_000_000), number: version },
            cuts: Cuts::new(size, slots.len() as u16, false),
            root: [0xAA; 32],
            slots: slots.iter().copied().map(NodeId).collect(),
            digests: (0..slots.len()).map(|at| [at as u8; 32]).collect(),
            copies: 2,
            mtime_ms: 1_700_000_000_123,
            state: State::Live,
        }
    }

    #[test]
    fn it_is_short_at_its_longest() {
        let mut longest = manifest(&"x".repeat(470), u64::MAX, u64::MAX, &[u64::MAX; SLOTS_MAX]);
        longest.push = PushId { life: Life::new(NodeId(u64::MAX), u64::MAX), number: u64::MAX };
        longest.mtime_ms = u64::MAX;
        longest.state = State::Deleted { until_ms: u64::MAX };
        assert!(longest.encode().len() <= MANIFEST_BYTES_MAX, "{}", longest.encode().len());
    }

    #[test]
    fn a_manifest_of_another_program_or_file_is_refused() {
        let one = manifest("a", 1, 10, &[1, 2, 3]);
        let (key, mut value) = (one.key(FILES), one.encode());
        assert_eq!(Manifest::decode(FILES, &key, &value), Ok(one.clone()));
        assert_eq!(Manifest::decode(OLD, &key, &value), Err(ManifestError::Misplaced));
        assert_eq!(Manifest::decode(FILES, b"ring/f/../x", &value), Err(ManifestError::Misplaced));
        let long = manifest(&"y".repeat(600), 1, 10, &[1, 2, 3]);
        assert_eq!(Manifest::decode(FILES, &key, &long.encode()), Err(ManifestError::Misplaced));
        assert_eq!(Manifest::decode(FILES, &long.key(FILES), &value), Err(ManifestError::Misplaced));
        value.push(0);
        assert_eq!(Manifest::decode(FILES, &key, &value), Err(ManifestError::Damaged));
        value[0] = 2;
        assert_eq!(Manifest::decode(FILES, &key, &value), Err(ManifestError::Newer(2)));
        assert_eq!(Manifest::decode(FILES, &key, b""), Err(ManifestError::Damaged));
        assert_eq!(Manifest::decode_whole(&one.encode()), Err(ManifestError::Damaged), "has no name");
    }

    #[test]
    fn who_holds_what() {
        let one = manifest("a", 1, 10, &[1, 2, 3]);
        let all = [1, 2, 3, 9].map(NodeId).into();
        assert_eq!(one.holders(1, &all), [NodeId(1), NodeId(3)]);
        assert_eq!(one.parts_of(NodeId(3), &all), [(1, false), (3, true)]);
        assert_eq!(one.parts_of(NodeId(9), &all), []);
    }

    #[test]
    fn a_push_reads_what_it_writes() {
        let push = PushId { life: Life::new(NodeId(0xAB), 12), number: 3 };
        assert_eq!(push.to_string(), "nab.12.3");
        assert_eq!("nab.12.3".parse(), Ok(push));
        for none in ["", "nab.12", "nab.12.", "nab.12.+3", "nab.12.03", "NAB.12.3", "nab.12.3/.."] {
            assert!(none.parse::<PushId>().is_err(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[a-z]{1,9}|[b]{465,475}", version in 1..u64::MAX, size: u64,
            slots in prop::collection::vec(any::<u64>(), 1..=SLOTS_MAX), exact: bool, until: Option<u64>,
        ) {
            let mut one = manifest(&name, version, size, &slots);
            one.cuts = Cuts::new(size, slots.len() as u16, exact);
            one.state = until.map_or(State::Live, |until_ms| State::Deleted { until_ms });
            prop_assert_eq!(Manifest::decode(FILES, &one.key(FILES), &one.encode()), Ok(one.clone()));
            prop_assert_eq!(Manifest::decode_whole(&one.encode_whole()), Ok(one));
        }

        #[test]
        fn whatever_is_read_is_written_again(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0..400usize) {
            let mut altered = manifest("a", 1, 10, &[1, 2, 3]).encode_whole();
            altered.truncate(cut.max(2));
            let at = altered.len().min(bytes.len());
            altered[1..at.max(1)].iter_mut().zip(&bytes).for_each(|(old, new)| *old ^= new & 1);
            for bytes in [bytes, altered] {
                if let Ok(one) = Manifest::decode_whole(&bytes) {
                    prop_assert_eq!(Manifest::decode_whole(&one.encode_whole()), Ok(one));
                }
            }
        }
    }
}
