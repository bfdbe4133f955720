//! From the simulator's trace to one that can be kept.

use crate::component::{EndedWhy, Target};
use crate::id::Kind;
use crate::protocol;
use crate::sim::{self, How, Passage};
use crate::trace::{Clock, EndWhy, Header, Record, Stamp, Tail, Trace, What, text};

/// A world's trace with its frames, as a trace that can be saved. What only
/// that world knows (how far a user's broadcasts have come) is left out.
pub fn record(world: &sim::Trace, about: &str) -> Trace {
    let mut header = Header::new(Clock::Virtual, 0, about);
    header.kinds = world.kinds().values().map(|name| (*name).to_owned()).collect();
    header.kinds.sort_unstable();
    let mut records = Vec::with_capacity(world.records().len() + world.frames().len());
    let mut frames = world.frames().iter().peekable();
    for (place, record) in world.records().iter().enumerate() {
        while let Some(passage) = frames.next_if(|passage| passage.after <= place) {
            records.push(frame(passage));
        }
        if let Some(what) = what(world, record) {
            records.push(Record { at: record.at.0, life: record.life, what });
        }
    }
    records.extend(frames.map(frame));
    Trace { header, records, tail: Tail::Finished }
}

fn frame(passage: &Passage) -> Record {
    let what = match passage.how {
        How::Sent => What::Sent(passage.frame),
        How::Lost => What::Lost(passage.frame),
        How::Arrived => What::Arrived(passage.frame),
    };
    Record { at: passage.at.0, life: passage.life, what }
}

fn what(world: &sim::Trace, record: &sim::Record) -> Option<What> {
    let kind = |kind: &Kind| world.kinds().get(kind).map_or_else(|| format!("{kind:?}"), |name| (*name).to_owned());
    Some(match &record.what {
        sim::What::Started => {
            let node = record.life.node;
            let name = world.nodes().get(&node).map_or_else(|| node.to_string(), |name| name.to_string());
            What::Started { name, voter: !world.listeners().contains(&node) }
        }
        sim::What::Crashed => What::Crashed,
        sim::What::Failed(why) => What::Failed { why: why.to_string() },
        sim::What::Outlived => What::Outlived,
        sim::What::Stopped => What::Stopped,
        sim::What::Paused => What::Paused,
        sim::What::Resumed => What::Resumed,
        sim::What::Jumped(ns) => What::Jumped { ns: *ns },
        sim::What::Broadcast { via, target, body } => {
            let to = if let Target::Node(to) = target { Some(*to) } else { None };
            What::Broadcast { via: kind(via), to, body: text(body) }
        }
        sim::What::Delivered { id, body } => What::Delivered { id: *id, body: text(body), stamp: Stamp::default() },
        sim::What::Progressed(_) => return None,
        sim::What::Joined(peer) => What::Joined { peer: *peer },
        sim::What::Ended(peer, why) => What::Ended { peer: *peer, why: end_why(*why) },
        sim::What::Published(event) => protocol::recorded::record(event),
        sim::What::Parted(to) => What::Parted { to: *to },
        sim::What::Mended(to) => What::Mended { to: *to },
        sim::What::Healed => What::Healed,
        sim::What::Disk(text) => What::Disk { text: text.to_string() },
        sim::What::Marked(name) => What::Marked { name: (*name).to_owned() },
    })
}

fn end_why(why: EndedWhy) -> EndWhy {
    match why {
        EndedWhy::Succeeded => EndWhy::Succeeded,
        EndedWhy::Decided => EndWhy::Decided,
        EndedWhy::Left => EndWhy::Left,
    }
}
