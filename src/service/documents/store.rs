//! The machine.

use super::command::Committed;
use super::component::encoded;
use super::limits::Limits;
use super::question::Answer;
use super::refusal::Refusal;
use crate::protocol::replicated_log::{At, Machine};
use bytes::Bytes;

/// See the module.
#[derive(Default)]
pub struct Store;

impl Store {
    /// An empty one with these bounds.
    pub fn new(_: Limits) -> Self {
        Store
    }
}

impl Machine for Store {
    fn apply(&mut self, _: At, _: &[u8]) -> Bytes {
        encoded(&Committed::Refused { step: 0, why: Refusal::Unreadable })
    }
    fn query(&self, _: u64, _: &[u8]) -> Option<Bytes> {
        Some(encoded(&Answer::Refused(Refusal::Unreadable)))
    }
    fn snapshot(&self, _: &mut Vec<u8>) {}
    fn restore(&mut self, _: u64, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
    fn hash(&self) -> u64 {
        0
    }
}
