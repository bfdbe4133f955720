//! A crash leaves the names that were synced, and of the others those that
//! some of their changes explain.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 4] = ["a", "b", "d/a", "d/b"];

#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    Replace(usize),
    Rename(usize, usize),
    Remove(usize),
    SyncDir(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    prop_oneof![
        3 => name().prop_map(Step::Create),
        1 => name().prop_map(Step::Replace),
        3 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => name().prop_map(Step::Remove),
        3 => prop::sample::select(vec!["", "d"]).prop_map(Step::SyncDir),
    ]
}

/// What is known of a name without any model: whom it leads to, whether that
/// is durable for sure, and whom else it may lead to after a crash (0: nobody).
#[derive(Clone, Default)]
struct Known {
    now: u8,
    maybe: Vec<u8>,
    /// Directories that must be synced before it is sure.
    waits_for: Vec<&'static str>,
}

impl Known {
    fn change(&mut self, to: u8, waits_for: &[&'static str]) {
        self.maybe.push(self.now);
        self.now = to;
        self.waits_for = waits_for.to_vec();
    }

    fn synced(&mut self, directory: &str) {
        self.waits_for.retain(|waits_for| *waits_for != directory);
        if self.waits_for.is_empty() {
            self.maybe.clear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn synced_names_survive_and_the_others_are_explained(
        steps in prop::collection::vec(step(), 1..20),
        seed in any::<u64>(),
    ) {
        let mut disk = Disk::default();
        append(&mut disk, "d/keep", b"");
        let mut known: BTreeMap<&str, Known> = NAMES.map(|name| (name, Known::default())).into();
        // files that had a durable name and were neither removed nor replaced
        let mut owed: Vec<u8> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            let file = number as u8 + 1;
            match step {
                Step::Create(at) if known[NAMES[at]].now == 0 => {
                    append(&mut disk, NAMES[at], &[file]);
                    sync(&mut disk, NAMES[at]);
                    known.get_mut(NAMES[at]).expect("all are there").change(file, &[parent(NAMES[at])]);
                }
                Step::Replace(at) => {
                    let bytes = Bytes::from(vec![file]);
                    ok(&mut disk, DiskOp::Replace { name: NAMES[at].into(), bytes });
                    owed.retain(|owed| *owed != known[NAMES[at]].now);
                    known.get_mut(NAMES[at]).expect("all are there").change(file, &[]);
                    known.values_mut().for_each(|known| known.synced(parent(NAMES[at])));
                    owed.push(file);
                }
                Step::Rename(from, to) if from != to && known[NAMES[from]].now != 0 => {
                    let (from, to) = (NAMES[from], NAMES[to]);
                    ok(&mut disk, DiskOp::Rename { from: from.into(), to: to.into() });
                    owed.retain(|owed| *owed != known[to].now);
                    let both = [parent(from), parent(to)];
                    let moved = known[from].now;
                    known.get_mut(from).expect("all are there").change(0, &both);
                    known.get_mut(to).expect("all are there").change(moved, &both);
                }
                Step::Remove(at) => {
                    ok(&mut disk, DiskOp::Remove { name: NAMES[at].into() });
                    owed.retain(|owed| *owed != known[NAMES[at]].now);
                    if known[NAMES[at]].now != 0 {
                        known.get_mut(NAMES[at]).expect("all are there").change(0, &[parent(NAMES[at])]);
                    }
                }
                Step::SyncDir(directory) => {
                    sync_dir(&mut disk, directory);
                    known.values_mut().for_each(|known| known.synced(directory));
                    owed.extend(known.values().filter(|known| known.maybe.is_empty() && known.now != 0).map(|known| known.now));
                }
                _ => {}
            }
        }
        crash(&mut disk, &crashes(), seed);
        let found = NAMES.map(|name| read(&mut disk, name).map_or(0, |bytes| bytes[0]));
        for (name, found) in NAMES.into_iter().zip(found) {
            let Known { now, maybe, .. } = &known[name];
            prop_assert!(found == *now || maybe.contains(&found), "{name} leads to {found}, not to {now} or {maybe:?}");
        }
        for owed in owed {
            prop_assert!(found.contains(&owed), "file {owed} has no name any more: {found:?}");
        }
    }
}

#[test]
fn a_new_name_is_lost_without_a_sync_of_its_directory() {
    for synced in [false, true] {
        let mut disk = Disk::default();
        append(&mut disk, NAME, b"one");
        sync(&mut disk, NAME);
        if synced {
            sync_dir(&mut disk, "");
        }
        let loss = crash(&mut disk, &DiskFaults::none(), 0);
        assert_eq!(read(&mut disk, NAME).is_some(), synced);
        assert_eq!(loss.names, u64::from(!synced));
    }
}

#[test]
fn replace_is_durable_at_once_and_never_half() {
    for seed in 0..100 {
        let mut disk = Disk::default();
        let replace =
            |text: &'static str| DiskOp::Replace { name: "d/state".into(), bytes: Bytes::from_static(text.as_bytes()) };
        ok(&mut disk, replace("old"));
        ok(&mut disk, replace("new"));
        crash(&mut disk, &crashes(), seed);
        assert_eq!(read(&mut disk, "d/state").as_deref(), Some(&b"new"[..]));
    }
}

#[test]
fn a_renaming_may_survive_without_the_content_or_come_undone() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut disk = Disk::default();
        ok(&mut disk, DiskOp::Replace { name: "state".into(), bytes: Bytes::from_static(b"old") });
        append(&mut disk, "next", b"new");
        ok(&mut disk, DiskOp::Rename { from: "next".into(), to: "state".into() });
        crash(&mut disk, &crashes(), seed);
        outcomes.insert((read(&mut disk, "state"), read(&mut disk, "next").is_some()));
    }
    let state = |text: &'static str, next| (Some(Bytes::from_static(text.as_bytes())), next);
    for expected in [state("old", false), state("old", true), state("new", false), state("", false)] {
        assert!(outcomes.contains(&expected), "no {expected:?} in {outcomes:?}");
    }
    assert!(outcomes.iter().all(|(state, _)| state.is_some()), "neither the old nor the new: {outcomes:?}");
}

#[test]
fn a_renaming_to_another_directory_may_leave_the_old_name_until_both_are_synced() {
    let moved = |synced: &[&str], seed| {
        let mut disk = Disk::default();
        append(&mut disk, "a", b"moved");
        append(&mut disk, "d/keep", b"");
        sync(&mut disk, "a");
        sync_dir(&mut disk, "");
        ok(&mut disk, DiskOp::Rename { from: "a".into(), to: "d/a".into() });
        synced.iter().for_each(|name| sync_dir(&mut disk, name));
        crash(&mut disk, &crashes(), seed);
        (read(&mut disk, "a").is_some(), read(&mut disk, "d/a").is_some())
    };
    let outcomes =
        |synced: &[&str]| -> std::collections::BTreeSet<_> { (0..50).map(|seed| moved(synced, seed)).collect() };
    assert_eq!(outcomes(&[]), [(true, false), (false, true)].into());
    assert_eq!(outcomes(&[""]), [(true, false), (false, true)].into());
    assert_eq!(outcomes(&["d"]), [(true, true), (false, true)].into());
    assert_eq!(outcomes(&["d", ""]), [(false, true)].into());
    assert_eq!(outcomes(&["", "d"]), [(false, true)].into());
}

#[test]
fn a_former_file_s_name_may_become_a_directory_s() {
    for seed in 0..50 {
        let mut disk = Disk::default();
        append(&mut disk, "a", b"file");
        append(&mut disk, "d/keep", b"");
        sync(&mut disk, "a");
        sync_dir(&mut disk, "");
        ok(&mut disk, DiskOp::Rename { from: "a".into(), to: "d/a".into() });
        append(&mut disk, "a/inside", b"");
        sync_dir(&mut disk, "a");
        crash(&mut disk, &crashes(), seed);
        assert_eq!(read(&mut disk, "d/a").as_deref(), Some(&b"file"[..]), "seed {seed}");
        assert!(read(&mut disk, "a/inside").is_some(), "seed {seed}");
    }
}
