//! Where a field is: names joined by dots.
//!
//! `address.city` is the field `city` of the object `address`; `tags.0` the first
//! element of the array `tags` (or the field `0` of an object). A dot or a backslash
//! in a name is written with a backslash before it.

use super::QueryError;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// Most steps of a path.
pub const STEPS_MAX: usize = 32;
/// Longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 512;

/// A field's place in a document.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Path(Vec<Step>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Step {
    pub(super) name: String,
    /// The name, if it may be an element's place.
    pub(super) index: Option<usize>,
}

impl Step {
    fn new(name: String) -> Self {
        let canonical = name == "0" || !name.starts_with('0');
        let digits = !name.is_empty() && name.len() <= 9 && name.bytes().all(|byte| byte.is_ascii_digit());
        let index = if canonical && digits { name.parse().ok() } else { None };
        Self { name, index }
    }

    fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match value {
            Value::Object(fields) => fields.get(&self.name),
            Value::Array(items) => items.get(self.index?),
            _ => None,
        }
    }
}

impl Path {
    /// What is there in a document.
    pub fn get<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(document, |value, step| step.get(value))
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether one of the two leads to the other or through it.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }
}

impl FromStr for Path {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let refused = |why| Err(QueryError::Path { path: text.chars().take(80).collect(), why });
        if text.len() > PATH_BYTES_MAX {
            return refused("is longer than 512 bytes");
        }
        let (mut steps, mut name, mut chars) = (Vec::new(), String::new(), text.chars());
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some(c @ ('.' | '\\')) => name.push(c),
                    _ => return refused("has a backslash before neither a dot nor a backslash"),
                },
                '.' => steps.push(Step::new(std::mem::take(&mut name))),
                c => name.push(c),
            }
        }
        steps.push(Step::new(name));
        if steps.iter().any(|step| step.name.is_empty()) {
            return refused("has an empty name");
        }
        if steps.len() > STEPS_MAX {
            return refused("has more than 32 steps");
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            write!(f, "{dot}{}", step.name.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}
