//! Epochs without a log: on the own disk, before anyone acts on them.
//!
//! One small file, replaced whole: the highest number that this node has followed
//! or led in. A later life begins above it.

use super::component::{Cx, Election, Timer};
use super::config::Mutant;
use super::epoch::{Epoch, NUMBER_MAX};
use crate::component::{DiskDone, DiskOp, Token};
use crate::id::Life;
use std::io;

const FILE: &str = "epoch";
/// The number, and its complement to tell junk from it.
const FILE_BYTES: usize = 16;

/// What the disk knows.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Disk {
    reading: Option<Token>,
    /// `None` until the file is read.
    written: Option<u64>,
    writing: Option<Token>,
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
        self.written.unwrap_or(0).max(self.adopting().map_or(0, |epoch| epoch.number))
    }

    /// The highest epoch that is to be followed once it is written.
    pub(super) fn adopting(&self) -> Option<Epoch> {
        self.next.or(self.adopting).map(|(epoch, _)| epoch)
    }
}

impl Election {
    pub(super) fn read_disk(&mut self, cx: Cx<'_, '_>) {
        if self.config.mutant == Some(Mutant::EpochNotPersisted) {
            self.disk.written = Some(0);
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
        let durable = self.disk.written.is_some_and(|written| epoch.number <= written && life != self.me);
        if durable || self.config.mutant == Some(Mutant::EpochNotPersisted) {
            return self.follow(epoch, life, cx);
        }
        self.disk.adopting = Some((epoch, life));
        let mut bytes = epoch.number.to_le_bytes().to_vec();
        bytes.extend_from_slice(&(!epoch.number).to_le_bytes());
        self.disk.writing = Some(cx.disk(DiskOp::Replace { name: FILE.into(), bytes: bytes.into() }));
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
        let incarnation = self.me.incarnation.0.min(NUMBER_MAX - 1);
        let written = match result {
            Ok(DiskDone::Read(bytes)) => decoded(&bytes).unwrap_or_else(|| {
                if !bytes.is_empty() {
                    log::error!(target: "nodewright::election", "the file '{FILE}' is damaged: epochs go on from the incarnation, as in a node without a directory");
                }
                if bytes.is_empty() { 0 } else { incarnation }
            }),
            Ok(_) => 0,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => 0,
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
                // the number may stand there or not: it is used up
                log::warn!(target: "nodewright::election", "epoch {epoch} cannot be written ({error}): not followed");
                self.disk.written = self.disk.written.max(Some(epoch.number));
                if next.is_none() {
                    return self.claim_failed(cx);
                }
            }
            _ => {
                self.disk.written = self.disk.written.max(Some(epoch.number));
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

fn decoded(bytes: &[u8]) -> Option<u64> {
    let (number, check) = bytes.split_at_checked(8)?;
    let number = u64::from_le_bytes(number.try_into().ok()?);
    let check = u64::from_le_bytes(check.try_into().ok()?);
    (check == !number && number < NUMBER_MAX).then_some(number)
}
