//! Several traces of one run as one: every life's own order is kept, and a
//! cause stands before its effect even if the nodes' clocks disagree.
//!
//! Otherwise the times say what came first. Between two machines they are only
//! as good as the machines' clocks; what rests on them (that one thing was not
//! the other's cause) is for people, no checker relies on it.

use super::pairs::{arrivals, deliveries};
use super::{Clock, Header, Record, Tail, Trace, What};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// Merges traces of one run. Where a node's recording breaks off (its process
/// was killed), that is marked: [`What::Cut`].
///
/// # Errors
/// There is none, or simulated ones are among several.
pub fn merge(traces: Vec<Trace>) -> Result<Trace, String> {
    if traces.len() > 1 && traces.iter().any(|trace| trace.header.clock == Clock::Virtual) {
        return Err("a simulated world is one trace: it cannot be merged with others".into());
    }
    let epoch = traces.iter().map(|trace| trace.header.epoch_unix_ns).min().ok_or("no trace was given")?;
    let mut header = Header { epoch_unix_ns: epoch, kinds: Vec::new(), ..traces[0].header.clone() };
    let mut streams: Vec<Vec<Record>> = Vec::new();
    let mut tail = Tail::Finished;
    let several = traces.len() > 1;
    let mut abouts = Vec::new();
    for mut trace in traces {
        header.kinds.append(&mut trace.header.kinds);
        let later = trace.header.epoch_unix_ns - epoch;
        trace.records.iter_mut().for_each(|record| record.at = record.at.saturating_add(later));
        match trace.header.clock {
            Clock::Wall => trace.records.extend(cut(&trace)),
            Clock::Virtual => tail = trace.tail,
        }
        if !abouts.contains(&trace.header.about) {
            abouts.push(trace.header.about); // a node that was restarted has several traces
        }
        streams.push(trace.records);
    }
    header.kinds.sort();
    header.kinds.dedup();
    if several {
        header.about = abouts.join(", ");
        let most = (0..=200).rev().find(|at| header.about.is_char_boundary(*at)).unwrap_or(0);
        header.about.truncate(most);
    }
    let records = if several { interleaved(streams) } else { streams.concat() };
    Ok(Trace { header, records, tail })
}

/// The mark where the recording of a live trace breaks off.
fn cut(trace: &Trace) -> Option<Record> {
    let last = trace.records.last().filter(|_| trace.tail != Tail::Finished)?;
    let life = trace.records.iter().rev().find(|record| matches!(record.what, What::Started { .. }))?.life;
    Some(Record { at: last.at, life, what: What::Cut })
}

fn interleaved(streams: Vec<Vec<Record>>) -> Vec<Record> {
    let ends: Vec<usize> = streams
        .iter()
        .scan(0, |end, stream| {
            *end += stream.len();
            Some(*end)
        })
        .collect();
    let mut records: Vec<Option<Record>> = Vec::new();
    let causes = {
        let all = streams.concat();
        let causes: Vec<Option<usize>> =
            deliveries(&all).into_iter().zip(arrivals(&all)).map(|(delivery, arrival)| delivery.or(arrival)).collect();
        records.extend(all.into_iter().map(Some));
        causes
    };
    let mut next: Vec<usize> = ends.iter().scan(0, |start, end| Some(std::mem::replace(start, *end))).collect();
    let at = |records: &[Option<Record>], place: usize| records[place].as_ref().map_or(0, |record| record.at);
    // Streams whose next record may come, the earliest first; the others wait
    // for the place of a cause.
    let mut ready: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut waiting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut stuck: BTreeSet<usize> = BTreeSet::new();
    let mut out = Vec::with_capacity(records.len());
    let offer = |stream: usize, place: usize, records: &[Option<Record>]| Reverse((at(records, place), stream));
    let mut queue: Vec<usize> = (0..ends.len()).collect();
    loop {
        for stream in queue.drain(..) {
            let place = next[stream];
            if place == ends[stream] {
                continue;
            }
            match causes[place].filter(|cause| records[*cause].is_some() && *cause != place) {
                Some(cause) => {
                    waiting.entry(cause).or_default().push(stream);
                    stuck.insert(stream);
                }
                None => ready.push(offer(stream, place, &records)),
            }
        }
        // Streams that wait for one another are damaged: the first goes on.
        let stream = match ready.pop() {
            Some(Reverse((_, stream))) => stream,
            None => match stuck.pop_first() {
                Some(stream) => stream,
                None => return out,
            },
        };
        let place = next[stream];
        next[stream] += 1;
        waiting.values_mut().for_each(|streams| streams.retain(|other| *other != stream));
        out.extend(records[place].take());
        queue.push(stream);
        for freed in waiting.remove(&place).unwrap_or_default() {
            stuck.remove(&freed);
            queue.push(freed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Kind, Life, MessageId, NodeId};
    use crate::trace::Stamp;

    fn life(name: &str) -> Life {
        Life::new(NodeId::from_name(name), 1)
    }

    fn live(name: &str, epoch: u64, tail: Tail, whats: &[(u64, What)]) -> Trace {
        let started = (0, What::Started { name: name.into(), voter: true });
        let whats = [started].into_iter().chain(whats.iter().cloned());
        let records = whats.map(|(at, what)| Record { at, life: life(name), what });
        Trace { header: Header::new(Clock::Wall, epoch, name), records: records.collect(), tail }
    }

    fn broadcast() -> What {
        What::Broadcast { via: "uniform".into(), to: None, body: "m".into() }
    }

    fn delivered() -> What {
        let id = MessageId { origin: life("a"), delivery: Kind::of("uniform"), batch: 1, index: 0 };
        What::Delivered { id, body: "m".into(), stamp: Stamp::default() }
    }

    #[test]
    fn a_cause_comes_before_its_effect_whatever_the_clocks_say() {
        let a = live("a", 1000, Tail::Finished, &[(500, broadcast()), (600, delivered())]);
        let b = live("b", 900, Tail::Finished, &[(10, delivered()), (20, What::Stopped)]); // its clock is late
        let merged = merge(vec![b, a]).unwrap();
        let place = |life: Life, what: &What| {
            merged.records.iter().position(|record| record.life == life && record.what == *what).unwrap()
        };
        assert!(place(life("a"), &broadcast()) < place(life("b"), &delivered()));
        assert!(place(life("b"), &delivered()) < place(life("b"), &What::Stopped), "its own order is kept");
        assert_eq!((merged.header.epoch_unix_ns, merged.records.len()), (900, 6));
        assert_eq!(merged.records[place(life("a"), &broadcast())].at, 600, "counted from the earliest epoch");
    }

    #[test]
    fn where_a_recording_breaks_off_is_marked() {
        let merged = merge(vec![live("a", 1, Tail::Torn, &[(5, broadcast())])]).unwrap();
        assert_eq!(merged.records.last().map(|it| (it.at, &it.what)), Some((5, &What::Cut)));
    }

    #[test]
    fn a_simulated_world_stands_alone() {
        let virtual_one = Trace { header: Header::new(Clock::Virtual, 0, ""), ..live("a", 0, Tail::Finished, &[]) };
        assert!(merge(vec![virtual_one.clone(), live("b", 0, Tail::Finished, &[])]).is_err());
        assert_eq!(merge(vec![virtual_one.clone()]), Ok(virtual_one));
        assert!(merge(Vec::new()).is_err());
    }
}
