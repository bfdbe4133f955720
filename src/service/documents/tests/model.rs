//! Random commands, against a model that knows no tree, no index and no plan.

use super::*;
use crate::service::documents::query::naive;
use std::collections::BTreeMap;

type Model = BTreeMap<String, Value>;

const FILTERS: usize = 7;

fn some_filter(rng: &mut fastrand::Rng) -> Value {
    let n = rng.u32(0..6);
    match rng.usize(0..FILTERS) {
        0 => json!({ "n": n }),
        1 => json!({"n": {"$gte": n}, "tag": "t1"}),
        2 => json!({"$or": [{"n": n}, {"tag": {"$exists": false}}]}),
        3 => json!({"tag": {"$in": ["t0", "t2"]}, "n": {"$lt": n}}),
        4 => json!({"_id": {"$gte": format!("d{n}")}}),
        5 => json!({"n": {"$ne": n}}),
        _ => json!({}),
    }
}

fn some_document(rng: &mut fastrand::Rng) -> Value {
    let mut document = json!({"_id": format!("d{}", rng.u32(0..60)), "n": rng.u32(0..6)});
    match rng.u32(0..4) {
        0 => {}
        1 => document["tag"] = json!(rng.u32(0..3)),
        _ => document["tag"] = json!(format!("t{}", rng.u32(0..3))),
    }
    document
}

/// What a write does to the model; `None` if it is refused.
fn modelled(model: &mut Model, write: &Write) -> Option<()> {
    match write {
        Write::Insert(document) => match model.insert(document.id()?, document.value()) {
            None => Some(()),
            Some(_) => None,
        },
        Write::Upsert(document) => {
            model.insert(document.id()?, document.value());
            Some(())
        }
        Write::PatchWhere(filter, patch) => {
            let filter = filter.to_json();
            for value in model.values_mut().filter(|value| naive::matches(&filter, value)) {
                *value = patch.apply(value).ok()?;
            }
            Some(())
        }
        Write::DeleteWhere(filter) => {
            let filter = filter.to_json();
            model.retain(|_, value| !naive::matches(&filter, value));
            Some(())
        }
        Write::Delete(id, _) => {
            model.remove(id);
            Some(())
        }
        _ => None,
    }
}

fn some_write(rng: &mut fastrand::Rng) -> Write {
    let document = Document::new(&some_document(rng)).expect("one");
    match rng.u32(0..12) {
        0..=4 => Write::Upsert(document),
        5..=6 => Write::Insert(document),
        7..=8 => Write::Delete(document.id().expect("its id"), None),
        9 => Write::DeleteWhere(filter(json!({"n": rng.u32(0..6), "tag": "t1"}))),
        _ => {
            let change = match rng.u32(0..3) {
                0 => json!({"$set": {"tag": format!("t{}", rng.u32(0..3))}}),
                1 => json!({"$inc": {"n": 1}}),
                _ => json!({"$push": {"tag": 1}}), // does not fit strings
            };
            Write::PatchWhere(filter(some_filter(rng)), patch(change))
        }
    }
}

/// All pages of a query.
fn all(it: &Machinery, find: Find) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), find.clone());
    loop {
        let page = it.find(next).expect("a page");
        all.extend(page.documents.iter().map(|found| found.document.value()));
        match page.cursor {
            Some(cursor) => next = find.clone().after(cursor),
            None => return all,
        }
    }
}

fn compare(it: &Machinery, model: &Model, rng: &mut fastrand::Rng) {
    let (wanted, orders) = (some_filter(rng), [json!([]), json!(["n"]), json!(["-n", "tag"]), json!(["tag"])]);
    let order = sort(orders[rng.usize(0..orders.len())].clone());
    let mut expected: Vec<Value> = model.values().filter(|value| naive::matches(&wanted, value)).cloned().collect();
    expected.sort_by(|a, b| order.compare(a, b));
    let find = Find::matching(filter(wanted.clone())).sorted(order).limit(rng.u32(1..40));
    let found = all(it, find.clone());
    assert_eq!(found, expected, "{wanted} {:?}", it.plan(find));
    let count = it.ask(Question::Count("people".into(), Find::matching(filter(wanted))));
    assert_eq!(count, Some(Answer::Count(expected.len() as u64)));
}

#[test]
fn it_holds_and_finds_what_the_model_does() {
    for seed in 0..16 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let limits = Limits { build_step: 7, examined_in_place: 5, history_max: 64, ..Limits::default() };
        let mut it = Machinery::new(limits);
        it.commit(Command::CreateCollection("people".into(), CollectionOptions::default()));
        let mut twin = Machinery::new(limits);
        twin.commit(Command::CreateCollection("people".into(), CollectionOptions::default()));
        let mut model = Model::new();
        let specs = [
            IndexSpec::over(["n"]),
            IndexSpec::over(["tag", "n"]).sparse(),
            IndexSpec::over(["n", "tag"]),
            IndexSpec::over(["tag"]),
        ];
        for step in 0..160 {
            let command = match rng.u32(0..20) {
                0 => Command::CreateIndex("people".into(), specs[rng.usize(0..specs.len())].clone()),
                1 => Command::DropIndex("people".into(), specs[rng.usize(0..specs.len())].name.clone()),
                _ => {
                    let writes: Vec<Write> = (0..rng.usize(1..4)).map(|_| some_write(&mut rng)).collect();
                    let mut after = model.clone();
                    if writes.iter().all(|write| modelled(&mut after, write).is_some()) {
                        model = after;
                    }
                    let step = |write| Step { collection: "people".into(), write };
                    Command::Write(writes.into_iter().map(step).collect())
                }
            };
            it.commit(command.clone());
            twin.commit(command);
            if step % 23 == 0 {
                twin = twin.restarted();
            }
            assert_eq!(it.store.hash(), twin.store.hash(), "seed {seed}, step {step}");
            assert_eq!(it.stats().bytes, twin.stats().bytes, "seed {seed}, step {step}");
            compare(&it, &model, &mut rng);
        }
    }
}
