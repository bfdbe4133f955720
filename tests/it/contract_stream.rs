//! The component contract streams files: file -> component -> peer's
//! component, with credit on every leg, in flat memory.
//!
//! ```text
//!   file  -> Chunk -> sender -> Write ~~ Lane::Bulk ~~> Chunk -> receiver
//!         <- Grant <-        <- Writable <~~~~~~~~~~~~~ Grant <-
//! ```

mod courier;
mod hand;
mod real;
mod simulated;

use courier::WINDOW;
use hand::Pair;

/// The content of the test's files: every byte says where it stands.
fn byte_at(offset: u64) -> u8 {
    (offset ^ (offset >> 8) ^ (offset >> 20)) as u8
}

/// The receipt that `bytes` of that content must bring.
fn expected(bytes: u64) -> u32 {
    let mut block = Vec::with_capacity(1 << 20);
    let mut crc = 0;
    let mut at = 0;
    while at < bytes {
        block.clear();
        block.extend((at..bytes.min(at + (1 << 20))).map(byte_at));
        crc = crc32c::crc32c_append(crc, &block);
        at += block.len() as u64;
    }
    crc
}

#[test]
fn a_file_reaches_a_peer_whole_in_flat_memory() {
    for bytes in [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 20 << 20] {
        let mut pair = Pair::new(bytes);
        let receipt = pair.ship();
        assert_eq!((receipt.bytes, receipt.crc), (bytes, expected(bytes)));
        assert!(pair.held_max() <= 3 * WINDOW, "{} bytes were held at once for a file of {bytes}", pair.held_max());
    }
}

#[test]
fn a_receiver_that_grants_nothing_stops_the_file() {
    let mut pair = Pair::new(20 << 20);
    pair.mute_grants();
    pair.start();
    assert!(pair.held_max() <= 2 * WINDOW, "{} bytes were read ahead of the receiver", pair.held_max());
    assert!(pair.receipt().is_none(), "a transfer without credit ended");
}

#[test]
fn a_transfer_whose_receiver_ends_is_reported_as_unknown() {
    let mut pair = Pair::new(20 << 20);
    pair.mute_grants();
    pair.start();
    pair.end_receiver();
    let failure = pair.failure().expect("the sender was told");
    assert!(failure.contains("outcome unknown"), "{failure}");
    assert_eq!(pair.sender().transfers(), 0);
}
