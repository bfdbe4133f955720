//! Epochs without a log: on the own disk, before anyone acts on them.
//!
//! One small file, replaced whole: the highest epoch that this node has followed or
//! led in. A later life follows none that is lower, and leads in none that is not
//! higher.

use super::component::{Cx, Election, Timer};
use super::config::Mutant;
use super::epoch::{Epoch, NUMBER_MAX};
use crate::component::{DiskDone, DiskOp, Token};
use crate::id::{Life, NodeId};
use std::io;

const FILE: &str = "epoch";
/// Number and leader, and their complements to tell junk from them.
const FILE_BYTES: usize = 32;

/// Lower than any.
const NONE: Epoch = Epoch { number: 0, leader: NodeId(0) };

/// What the disk knows.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Disk {
    reading: Option<Token>,
    /// `None` until the file is read.
    written: Option<Epoch>,
    writing: Option<Token>,
    /// The highest number whose write failed: it may stand there or not.
    used: u64,
    /// What is being written, to be followed then.
    adopting: Option<(Epoch, Life)>,
    /// A higher one that came meanwhile.
    next: Option<(Epoch, Life)>,
}

impl Disk {
    pub(super) fn is_ready(&self) -> bool {
        self.written.is_some()
    }

    /// The highest number that is written or being written.
    pub(super) fn highest(&self) -> u64 {
        self.written.max(self.adopting()).map_or(0, |epoch| epoch.number).max(self.used)
    }

    /// What a lower epoch is lower than.
    pub(super) fn written(&self) -> Option<Epoch> {
        self.written
    }

    /// The highest epoch that is to be followed once it is written.
    pub(super) fn adopting(&self) -> Option<Epoch> {
        self.next.or(self.adopting).map(|(epoch, _)| epoch)
    }
}

impl Election {
    pub(super) fn read_disk(&mut self, cx: Cx<'_, '_>) {
        if self.config.mutant == Some(Mutant::EpochNotPersisted) {
            self.disk.written = Some(NONE);
            return;
        }
        let read = DiskOp::Read { name: FILE.into(), offset: 0, bytes: FILE_BYTES as u64 };
        self.disk.reading = Some(cx.disk(read));
    }

    pub(super) fn write_epoch(&mut self, epoch: Epoch, life: Life, cx: Cx<'_, '_>) {
        if self.disk.writing.is_some() {
            self.disk.next = Some((epoch, life));
            return;
        }
        let durable = self.disk.written == Some(epoch) && life != self.me;
        if durable || self.config.mutant == Some(Mutant::EpochNotPersisted) {
            return self.follow(epoch, life, cx);
        }
        self.disk.adopting = Some((epoch, life));
        let bytes = encoded(epoch).into();
        self.disk.writing = Some(cx.disk(DiskOp::Replace { name: FILE.into(), bytes }));
    }

    pub(super) fn disk_done(&mut self, token: Token, result: io::Result<DiskDone>, cx: Cx<'_, '_>) {
        if self.disk.reading == Some(token) {
            self.disk.reading = None;
            self.read_done(result, cx);
        } else if self.disk.writing == Some(token) {
            self.disk.writing = None;
            self.write_done(result, cx);
        }
    }

    fn read_done(&mut self, result: io::Result<DiskDone>, cx: Cx<'_, '_>) {
        // without a memory of its own a node's numbers rise with its incarnation
        let incarnation = Epoch { number: self.me.incarnation.0.min(NUMBER_MAX - 1), ..NONE };
        let written = match result {
            Ok(DiskDone::Read(bytes)) => decoded(&bytes).unwrap_or_else(|| {
                if !bytes.is_empty() {
                    log::error!(target: "nodewright::election", "the file '{FILE}' is damaged: epochs go on from the incarnation, as in a node without a directory");
                }
                if bytes.is_empty() { NONE } else { incarnation }
            }),
            Ok(_) => NONE,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => NONE,
                io::ErrorKind::Unsupported => incarnation,
                _ => {
                    log::warn!(target: "nodewright::election", "the file '{FILE}' cannot be read ({error}): takes no part until it can");
                    return cx.set_timer(Timer::Again, self.config.repeat());
                }
            },
        };
        self.disk.written = Some(written);
        self.review(cx);
    }

    fn write_done(&mut self, result: io::Result<DiskDone>, cx: Cx<'_, '_>) {
        let (adopted, next) = (self.disk.adopting.take(), self.disk.next.take());
        let Some((epoch, life)) = adopted else { return };
        match result {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                log::warn!(target: "nodewright::election", "epoch {epoch} cannot be written ({error}): not followed");
                self.disk.used = self.disk.used.max(epoch.number);
                if next.is_none() {
                    return self.claim_failed(cx);
                }
            }
            _ => {
                self.disk.written = self.disk.written.max(Some(epoch));
                if next.is_none_or(|(next, _)| next < epoch) {
                    self.follow(epoch, life, cx);
                }
            }
        }
        if let Some((epoch, life)) = next.filter(|(next, _)| self.known.is_none_or(|known| known.epoch < *next)) {
            self.write_epoch(epoch, life, cx);
        }
    }
}

fn encoded(epoch: Epoch) -> Vec<u8> {
    let Epoch { number, leader: NodeId(leader) } = epoch;
    [number, leader, !number, !leader].iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn decoded(bytes: &[u8]) -> Option<Epoch> {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    match (&words[..], rest) {
        (&[number, leader, no, none], []) if no == !number && none == !leader && number < NUMBER_MAX => {
            Some(Epoch { number, leader: NodeId(leader) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_reads_as_it_was_written_and_junk_does_not() {
        let epoch = Epoch { number: 7, leader: NodeId(u64::MAX >> 1) };
        let bytes = encoded(epoch);
        assert_eq!((bytes.len(), decoded(&bytes)), (FILE_BYTES, Some(epoch)));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert_eq!(decoded(&flipped), None);
            assert_eq!(decoded(&bytes[..at]), None);
        }
        assert_eq!(decoded(&encoded(Epoch { number: NUMBER_MAX, ..NONE })), None);
    }
}
