//! What changes in a document. Two languages, told apart by their first character:
//!
//! - **Operators**, if the names begin with `$`: `{"$set": {"a.b": 1}, "$inc": {"n": 2}}`.
//! - **Merge patch** (RFC 7396), if none does: `{"a": {"b": 1}, "old": null}`; `null`
//!   removes a field, objects are merged, all else is replaced.
//!
//! | operator | does with the field |
//! |---|---|
//! | `$set` | gives it this value; objects on the way are made |
//! | `$unset` | removes it; a list of paths. An array closes up |
//! | `$inc` | adds a number; one that is missing begins at 0. Integers stay integers, and beyond 64 bits it is refused |
//! | `$min` `$max` | replaces it where the operand is less (greater) in the [order](super::order), or it is missing |
//! | `$push` | appends to an array, or several with `{"$each": [..]}`; one that is missing begins empty |
//! | `$add` | the same, for those that are not in it |
//! | `$pull` | removes equal elements of an array |
//!
//! A patch is done as a whole or not at all. Two changes of one field are refused, so
//! the order of operators is of no matter; so is a change of the id.

use super::order::{compare, equal};
use super::path::{Path, Step};
use super::{ID, QueryError, TERMS_MAX, as_json, too_deep};
use serde_json::{Map, Number, Value, json};

const OPERATORS: &str = "$set, $unset, $inc, $min, $max, $push, $add, $pull";

/// A parsed patch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patch(Kind);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Operators(Vec<(Path, Change)>),
    Merge(Map<String, Value>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Change {
    Set(Value),
    Unset,
    Inc(Number),
    Min(Value),
    Max(Value),
    Push(Vec<Value>),
    Add(Vec<Value>),
    Pull(Value),
}

/// Why a patch does not fit a document, which stays as it was.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum PatchError {
    /// The field is of another type.
    #[error("'{path}' is {found}, {wants} is wanted")]
    Type {
        /// Where.
        path: String,
        /// What is there.
        found: &'static str,
        /// What could be changed so.
        wants: &'static str,
    },
    /// An array has no such place.
    #[error("'{path}' is behind the end of the array, which has {length} elements")]
    NoElement {
        /// Where.
        path: String,
        /// How many there are.
        length: usize,
    },
    /// A sum beyond 64 bits, or beyond what a float holds.
    #[error("'{path}' would be out of range")]
    Overflow {
        /// Where.
        path: String,
    },
    /// The result is nested too deep.
    #[error("the document would be nested deeper than {}", super::DEPTH_MAX)]
    TooDeep,
}

impl Patch {
    /// Reads a patch.
    ///
    /// # Errors
    /// What is wrong, with its name.
    pub fn parse(value: &Value) -> Result<Self, QueryError> {
        let Value::Object(fields) = value else {
            let wants = "an object: operators, such as {\"$set\": {\"a.b\": 1}}, or fields to merge";
            return Err(QueryError::Shape { what: "a patch", wants });
        };
        if too_deep(value) {
            return Err(QueryError::TooDeep { what: "the patch" });
        }
        if !fields.keys().any(|name| name.starts_with('$')) {
            if fields.contains_key(ID) {
                return Err(QueryError::IdChange);
            }
            return Ok(Self(Kind::Merge(fields.clone())));
        }
        let mut changes = Vec::new();
        for (operator, operand) in fields {
            parse_operator(operator, operand, &mut changes)?;
        }
        changes.sort_by(|(a, _), (b, _)| a.cmp(b));
        for pair in changes.windows(2) {
            // A path stands right before those that it leads to.
            if pair[0].0.overlaps(&pair[1].0) {
                return Err(QueryError::Conflict(pair[0].0.to_string(), pair[1].0.to_string()));
            }
        }
        if changes.iter().any(|(path, _)| path.steps()[0].name == ID) {
            return Err(QueryError::IdChange);
        }
        Ok(Self(Kind::Operators(changes)))
    }

    /// The document as it is afterwards.
    ///
    /// # Errors
    /// The patch does not fit; nothing is changed.
    pub fn apply(&self, document: &Value) -> Result<Value, PatchError> {
        let mut out = document.clone();
        match &self.0 {
            Kind::Merge(fields) => merge(&mut out, fields),
            Kind::Operators(changes) => {
                // From the last on, so that removing an element moves no other's place.
                for (path, change) in changes.iter().rev() {
                    change.apply(path, &mut out)?;
                }
            }
        }
        if too_deep(&out) { Err(PatchError::TooDeep) } else { Ok(out) }
    }

    /// The patch as JSON, which [`Patch::parse`] reads.
    pub fn to_json(&self) -> Value {
        let changes = match &self.0 {
            Kind::Merge(fields) => return Value::Object(fields.clone()),
            Kind::Operators(changes) => changes,
        };
        let mut out = Map::new();
        for (path, change) in changes {
            let (operator, operand) = match change {
                Change::Set(value) => ("$set", value.clone()),
                Change::Unset => ("$unset", Value::Null),
                Change::Inc(by) => ("$inc", json!(by)),
                Change::Min(value) => ("$min", value.clone()),
                Change::Max(value) => ("$max", value.clone()),
                Change::Push(values) => ("$push", json!({ "$each": values })),
                Change::Add(values) => ("$add", json!({ "$each": values })),
                Change::Pull(value) => ("$pull", value.clone()),
            };
            let of_operator = out.entry(operator).or_insert_with(|| json!({}));
            if let Value::Object(fields) = of_operator {
                fields.insert(path.to_string(), operand);
            }
        }
        if out.is_empty() {
            out.insert("$set".into(), json!({})); // changes nothing, and is no merge patch
        }
        Value::Object(out)
    }
}

fn parse_operator(operator: &str, operand: &Value, out: &mut Vec<(Path, Change)>) -> Result<(), QueryError> {
    let wants = |wants| QueryError::Operand { operator: operator.into(), wants };
    if !operator.starts_with('$') {
        return Err(QueryError::Mixed { field: operator.into() });
    }
    if !OPERATORS.split(", ").any(|known| known == operator) {
        return Err(QueryError::UnknownOperator { operator: operator.into(), known: OPERATORS });
    }
    let fields: Vec<(&str, &Value)> = match operand {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        Value::Array(names) if operator == "$unset" => {
            let name = |name: &'_ Value| name.as_str().map(str::to_owned);
            let names: Option<Vec<_>> = names.iter().map(name).collect();
            for name in names.ok_or_else(|| wants("a list of paths"))? {
                out.push((name.parse()?, Change::Unset));
            }
            Vec::new()
        }
        _ if operator == "$unset" => return Err(wants("a list of paths")),
        _ => return Err(wants("an object of paths and operands")),
    };
    for (name, value) in fields {
        let change = match operator {
            "$set" => Change::Set(value.clone()),
            "$unset" => Change::Unset,
            "$inc" => match value {
                Value::Number(by) => Change::Inc(by.clone()),
                _ => return Err(wants("numbers")),
            },
            "$min" => Change::Min(value.clone()),
            "$max" => Change::Max(value.clone()),
            "$push" => Change::Push(each(operator, value)?),
            "$add" => Change::Add(each(operator, value)?),
            _ => Change::Pull(value.clone()),
        };
        out.push((name.parse()?, change));
    }
    if out.len() > TERMS_MAX { Err(QueryError::TooLong { what: "the patch" }) } else { Ok(()) }
}

/// One value, or those of `{"$each": [..]}`.
fn each(operator: &str, value: &Value) -> Result<Vec<Value>, QueryError> {
    match value {
        Value::Object(fields) if fields.contains_key("$each") => match (fields.len(), &fields["$each"]) {
            (1, Value::Array(values)) => Ok(values.clone()),
            _ => Err(QueryError::Operand { operator: operator.into(), wants: "a list in '$each', and nothing beside" }),
        },
        value => Ok(vec![value.clone()]),
    }
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in patch {
        match value {
            Value::Null => {
                fields.remove(name);
            }
            Value::Object(inner) => merge(fields.entry(name.as_str()).or_insert(Value::Null), inner),
            value => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}

/// What a value is called in messages.
fn named(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl Change {
    fn apply(&self, path: &Path, document: &mut Value) -> Result<(), PatchError> {
        let Some((last, before)) = path.steps().split_last() else { return Ok(()) };
        let makes = !matches!(self, Self::Unset | Self::Pull(_));
        let Some(parent) = descend(path, before, document, makes)? else { return Ok(()) };
        match parent {
            Value::Object(fields) => match self.changed(path, fields.get(&last.name))? {
                Changed::To(value) => drop(fields.insert(last.name.clone(), value)),
                Changed::Gone => drop(fields.remove(&last.name)),
                Changed::Not => {}
            },
            Value::Array(items) => {
                let (length, at) = (items.len(), last.index.unwrap_or(usize::MAX));
                match items.get(at).map(|old| self.changed(path, Some(old))).transpose()? {
                    Some(Changed::To(value)) => items[at] = value,
                    Some(Changed::Gone) => drop(items.remove(at)),
                    None if makes => return Err(PatchError::NoElement { path: path.to_string(), length }),
                    _ => {}
                }
            }
            other if makes => return Err(not_entered(path, other)),
            _ => {}
        }
        Ok(())
    }

    fn changed(&self, path: &Path, old: Option<&Value>) -> Result<Changed, PatchError> {
        let wrong = |found: &Value, wants| PatchError::Type { path: path.to_string(), found: named(found), wants };
        let array = || match old {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items.clone()),
            Some(other) => Err(wrong(other, "an array")),
        };
        Ok(match self {
            Self::Unset => Changed::Gone,
            Self::Set(value) => Changed::To(value.clone()),
            Self::Inc(by) => match old {
                None => Changed::To(Value::Number(by.clone())),
                Some(Value::Number(old)) => match sum(old, by) {
                    Some(sum) => Changed::To(Value::Number(sum)),
                    None => return Err(PatchError::Overflow { path: path.to_string() }),
                },
                Some(other) => return Err(wrong(other, "a number")),
            },
            Self::Min(value) if old.is_some_and(|old| compare(value, old).is_ge()) => Changed::Not,
            Self::Max(value) if old.is_some_and(|old| compare(value, old).is_le()) => Changed::Not,
            Self::Min(value) | Self::Max(value) => Changed::To(value.clone()),
            Self::Push(values) => {
                let mut items = array()?;
                items.extend(values.iter().cloned());
                Changed::To(Value::Array(items))
            }
            Self::Add(values) => {
                let mut items = array()?;
                for value in values {
                    if !items.iter().any(|item| equal(item, value)) {
                        items.push(value.clone());
                    }
                }
                Changed::To(Value::Array(items))
            }
            Self::Pull(value) => {
                if old.is_none() {
                    return Ok(Changed::Not);
                }
                let mut items = array()?;
                items.retain(|item| !equal(item, value));
                Changed::To(Value::Array(items))
            }
        })
    }
}

enum Changed {
    To(Value),
    Gone,
    Not,
}

/// The value that the steps lead to; objects on the way are made if wanted.
fn descend<'v>(
    path: &Path,
    steps: &[Step],
    value: &'v mut Value,
    makes: bool,
) -> Result<Option<&'v mut Value>, PatchError> {
    let mut value = value;
    for step in steps {
        value = match value {
            Value::Object(fields) => {
                if makes && !fields.contains_key(&step.name) {
                    fields.insert(step.name.clone(), json!({}));
                }
                match fields.get_mut(&step.name) {
                    Some(value) => value,
                    None => return Ok(None),
                }
            }
            Value::Array(items) => {
                let length = items.len();
                match step.index.and_then(|at| items.get_mut(at)) {
                    Some(value) => value,
                    None if makes => return Err(PatchError::NoElement { path: path.to_string(), length }),
                    None => return Ok(None),
                }
            }
            other => return if makes { Err(not_entered(path, other)) } else { Ok(None) },
        };
    }
    Ok(Some(value))
}

fn not_entered(path: &Path, found: &Value) -> PatchError {
    PatchError::Type { path: path.to_string(), found: named(found), wants: "on the way an object or an array" }
}

/// Integers exactly, or nothing; all else as floats, if finite.
fn sum(a: &Number, b: &Number) -> Option<Number> {
    let integer = |number: &Number| number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Number::from_i128(a + b).filter(|sum| sum.is_i64() || sum.is_u64()),
        _ => Number::from_f64(a.as_f64()? + b.as_f64()?),
    }
}

as_json!(Patch, "the patch");
