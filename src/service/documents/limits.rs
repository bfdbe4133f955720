//! What the store holds at most; the same on all replicas.

/// Bounds of a store. Replicas that differ in one would come to differ in what
/// they refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of documents and indexes, as the store counts them: 1 GiB. A write that
    /// would need more is refused and changes nothing.
    pub bytes_max: u64,
    /// Changes held for watches: 65 536, and their bytes: 16 MiB.
    pub history_max: usize,
    /// Bytes of those.
    pub history_bytes_max: usize,
    /// Documents that are taken into an index with each entry: 4096.
    pub build_step: usize,
    /// Documents that a query examines in place: 256. One that looks at more is
    /// answered on the pool. Not of the replicated state.
    pub examined_in_place: u64,
    /// States that cursors are pinned to: 64; the oldest goes first. Not of the
    /// replicated state.
    pub pins_max: usize,
    /// Bytes written since, beyond which a pinned state goes: 64 MiB. So much may
    /// cursors hold beside the state.
    pub pin_bytes_max: u64,
    #[doc(hidden)]
    pub mutant: Option<Mutant>,
}

/// Bugs for the tests to catch.
#[doc(hidden)]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// Indexes are not kept up when a document is replaced or patched.
    IndexStale,
    /// A unique index keeps nothing out.
    UniqueBlind,
    /// A batch that is refused is not taken back.
    HalfBatch,
    /// A watch goes on one index too late.
    WatchLate,
    /// Linearizable reads are answered from whatever this replica has.
    ReadStale,
    /// Pages show the state as it is, not as it was.
    CursorUnpinned,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes_max: 1 << 30,
            history_max: 1 << 16,
            history_bytes_max: 16 << 20,
            build_step: 4096,
            examined_in_place: 256,
            pins_max: 64,
            pin_bytes_max: 64 << 20,
            mutant: None,
        }
    }
}
