//! A document: an object of JSON, as text, shared and never changed.

use super::query::{ID, too_deep};
use super::refusal::Refusal;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// Longest document, in bytes of its compact JSON text.
pub const DOCUMENT_BYTES_MAX: usize = 512 << 10;
/// Longest id, in bytes; none is empty.
pub const ID_BYTES_MAX: usize = 256;

/// A document's JSON text: compact, fields sorted by name, so that equal documents
/// have equal bytes. Cloning shares it.
///
/// Whole numbers from `i64::MIN` to `u64::MAX` are exact; others are doubles. A
/// field that is named twice has its last value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Document(Arc<[u8]>);

impl Document {
    /// The document that a value is.
    ///
    /// # Errors
    /// It is no object, too deep, too long, or its `_id` is none.
    pub fn new(value: &Value) -> Result<Self, Refusal> {
        let Value::Object(fields) = value else {
            return Err(Refusal::Document("it is no object: write {\"field\": value, ..}".into()));
        };
        if too_deep(value) {
            return Err(Refusal::Document(format!("it is nested deeper than {}", super::query::DEPTH_MAX)));
        }
        if let Some(id) = fields.get(ID) {
            check_id(id)?;
        }
        let text = serde_json::to_vec(value).map_err(|error| Refusal::Document(error.to_string()))?;
        if text.len() > DOCUMENT_BYTES_MAX {
            let length = text.len();
            return Err(Refusal::Document(format!("it has {length} bytes, at most {DOCUMENT_BYTES_MAX} are taken")));
        }
        Ok(Document(text.into()))
    }

    /// The document in a JSON text.
    ///
    /// # Errors
    /// As [`Document::new`], and what the parser says: `NaN` and infinities are no
    /// JSON.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let value = serde_json::from_slice::<Value>(json);
        Document::new(&value.map_err(|error| Refusal::Document(format!("it is no JSON: {error}")))?)
    }

    /// Its text, as it stands in the log: taken as it is.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Document(bytes.into())
    }

    /// As a value. What is no document (of a program that went wrong) is an empty
    /// one.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.0).unwrap_or_else(|_| Value::Object(Map::new()))
    }

    /// Its id, if it has one.
    pub fn id(&self) -> Option<String> {
        match self.value().get(ID) {
            Some(Value::String(id)) => Some(id.clone()),
            _ => None,
        }
    }

    /// The same with this id, if it has none.
    pub(super) fn with_id(&self, id: impl FnOnce() -> String) -> Result<(Self, String), Refusal> {
        let mut value = self.value();
        if let Some(Value::String(id)) = value.get(ID) {
            return Ok((self.clone(), id.clone()));
        }
        let id = id();
        if let Value::Object(fields) = &mut value {
            fields.insert(ID.into(), Value::String(id.clone()));
        }
        Ok((Document::new(&value)?, id))
    }

    /// Its JSON text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A document is never empty: it is at least `{}`.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a value can be an id.
fn check_id(id: &Value) -> Result<(), Refusal> {
    match id {
        Value::String(id) => id_fault(id).map_or(Ok(()), |why| Err(Refusal::Document(format!("its '{ID}' {why}")))),
        _ => Err(Refusal::Document(format!("its '{ID}' is no string: write it in quotes, or leave it out"))),
    }
}

/// Why a text is no id.
pub(super) fn id_fault(id: &str) -> Option<String> {
    match id.len() {
        0 => Some("is empty".into()),
        length if length > ID_BYTES_MAX => Some(format!("has {length} bytes, at most {ID_BYTES_MAX} are taken")),
        _ => None,
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<Value> for Document {
    type Error = Refusal;

    fn try_from(value: Value) -> Result<Self, Refusal> {
        Document::new(&value)
    }
}

impl TryFrom<&Value> for Document {
    type Error = Refusal;

    fn try_from(value: &Value) -> Result<Self, Refusal> {
        Document::new(value)
    }
}

/// An object in JSON; its text elsewhere.
impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => self.value().serialize(serializer),
            false => serializer.serialize_bytes(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Document;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a document's text")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Document, E> {
                Ok(Document::from_bytes(bytes))
            }
        }
        match deserializer.is_human_readable() {
            true => Document::new(&Value::deserialize(deserializer)?).map_err(D::Error::custom),
            false => deserializer.deserialize_bytes(Text),
        }
    }
}
