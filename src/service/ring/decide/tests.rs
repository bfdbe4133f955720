use super::super::manifest::tests::manifest;
use super::*;
use crate::protocol::replicated_log::{At, Machine, Queried};
use crate::protocol::replicated_map::{Committed, Query, Table};
use std::collections::BTreeSet;

/// The map, alone.
#[derive(Default)]
struct Map {
    table: Table,
    index: u64,
}

impl Map {
    /// The version that it wrote, if it was done.
    fn apply(&mut self, transaction: &Transaction) -> Option<u64> {
        assert_eq!(transaction.refusal(), None);
        self.index += 1;
        let command = postcard::to_stdvec(transaction).expect("encodes");
        let reply = self.table.apply(At { index: self.index, term: 1 }, &command);
        match postcard::from_bytes(&reply).expect("decodes") {
            Committed::Done { version } => Some(version),
            Committed::Failed { .. } => None,
            Committed::Refused(refusal) => panic!("{refusal:?}"),
        }
    }

    fn get(&self, keys: Vec<Bytes>) -> Vec<Option<Entry>> {
        let query = postcard::to_stdvec(&Query::Get(keys)).expect("encodes");
        let Queried::Now(reply) = self.table.query(self.index, &query) else { panic!("is answered at once") };
        postcard::from_bytes(&reply).expect("decodes")
    }

    fn file(&self, name: &Name) -> File {
        File::read(&self.get(File::keys(name).into())).expect("is whole")
    }

    /// The version of a push's key.
    fn begun(&self, push: PushId) -> Option<u64> {
        self.get(vec![push.key().into()])[0].as_ref().map(|entry| entry.version)
    }

    /// One whole push that nobody disturbs.
    fn push(&mut self, number: u64) -> Manifest {
        let mut pushed = numbered(number);
        let begun = self.apply(&begin(&pushed)).expect("is new");
        let file = self.file(&pushed.name);
        pushed.version = file.next(None).expect("nothing is expected");
        self.apply(&file.commit(&pushed, begun, 1000)).expect("nobody disturbs");
        pushed
    }
}

fn numbered(number: u64) -> Manifest {
    let mut one = manifest("a", 1, 10, &[1, 2, 3]);
    one.push.number = number;
    one
}

#[test]
fn a_file_lives() {
    let mut map = Map::default();
    let name = numbered(1).name;
    assert_eq!(map.file(&name).next(Some(Expected::Version(1))), Err(Conflict::NotFound));
    assert_eq!(map.file(&name).next(Some(Expected::Nothing)), Ok(1));
    assert_eq!(map.file(&name).undo(0, 9), Err(Conflict::NothingBefore));
    let first = map.push(1);
    assert_eq!(map.file(&name).live(), Some(&first));
    assert_eq!(map.begun(first.push), None, "the push is over");
    assert_eq!(map.file(&name).next(Some(Expected::Nothing)), Err(Conflict::Version(1)));
    assert_eq!(map.file(&name).next(Some(Expected::Version(7))), Err(Conflict::Version(1)));
    assert_eq!(map.file(&name).next(Some(Expected::Version(1))), Ok(2));
    let second = map.push(2);
    assert_eq!(second.version, 2);

    // an undo brings the content back under a new version, and can be undone
    let (back, undo) = map.file(&name).undo(999, 2000).expect("undo is open");
    assert_eq!((back.push, back.version), (first.push, 3));
    map.apply(&undo).expect("as read");
    assert_eq!(map.apply(&undo), None, "not twice");
    let (again, undo) = map.file(&name).undo(999, 2000).expect("undo is open");
    assert_eq!((again.push, again.version), (second.push, 4));
    map.apply(&undo).expect("as read");

    // a deletion
    let (gone, delete) = map.file(&name).delete(5000).expect("is there");
    assert_eq!((gone.push, gone.version), (second.push, 5));
    map.apply(&delete).expect("as read");
    let file = map.file(&name);
    assert_eq!((file.live(), file.delete(1).map(|_| ())), (None, Err(Conflict::NotFound)));
    assert_eq!(file.next(Some(Expected::Nothing)), Ok(6));
    assert_eq!(file.undo(4999, 9000).map(|(back, _)| (back.push, back.version)), Ok((second.push, 6)));

    // what is over goes, and its bytes with it
    assert_eq!(map.file(&name).expire(1999).map(|(pushes, _)| pushes), None);
    let (pushes, expire) = map.file(&name).expire(2000).expect("one is over");
    assert_eq!(pushes, [first.push]);
    map.apply(&expire).expect("as read");
    let (pushes, expire) = map.file(&name).expire(5000).expect("the other is over");
    assert_eq!(pushes, [second.push]);
    map.apply(&expire).expect("as read");
    assert_eq!(map.file(&name), File::default());
}

/// What was read is what is replaced: a push between is a conflict, never lost.
#[test]
fn a_decision_on_what_is_gone_decides_nothing() {
    let mut map = Map::default();
    map.push(1);
    let stale = map.file(&numbered(1).name);
    map.push(2);
    let now = map.file(&numbered(1).name);
    assert_eq!(map.apply(&stale.delete(9).expect("was there").1), None);
    assert_eq!(map.file(&numbered(1).name), now);
}

/// Steps of those who race.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Begin,
    Read,
    Commit,
    /// Somebody else gives the push up: looks for its key, and later takes it away.
    Look,
    Abort,
}

/// Rules without which something must go wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// The commit does not ask for the push's key.
    CommitsBlind,
    /// The bytes go because the key was seen, not because it was taken away.
    AbortsWithoutTheMap,
    /// The commit does not ask what it replaces.
    Overwrites,
}

/// One order of all steps; what is wrong with how it ends.
fn race(order: &[(usize, Step)], bug: Option<Bug>) -> Result<(), String> {
    let mut map = Map::default();
    let name = numbered(1).name;
    let (mut begun, mut seen) = ([None; 2], [None; 2]);
    let mut read: [Option<File>; 2] = [None, None];
    let (mut committed, mut removed) = (Vec::new(), BTreeSet::new());
    for &(who, step) in order {
        let mut own = numbered(who as u64 + 1);
        match step {
            Step::Begin => begun[who] = map.apply(&begin(&own)),
            Step::Read => read[who] = Some(map.file(&name)),
            Step::Commit => {
                let (Some(file), Some(begun)) = (&read[who], begun[who]) else { continue };
                own.version = file.next(None).expect("nothing is expected");
                let mut transaction = file.commit(&own, begun, 9);
                match bug {
                    Some(Bug::CommitsBlind) => drop(transaction.conditions.remove(0)),
                    Some(Bug::Overwrites) => transaction.conditions.truncate(1),
                    _ => {}
                }
                if map.apply(&transaction).is_some() {
                    committed.push((own.push, own.version));
                }
            }
            Step::Look => seen[who] = map.begun(own.push),
            Step::Abort => {
                let Some(begun) = seen[who] else { continue };
                let done = map.apply(&abort(own.push, begun)).is_some();
                if done || bug == Some(Bug::AbortsWithoutTheMap) {
                    removed.insert(own.push);
                }
            }
        }
    }
    if let Some((push, _)) = committed.iter().find(|(push, _)| removed.contains(push)) {
        return Err(format!("{push} was committed, and its bytes are gone"));
    }
    let versions: Vec<u64> = committed.iter().map(|(_, version)| *version).collect();
    if versions != (1..=versions.len() as u64).collect::<Vec<_>>() {
        return Err(format!("versions {versions:?}"));
    }
    let last = map.file(&name).live().map(|manifest| (manifest.push, manifest.version));
    if last != committed.last().copied() {
        return Err(format!("{last:?} is there, {committed:?} were committed"));
    }
    Ok(())
}

/// Every order of two pushes of one name, each with somebody who gives it up.
fn every_race(bug: Option<Bug>) -> Result<u64, String> {
    let actors = [0, 1].into_iter().flat_map(|who| {
        [vec![(who, Step::Begin), (who, Step::Read), (who, Step::Commit)], vec![(who, Step::Look), (who, Step::Abort)]]
    });
    let mut actors: Vec<Vec<(usize, Step)>> = actors.collect();
    let (mut order, mut count) = (Vec::new(), 0);
    orders(&mut actors, &mut order, &mut |order| {
        count += 1;
        race(order, bug).map_err(|wrong| format!("{wrong}: {order:?}"))
    })?;
    Ok(count)
}

fn orders(
    actors: &mut Vec<Vec<(usize, Step)>>,
    order: &mut Vec<(usize, Step)>,
    judge: &mut impl FnMut(&[(usize, Step)]) -> Result<(), String>,
) -> Result<(), String> {
    if actors.iter().all(Vec::is_empty) {
        return judge(order);
    }
    for at in 0..actors.len() {
        if actors[at].is_empty() {
            continue;
        }
        order.push(actors[at].remove(0));
        orders(actors, order, judge)?;
        actors[at].insert(0, order.pop().expect("was pushed"));
    }
    Ok(())
}

#[test]
fn a_push_is_committed_or_given_up_in_every_order() {
    assert_eq!(every_race(None), Ok(25_200));
}

#[test]
fn planted_bugs_are_caught() {
    let wrong = |bug| every_race(Some(bug)).expect_err("is noticed");
    assert!(wrong(Bug::CommitsBlind).contains("its bytes are gone"));
    assert!(wrong(Bug::AbortsWithoutTheMap).contains("its bytes are gone"));
    assert!(wrong(Bug::Overwrites).contains("versions"));
}
