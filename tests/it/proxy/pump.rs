//! One way of one connection: a thread that reads and one that writes.

use super::alter::Alterer;
use super::{Connection, Pass, Shared, Way};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

/// Bytes read at once, and how often that may lie between reader and writer:
/// 1 MiB under way, which a latency of 50 ms carries at 20 MiB/s.
const READ_BYTES: usize = 4096;
const CHUNKS_MAX: usize = 256;

type Chunk = (Instant, Vec<u8>);

pub(super) fn start(shared: Arc<Shared>, connection: Arc<Connection>, way: Way, random: fastrand::Rng) {
    let (sender, chunks) = sync_channel(CHUNKS_MAX);
    let (reading, jitter) = ((shared.clone(), connection.clone()), random.clone());
    std::thread::spawn(move || read(&reading.0, &reading.1, way, jitter, &sender));
    std::thread::spawn(move || write(&shared, &connection, way, random, &chunks));
}

fn read(shared: &Shared, connection: &Connection, way: Way, mut jitter: fastrand::Rng, to: &SyncSender<Chunk>) {
    let mut from = if way == Way::Up { &connection.near } else { &connection.far };
    let mut bytes = [0; READ_BYTES];
    // While the way is stalled nothing more is read.
    while let Pass::Bytes(..) = shared.pass(way, Instant::now(), 0)
        && let Ok(read @ 1..) = from.read(&mut bytes)
    {
        let faults = shared.faults(way);
        // What is due sooner than what was read before it still waits for that.
        let due = Instant::now() + faults.latency + faults.jitter.mul_f64(jitter.f64());
        if to.send((due, bytes[..read].to_vec())).is_err() {
            return;
        }
    }
}

fn write(shared: &Shared, connection: &Connection, way: Way, random: fastrand::Rng, chunks: &Receiver<Chunk>) {
    let mut to = if way == Way::Up { &connection.far } else { &connection.near };
    let mut slices = random.clone();
    let mut alterer = Alterer::new(random);
    for (due, mut bytes) in chunks {
        let altered = alterer.alter(&mut bytes, shared.faults(way).alter);
        shared.lock().done.altered += altered;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let piece = match shared.faults(way).slice_max {
                0 => rest.len(),
                most => slices.usize(1..=most).min(rest.len()),
            };
            let Pass::Bytes(pass, cut) = shared.pass(way, due, piece) else { return };
            let written = to.write_all(&rest[..pass]);
            if cut || written.is_err() {
                connection.cut();
                return;
            }
            rest = &rest[pass..];
        }
    }
    // The reader has come to the end of what it reads: that is passed on too,
    // unless the way is stalled.
    if let Pass::Bytes(..) = shared.pass(way, Instant::now(), 0) {
        let _ = to.shutdown(Shutdown::Write); // it may be closed already
    }
}
