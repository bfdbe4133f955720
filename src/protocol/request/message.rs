//! What travels. A client without a node sends and reads the same.

use super::Params;
use crate::codec;
use crate::component::Lane;
use crate::id::Kind;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Bodies from this size on go on the bulk lane, so that no small request
/// waits behind a large one.
const SMALL_BYTES_MAX: usize = 16 * 1024;

/// The head of a request or a reply; the body follows it.
///
/// ```text
/// alpha ---- Request 7, "service:hide", 5 s, body ----> beta    beta's handler runs
/// alpha <--- Reply 7, Done, body ---------------------- beta
/// alpha ---- Request 8 --------------------------------> beta    alpha's deadline passes: timed out
/// alpha <--- Reply 8 ----------------------------------- beta    late: dropped and counted
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Asks.
    Request {
        /// Named by the asker; unique in its life.
        id: u64,
        /// Hash of the request's name.
        kind: Kind,
        /// Version of the body's encoding.
        version: u16,
        /// How long the asker waits, in milliseconds.
        within_ms: u32,
        /// Values beside the body.
        params: Params,
    },
    /// Answers.
    Reply {
        /// The request's.
        id: u64,
        /// What came of it.
        outcome: Outcome,
    },
}

/// What came of a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// Done: the body is the answer.
    Done,
    /// Not done: nobody here answers requests of that kind.
    NoHandler,
    /// Not done: too many requests are being answered.
    Busy,
    /// Not done, and why.
    Refused(String),
    /// It may or may not have been done, and why.
    Failed(String),
}

impl Message {
    /// Appends the message and its body as one item of a block for the
    /// component `request`.
    pub fn put(&self, body: &[u8], block: &mut Vec<u8>) {
        codec::put_item(block, |out| {
            codec::put_head(out, self);
            out.extend_from_slice(body);
        });
    }

    /// The well-formed messages of a block, each with its body.
    pub fn take(block: &Bytes) -> impl Iterator<Item = (Message, Bytes)> + '_ {
        codec::Items::new(block).filter_map(move |(at, item)| {
            let (message, body) = codec::take_head(item)?;
            Some((message, block.slice(at + body..at + item.len())))
        })
    }
}

/// The lane for a message with a body of this size.
pub fn lane_for(body_bytes: usize) -> Lane {
    if body_bytes < SMALL_BYTES_MAX { Lane::Control } else { Lane::Bulk }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_reads_what_was_put_and_skips_junk() {
        let request = Message::Request {
            id: 7,
            kind: Kind::of("echo"),
            version: 1,
            within_ms: 5000,
            params: vec![("key".into(), "value".into())],
        };
        let reply = Message::Reply { id: 7, outcome: Outcome::Done };
        let mut block = Vec::new();
        request.put(b"ask", &mut block);
        codec::put_item(&mut block, |out| out.extend_from_slice(&[0xff; 20]));
        reply.put(b"", &mut block);
        let block = Bytes::from(block);
        let read: Vec<_> = Message::take(&block).collect();
        assert_eq!(read, [(request, Bytes::from("ask")), (reply, Bytes::new())]);
    }

    #[test]
    fn a_small_request_has_a_small_head() {
        let head =
            Message::Request { id: 1000, kind: Kind::of("echo"), version: 1, within_ms: 5000, params: Params::new() };
        let mut block = Vec::new();
        head.put(&[0; 64], &mut block);
        assert!(block.len() <= 64 + 16, "{}", block.len());
    }
}
