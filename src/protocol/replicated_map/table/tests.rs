use super::*;
use proptest::prelude::*;

fn commit(table: &mut Table, index: u64, transaction: Transaction) -> Committed {
    let reply = table.apply(At { index, term: 1 }, &encoded(&transaction));
    postcard::from_bytes(&reply).expect("a reply")
}

fn put(key: &'static str, value: &'static str) -> Transaction {
    Transaction::default().put(key, value)
}

fn watch(table: &Table, after: u64, limit: u32) -> Option<Watched> {
    table.watch(100, &Bytes::new(), after, limit)
}

#[test]
fn a_transaction_is_done_as_a_whole_or_not_at_all() {
    let mut table = Table::default();
    assert_eq!(commit(&mut table, 5, put("a", "1").put("b", "2")), Committed::Done { version: 5 });
    let both = |version| {
        let conditions = Transaction::default().when(Condition::Version("a".into(), version));
        conditions.when(Condition::Absent("c".into())).put("a", "3").put("c", "4").delete("b")
    };
    let found = Some(Entry { key: "a".into(), value: "1".into(), version: 5 });
    assert_eq!(commit(&mut table, 6, both(4)), Committed::Failed { at: 6, condition: 0, found });
    assert_eq!(commit(&mut table, 7, both(5)), Committed::Done { version: 7 });
    let keys: Vec<_> = table.entries.keys().cloned().collect();
    assert_eq!(keys, ["a", "c"]);
    for (condition, holds) in [
        (Condition::Value("a".into(), "3".into()), true),
        (Condition::Value("a".into(), "1".into()), false),
        (Condition::NoneWithPrefix("b".into()), true),
        (Condition::NoneWithPrefix("c".into()), false),
        (Condition::NoneBetween("a\0".into(), "c".into()), true),
        (Condition::NoneBetween("a".into(), "c".into()), false),
        (Condition::NoneBetween("z".into(), "a".into()), true),
    ] {
        let done = commit(&mut table, 8, Transaction::default().when(condition.clone()));
        assert_eq!(matches!(done, Committed::Done { .. }), holds, "{condition:?}");
    }
}

#[test]
fn bounds_refuse_and_change_nothing() {
    let mut table = Table::with_budget(500);
    assert_eq!(commit(&mut table, 1, put("a", "1")), Committed::Done { version: 1 });
    let long = Transaction::default().put("b", vec![0; VALUE]);
    const VALUE: usize = super::super::VALUE_BYTES_MAX + 1;
    for (refused, why) in [
        (put("", "1"), Refusal::Key),
        (long, Refusal::Value),
        (Transaction::default().put("b", vec![0; 400]), Refusal::Full),
        (
            Transaction { operations: vec![Operation::Delete("a".into()); 200], ..Transaction::default() },
            Refusal::TooMany,
        ),
    ] {
        assert_eq!(commit(&mut table, 2, refused), Committed::Refused(why));
    }
    let junk = table.apply(At { index: 3, term: 1 }, b"\xff\xff junk");
    assert_eq!(postcard::from_bytes(&junk), Ok(Committed::Refused(Refusal::Unreadable)));
    assert_eq!(table.entries.len(), 1);
    assert_eq!(commit(&mut table, 4, Transaction::default().delete("a")), Committed::Done { version: 4 });
    assert_eq!((table.bytes, table.hash), (0, 0));
}

#[test]
fn pages_go_on_behind_the_last_key() {
    let mut table = Table::default();
    for (n, key) in ["x", "p/1", "p/2", "p/3", "q"].into_iter().enumerate() {
        commit(&mut table, n as u64 + 1, put(key, "v"));
    }
    let prefix = Bytes::from("p/");
    let first = table.list(&prefix, None, 2);
    let keys = |page: &Page| page.entries.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>();
    assert_eq!((keys(&first), first.more), (vec!["p/1".into(), "p/2".into()], true));
    let second = table.list(&prefix, Some(&first.entries[1].key), 2);
    assert_eq!((keys(&second), second.more), (vec!["p/3".into()], false));
}

#[test]
fn a_watch_hears_every_change_and_when_some_are_gone() {
    let mut table = Table::default();
    assert_eq!(watch(&table, 0, 10), None, "it waits");
    commit(&mut table, 5, put("a", "1").put("b", "2"));
    commit(&mut table, 6, put("a", "3"));
    commit(&mut table, 7, Transaction::default().delete("zero"));
    let Some(Watched::Changes { changes, through }) = watch(&table, 0, 1) else { panic!("it hears") };
    assert_eq!((changes.len(), through), (2, 5), "one index is never parted");
    let Some(Watched::Changes { changes, through }) = watch(&table, through, 10) else { panic!("it hears") };
    assert_eq!((changes.len(), through), (1, 100));
    let mut other = Table::default();
    let mut snapshot = Vec::new();
    table.snapshot(&mut snapshot);
    other.restore(50, &snapshot).expect("its own");
    assert_eq!(watch(&other, 49, 10), Some(Watched::Gone { oldest: 100 }));
    assert_eq!(watch(&other, 50, 10), None);
    for index in 0..HISTORY_MAX as u64 + 10 {
        commit(&mut table, 200 + index, put("a", "again"));
    }
    assert_eq!(watch(&table, 7, 10), Some(Watched::Gone { oldest: 100 }));
    assert!(table.history.len() <= HISTORY_MAX);
}

proptest! {
    /// The same commands give the same hash, also over a snapshot, and what is
    /// watched adds up to the state.
    #[test]
    fn hash_snapshot_and_watch_agree(steps in prop::collection::vec((0u8..6, 0u8..4, any::<bool>()), 1..60), cut in 0usize..60) {
        let (mut one, mut two) = (Table::default(), Table::default());
        let mut seen: BTreeMap<Bytes, Bytes> = BTreeMap::new();
        let mut after = 0;
        for (n, (key, value, delete)) in steps.iter().enumerate() {
            let key = Bytes::from(vec![b'k', *key]);
            let transaction = match delete {
                true => Transaction::default().delete(key),
                false => Transaction::default().put(key, vec![*value]),
            };
            let index = n as u64 + 1;
            prop_assert_eq!(commit(&mut one, index, transaction.clone()), commit(&mut two, index, transaction));
            if n == cut {
                let mut snapshot = Vec::new();
                two.snapshot(&mut snapshot);
                two.restore(index, &snapshot).expect("its own");
            }
            prop_assert_eq!(one.hash(), two.hash());
            if let Some(Watched::Changes { changes, through }) = one.watch(index, &Bytes::new(), after, 3) {
                after = through;
                for change in changes {
                    match change.value {
                        Some(value) => drop(seen.insert(change.key, value)),
                        None => drop(seen.remove(&change.key)),
                    }
                }
            }
        }
        let state: BTreeMap<Bytes, Bytes> = one.entries.iter().map(|(key, held)| (key.clone(), held.value.clone())).collect();
        prop_assert_eq!(seen, state);
    }

    #[test]
    fn junk_changes_nothing(junk in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut table = Table::default();
        let reply = table.apply(At { index: 1, term: 1 }, &junk);
        prop_assert!(postcard::from_bytes::<Committed>(&reply).is_ok());
        let _ = table.query(1, &junk);
        let _ = Table::default().restore(1, &junk);
    }
}
