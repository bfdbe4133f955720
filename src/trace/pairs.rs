//! Which cause each effect in a trace has.

use super::{Frame, Lane, Record, What};
use crate::id::{Kind, Life, MessageId};
use std::collections::BTreeMap;

/// For each record: if it is a delivery, the place of the broadcast that it is
/// of.
///
/// A broadcast is recorded before it has an id. Among the messages with one
/// body of one life through one delivery, ids rise in the order of the
/// broadcasts: the first id is the first broadcast's. Where every message has a
/// body of its own, as in runs that are to be judged, nothing is guessed; with
/// equal bodies, one that nobody ever delivered shifts those after it.
pub fn deliveries(records: &[Record]) -> Vec<Option<usize>> {
    type Key<'a> = (Life, Kind, &'a str);
    let mut broadcasts: BTreeMap<Key<'_>, Vec<usize>> = BTreeMap::new();
    let mut ids: BTreeMap<Key<'_>, Vec<MessageId>> = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        match &record.what {
            What::Broadcast { via, body, .. } => {
                broadcasts.entry((record.life, Kind::of(via), body)).or_default().push(place);
            }
            What::Delivered { id, body, .. } => ids.entry((id.origin, id.delivery, body)).or_default().push(*id),
            _ => {}
        }
    }
    for ids in ids.values_mut() {
        ids.sort_unstable();
        ids.dedup();
    }
    let pair = |record: &Record| {
        let What::Delivered { id, body, .. } = &record.what else { return None };
        let key = (id.origin, id.delivery, body.as_str());
        let (places, rank) = (broadcasts.get(&key)?, ids.get(&key)?.binary_search(id).ok()?);
        places.get(rank).or(places.last()).copied()
    };
    records.iter().map(pair).collect()
}

/// For each record: if a frame arrives, the place where it was sent; of a frame
/// that was sent again, the last time before.
pub fn arrivals(records: &[Record]) -> Vec<Option<usize>> {
    let mut sent: BTreeMap<(Life, Life, Lane, u64), Vec<usize>> = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        if let What::Sent(Frame { peer, lane, number, .. }) = record.what {
            sent.entry((record.life, peer, lane, number)).or_default().push(place);
        }
    }
    let pair = |record: &Record| {
        let What::Arrived(Frame { peer, lane, number, .. }) = record.what else { return None };
        let places = sent.get(&(peer, record.life, lane, number))?;
        places.iter().rev().find(|place| records[**place].at <= record.at).or(places.first()).copied()
    };
    records.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;
    use crate::trace::Stamp;

    #[test]
    fn equal_bodies_are_paired_in_the_order_of_their_ids() {
        let life = Life::new(NodeId(1), 1);
        let id = |batch| MessageId { origin: life, delivery: Kind::of("uniform"), batch, index: 0 };
        let broadcast = || What::Broadcast { via: "uniform".into(), to: None, body: "m".into() };
        let delivered = |batch| What::Delivered { id: id(batch), body: "m".into(), stamp: Stamp::default() };
        let whats = [broadcast(), broadcast(), delivered(5), delivered(2), delivered(2), delivered(9)];
        let records = whats.map(|what| Record { at: 0, life, what });
        assert_eq!(deliveries(&records), [None, None, Some(1), Some(0), Some(0), Some(1)], "a third id is made up");
    }

    #[test]
    fn an_arrival_is_of_the_last_sending_before_it() {
        let [a, b] = [1, 2].map(|node| Life::new(NodeId(node), 1));
        let frame = |peer| Frame { peer, lane: Lane::Data, number: 1, component: 0, bytes: 1 };
        let records = [
            Record { at: 1, life: a, what: What::Sent(frame(b)) },
            Record { at: 5, life: a, what: What::Sent(frame(b)) },
            Record { at: 6, life: b, what: What::Arrived(frame(a)) },
            Record { at: 9, life: a, what: What::Sent(frame(b)) },
        ];
        assert_eq!(arrivals(&records), [None, None, Some(1), None]);
    }
}
