//! A machine whose state is all that was done to it.

use crate::protocol::replicated_log::{At, Machine, Queried};
use bytes::Bytes;

/// Commands by their number, in the order in which they were applied.
#[derive(Default)]
pub(super) struct Register(Vec<u64>, u64);

/// What a query of it is answered with.
pub(super) fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).filter_map(|it| it.try_into().ok()).map(u64::from_le_bytes).collect()
}

impl Register {
    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    fn push(&mut self, number: u64) {
        self.0.push(number);
        self.1 = (self.1.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Machine for Register {
    fn apply(&mut self, _: At, command: &[u8]) -> Bytes {
        let number = command.first_chunk().map_or(0, |number| u64::from_le_bytes(*number));
        self.push(number);
        Bytes::copy_from_slice(&number.to_le_bytes())
    }

    fn query(&self, _: u64, _: &[u8]) -> Queried {
        Queried::Now(self.bytes().into())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.extend(self.bytes());
    }

    fn restore(&mut self, _: u64, snapshot: &[u8]) -> Result<(), String> {
        *self = Register::default();
        numbers(snapshot).into_iter().for_each(|number| self.push(number));
        Ok(())
    }

    fn hash(&self) -> u64 {
        self.1
    }
}
