//! What a disk refuses, and in which state it leaves the file.

use super::*;
use std::collections::BTreeSet;
use std::io::ErrorKind;

fn try_append(disk: &mut Disk, bytes: &'static [u8], room: Option<u64>, seed: u64) -> io::Result<DiskDone> {
    let op = DiskOp::Append { name: NAME.into(), bytes: Bytes::from_static(bytes) };
    disk.perform(op, room, &mut Rng::with_seed(seed))
}

fn try_sync(disk: &mut Disk, seed: u64) -> io::Result<DiskDone> {
    disk.perform(DiskOp::Sync { name: NAME.into() }, None, &mut Rng::with_seed(seed))
}

fn is_eio<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if Errno::from_io_error(error) == Some(Errno::IO))
}

#[test]
fn a_failed_sync_drops_writes_and_the_next_one_says_nothing_of_them() {
    let (mut seen, mut left) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..100 {
        let mut disk = Disk::default();
        append(&mut disk, NAME, b"old");
        sync(&mut disk, NAME);
        sync_dir(&mut disk, "");
        append(&mut disk, NAME, b"new");
        disk.arm(DiskFault::Sync);
        assert!(is_eio(&try_sync(&mut disk, seed)));
        seen.insert(read(&mut disk, NAME));
        assert!(try_sync(&mut disk, seed).is_ok(), "it fails once");
        crash(&mut disk, &DiskFaults::none(), seed);
        left.insert(read(&mut disk, NAME));
    }
    let either = [Some(Bytes::from_static(b"old")), Some(Bytes::from_static(b"oldnew"))];
    assert_eq!((&seen, &left), (&either.clone().into(), &either.into()));
}

#[test]
fn what_is_written_after_a_failed_sync_is_durable_over_a_hole() {
    let holes = (0..100).filter(|seed| {
        let mut disk = Disk::default();
        append(&mut disk, NAME, b"old");
        sync(&mut disk, NAME);
        sync_dir(&mut disk, "");
        append(&mut disk, NAME, b"lost");
        disk.arm(DiskFault::Sync);
        assert!(is_eio(&try_sync(&mut disk, *seed)));
        append(&mut disk, NAME, b"more");
        sync(&mut disk, NAME);
        crash(&mut disk, &crashes(), *seed);
        let left = read(&mut disk, NAME).expect("its name is durable");
        assert!(left.starts_with(b"old") && left.ends_with(b"more"), "{left:?}");
        left == b"old\0\0\0\0more"[..]
    });
    assert!(holes.count() > 0);
}

#[test]
fn a_directory_s_failed_sync_drops_names() {
    let survivals: BTreeSet<bool> = (0..50)
        .map(|seed| {
            let mut disk = Disk::default();
            append(&mut disk, NAME, b"");
            disk.arm(DiskFault::Sync);
            let op = DiskOp::SyncDir { name: String::new() };
            assert!(is_eio(&disk.perform(op, None, &mut Rng::with_seed(seed))));
            assert!(read(&mut disk, NAME).is_some(), "it is seen all the same");
            sync_dir(&mut disk, "");
            crash(&mut disk, &DiskFaults::none(), seed);
            read(&mut disk, NAME).is_some()
        })
        .collect();
    assert_eq!(survivals, [false, true].into());
}

#[test]
fn a_failed_write_leaves_any_part_of_it() {
    let parts: BTreeSet<usize> = (0..200)
        .map(|seed| {
            let mut disk = Disk::default();
            disk.arm(DiskFault::Write);
            assert!(is_eio(&try_append(&mut disk, b"abc", None, seed)));
            let left = read(&mut disk, NAME).expect("it was made");
            assert!(b"abc".starts_with(&left));
            assert!(try_append(&mut disk, b"abc", None, seed).is_ok(), "it fails once");
            left.len()
        })
        .collect();
    assert_eq!(parts, [0, 1, 2, 3].into());
}

#[test]
fn a_failed_replacement_leaves_the_old_or_the_new() {
    for fault in [DiskFault::Write, DiskFault::Sync] {
        let outcomes: BTreeSet<_> = (0..100)
            .map(|seed| {
                let mut disk = Disk::default();
                let replace = |text: &'static str| DiskOp::Replace {
                    name: NAME.into(),
                    bytes: Bytes::from_static(text.as_bytes()),
                };
                ok(&mut disk, replace("old"));
                disk.arm(fault);
                assert!(is_eio(&disk.perform(replace("new"), None, &mut Rng::with_seed(seed))));
                let seen = read(&mut disk, NAME).expect("one of them");
                crash(&mut disk, &DiskFaults::none(), seed);
                (seen, read(&mut disk, NAME).expect("one of them"))
            })
            .collect();
        let (old, new) = (Bytes::from_static(b"old"), Bytes::from_static(b"new"));
        let mut expected = BTreeSet::from([(old.clone(), old.clone())]);
        if fault == DiskFault::Sync {
            expected.extend([(new.clone(), old), (new.clone(), new)]);
        }
        assert_eq!(outcomes, expected, "{fault:?}");
    }
}

#[test]
fn a_full_disk_takes_the_part_that_fits_and_overwrites_for_nothing() {
    let mut disk = Disk::default();
    append(&mut disk, NAME, b"four");
    let full = try_append(&mut disk, b"more", Some(3), 0);
    assert_eq!(full.expect_err("no room").kind(), ErrorKind::StorageFull);
    assert_eq!(read(&mut disk, NAME).as_deref(), Some(&b"fourmor"[..]));
    let overwrite = DiskOp::WriteAt { name: NAME.into(), offset: 0, bytes: Bytes::from_static(b"FOURMOR") };
    assert!(disk.perform(overwrite, Some(0), &mut Rng::with_seed(0)).is_ok());
    for (op, fits) in [
        (DiskOp::Allocate { name: NAME.into(), bytes: 9 }, false),
        (DiskOp::Allocate { name: NAME.into(), bytes: 8 }, true),
        (DiskOp::Replace { name: NAME.into(), bytes: Bytes::from_static(b"xx") }, false),
        (DiskOp::Replace { name: NAME.into(), bytes: Bytes::from_static(b"x") }, true),
    ] {
        let result = disk.perform(op.clone(), Some(1), &mut Rng::with_seed(0));
        assert_eq!(
            result.map(|_| ()).map_err(|error| error.kind()),
            if fits { Ok(()) } else { Err(ErrorKind::StorageFull) },
            "{op:?}"
        );
    }
    assert_eq!(disk.used(), 1);
}

#[test]
fn a_bit_flips_in_what_is_durable_and_stays_flipped() {
    let mut disk = Disk::default();
    append(&mut disk, NAME, b"A");
    sync(&mut disk, NAME);
    sync_dir(&mut disk, "");
    append(&mut disk, NAME, b"A");
    assert!(disk.flip(NAME, 1) && !disk.flip(NAME, 9) && !disk.flip("other", 0));
    assert_eq!(read(&mut disk, NAME).as_deref(), Some(&b"CA"[..]));
    crash(&mut disk, &DiskFaults::none(), 0);
    assert_eq!(read(&mut disk, NAME).as_deref(), Some(&b"C"[..]));
}

#[test]
fn files_without_names_are_forgotten_unless_a_stream_reads_them() {
    let mut disk = Disk::default();
    for _ in 0..10 {
        ok(&mut disk, DiskOp::Replace { name: NAME.into(), bytes: Bytes::from_static(b"state") });
    }
    assert_eq!(disk.files.len(), 1);
    let mut reading = disk.open(NAME, 2).expect("it is there");
    ok(&mut disk, DiskOp::Remove { name: NAME.into() });
    sync_dir(&mut disk, "");
    assert_eq!(disk.read_on(&mut reading, 100).expect("read"), &b"ate"[..]);
    assert!(reading.is_over());
    drop(reading);
    sync_dir(&mut disk, "");
    assert!(disk.files.is_empty());
}
