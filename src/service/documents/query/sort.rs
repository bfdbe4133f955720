//! In which order: fields, each ascending or descending, and the id last.
//!
//! `["-age", "name"]` is by `age`, the greatest first, then by `name`, then by `_id`.
//! Because of the id no two documents share a place, so that a page may go on behind
//! a [key](Sort::key). Missing fields are less than all values.

use super::order::{compare_fields, encode_field};
use super::path::Path;
use super::{ID, QueryError, TERMS_MAX, as_json};
use serde_json::{Value, json};
use std::cmp::Ordering;

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// A parsed sort. The default one is by id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sort {
    /// The id is the last, unless it was given before.
    fields: Vec<(Path, Direction)>,
}

impl Default for Sort {
    fn default() -> Self {
        Self { fields: vec![(id(), Direction::Ascending)] }
    }
}

fn id() -> Path {
    ID.parse().expect("a plain name is a path")
}

impl Sort {
    /// Reads a sort: a list of paths, with `-` before one for descending; or one
    /// string with commas between them.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(value: &Value) -> Result<Self, QueryError> {
        let shape = QueryError::Shape { what: "a sort", wants: "a list of paths, such as [\"-age\", \"name\"]" };
        let names: Vec<&str> = match value {
            Value::Null => Vec::new(),
            Value::String(names) => names.split(',').map(str::trim).collect(),
            Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<_>>().ok_or(shape)?,
            _ => return Err(shape),
        };
        if names.len() > TERMS_MAX {
            return Err(QueryError::TooLong { what: "the sort" });
        }
        let field = |name: &&str| {
            let (name, direction) = match name.strip_prefix('-') {
                Some(name) => (name, Direction::Descending),
                None => (name.strip_prefix('+').unwrap_or(name), Direction::Ascending),
            };
            Ok((name.parse()?, direction))
        };
        let mut fields: Vec<(Path, Direction)> = names.iter().map(field).collect::<Result<_, _>>()?;
        let id = id();
        match fields.iter().position(|(path, _)| *path == id) {
            Some(at) => fields.truncate(at + 1), // nothing is left to order behind the id
            None => fields.push((id, Direction::Ascending)),
        }
        Ok(Self { fields })
    }

    /// The fields in their order; the last is the id.
    pub fn fields(&self) -> &[(Path, Direction)] {
        &self.fields
    }

    /// Which of two documents comes first.
    pub fn compare(&self, a: &Value, b: &Value) -> Ordering {
        let orders = self.fields.iter().map(|(path, direction)| {
            let order = compare_fields(path.get(a), path.get(b));
            if *direction == Direction::Descending { order.reverse() } else { order }
        });
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// A document's place: bytes in the order of [`Sort::compare`].
    pub fn key(&self, document: &Value) -> Vec<u8> {
        let mut key = Vec::new();
        for (path, direction) in &self.fields {
            let start = key.len();
            encode_field(path.get(document), &mut key);
            if *direction == Direction::Descending {
                key[start..].iter_mut().for_each(|byte| *byte = !*byte);
            }
        }
        key
    }

    /// The sort as JSON, which [`Sort::parse`] reads.
    pub fn to_json(&self) -> Value {
        let name = |(path, direction): &(Path, Direction)| match direction {
            Direction::Ascending => format!("+{path}"),
            Direction::Descending => format!("-{path}"),
        };
        json!(self.fields.iter().map(name).collect::<Vec<_>>())
    }
}

as_json!(Sort, "the sort");
