//! The machine by itself: against a model, and with bad input.

mod bad_input;
mod measure;
mod model;

use super::query::{Filter, Patch, Sort};
use super::*;
use crate::protocol::replicated_log::{At, Machine, Queried};
use serde_json::{Value, json};

/// A store, and the index of what it applied last.
pub(super) struct Machinery {
    pub(super) store: Store,
    pub(super) at: u64,
}

impl Machinery {
    pub(super) fn new(limits: Limits) -> Self {
        Machinery { store: Store::new(limits), at: 0 }
    }

    pub(super) fn with_people() -> Self {
        let mut it = Machinery::new(Limits::default());
        it.commit(Command::CreateCollection("people".into(), CollectionOptions::default()));
        it
    }

    pub(super) fn commit(&mut self, command: Command) -> Committed {
        self.at += 1;
        let bytes = postcard::to_stdvec(&command).expect("plain values");
        let reply = self.store.apply(At { index: self.at, term: 1 }, &bytes);
        postcard::from_bytes(&reply).expect("a reply")
    }

    pub(super) fn write(&mut self, write: Write) -> Result<Written, Refusal> {
        let step = Step { collection: "people".into(), write };
        match self.commit(Command::Write(vec![step])) {
            Committed::Done(Done::Written(mut written)) => Ok(written.pop().expect("one")),
            Committed::Refused { why, .. } => Err(why),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn insert(&mut self, value: Value) -> Result<Written, Refusal> {
        self.write(Write::Insert(Document::new(&value)?))
    }

    pub(super) fn index(&mut self, spec: IndexSpec) -> Committed {
        self.commit(Command::CreateIndex("people".into(), spec))
    }

    pub(super) fn ask(&self, question: Question) -> Option<Answer> {
        let bytes = postcard::to_stdvec(&question).expect("plain values");
        let answer = match self.store.query(self.at, &bytes) {
            Queried::Now(answer) => answer,
            Queried::Later(work) => work(),
            Queried::NotYet => return None,
        };
        Some(postcard::from_bytes(&answer).expect("an answer"))
    }

    pub(super) fn find(&self, find: Find) -> Result<Page, Refusal> {
        match self.ask(Question::Find("people".into(), find)) {
            Some(Answer::Page(page)) => Ok(page),
            Some(Answer::Refused(why)) => Err(why),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn plan(&self, find: Find) -> Plan {
        match self.ask(Question::Explain("people".into(), find)) {
            Some(Answer::Plan(plan)) => plan,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn stats(&self) -> Stats {
        match self.ask(Question::Collections) {
            Some(Answer::Collections(stats)) => stats,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn restarted(&self) -> Self {
        let mut bytes = Vec::new();
        self.store.snapshot(&mut bytes);
        let mut store = Store::new(self.store.limits);
        store.restore(self.at, &bytes).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(store.hash(), self.store.hash(), "a snapshot holds everything that the hash says");
        Machinery { store, at: self.at }
    }
}

pub(super) fn filter(value: Value) -> Filter {
    Filter::parse(&value).expect("a filter")
}

pub(super) fn patch(value: Value) -> Patch {
    Patch::parse(&value).expect("a patch")
}

pub(super) fn sort(value: Value) -> Sort {
    Sort::parse(&value).expect("a sort")
}

fn ids(page: &Page) -> Vec<&str> {
    page.documents.iter().map(|found| found.id.as_str()).collect()
}

#[test]
fn what_is_written_is_read_with_its_revision() {
    let mut it = Machinery::with_people();
    let ada = it.insert(json!({"_id": "ada", "born": 1815})).expect("new");
    assert_eq!((ada.revision, ada.inserted), (2, 1));
    assert_eq!(it.insert(json!({"_id": "ada"})), Err(Refusal::Exists { id: "ada".into(), revision: 2 }));
    let patched = it.write(Write::Patch {
        id: "ada".into(),
        patch: patch(json!({"$inc": {"born": 1}})),
        revision: Some(2),
        upsert: false,
    });
    assert_eq!(patched.map(|it| (it.revision, it.changed)), Ok((4, 1)));
    let same = it.write(Write::Upsert(Document::new(&json!({"born": 1816, "_id": "ada"})).expect("one")));
    assert_eq!(same.map(|it| (it.revision, it.matched, it.changed)), Ok((4, 1, 0)), "nothing changed");
    let stale = it.write(Write::Delete("ada".into(), Some(2)));
    assert_eq!(stale, Err(Refusal::Revision { id: "ada".into(), wanted: 2, found: 4 }));
    assert_eq!(it.write(Write::Delete("ada".into(), Some(4))).map(|it| it.deleted), Ok(1));
    assert_eq!(it.write(Write::Delete("ada".into(), None)).map(|it| it.deleted), Ok(0));
    assert_eq!(it.stats().bytes, 0, "all of it is given back");
}

#[test]
fn a_batch_is_done_as_a_whole_or_not_at_all() {
    let mut it = Machinery::with_people();
    it.index(IndexSpec::over(["mail"]).unique().sparse());
    it.insert(json!({"_id": "a", "mail": "x"})).expect("new");
    let (hash, bytes) = (it.store.hash(), it.stats().bytes);
    let step =
        |value: Value| Step { collection: "people".into(), write: Write::Upsert(Document::new(&value).expect("one")) };
    let steps = vec![
        step(json!({"_id": "a", "mail": "y"})),
        step(json!({"_id": "b", "mail": "x"})),
        step(json!({"_id": "c", "mail": "y"})),
    ];
    match it.commit(Command::Write(steps.clone())) {
        Committed::Refused { step: 2, why: Refusal::Unique { holder, values, .. } } => {
            assert_eq!((holder.as_str(), values.as_str()), ("a", "[\"y\"]"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((it.store.hash(), it.stats().bytes), (hash, bytes), "nothing changed");
    let watch = Watch { collection: None, after: it.at - 1, limit: 9 };
    assert_eq!(it.ask(Question::Watch(watch)), None, "and nothing is told");
    assert!(matches!(it.commit(Command::Write(steps[..2].to_vec())), Committed::Done(_)), "each sees those before");
    assert_eq!(it.find(Find::matching(filter(json!({"mail": "x"})))).map(|page| ids(&page).join(",")), Ok("b".into()));
}

#[test]
fn an_index_is_built_over_later_entries_and_keeps_up() {
    let limits = Limits { build_step: 10, ..Limits::default() };
    let mut it = Machinery::new(limits);
    it.commit(Command::CreateCollection("people".into(), CollectionOptions::default()));
    for n in 0..35 {
        it.insert(json!({"_id": format!("{n:02}"), "n": n % 7})).expect("new");
    }
    it.index(IndexSpec::over(["n"]));
    let by_n = || Find::matching(filter(json!({"n": 3})));
    assert_eq!(it.plan(by_n()).access, Access::Scan);
    assert_eq!(it.plan(by_n()).passed_over[0].1, "it is being built");
    // before and behind the last document taken in
    it.write(Write::Delete("03".into(), None)).expect("there");
    it = it.restarted();
    it.insert(json!({"_id": "031", "n": 3})).expect("new");
    it.write(Write::Delete("31".into(), None)).expect("there");
    while it.stats().collections[0].indexes[0].state != IndexState::Ready {
        it.commit(Command::Pass(0));
    }
    let plan = it.plan(by_n());
    assert_eq!(plan.access, Access::Index { name: "n".into(), fields: 1, ranges: 1 });
    assert_eq!((plan.examined, plan.sorts), (4, false), "one value: in the order of ids already");
    assert_eq!(ids(&it.find(by_n()).expect("a page")), ["031", "10", "17", "24"]);
    assert_eq!(it.stats().collections[0].indexes[0].entries, 34);
    let before = it.stats().bytes;
    assert_eq!(it.restarted().stats().bytes, before);
}

#[test]
fn a_unique_index_over_what_is_not_unique_says_so_and_stays_out_of_the_way() {
    let mut it = Machinery::with_people();
    for id in ["a", "b"] {
        it.insert(json!({"_id": id, "n": 1})).expect("new");
    }
    it.index(IndexSpec::over(["n"]).unique());
    let state = it.stats().collections[0].indexes[0].state.clone();
    assert_eq!(state, IndexState::Failed { holders: ("a".into(), "b".into()), values: "[1]".into() });
    it.insert(json!({"_id": "c", "n": 1})).expect("it keeps nothing out");
    assert_eq!(it.restarted().stats(), it.stats());
    it.commit(Command::DropIndex("people".into(), "n".into()));
    assert!(it.stats().collections[0].indexes.is_empty());
}

#[test]
fn the_plan_takes_what_narrows_most_and_guards_against_scans() {
    let mut it = Machinery::with_people();
    for n in 0..200 {
        it.insert(json!({"_id": format!("{n:03}"), "a": n % 5, "b": n % 20, "c": n})).expect("new");
    }
    it.index(IndexSpec::over(["a"]));
    it.index(IndexSpec::over(["a", "b"]));
    it.index(IndexSpec::over(["c"]).unique());
    let plan = |value, order| it.plan(Find::matching(filter(value)).sorted(sort(order)).limit(1000));
    let both = plan(json!({"a": 2, "b": 7}), json!([]));
    assert_eq!(both.access, Access::Index { name: "a_b".into(), fields: 2, ranges: 1 });
    assert_eq!((both.examined, both.matched, both.sorts), (10, 10, false));
    let sorted = plan(json!({"a": 2}), json!(["b"]));
    assert_eq!((sorted.access, sorted.sorts), (Access::Index { name: "a_b".into(), fields: 1, ranges: 1 }, false));
    let all = plan(json!({}), json!(["c"]));
    assert_eq!((all.access, all.sorts), (Access::Index { name: "c".into(), fields: 0, ranges: 1 }, false));
    let one = plan(json!({"c": 7}), json!([]));
    assert_eq!((one.examined, one.access), (1, Access::Index { name: "c".into(), fields: 1, ranges: 1 }));
    let ids = plan(json!({"_id": {"$in": ["007", "009"]}}), json!([]));
    assert_eq!((ids.access, ids.examined), (Access::Ids(2), 2));
    let range = plan(json!({"_id": {"$gte": "190"}, "a": 1}), json!([]));
    assert_eq!(range.matched, 2);
    // guards
    let scan = Find::matching(filter(json!({"d": 1})));
    assert!(matches!(it.find(scan.clone().demanding_index()), Err(Refusal::Scan { .. })));
    match it.find(scan.clone().examining_at_most(50)) {
        Err(why) => assert!(why.to_string().contains("make an index"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(it.find(scan.examining_at_most(200)).map(|page| page.examined), Ok(200));
}

#[test]
fn pages_show_the_state_of_the_first_one_and_say_so_when_it_is_gone() {
    let limits = Limits { pins_max: 2, ..Limits::default() };
    let mut it = Machinery::new(limits);
    it.commit(Command::CreateCollection("people".into(), CollectionOptions::default()));
    for n in 0..10 {
        it.insert(json!({"_id": format!("{n}"), "n": 9 - n})).expect("new");
    }
    for order in [json!([]), json!(["n"])] {
        let find = || Find::default().sorted(sort(order.clone())).limit(4);
        let first = it.find(find()).expect("a page");
        let then = it.find(Find { limit: 1000, ..find() }).expect("all");
        it.write(Write::DeleteWhere(filter(json!({"n": {"$lt": 3}})))).expect("done");
        for n in 0..3 {
            it.write(Write::Upsert(Document::new(&json!({"_id": format!("x{n}")})).expect("one"))).expect("done");
        }
        let (mut all, mut next) = (first.documents.clone(), first.cursor.clone());
        while let Some(cursor) = next {
            let page = it.find(find().after(cursor)).expect("a page");
            assert_eq!(page.at, first.at);
            all.extend(page.documents);
            next = page.cursor;
        }
        assert_eq!(all, then.documents);
        // of another query, another text, another time
        let cursor = first.cursor.clone().expect("more follow");
        let other = Find::matching(filter(json!({"n": 1}))).after(cursor.clone());
        assert!(matches!(it.find(other), Err(Refusal::CursorForeign(_))));
        assert!(matches!(it.find(find().after("nwc1-00")), Err(Refusal::CursorForeign(_))));
        assert!(matches!(it.find(find().after("é")), Err(Refusal::CursorForeign(_))));
        for n in 0..3 {
            it.insert(json!({"_id": format!("{n}y{}", it.at)})).expect("new");
            it.find(Find::default().limit(1)).expect("a page that pins");
        }
        it.insert(json!({"_id": format!("z{}", it.at)})).expect("new");
        assert_eq!(it.find(find().after(cursor)), Err(Refusal::CursorExpired { at: first.at }));
    }
    assert_eq!(it.stats().pins, 2);
    // a node that did not answer the first page serves it while nothing changed
    let first = it.find(Find::default().limit(4)).expect("a page");
    let second = Find::default().limit(4).after(first.cursor.expect("more follow"));
    assert_eq!(it.restarted().find(second.clone()), it.find(second));
}

#[test]
fn a_watch_tells_every_change_also_after_a_restart_and_says_what_it_cannot() {
    let limits = Limits { history_max: 6, ..Limits::default() };
    let mut it = Machinery::new(limits);
    for name in ["people", "others"] {
        it.commit(Command::CreateCollection(name.into(), CollectionOptions::default()));
    }
    for n in 0..4 {
        it.insert(json!({"_id": format!("{n}")})).expect("new");
    }
    it.write(Write::DeleteWhere(filter(json!({"_id": {"$gte": "2"}})))).expect("done");
    it = it.restarted();
    let watch = |after, limit| Question::Watch(Watch { collection: Some("people".into()), after, limit });
    let Some(Answer::Watched(Watched::Changes { changes, through })) = it.ask(watch(5, 1)) else { panic!("changes") };
    assert_eq!((changes[0].index, through), (6, 6));
    let Some(Answer::Watched(Watched::Changes { changes, through })) = it.ask(watch(6, 1)) else { panic!("changes") };
    assert_eq!(changes.iter().map(|it| it.index).collect::<Vec<_>>(), [7, 7], "those of one index are not parted");
    assert_eq!(through, 7);
    assert_eq!(it.ask(watch(7, 1)), None, "nothing yet");
    it.insert(json!({"_id": "9"})).expect("new");
    assert_eq!(it.ask(watch(2, 1)), Some(Answer::Watched(Watched::Gone { oldest: 8 })));
    assert!(matches!(it.ask(watch(3, 9)), Some(Answer::Watched(Watched::Changes { .. }))));
    it.commit(Command::DropCollection("people".into()));
    let Some(Answer::Watched(Watched::Changes { changes, .. })) = it.ask(watch(8, 9)) else { panic!("changes") };
    assert_eq!(changes[0].what, Changed::Dropped);
}

#[test]
fn documents_expire_by_the_time_of_the_group() {
    let mut it = Machinery::new(Limits::default());
    let options = CollectionOptions { expire_after_ms: Some(1000) };
    it.commit(Command::CreateCollection("people".into(), options));
    it.insert(json!({"_id": "a"})).expect("new");
    it.commit(Command::Pass(600));
    it.insert(json!({"_id": "b"})).expect("new");
    it.write(Write::Upsert(Document::new(&json!({"_id": "a", "n": 1})).expect("one"))).expect("done");
    it.insert(json!({"_id": "c"})).expect("new");
    it.write(Write::Delete("c".into(), None)).expect("there");
    it.commit(Command::Pass(999));
    assert_eq!(it.stats().collections[0].documents, 2, "written again: later");
    it = it.restarted();
    it.commit(Command::Pass(1));
    assert_eq!(it.stats().collections[0].documents, 0);
    assert_eq!(it.stats().bytes, 0);
}
