//! Which fields of a document are handed out.
//!
//! `["name", "address.city"]` gives these and the id; `["-secret", "-notes.draft"]`
//! gives all but these. Both kinds are not mixed, but `-_id` may stand beside
//! included ones. A path that leads into an array is taken in each of its elements
//! (numbers are no places of elements here).

use super::path::{Path, Step};
use super::{ID, QueryError, TERMS_MAX, as_json};
use serde_json::{Map, Value, json};

/// A parsed projection. The default one hands out all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Projection {
    included: Vec<Path>,
    excluded: Vec<Path>,
}

impl Projection {
    /// Reads a projection: a list of paths, or one string with commas between them.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(value: &Value) -> Result<Self, QueryError> {
        let wants = "a list of paths to include, such as [\"name\"], or to leave out, such as [\"-secret\"]";
        let shape = QueryError::Shape { what: "a projection", wants };
        let names: Vec<&str> = match value {
            Value::Null => Vec::new(),
            Value::String(names) => names.split(',').map(str::trim).collect(),
            Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<_>>().ok_or(shape)?,
            _ => return Err(shape),
        };
        if names.len() > TERMS_MAX {
            return Err(QueryError::TooLong { what: "the projection" });
        }
        let mut projection = Self::default();
        for name in names {
            match name.strip_prefix('-') {
                Some(name) => projection.excluded.push(name.parse()?),
                None => projection.included.push(name.strip_prefix('+').unwrap_or(name).parse()?),
            }
        }
        let stray = projection.excluded.iter().map(ToString::to_string).find(|path| path != ID);
        match stray {
            Some(path) if !projection.included.is_empty() => {
                Err(QueryError::Path { path, why: "is left out beside included ones: list either kind" })
            }
            _ => Ok(projection),
        }
    }

    /// What is handed out of a document.
    pub fn apply(&self, document: &Value) -> Value {
        let mut out = match (self.included.is_empty(), document) {
            (false, Value::Object(fields)) => {
                let paths: Vec<&[Step]> = self.included.iter().map(Path::steps).collect();
                let mut out = included(fields, &paths);
                if let Some(id) = fields.get(ID) {
                    out.insert(ID.into(), id.clone());
                }
                Value::Object(out)
            }
            _ => document.clone(),
        };
        self.excluded.iter().for_each(|path| exclude(&mut out, path.steps()));
        out
    }

    /// Whether all is handed out.
    pub fn is_all(&self) -> bool {
        self.included.is_empty() && self.excluded.is_empty()
    }

    /// The projection as JSON, which [`Projection::parse`] reads.
    pub fn to_json(&self) -> Value {
        let included = self.included.iter().map(|path| format!("+{path}"));
        let excluded = self.excluded.iter().map(|path| format!("-{path}"));
        json!(included.chain(excluded).collect::<Vec<_>>())
    }
}

fn included(fields: &Map<String, Value>, paths: &[&[Step]]) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, value) in fields {
        let under: Vec<&[Step]> = paths
            .iter()
            .filter(|path| path.first().is_some_and(|step| step.name == *name))
            .map(|path| &path[1..])
            .collect();
        if under.iter().any(|path| path.is_empty()) {
            out.insert(name.clone(), value.clone());
        } else if !under.is_empty()
            && let Some(value) = included_value(value, &under)
        {
            out.insert(name.clone(), value);
        }
    }
    out
}

/// What paths lead to within a value; nothing if it cannot be entered.
fn included_value(value: &Value, paths: &[&[Step]]) -> Option<Value> {
    match value {
        Value::Object(fields) => Some(Value::Object(included(fields, paths))),
        Value::Array(items) => Some(items.iter().filter_map(|item| included_value(item, paths)).collect()),
        _ => None,
    }
}

fn exclude(value: &mut Value, path: &[Step]) {
    let Some((first, rest)) = path.split_first() else { return };
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| exclude(item, path)),
        Value::Object(fields) if rest.is_empty() => {
            fields.remove(&first.name);
        }
        Value::Object(fields) => {
            if let Some(value) = fields.get_mut(&first.name) {
                exclude(value, rest);
            }
        }
        _ => {}
    }
}

as_json!(Projection, "the projection");
