//! The language once more, as slow and plain as it is described: what the real one
//! is compared with.

use super::DEPTH_MAX;
use super::filter::Filter;
use super::order::{compare, encode, encode_field};
use super::patch::Patch;
use super::projection::Projection;
use super::sort::Sort;
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

/// Compares as the order is described, by other means.
pub fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::String(a), Value::String(b)) => a.chars().cmp(b.chars()),
        (Value::Array(a), Value::Array(b)) => {
            for at in 0.. {
                match (a.get(at), b.get(at)) {
                    (Some(a), Some(b)) if order(a, b).is_eq() => {}
                    (Some(a), Some(b)) => return order(a, b),
                    (a, b) => return a.is_some().cmp(&b.is_some()),
                }
            }
            Ordering::Equal
        }
        (Value::Object(a), Value::Object(b)) => {
            let list = |fields: &Map<String, Value>| {
                let pairs = fields.iter().flat_map(|(name, value)| [Value::String(name.clone()), value.clone()]);
                Value::Array(pairs.collect())
            };
            order(&list(a), &list(b))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn numbers(a: &Number, b: &Number) -> Ordering {
    let integer = |number: &Number| number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
    let float = |number: &Number| number.as_f64().unwrap_or(0.0);
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => with_float(a, float(b)),
        (None, Some(b)) => with_float(b, float(a)).reverse(),
        (None, None) => float(a).partial_cmp(&float(b)).unwrap_or(Ordering::Equal),
    }
}

fn with_float(integer: i128, float: f64) -> Ordering {
    if float.abs() >= 1e30 {
        return if float > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    // The whole part fits; what is behind the point decides only between equals.
    let whole = float.trunc() as i128;
    integer.cmp(&whole).then_with(|| 0.0f64.partial_cmp(&(float - float.trunc())).unwrap_or(Ordering::Equal))
}

fn find<'v>(path: &str, document: &'v Value) -> Option<&'v Value> {
    let (mut names, mut escaped) = (vec![String::new()], false);
    for c in path.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            '.' if !escaped => names.push(String::new()),
            c => {
                names.last_mut()?.push(c);
                escaped = false;
            }
        }
    }
    names.iter().try_fold(document, |value, name| match value {
        Value::Object(fields) => fields.get(name),
        Value::Array(items) => {
            let place = (0..items.len()).find(|at| at.to_string() == *name)?;
            items.get(place)
        }
        _ => None,
    })
}

/// Whether a document passes a filter that is known to be one.
pub fn matches(filter: &Value, document: &Value) -> bool {
    let Value::Object(fields) = filter else { return false };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    fields.iter().all(|(name, value)| match name.as_str() {
        "$and" => list(value).iter().all(|filter| matches(filter, document)),
        "$or" => list(value).iter().any(|filter| matches(filter, document)),
        "$not" => !matches(value, document),
        path => tests(value, find(path, document)),
    })
}

fn tests(wanted: &Value, field: Option<&Value>) -> bool {
    let operators = wanted.as_object().filter(|fields| fields.keys().any(|name| name.starts_with('$')));
    let Some(operators) = operators else {
        return field.is_some_and(|value| order(value, wanted).is_eq());
    };
    operators.iter().all(|(operator, operand)| test(operator, operand, field))
}

fn test(operator: &str, operand: &Value, field: Option<&Value>) -> bool {
    let is_equal = |wanted: &Value| field.is_some_and(|value| order(value, wanted).is_eq());
    let same_type = field.is_some_and(|value| std::mem::discriminant(value) == std::mem::discriminant(operand));
    let ordered = |orders: &[Ordering]| same_type && field.is_some_and(|value| orders.contains(&order(value, operand)));
    let any = |list: &Value| list.as_array().is_some_and(|list| list.iter().any(is_equal));
    match operator {
        "$eq" => is_equal(operand),
        "$ne" => !is_equal(operand),
        "$gt" => ordered(&[Ordering::Greater]),
        "$gte" => ordered(&[Ordering::Greater, Ordering::Equal]),
        "$lt" => ordered(&[Ordering::Less]),
        "$lte" => ordered(&[Ordering::Less, Ordering::Equal]),
        "$in" => any(operand),
        "$nin" => !any(operand),
        "$exists" => field.is_some() == (*operand == Value::Bool(true)),
        "$prefix" => match (field, operand) {
            (Some(Value::String(text)), Value::String(start)) => text.as_bytes().starts_with(start.as_bytes()),
            _ => false,
        },
        "$contains" => match (field, operand) {
            (Some(Value::Array(items)), wanted) => items.iter().any(|item| order(item, wanted).is_eq()),
            (Some(Value::String(text)), Value::String(part)) => {
                part.is_empty() || text.as_bytes().windows(part.len()).any(|window| window == part.as_bytes())
            }
            _ => false,
        },
        "$size" => {
            let size = match field {
                Some(Value::Array(items)) => items.len(),
                Some(Value::Object(fields)) => fields.len(),
                Some(Value::String(text)) => text.chars().count(),
                _ => return false,
            };
            tests(operand, Some(&Value::from(size)))
        }
        "$not" => !tests(operand, field),
        _ => false,
    }
}

/// What must hold of any filter and two documents.
///
/// # Panics
/// If the language breaks a promise.
pub fn judge(filter: &Value, a: &Value, b: &Value) {
    let (key, other) = (field_key(Some(a)), field_key(Some(b)));
    assert_eq!(compare(a, b), order(a, b), "{a} to {b}");
    assert_eq!(key.cmp(&other), order(a, b), "the bytes of {a} to those of {b}");
    assert!(key == other || !other.starts_with(&key), "{a} begins {b}");
    if let Ok(patch) = Patch::parse(filter) {
        assert_eq!(Patch::parse(&patch.to_json()).as_ref(), Ok(&patch), "a patch is read as it is written");
        if let Ok(patched) = patch.apply(a) {
            assert_eq!(patch.apply(a).as_ref(), Ok(&patched));
            assert!(!super::too_deep(&patched) && patched.get(super::ID) == a.get(super::ID));
        }
    }
    if let Ok(sort) = Sort::parse(filter) {
        assert_eq!(sort.key(a).cmp(&sort.key(b)), sort.compare(a, b), "{a} and {b} by {sort}");
        assert_eq!(Sort::parse(&sort.to_json()), Ok(sort));
    }
    if let Ok(projection) = Projection::parse(filter) {
        assert_eq!(Projection::parse(&projection.to_json()).as_ref(), Ok(&projection));
        let once = projection.apply(a);
        assert_eq!(projection.apply(&once), once, "{projection} of {a}");
    }
    let Ok(parsed) = Filter::parse(filter) else { return };
    assert_eq!(Filter::parse(&parsed.to_json()).as_ref(), Ok(&parsed), "a filter is read as it is written");
    for document in [a, b] {
        assert_eq!(parsed.matches(document), matches(filter, document), "{filter} of {document}");
        if parsed.matches(document) {
            in_ranges(&parsed, document);
        }
    }
}

fn field_key(field: Option<&Value>) -> Vec<u8> {
    let mut key = Vec::new();
    encode_field(field, &mut key);
    key
}

/// Whatever an index is over, it is looked at where a document that passes stands.
fn in_ranges(filter: &Filter, document: &Value) {
    let paths: Vec<_> = ["a", "b", "a.b", "_id"].iter().filter_map(|path| path.parse().ok()).collect();
    for first in 0..paths.len() {
        for ranges_max in [1, 3, 1000] {
            let paths: Vec<super::Path> = paths.iter().cycle().skip(first).take(paths.len()).cloned().collect();
            let found = filter.key_ranges(&paths, ranges_max);
            let mut key = Vec::new();
            paths.iter().for_each(|path| encode_field(path.get(document), &mut key));
            let holding = found.ranges.iter().filter(|range| range.holds(&key)).count();
            assert_eq!(holding, 1, "{filter} of {document} by {paths:?}: {found:?}");
            assert!(found.ranges.windows(2).all(|pair| pair[0].to <= pair[1].from), "{found:?}");
            assert!(found.missing || paths[0].get(document).is_some());
        }
    }
}

/// A query and one or two documents, parted by NUL.
///
/// # Panics
/// If the language breaks a promise.
pub fn fuzzed(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut parts = text.split('\0').map(|part| serde_json::from_str::<Value>(part).ok());
    let (filter, a) = (parts.next().flatten(), parts.next().flatten());
    let b = parts.next().flatten();
    let Some(filter) = filter else { return };
    let a = a.unwrap_or_else(|| filter.clone());
    let b = b.unwrap_or_else(|| a.clone());
    if [&a, &b].into_iter().any(super::too_deep) {
        return; // refused at the edge
    }
    judge(&filter, &a, &b);
}

/// Planted: an order that compares numbers as floats.
///
/// # Panics
/// On what shows the bug.
pub fn planted_floats(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let values: Vec<Value> = text.split('\0').filter_map(|part| serde_json::from_str(part).ok()).collect();
    for (a, b) in values.iter().zip(values.iter().skip(1)) {
        if let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) {
            assert_eq!(x.partial_cmp(&y), Some(order(a, b)), "{a} to {b}");
        }
    }
}

/// Planted: keys that hold strings without an end.
///
/// # Panics
/// On what shows the bug.
pub fn planted_open_strings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let values: Vec<Value> = text.split('\0').filter_map(|part| serde_json::from_str(part).ok()).collect();
    let open = |value: &Value| match value {
        Value::String(text) => text.clone().into_bytes(),
        value => {
            let mut bytes = Vec::new();
            encode(value, &mut bytes);
            bytes
        }
    };
    for (a, b) in values.iter().zip(values.iter().skip(1)) {
        assert!(open(a) == open(b) || !open(b).starts_with(&open(a)), "{a} begins {b}; at most {DEPTH_MAX} deep");
    }
}
