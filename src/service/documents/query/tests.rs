//! By hand and by chance.

use super::*;
use proptest::prelude::*;
use serde_json::json;

/// Numbers around every edge, and anything.
fn number() -> impl Strategy<Value = Value> {
    let edges = vec![
        json!(0),
        json!(-0.0),
        json!(0.0),
        json!(1),
        json!(1.0),
        json!(-1),
        json!(0.5),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(9_007_199_254_740_993u64),
        json!(9_007_199_254_740_992.0),
        json!(1e308),
        json!(-1e308),
        json!(f64::MIN_POSITIVE),
        json!(5e-324),
        json!(-5e-324),
        json!(18_446_744_073_709_551_616.0),
        json!(9_223_372_036_854_775_808.0),
        json!(-9_223_372_036_854_775_808.0),
        json!(1e-5),
        json!(255),
        json!(256),
    ];
    prop_oneof![
        prop::sample::select(edges),
        (-3i64..4).prop_map(|n| json!(n)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<u64>().prop_map(|n| json!(n)),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| json!(n)),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["", "a", "ab", "b", "\0", "a\0", "a\u{1}", "ä", "\u{10ffff}", "\u{ffff}", "0"])
            .prop_map(String::from),
        "[ab]{0,3}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number(), text().prop_map(Value::from),];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab]{1,2}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn document() -> impl Strategy<Value = Value> {
    (value(), value(), text(), any::<u8>()).prop_map(|(a, b, id, which)| {
        let mut document = json!({ "_id": id });
        if which & 1 > 0 {
            document["a"] = a;
        }
        if which & 2 > 0 {
            document["b"] = b;
        }
        document
    })
}

fn filter() -> impl Strategy<Value = Value> {
    let path = || prop::sample::select(vec!["a", "b", "a.b", "a.0", "_id", "b.a"]);
    let ordering = prop::sample::select(vec!["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$contains"]);
    let listing = prop::sample::select(vec!["$in", "$nin"]);
    let test = prop_oneof![
        (ordering, value()).prop_map(|(operator, operand)| json!({ operator: operand })),
        (listing, prop::collection::vec(value(), 0..4)).prop_map(|(operator, list)| json!({ operator: list })),
        any::<bool>().prop_map(|wanted| json!({ "$exists": wanted })),
        text().prop_map(|start| json!({ "$prefix": start })),
        (0u64..4).prop_map(|size| json!({ "$size": size })),
        (0u64..4).prop_map(|size| json!({ "$size": {"$gt": size} })),
        (value(), value()).prop_map(|(from, to)| json!({ "$gte": from, "$lt": to })),
        value().prop_map(|operand| json!({ "$not": {"$gt": operand} })),
        value().prop_map(|operand| json!({ "$eq": operand })),
    ];
    let leaf = (path(), test).prop_map(|(path, test)| json!({ path: test }));
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|filters| json!({ "$and": filters })),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|filters| json!({ "$or": filters })),
            inner.prop_map(|filter| json!({ "$not": filter })),
        ]
    })
}

fn patch() -> impl Strategy<Value = Value> {
    let path = || prop::sample::select(vec!["a", "b", "a.b", "a.0", "b.a.c", "c"]);
    let operator = prop::sample::select(vec!["$set", "$unset", "$min", "$max", "$push", "$add", "$pull"]);
    let one = prop_oneof![
        (operator, path(), value()).prop_map(|(operator, path, value)| json!({ operator: {path: value} })),
        (path(), number()).prop_map(|(path, by)| json!({ "$inc": {path: by} })),
        prop::collection::btree_map("[abc]", value(), 0..3).prop_map(|fields| json!(fields)),
    ];
    (one.clone(), one).prop_map(|(mut one, two)| {
        if let (Value::Object(one), Value::Object(two)) = (&mut one, two) {
            one.extend(two);
        }
        one
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn values_are_ordered_and_their_bytes_alike(a in value(), b in value(), c in value()) {
        naive::judge(&Value::Null, &a, &b);
        if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
            prop_assert!(compare(&a, &c).is_le(), "transitive");
        }
    }

    #[test]
    fn numbers_are_ordered_exactly(a in number(), b in number()) {
        naive::judge(&Value::Null, &a, &b);
    }

    #[test]
    fn filters_are_what_the_naive_ones_are(filter in filter(), a in document(), b in document()) {
        naive::judge(&filter, &a, &b);
        let json = postcard::to_stdvec(&Filter::parse(&filter).expect("is one")).expect("memory takes it");
        let back: Filter = postcard::from_bytes(&json).expect("was written so");
        prop_assert_eq!(back, Filter::parse(&filter).expect("is one"));
    }

    #[test]
    fn patches_are_whole_and_stay_themselves(patch in patch(), a in document(), b in document()) {
        naive::judge(&patch, &a, &b);
    }

    #[test]
    fn sorts_and_projections_stay_themselves(
        names in prop::collection::vec("[-+]?(a|b|a\\.b|_id)", 0..4), a in document(), b in document()
    ) {
        naive::judge(&json!(names), &a, &b);
    }
}

fn refused(filter: Value) -> String {
    Filter::parse(&filter).expect_err("is none").to_string()
}

#[test]
fn unknown_operators_are_refused_by_name() {
    assert!(refused(json!({"a": {"$near": 1}})).starts_with("unknown operator '$near': known here are $eq, $ne"));
    assert!(refused(json!({"$nor": []})).starts_with("unknown operator '$nor': known here are $and, $or, $not"));
    assert!(refused(json!({"a": {"$size": {"$prefix": "a"}}})).starts_with("unknown operator '$prefix'"));
    assert_eq!(
        Patch::parse(&json!({"$rename": {"a": "b"}})).expect_err("unknown").to_string(),
        format!("unknown operator '$rename': known here are {}", "$set, $unset, $inc, $min, $max, $push, $add, $pull")
    );
}

#[test]
fn what_an_operator_cannot_take_is_said() {
    assert_eq!(refused(json!({"$or": []})), "'$or' wants a list of filters, at least one");
    assert_eq!(refused(json!({"a": {"$in": 3}})), "'$in' wants a list of values");
    assert_eq!(refused(json!({"a": {"$exists": 1}})), "'$exists' wants true or false");
    assert!(refused(json!({"a": {"$size": -1}})).starts_with("'$size' wants a count"));
    assert!(refused(json!({"a": {"$gt": 1, "b": 2}})).starts_with("'b' stands beside operators"));
    assert!(refused(json!([1])).starts_with("a filter is an object"));
    assert_eq!(refused(json!({"a..b": 1})), "the path 'a..b' has an empty name");
    assert!(refused(json!({"a": {"$in": vec![0; 1001]}})).contains("more than 1000 terms"));
    let deep = (0..1000).fold(json!(1), |value, _| json!([value]));
    assert_eq!(refused(json!({"a": deep})), "the filter is nested deeper than 64");
    assert!("{\"a\": NaN}".parse::<Filter>().expect_err("no JSON").to_string().starts_with("the filter is no JSON"));
}

#[test]
fn absent_is_not_null() {
    let passes = |filter: Value, document: Value| Filter::parse(&filter).expect("is one").matches(&document);
    assert!(!passes(json!({"a": null}), json!({})));
    assert!(passes(json!({"a": null}), json!({"a": null})));
    assert!(passes(json!({"a": {"$ne": 1}}), json!({})));
    assert!(passes(json!({"a": {"$exists": false}}), json!({})));
    assert!(!passes(json!({"a": {"$gt": 1}}), json!({"a": "text"})));
}

#[test]
fn an_exact_match_compares_whole_values() {
    let example = json!({"name": "a", "at": {"$gt": 1}});
    let filter = Filter::exact(example.as_object().expect("is one")).expect("is one");
    assert!(filter.matches(&json!({"name": "a", "at": {"$gt": 1}, "more": 1})));
    assert!(!filter.matches(&json!({"name": "a", "at": 2})));
}

#[test]
fn a_patch_does_what_its_table_says() {
    let document = json!({"_id": "x", "n": 1, "list": [1, 2, 2], "deep": {"a": 1, "b": 2}});
    let patched = |patch: Value| Patch::parse(&patch).expect("is one").apply(&document);
    let done = |patch: Value| patched(patch).expect("fits");
    assert_eq!(done(json!({"$set": {"x.y": 1}}))["x"], json!({"y": 1}));
    assert_eq!(done(json!({"$unset": ["deep.a", "list.0", "none.at.all"]}))["list"], json!([2, 2]));
    assert_eq!(done(json!({"$unset": ["list.0", "list.2"]}))["list"], json!([2]));
    assert_eq!(done(json!({"$inc": {"n": -3}}))["n"], json!(-2));
    assert_eq!(done(json!({"$inc": {"n": 0.5, "new": 4}}))["new"], json!(4));
    assert_eq!(done(json!({"$min": {"n": 0}, "$max": {"deep.b": 1}}))["deep"]["b"], json!(2));
    assert_eq!(done(json!({"$push": {"list": {"$each": [3, 4]}}}))["list"], json!([1, 2, 2, 3, 4]));
    assert_eq!(done(json!({"$add": {"list": {"$each": [2, 3, 3.0]}}}))["list"], json!([1, 2, 2, 3]));
    assert_eq!(done(json!({"$pull": {"list": 2}}))["list"], json!([1]));
    assert_eq!(done(json!({"deep": {"a": null, "c": 3}, "n": null}))["deep"], json!({"b": 2, "c": 3}));
    let error = |patch: Value| patched(patch).expect_err("does not fit").to_string();
    assert_eq!(error(json!({"$inc": {"n": u64::MAX}})), "'n' would be out of range");
    assert_eq!(error(json!({"$push": {"n": 1}})), "'n' is a number, an array is wanted");
    assert_eq!(error(json!({"$set": {"n.a": 1}})), "'n.a' is a number, on the way an object or an array is wanted");
    assert_eq!(error(json!({"$set": {"list.3": 1}})), "'list.3' is behind the end of the array, which has 3 elements");
    let none = |patch: Value| Patch::parse(&patch).expect_err("is none").to_string();
    assert_eq!(none(json!({"$set": {"a": 1}, "$inc": {"a.b": 1}})), "'a' and 'a.b' change the same field");
    assert!(none(json!({"$set": {"_id": 1}})).starts_with("a document's '_id' does not change"));
    assert!(none(json!({"_id": 1})).starts_with("a document's '_id' does not change"));
    assert!(none(json!({"$set": {}, "a": 1})).starts_with("'a' stands beside operators"));
}

#[test]
fn depth_has_a_bound_that_is_met_exactly() {
    let deep = |depth: usize| (1..depth).fold(json!(1), |value, _| json!([value]));
    assert!(!too_deep(&deep(DEPTH_MAX)));
    assert!(too_deep(&deep(DEPTH_MAX + 1)));
}

#[test]
fn ranges_of_a_compound_index_go_on_behind_single_values() {
    let paths: Vec<Path> = ["a", "b"].map(|path| path.parse().expect("is one")).to_vec();
    let of = |filter: Value| Filter::parse(&filter).expect("is one").key_ranges(&paths, 100);
    let found = of(json!({"a": {"$in": [1, 2]}, "b": {"$gt": 5}}));
    assert_eq!((found.ranges.len(), found.fields, found.points, found.missing), (2, 2, 1, false));
    let found = of(json!({"b": {"$gt": 5}}));
    assert_eq!((found.ranges.len(), found.fields, found.points, found.missing), (1, 0, 0, true));
    let found = of(json!({"a": {"$gt": 5, "$lt": 3}}));
    assert!(found.ranges.is_empty(), "nothing passes: {found:?}");
    assert!(of(json!({"a": {"$exists": false}})).missing);
}
