//! Frames on a client's connection: a 4-byte length, the greatest byte first, and
//! the body.

use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;

/// Bytes of a frame's head.
pub const HEAD_BYTES: usize = 4;
/// The greatest limit that may be set: the first byte of a longer frame's length
/// would be none by which the node's port knows this dialect.
pub const LIMIT_BYTES_MAX: usize = 0x07ff_ffff;

/// A frame that is longer than the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a frame of {declared} bytes is over the limit of {limit}")]
pub struct TooLong {
    /// As its head says.
    pub declared: usize,
    /// Bytes.
    pub limit: usize,
}

/// Takes chunks in and gives frames out. Holds what has arrived and nothing more:
/// a declared length makes no room.
#[derive(Default)]
pub struct Frames {
    chunks: VecDeque<Bytes>,
    held: usize,
}

impl Frames {
    /// More has arrived.
    pub fn push(&mut self, chunk: Bytes) {
        self.held += chunk.len();
        if !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Whether a frame has begun and is not whole.
    pub fn is_amid(&self) -> bool {
        self.held > 0
    }

    /// The length that the head at the front declares, once it is there.
    ///
    /// # Errors
    /// It is over the limit.
    pub fn declared(&self, limit: usize) -> Result<Option<usize>, TooLong> {
        if self.held < HEAD_BYTES {
            return Ok(None);
        }
        let mut head = [0; HEAD_BYTES];
        let bytes = self.chunks.iter().flat_map(|chunk| chunk.iter().copied());
        head.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        let declared = u32::from_be_bytes(head) as usize;
        if declared > limit { Err(TooLong { declared, limit }) } else { Ok(Some(declared)) }
    }

    /// The next whole frame's body.
    ///
    /// # Errors
    /// It is over the limit; nothing that follows can be trusted.
    pub fn next(&mut self, limit: usize) -> Result<Option<Bytes>, TooLong> {
        match self.declared(limit)? {
            Some(length) if self.held >= HEAD_BYTES + length => {
                self.take(HEAD_BYTES);
                Ok(Some(self.take(length)))
            }
            _ => Ok(None),
        }
    }

    /// The next so many bytes; without a copy where one chunk has them all.
    fn take(&mut self, wanted: usize) -> Bytes {
        self.held -= wanted;
        if let Some(front) = self.chunks.front_mut()
            && front.len() > wanted
        {
            return front.split_to(wanted);
        }
        if self.chunks.front().is_some_and(|front| front.len() == wanted) {
            return self.chunks.pop_front().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(wanted); // all of it is here
        while whole.len() < wanted {
            let Some(mut chunk) = self.chunks.pop_front() else { break };
            let part = chunk.len().min(wanted - whole.len());
            whole.extend_from_slice(&chunk[..part]);
            chunk.advance(part);
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
            }
        }
        whole.freeze()
    }
}

/// A frame's head.
pub fn head(length: usize) -> [u8; HEAD_BYTES] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(bodies: &[&[u8]]) -> Vec<u8> {
        bodies.iter().flat_map(|body| [&head(body.len()), *body].concat()).collect()
    }

    #[test]
    fn frames_come_out_whole_wherever_the_chunks_are_cut() {
        let bodies: [&[u8]; 4] = [b"one", b"", b"three and more", b"4"];
        let all = framed(&bodies);
        for step in 1..=all.len() {
            let (mut frames, mut out) = (Frames::default(), Vec::new());
            for chunk in all.chunks(step) {
                frames.push(Bytes::copy_from_slice(chunk));
                while let Some(body) = frames.next(100).expect("short") {
                    out.push(body);
                }
            }
            assert_eq!(out, bodies, "in steps of {step}");
            assert!(!frames.is_amid());
        }
    }

    #[test]
    fn a_declared_length_makes_no_room_and_one_over_the_limit_is_refused() {
        let mut frames = Frames::default();
        frames.push(Bytes::copy_from_slice(&head(100)));
        assert_eq!(frames.next(100), Ok(None));
        assert_eq!(frames.held(), 4);
        let mut frames = Frames::default();
        frames.push(Bytes::copy_from_slice(&head(101)));
        assert_eq!(frames.next(100), Err(TooLong { declared: 101, limit: 100 }));
    }
}
