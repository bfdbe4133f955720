//! The query language: pure functions of JSON values.
//!
//! | file | what |
//! |---|---|
//! | [`order`] | the total order over mixed types, and bytes in the same order |
//! | [`path`] | where a field is: `address.city`, `tags.0` |
//! | [`filter`] | which documents: `{"age": {"$gte": 18}, "$or": [..]}` |
//! | [`ranges`] | what a filter says of an index's keys |
//! | [`sort`] | in which order: `["-age", "name"]`, the id last |
//! | [`projection`] | which fields: `["name", "address.city"]` or `["-secret"]` |
//! | [`patch`] | what changes: `{"$set": {"a.b": 1}}`, or an RFC 7396 merge patch |
//!
//! A document is an object that holds its id as the string field [`ID`], so that
//! filters, sorts and indexes treat the id as any field.
//!
//! **Guarantee.** Everything here is a function of its arguments, alike on every
//! machine: replicas that apply the same patch to the same document hold the same
//! bytes. Values deeper than [`DEPTH_MAX`] are to be refused at the edge by
//! [`too_deep`]; whatever is handed in, nothing panics. What is refused is named.
//!
//! Filters, sorts, projections and patches are serialised as JSON, and in formats that
//! are not for people as its text, so that they stand in log entries and snapshots
//! independent of this program's types.

pub mod filter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod naive;
pub mod order;
pub mod patch;
pub mod path;
pub mod projection;
pub mod ranges;
pub mod sort;

#[cfg(test)]
mod tests;

pub use filter::Filter;
pub use order::{compare, compare_fields, encode, encode_field, equal};
pub use patch::{Patch, PatchError};
pub use path::Path;
pub use projection::Projection;
pub use ranges::{KeyRanges, Range};
pub use sort::{Direction, Sort};

use serde_json::Value;

/// The field that holds a document's id.
pub const ID: &str = "_id";
/// Deepest nesting of a document, a filter and a patch: a scalar has depth 1, and
/// each array or object around it adds one.
pub const DEPTH_MAX: usize = 64;
/// Most tests of a filter, items of its lists included; most changes of a patch,
/// fields of a sort and of a projection.
pub const TERMS_MAX: usize = 1_000;

/// Whether `value` is nested deeper than [`DEPTH_MAX`]. Looks no deeper than that.
pub fn too_deep(value: &Value) -> bool {
    fn beyond(value: &Value, left: usize) -> bool {
        match value {
            _ if left == 0 => true,
            Value::Array(items) => items.iter().any(|item| beyond(item, left - 1)),
            Value::Object(fields) => fields.values().any(|field| beyond(field, left - 1)),
            _ => false,
        }
    }
    beyond(value, DEPTH_MAX)
}

/// Why a filter, sort, projection or patch is none. Nothing was done.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum QueryError {
    /// No JSON at all.
    #[error("{what} is no JSON: {why}")]
    NoJson {
        /// Of what.
        what: &'static str,
        /// What the parser says.
        why: String,
    },
    /// An operator that there is not.
    #[error("unknown operator '{operator}': known here are {known}")]
    UnknownOperator {
        /// As written.
        operator: String,
        /// What may stand there.
        known: &'static str,
    },
    /// An operator with something that it cannot take.
    #[error("'{operator}' wants {wants}")]
    Operand {
        /// Which.
        operator: String,
        /// What it takes.
        wants: &'static str,
    },
    /// Operators and plain fields in one object.
    #[error("'{field}' stands beside operators: write them apart, or a literal object with '$eq'")]
    Mixed {
        /// The one that is no operator.
        field: String,
    },
    /// A path that leads nowhere.
    #[error("the path '{path}' {why}")]
    Path {
        /// As written, at most 80 characters of it.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Nested too deep.
    #[error("{what} is nested deeper than {DEPTH_MAX}")]
    TooDeep {
        /// What.
        what: &'static str,
    },
    /// Too long.
    #[error("{what} has more than {TERMS_MAX} terms")]
    TooLong {
        /// What.
        what: &'static str,
    },
    /// Of another shape.
    #[error("{what} is {wants}")]
    Shape {
        /// What.
        what: &'static str,
        /// What it should be.
        wants: &'static str,
    },
    /// Two changes of one patch meet.
    #[error("'{0}' and '{1}' change the same field")]
    Conflict(String, String),
    /// The id is for life.
    #[error("a document's '{ID}' does not change: delete it and insert another")]
    IdChange,
}

/// From and to JSON, text, and as text in whatever format.
macro_rules! as_json {
    ($type:ty, $what:literal) => {
        impl TryFrom<&serde_json::Value> for $type {
            type Error = crate::service::documents::query::QueryError;

            fn try_from(value: &serde_json::Value) -> Result<Self, Self::Error> {
                Self::parse(value)
            }
        }

        impl TryFrom<serde_json::Value> for $type {
            type Error = crate::service::documents::query::QueryError;

            fn try_from(value: serde_json::Value) -> Result<Self, Self::Error> {
                Self::parse(&value)
            }
        }

        impl std::str::FromStr for $type {
            type Err = crate::service::documents::query::QueryError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let value = serde_json::from_str(text).map_err(|error| {
                    crate::service::documents::query::QueryError::NoJson { what: $what, why: error.to_string() }
                })?;
                Self::parse(&value)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.to_json())
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match serializer.is_human_readable() {
                    true => self.to_json().serialize(serializer),
                    false => serializer.collect_str(self),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let value = serde_json::Value::deserialize(deserializer)?;
                    return Self::parse(&value).map_err(serde::de::Error::custom);
                }
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use as_json;
