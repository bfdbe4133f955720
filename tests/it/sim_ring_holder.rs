//! A ring's holder on the simulated disk: what it acknowledged is there after
//! crashes between any two effects, torn writes and failed syncs; what was aborted
//! is not; of a file's contents the newest stands under its name. And planted bugs
//! are caught.

use bytes::Bytes;
use nodewright::component::{Factory, NetComponent, Stack};
use nodewright::id::{Kind, Life, NodeId};
use nodewright::service::ring::cuts::Cuts;
use nodewright::service::ring::durability::{Durability, GROUP_WITHIN};
use nodewright::service::ring::holder::{Call, Committed, Held, Holder, Mutant, Refusal, Scrubbed};
use nodewright::service::ring::manifest::{Manifest, PushId, State};
use nodewright::service::ring::name::Name;
use nodewright::service::ring::parts_log::{PartId, Place};
use nodewright::service::ring::sums::{Hash, Sums};
use nodewright::sim::check::Violation;
use nodewright::sim::{DiskFault, DiskFaults, Faults, NodeIndex, Spell, World};
use std::time::Duration;

const NODE: NodeIndex = NodeIndex(0);

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn kind() -> Kind {
    Holder::default().manifest().kind()
}

fn world(seed: u64, mutant: Option<Mutant>) -> World {
    let mut world = World::new(seed);
    world.add_node("alpha", Stack { factories: vec![Factory::new(move || Holder::planted(mutant))] });
    world
}

/// One push, of which this node is to hold one part.
#[derive(Clone)]
struct Push {
    manifest: Manifest,
    id: PartId,
    bytes: Bytes,
    role: Place,
    durability: Durability,
    sealed: bool,
    committed: bool,
    aborted: bool,
}

impl Push {
    fn draw(rng: &mut fastrand::Rng, number: u64) -> Self {
        let size = [0, 1, 700, 5000, 20_000, if rng.u32(0..6) == 0 { 2_200_000 } else { 100 }][rng.usize(0..6)];
        let mut content = vec![0; size];
        rng.fill(&mut content);
        let cuts = Cuts::new(size as u64, 2, rng.bool());
        let mut sums = Sums::new(cuts);
        sums.push(&content, |_| {});
        let (root, digests) = sums.finish().expect("is whole");
        let part = rng.u16(1..=2);
        let push = PushId { life: Life::new(NodeId(5), 1), number };
        let manifest = Manifest {
            name: Name::from_bytes(["a", "b c"][rng.usize(0..2)].as_bytes()).expect("is taken"),
            version: number,
            push,
            cuts,
            root,
            slots: vec![NodeId(1), NodeId(2)],
            digests,
            copies: 2,
            mtime_ms: 0,
            state: State::Live,
        };
        let from = cuts.start(part) as usize;
        let bytes = Bytes::from(content).slice(from..from + cuts.bytes(part) as usize);
        // a node's role for a part of a file is the same in all its contents here
        let role = if part == 1 { Place::Content } else { Place::Backup };
        let (id, durability) = (PartId { push, part }, Durability::Strict);
        Push { manifest, id, bytes, role, durability, sealed: false, committed: false, aborted: false }
    }

    fn digest(&self) -> Hash {
        self.manifest.digests[usize::from(self.id.part) - 1]
    }
}

/// Asks once; `None` if the answer is lost or the holder is starting.
fn once<T: 'static>(world: &mut World, call: &Call) -> Option<Result<T, Refusal>> {
    let call = Box::new(call.clone());
    let ticket = world.call(NODE, kind(), call, millis(400));
    let mut answer = None;
    for _ in 0..90 {
        world.run_for(millis(5));
        answer = world.answer::<Result<T, Refusal>>(ticket);
        if answer.is_some() {
            break;
        }
    }
    Some(answer?.ok()?).filter(|answer| !matches!(answer, Err(Refusal::Starting)))
}

/// Asks until there is an answer that is not the disk's.
fn ask<T: 'static>(world: &mut World, call: &Call) -> Result<Result<T, Refusal>, Violation> {
    for _ in 0..2000 {
        match once(world, call) {
            Some(Err(Refusal::Disk(_))) | None => {}
            Some(answer) => return Ok(answer),
        }
    }
    Err(Violation::new("termination", format!("no answer to {call:?}")))
}

/// Writes a push; whether its part was acknowledged. Sometimes bytes are missing.
fn write(world: &mut World, push: &Push, missing: bool) -> Result<bool, Violation> {
    let Push { id, manifest, role, bytes, .. } = push;
    let prepare = Call::Prepare { id: *id, name: manifest.name.clone(), cuts: manifest.cuts, role: *role };
    if once::<()>(world, &prepare) != Some(Ok(())) {
        return Ok(false);
    }
    let end = if missing { bytes.len().saturating_sub(1) } else { bytes.len() };
    let half = world.rng().usize(0..=end);
    for (from, to) in [(0, half), (half, end)] {
        let write = Call::Write { id: *id, offset: from as u64, bytes: bytes.slice(from..to) };
        if once::<()>(world, &write) != Some(Ok(())) {
            return Ok(false);
        }
    }
    let seal = Call::Seal { id: *id, digest: push.digest(), durability: push.durability };
    let sealed = once::<()>(world, &seal) == Some(Ok(()));
    if sealed && end < bytes.len() {
        return Err(Violation::new("no wrong byte", format!("{id:?} lacks bytes and was called whole")));
    }
    Ok(sealed)
}

/// What was acknowledged is there, where it belongs, bit for bit.
fn judge(world: &mut World, pushes: &[Push]) -> Result<(), Violation> {
    for push in pushes.iter().filter(|push| push.sealed || push.aborted) {
        let id = push.id;
        let held = ask::<Held>(world, &Call::Has(id))?;
        if push.aborted {
            if held != Err(Refusal::Unknown) {
                return Err(Violation::new("aborted", format!("{id:?} is there: {held:?}")));
            }
            continue;
        }
        let newer = |other: &&Push| {
            let later = other.manifest.version > push.manifest.version;
            other.committed && other.manifest.name == push.manifest.name && later
        };
        let place = match (push.committed, pushes.iter().any(|other| newer(&other))) {
            (false, _) => Place::Stage,
            (true, true) => Place::Old,
            (true, false) => push.role,
        };
        // another node's part of the newer content says nothing here
        let found = held.as_ref().map(|held| (held.place, held.digest)).ok();
        if found != Some((place, push.digest())) {
            return Err(Violation::new("durability", format!("{id:?} is {found:?}, not in {place:?}")));
        }
        let mut read = Vec::new();
        while read.len() < push.bytes.len() {
            let offset = read.len() as u64;
            match ask::<Bytes>(world, &Call::Read { id, offset, bytes: 1 << 20 })? {
                Ok(bytes) if !bytes.is_empty() => read.extend_from_slice(&bytes),
                other => return Err(Violation::new("durability", format!("{id:?} at {offset}: {other:?}"))),
            }
        }
        if read != push.bytes {
            return Err(Violation::new("no wrong byte", format!("{id:?} ({place:?}) reads otherwise")));
        }
    }
    Ok(())
}

fn run(seed: u64, mutant: Option<Mutant>) -> Result<World, Violation> {
    let mut world = world(seed, mutant);
    let every = Spell { every: millis(80), lasting: millis(200) };
    let mut disk = DiskFaults::honest();
    // by hand: a holder ends its life on most errors, and a node bears a few of that
    (disk.full, disk.write_errors, disk.sync_errors, disk.read_errors) = (None, None, None, None);
    let crashes = Faults {
        crashes: Some(every),
        crashes_between_effects: true,
        disk_kept: 1.0,
        down_max: 1,
        disk,
        ..Faults::none()
    };
    let mut rng = world.rng().fork();
    let mut pushes: Vec<Push> = Vec::new();
    world.set_faults(crashes);
    for number in 1..=30 {
        if number % 8 == 0 {
            world.fail_next_disk(NODE, kind(), [DiskFault::Write, DiskFault::Sync, DiskFault::Read][rng.usize(0..3)]);
        }
        let mut push = Push::draw(&mut rng, number);
        let missing = !push.bytes.is_empty() && rng.u32(0..4) == 0;
        push.sealed = write(&mut world, &push, missing)?;
        match rng.u32(0..4) {
            0 => {}
            _ if !push.sealed => {
                ask::<()>(&mut world, &Call::Abort(push.id.push))?.expect("was not committed");
                push.aborted = true;
            }
            1 => {
                ask::<()>(&mut world, &Call::Abort(push.id.push))?.expect("was not committed");
                (push.sealed, push.aborted) = (false, true);
            }
            _ => {
                let parts = ask::<u16>(&mut world, &Call::Commit(Box::new(push.manifest.clone())))?;
                if parts != Ok(1) {
                    return Err(Violation::new("durability", format!("{:?} is not committed: {parts:?}", push.id)));
                }
                push.committed = true;
            }
        }
        pushes.push(push);
        if rng.bool() {
            judge(&mut world, &pushes)?;
        }
    }
    world.heal();
    for _ in 0..2 {
        world.crash(NODE);
        world.restart(NODE, true);
        world.run_for(millis(500));
        judge(&mut world, &pushes)?;
    }
    Ok(world)
}

#[test]
fn what_was_acknowledged_survives() {
    let mut counts = nodewright::sim::Counts::new();
    for seed in 0..20 {
        match run(seed, None) {
            Ok(world) => world.counts().into_iter().for_each(|(what, count)| *counts.entry(what).or_default() += count),
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
    }
    for what in ["crashes between effects", "disk errors", "component faults", "writes torn", "names lost"] {
        assert!(counts.get(what).is_some_and(|count| *count > 0), "{what} never happened: {counts:?}");
    }
}

#[test]
fn planted_bugs_are_caught() {
    let rows = [
        (Mutant::AckBeforeSync, "durability"),
        (Mutant::RelabelsEmpty, "no wrong byte"),
        (Mutant::LogUnsynced, "durability"),
        (Mutant::NoDirectorySync, "durability"),
        (Mutant::Overwrites, "durability"),
    ];
    for (mutant, property) in rows {
        let caught = (0..60).filter_map(|seed| run(seed, Some(mutant)).err()).find(|found| found.property == property);
        assert!(caught.is_some(), "{mutant:?} breaks '{property}', and nobody notices");
    }
}

/// Parts that are acknowledged at a level, and the loss of power after a while.
fn powerless(seed: u64, durability: Durability, pause: Duration, mutant: Option<Mutant>) -> Result<(), Violation> {
    let mut world = world(seed, mutant);
    world.run_for(millis(200));
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut pushes: Vec<Push> = (1..=4).map(|number| Push { durability, ..Push::draw(&mut rng, number) }).collect();
    for push in &mut pushes {
        push.sealed = write(&mut world, push, false)?;
        assert!(push.sealed, "nothing is in the way of it");
    }
    // whatever was committed stands in the synced log of the map, and is said again
    world.run_for(pause);
    world.crash(NODE);
    world.restart(NODE, true);
    world.run_for(millis(300));
    judge(&mut world, &pushes)
}

#[test]
fn a_group_is_durable_soon_and_what_is_strict_at_once() {
    let soon = GROUP_WITHIN * 3;
    for seed in 0..20 {
        powerless(seed, Durability::Strict, Duration::ZERO, None).expect("was synced before");
        powerless(seed, Durability::Group, soon, None).expect("was synced meanwhile");
    }
    let lost = |level, pause, mutant| (0..40).any(|seed| powerless(seed, level, pause, mutant).is_err());
    assert!(lost(Durability::Group, soon, Some(Mutant::GroupForgotten)), "nobody notices that nothing is synced");
    assert!(lost(Durability::None, soon, None), "else it is no level of its own");
}

/// A holder with one committed file of 5000 bytes.
fn with_a_file() -> (World, Push) {
    let mut world = world(1, None);
    world.run_for(millis(200));
    let mut rng = fastrand::Rng::with_seed(1);
    let mut push = Push::draw(&mut rng, 1);
    while push.bytes.len() != 2500 {
        push = Push::draw(&mut rng, 1);
    }
    assert_eq!(write(&mut world, &push, false), Ok(true));
    assert_eq!(once::<u16>(&mut world, &Call::Commit(Box::new(push.manifest.clone()))), Some(Ok(1)));
    push.committed = true;
    push.sealed = true;
    judge(&mut world, std::slice::from_ref(&push)).expect("is there");
    (world, push)
}

#[test]
fn a_flipped_bit_is_found_and_is_no_source() {
    let (mut world, push) = with_a_file();
    let scrub = Call::Scrub { id: push.id, at_ms: 77 };
    let clean = Scrubbed { bytes: 2500, bad: None };
    assert_eq!(once::<Scrubbed>(&mut world, &scrub), Some(Ok(clean)));
    let checked =
        |world: &mut World| once::<Held>(world, &Call::Has(push.id)).expect("an answer").expect("is there").checked_ms;
    assert_eq!(checked(&mut world), Some(77));
    for _ in 0..2 {
        // the second life reads what the first one wrote anew
        world.run_for(millis(100));
        world.crash(NODE);
        world.restart(NODE, true);
        world.run_for(millis(300));
        assert_eq!(checked(&mut world), Some(77), "it is known after a fall");
    }
    let file = push.manifest.name.part_file(push.id.part, 2);
    let directory = if push.role == Place::Content { "content" } else { "backup" };
    assert!(world.flip_bit(NODE, kind(), &format!("{directory}/{file}"), 777));
    assert_eq!(once::<Scrubbed>(&mut world, &scrub), Some(Ok(Scrubbed { bytes: 2500, bad: Some(0) })));
    for _ in 0..2 {
        let read = Call::Read { id: push.id, offset: 0, bytes: 10 };
        assert_eq!(once::<Bytes>(&mut world, &read), Some(Err(Refusal::Unknown)));
        let held = once::<Held>(&mut world, &Call::Has(push.id));
        assert!(matches!(held, Some(Ok(Held { place: Place::Quarantine, .. }))), "{held:?}");
        world.crash(NODE);
        world.restart(NODE, true);
        world.run_for(millis(300));
    }
}

#[test]
fn a_full_disk_refuses_and_serves_on() {
    let (mut world, push) = with_a_file();
    world.set_disk_space(NODE, Some(4000));
    let mut next = Push::draw(&mut fastrand::Rng::with_seed(3), 2);
    while next.bytes.len() < 5000 {
        next = Push::draw(world.rng(), 2);
    }
    let Push { id, manifest, role, .. } = &next;
    let prepare = Call::Prepare { id: *id, name: manifest.name.clone(), cuts: manifest.cuts, role: *role };
    assert_eq!(once::<()>(&mut world, &prepare), Some(Err(Refusal::Full)));
    judge(&mut world, std::slice::from_ref(&push)).expect("is still there");
    world.set_disk_space(NODE, None);
    assert_eq!(write(&mut world, &next, false), Ok(true), "there is room again");
}

#[test]
fn a_full_disk_can_be_emptied() {
    for ballast in [8000, 0] {
        let mut world = World::new(1);
        let holder = Factory::new(move || Holder::with_ballast(ballast));
        world.add_node("alpha", Stack { factories: vec![holder] });
        world.run_for(millis(200));
        let mut rng = fastrand::Rng::with_seed(1);
        let mut drawn = |number, bytes: usize| loop {
            let push = Push::draw(&mut rng, number);
            if push.bytes.len() == bytes {
                return push;
            }
        };
        let (there, large, small) = (drawn(1, 2500), drawn(2, 10_000), drawn(3, 50));
        assert_eq!(write(&mut world, &there, false), Ok(true));
        assert_eq!(once::<u16>(&mut world, &Call::Commit(Box::new(there.manifest.clone()))), Some(Ok(1)));
        // less than it holds
        world.set_disk_space(NODE, Some(if ballast > 0 { 9500 } else { 100 }));
        let prepare = |push: &Push| {
            let Push { id, manifest, role, .. } = push.clone();
            Call::Prepare { id, name: manifest.name, cuts: manifest.cuts, role }
        };
        assert_eq!(once::<()>(&mut world, &prepare(&large)), Some(Err(Refusal::Full)));
        assert_eq!(once::<()>(&mut world, &prepare(&small)), Some(Err(Refusal::Full)), "what is free is for deletions");
        let retired = once::<()>(&mut world, &Call::Retire(there.id.push));
        if ballast == 0 {
            assert_ne!(retired, Some(Ok(())), "without room nothing goes on, which is what the ballast is for");
            continue;
        }
        assert_eq!(retired, Some(Ok(())));
        assert_eq!(once::<()>(&mut world, &Call::Purge(there.id.push)), Some(Ok(())));
        assert_eq!(write(&mut world, &small, false), Ok(true), "there is room again");
    }
}

#[test]
fn undo_brings_the_older_content_back() {
    let (mut world, mut push) = with_a_file();
    assert_eq!(once::<()>(&mut world, &Call::Purge(push.id.push)), Some(Err(Refusal::State(Committed::Yes))));
    assert_eq!(once::<()>(&mut world, &Call::Retire(push.id.push)), Some(Ok(())));
    let held = once::<Held>(&mut world, &Call::Has(push.id));
    assert!(matches!(held, Some(Ok(Held { place: Place::Old, .. }))), "{held:?}");
    push.manifest.version = 9;
    assert_eq!(once::<u16>(&mut world, &Call::Commit(Box::new(push.manifest.clone()))), Some(Ok(1)));
    judge(&mut world, std::slice::from_ref(&push)).expect("is the file again");
    assert_eq!(once::<()>(&mut world, &Call::Retire(push.id.push)), Some(Ok(())));
    assert_eq!(once::<()>(&mut world, &Call::Purge(push.id.push)), Some(Ok(())));
    assert_eq!(once::<Held>(&mut world, &Call::Has(push.id)), Some(Err(Refusal::Unknown)));
}
