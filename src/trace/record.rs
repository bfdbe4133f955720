//! What can be recorded: plain values, the same for both drivers.

use crate::id::{Life, MessageId, NodeId};
use serde::{Deserialize, Serialize};

/// Version of the format; a reader refuses newer ones.
pub(super) const FORMAT: u32 = 1;

/// What the times of a trace count.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// A simulated world's time.
    Virtual,
    /// The wall clock of the machine that recorded.
    Wall,
}

/// The first line of a trace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format.
    #[serde(rename = "nodewright_trace")]
    pub format: u32,
    /// What the times count.
    pub clock: Clock,
    /// The wall clock at time 0, in nanoseconds since 1970; 0 for virtual time.
    pub epoch_unix_ns: u64,
    /// What was recorded, for people.
    pub about: String,
    /// Names of the components: message ids carry their hashes.
    pub kinds: Vec<String>,
}

impl Header {
    /// The header of a trace in this version of the format.
    pub fn new(clock: Clock, epoch_unix_ns: u64, about: impl Into<String>) -> Self {
        Header { format: FORMAT, clock, epoch_unix_ns, about: about.into(), kinds: Vec::new() }
    }
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// When: nanoseconds since the trace's time 0.
    pub at: u64,
    /// To which life.
    #[serde(with = "written")]
    pub life: Life,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen to a life.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// It begins.
    Started {
        /// Its node's name.
        name: String,
        /// Whether it votes; else it is a listener.
        voter: bool,
    },
    /// It is over: all its memory is lost.
    Crashed,
    /// It is over by a component's fault.
    Failed {
        /// What the component says.
        why: String,
    },
    /// It was ended by its peers; the node goes on as a new one.
    Outlived,
    /// It stopped as it was asked to.
    Stopped,
    /// It handles nothing any more.
    Paused,
    /// It handles things again.
    Resumed,
    /// Its clock jumped forward.
    Jumped {
        /// By how much.
        ns: u64,
    },
    /// Its user broadcasts a message, or sends it to one node.
    Broadcast {
        /// Through which delivery component.
        via: String,
        /// To one node only.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "written_option")]
        to: Option<NodeId>,
        /// The message; see [`super::text`].
        body: String,
    },
    /// Its user is handed a message.
    Delivered {
        /// The message's id.
        #[serde(with = "written")]
        id: MessageId,
        /// The message; see [`super::text`].
        body: String,
        /// The clock readings that came with it, where the node has clocks.
        #[serde(default, skip_serializing_if = "Stamp::is_empty", flatten)]
        stamp: Stamp,
    },
    /// It learns of a peer's life.
    Joined {
        /// The peer.
        #[serde(with = "written")]
        peer: Life,
    },
    /// It learns that a peer's life is over.
    Ended {
        /// The peer.
        #[serde(with = "written")]
        peer: Life,
        /// Why.
        why: EndWhy,
    },
    /// Its failure detector takes a peer for crashed.
    Suspected {
        /// The peer.
        #[serde(with = "written")]
        peer: Life,
    },
    /// Its failure detector takes that back.
    Restored {
        /// The peer.
        #[serde(with = "written")]
        peer: Life,
    },
    /// A peer holds its delivery back, or (`false`) no longer does.
    HoldingBack {
        /// The peer.
        #[serde(with = "written")]
        peer: Life,
        /// Whether it does.
        holding: bool,
    },
    /// It will never deliver these batches, and says so.
    Missing {
        /// The delivery component.
        via: String,
        /// Whose batches.
        #[serde(with = "written")]
        origin: Life,
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// It sends a frame.
    Sent(Frame),
    /// That frame is lost on its way: recorded at the sender.
    Lost(Frame),
    /// A frame arrives, for the first time and in its order.
    Arrived(Frame),
    /// Its frames to that node are lost from now on.
    Parted {
        /// The node.
        #[serde(with = "written")]
        to: NodeId,
    },
    /// They are no longer.
    Mended {
        /// The node.
        #[serde(with = "written")]
        to: NodeId,
    },
    /// All faults stop.
    Healed,
    /// Something befell its disk.
    Disk {
        /// What, for people.
        text: String,
    },
    /// A component published an event of another kind.
    Published {
        /// The event's stable name.
        event: String,
        /// The event, for people.
        text: String,
    },
    /// A point that a person or a test marked.
    Marked {
        /// Its name.
        name: String,
    },
    /// Here its recording breaks off, its process was killed: what it did after
    /// is not known.
    Cut,
    /// Here so many records are missing: the recorder did not keep up.
    Dropped {
        /// How many.
        records: u64,
    },
    /// Here recording ended, since the file has the most bytes that it may.
    Full {
        /// The bound.
        bytes_max: u64,
    },
}

/// Why a peer's life is over.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndWhy {
    /// A later life of its node appeared.
    Succeeded,
    /// A majority of the voters ended it.
    Decided,
    /// It said that it leaves.
    Left,
}

/// Clock readings.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// Lamport time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lamport: Option<u64>,
    /// Vector time of the message's batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vector: Vec<(String, u64)>,
}

impl Stamp {
    fn is_empty(&self) -> bool {
        self.lamport.is_none() && self.vector.is_empty()
    }
}

/// A frame between two lives: sender, receiver, lane and number tell it apart,
/// so that what was sent can be joined with what arrived.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Frame {
    /// The other end: whom it is for, or (where it arrives) whose it is.
    #[serde(with = "written")]
    pub peer: Life,
    /// The lane.
    pub lane: Lane,
    /// Its number on this lane between these lives, from 1. A frame that is
    /// sent again keeps it.
    pub number: u64,
    /// The component that it is for, as the hash of its name.
    pub component: u32,
    /// Length of its block.
    pub bytes: u32,
}

/// A link's lane.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Heartbeats; not recorded.
    Probe,
    /// Acknowledgements, votes, small requests.
    Control,
    /// Broadcast payloads.
    Data,
    /// Bulk transfers.
    Bulk,
}

/// Ids as people write them.
mod written {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::borrow::Cow;
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        Cow::<str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The same where there may be none.
mod written_option {
    use super::written;
    use serde::{Deserializer, Serializer};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => written::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        written::deserialize(from).map(Some)
    }
}
