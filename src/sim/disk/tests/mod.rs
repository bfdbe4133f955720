//! What the model promises, crash by crash.

mod content;
mod errors;
mod names;

use super::*;

const NAME: &str = "log";

fn ok(disk: &mut Disk, op: DiskOp) -> DiskDone {
    disk.perform(op, None, &mut Rng::with_seed(0)).expect("nothing is armed")
}

fn append(disk: &mut Disk, name: &str, bytes: &[u8]) {
    ok(disk, DiskOp::Append { name: name.into(), bytes: Bytes::copy_from_slice(bytes) });
}

fn sync(disk: &mut Disk, name: &str) {
    ok(disk, DiskOp::Sync { name: name.into() });
}

fn sync_dir(disk: &mut Disk, name: &str) {
    ok(disk, DiskOp::SyncDir { name: name.into() });
}

fn read(disk: &mut Disk, name: &str) -> Option<Bytes> {
    let op = DiskOp::Read { name: name.into(), offset: 0, bytes: u64::MAX };
    match disk.perform(op, None, &mut Rng::with_seed(0)) {
        Ok(DiskDone::Read(bytes)) => Some(bytes),
        _ => None,
    }
}

/// Faults of which a crash meets each, often.
fn crashes() -> DiskFaults {
    DiskFaults { spared: 0.9, reordered: 0.7, torn: 0.5, ..DiskFaults::none() }
}

fn crash(disk: &mut Disk, faults: &DiskFaults, seed: u64) -> Loss {
    let mut loss = Loss::default();
    disk.crash(faults, &mut Rng::with_seed(seed), &mut loss);
    loss
}
