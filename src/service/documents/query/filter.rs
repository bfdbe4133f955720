//! Which documents: a JSON object of paths and tests, all of which must hold.
//!
//! ```json
//! {"age": {"$gte": 18, "$lt": 65}, "address.city": "Graz", "$or": [{"tags": {"$contains": "a"}}, {"vip": true}]}
//! ```
//!
//! | test | holds if the field is there and |
//! |---|---|
//! | a plain value, `$eq` | is equal |
//! | `$gt` `$gte` `$lt` `$lte` | is of the operand's type and beyond it in the [order](super::order) |
//! | `$in` | is equal to one of the list |
//! | `$prefix` | is a string that begins so |
//! | `$contains` | is an array with an element that is equal, or a string with this part |
//! | `$size` | has so many elements, fields or characters; a number, or tests of it: `{"$gt": 2}` |
//! | `$ne` `$nin` | is not equal (to any); also if it is **not there** |
//! | `$exists` | `true`; with `false`, if it is not there |
//! | `$not` | the tests in it do not all hold |
//!
//! Of whole filters: `$and`, `$or` (lists), `$not` (one). `null` is a value: a field
//! that is `null` is there. An object without operators is compared as a whole.

use super::order::{Class, compare, equal};
use super::path::Path;
use super::{QueryError, TERMS_MAX, as_json, too_deep};
use serde_json::{Map, Value, json};

const OF_FILTERS: &str = "$and, $or, $not";
const OF_FIELDS: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $prefix, $contains, $size, $not";
const OF_SIZES: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin";

/// A parsed filter. The default one lets everything pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter(pub(super) Node);

/// A filter's structure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Field(Path, Vec<Test>),
}

/// What is asked of a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Test {
    Eq(Value),
    Ne(Value),
    Gt(Value),
    Gte(Value),
    Lt(Value),
    Lte(Value),
    /// In the order, without repetition.
    In(Vec<Value>),
    /// Likewise.
    Nin(Vec<Value>),
    Exists(bool),
    Prefix(String),
    Contains(Value),
    Size(Vec<Test>),
    Not(Vec<Test>),
}

impl Default for Filter {
    fn default() -> Self {
        Self(Node::And(Vec::new()))
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// What is wrong, with its name.
    pub fn parse(value: &Value) -> Result<Self, QueryError> {
        if too_deep(value) {
            return Err(QueryError::TooDeep { what: "the filter" });
        }
        Parser { terms: 0 }.filter(value).map(Self)
    }

    /// The documents in which all fields of `example` are equal: the exact match of
    /// given attributes. Its names are paths.
    ///
    /// # Errors
    /// A name is no path.
    pub fn exact(example: &Map<String, Value>) -> Result<Self, QueryError> {
        let literal = |(name, value): (&String, &Value)| (name.clone(), json!({ "$eq": value }));
        if let Some(name) = example.keys().find(|name| name.starts_with('$')) {
            return Err(QueryError::Path { path: name.clone(), why: "begins as an operator" });
        }
        Self::parse(&Value::Object(example.iter().map(literal).collect()))
    }

    /// Whether a document passes.
    pub fn matches(&self, document: &Value) -> bool {
        self.0.matches(document)
    }

    /// Whether everything passes.
    pub fn is_all(&self) -> bool {
        matches!(&self.0, Node::And(nodes) if nodes.is_empty())
    }

    /// The filter as JSON, which [`Filter::parse`] reads.
    pub fn to_json(&self) -> Value {
        self.0.to_json()
    }
}

impl Node {
    fn matches(&self, document: &Value) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|node| node.matches(document)),
            Self::Or(nodes) => nodes.iter().any(|node| node.matches(document)),
            Self::Not(node) => !node.matches(document),
            Self::Field(path, tests) => holds(tests, path.get(document)),
        }
    }

    fn to_json(&self) -> Value {
        let list = |nodes: &[Node]| nodes.iter().map(Node::to_json).collect::<Vec<_>>();
        match self {
            Self::And(nodes) if nodes.is_empty() => json!({}),
            Self::And(nodes) => json!({ "$and": list(nodes) }),
            Self::Or(nodes) => json!({ "$or": list(nodes) }),
            Self::Not(node) => json!({ "$not": node.to_json() }),
            Self::Field(path, tests) => Value::Object(Map::from_iter([(path.to_string(), tests_to_json(tests))])),
        }
    }
}

fn holds(tests: &[Test], field: Option<&Value>) -> bool {
    tests.iter().all(|test| test.holds(field))
}

fn tests_to_json(tests: &[Test]) -> Value {
    Value::Object(tests.iter().map(Test::to_json).map(|(name, value)| (name.to_owned(), value)).collect())
}

fn is_in(list: &[Value], value: &Value) -> bool {
    list.binary_search_by(|item| compare(item, value)).is_ok()
}

impl Test {
    fn holds(&self, field: Option<&Value>) -> bool {
        let Some(value) = field else {
            return match self {
                Self::Ne(_) | Self::Nin(_) => true,
                Self::Exists(wanted) => !wanted,
                Self::Not(tests) => !holds(tests, None),
                _ => false,
            };
        };
        let ordered = |operand: &Value| (Class::of(operand) == Class::of(value)).then(|| compare(value, operand));
        match self {
            Self::Eq(operand) => equal(value, operand),
            Self::Ne(operand) => !equal(value, operand),
            Self::Gt(operand) => ordered(operand).is_some_and(|order| order.is_gt()),
            Self::Gte(operand) => ordered(operand).is_some_and(|order| order.is_ge()),
            Self::Lt(operand) => ordered(operand).is_some_and(|order| order.is_lt()),
            Self::Lte(operand) => ordered(operand).is_some_and(|order| order.is_le()),
            Self::In(list) => is_in(list, value),
            Self::Nin(list) => !is_in(list, value),
            Self::Exists(wanted) => *wanted,
            Self::Prefix(start) => value.as_str().is_some_and(|text| text.starts_with(start.as_str())),
            Self::Contains(part) => match (value, part) {
                (Value::Array(items), part) => items.iter().any(|item| equal(item, part)),
                (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
                _ => false,
            },
            Self::Size(tests) => size(value).is_some_and(|size| holds(tests, Some(&json!(size)))),
            Self::Not(tests) => !holds(tests, Some(value)),
        }
    }

    fn to_json(&self) -> (&'static str, Value) {
        match self {
            Self::Eq(operand) => ("$eq", operand.clone()),
            Self::Ne(operand) => ("$ne", operand.clone()),
            Self::Gt(operand) => ("$gt", operand.clone()),
            Self::Gte(operand) => ("$gte", operand.clone()),
            Self::Lt(operand) => ("$lt", operand.clone()),
            Self::Lte(operand) => ("$lte", operand.clone()),
            Self::In(list) => ("$in", json!(list)),
            Self::Nin(list) => ("$nin", json!(list)),
            Self::Exists(wanted) => ("$exists", json!(wanted)),
            Self::Prefix(start) => ("$prefix", json!(start)),
            Self::Contains(part) => ("$contains", part.clone()),
            Self::Size(tests) => ("$size", tests_to_json(tests)),
            Self::Not(tests) => ("$not", tests_to_json(tests)),
        }
    }
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::Array(items) => Some(items.len()),
        Value::Object(fields) => Some(fields.len()),
        Value::String(text) => Some(text.chars().count()),
        _ => None,
    }
}

struct Parser {
    terms: usize,
}

impl Parser {
    fn term(&mut self, count: usize) -> Result<(), QueryError> {
        self.terms += count;
        if self.terms > TERMS_MAX { Err(QueryError::TooLong { what: "the filter" }) } else { Ok(()) }
    }

    fn filter(&mut self, value: &Value) -> Result<Node, QueryError> {
        let Value::Object(fields) = value else {
            return Err(QueryError::Shape { what: "a filter", wants: "an object, such as {\"age\": {\"$gte\": 18}}" });
        };
        let mut nodes = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            self.term(1)?;
            nodes.push(match name.as_str() {
                "$and" => Node::And(self.filters(name, value)?),
                "$or" => Node::Or(self.filters(name, value)?),
                "$not" => Node::Not(Box::new(self.filter(value)?)),
                name if name.starts_with('$') => {
                    return Err(QueryError::UnknownOperator { operator: name.into(), known: OF_FILTERS });
                }
                name => Node::Field(name.parse()?, self.tests(value)?),
            });
        }
        Ok(if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::And(nodes) })
    }

    fn filters(&mut self, operator: &str, value: &Value) -> Result<Vec<Node>, QueryError> {
        match value {
            Value::Array(list) if !list.is_empty() => list.iter().map(|value| self.filter(value)).collect(),
            _ => Err(QueryError::Operand { operator: operator.into(), wants: "a list of filters, at least one" }),
        }
    }

    /// A field's tests, or a plain value that it is equal to.
    fn tests(&mut self, value: &Value) -> Result<Vec<Test>, QueryError> {
        match value {
            Value::Object(fields) if fields.keys().any(|name| name.starts_with('$')) => {
                fields.iter().map(|(name, value)| self.test(name, value)).collect()
            }
            value => Ok(vec![Test::Eq(value.clone())]),
        }
    }

    fn test(&mut self, operator: &str, value: &Value) -> Result<Test, QueryError> {
        self.term(1)?;
        let wants = |wants| QueryError::Operand { operator: operator.into(), wants };
        Ok(match operator {
            "$eq" => Test::Eq(value.clone()),
            "$ne" => Test::Ne(value.clone()),
            "$gt" => Test::Gt(value.clone()),
            "$gte" => Test::Gte(value.clone()),
            "$lt" => Test::Lt(value.clone()),
            "$lte" => Test::Lte(value.clone()),
            "$in" => Test::In(self.list(operator, value)?),
            "$nin" => Test::Nin(self.list(operator, value)?),
            "$exists" => Test::Exists(value.as_bool().ok_or_else(|| wants("true or false"))?),
            "$prefix" => Test::Prefix(value.as_str().ok_or_else(|| wants("a string"))?.to_owned()),
            "$contains" => Test::Contains(value.clone()),
            "$size" => Test::Size(self.size(value)?),
            "$not" => match value {
                Value::Object(fields) if fields.keys().any(|name| name.starts_with('$')) => {
                    Test::Not(self.tests(value)?)
                }
                _ => return Err(wants("an object of operators, such as {\"$gt\": 3}")),
            },
            _ if operator.starts_with('$') => {
                return Err(QueryError::UnknownOperator { operator: operator.into(), known: OF_FIELDS });
            }
            _ => return Err(QueryError::Mixed { field: operator.into() }),
        })
    }

    fn list(&mut self, operator: &str, value: &Value) -> Result<Vec<Value>, QueryError> {
        let Value::Array(list) = value else {
            return Err(QueryError::Operand { operator: operator.into(), wants: "a list of values" });
        };
        self.term(list.len())?;
        let mut list = list.clone();
        list.sort_by(compare);
        list.dedup_by(|a, b| equal(a, b));
        Ok(list)
    }

    fn size(&mut self, value: &Value) -> Result<Vec<Test>, QueryError> {
        let wants = "a count, or tests of it such as {\"$gt\": 2}";
        match value {
            Value::Number(count) if count.is_u64() => Ok(vec![Test::Eq(value.clone())]),
            Value::Object(tests) if !tests.is_empty() => {
                if let Some(name) = tests.keys().find(|name| !OF_SIZES.split(", ").any(|known| known == *name)) {
                    return Err(QueryError::UnknownOperator { operator: name.clone(), known: OF_SIZES });
                }
                self.tests(value)
            }
            _ => Err(QueryError::Operand { operator: "$size".into(), wants }),
        }
    }
}

as_json!(Filter, "the filter");
