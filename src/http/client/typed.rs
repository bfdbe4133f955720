//! Calls by name.

use super::{Client, Problem, Reply, Request, foreign, segment};
use crate::protocol::replicated_log::Key;
use crate::service::documents::{IndexSpec, Receipt, Written};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Synced {
    term: u64,
    index: u64,
    synced: usize,
}

#[derive(Deserialize)]
struct Wrote {
    receipt: Synced,
    #[serde(default)]
    changed: Value,
}

/// A document as a node tells it.
#[derive(Deserialize, Clone, PartialEq, Debug)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// The index at which it was last changed.
    pub revision: u64,
    /// The document.
    pub document: Value,
}

fn read<T: for<'de> Deserialize<'de>>(reply: &Reply) -> Result<T, Problem> {
    serde_json::from_slice(&reply.body).map_err(|error| foreign(&error.to_string()))
}

fn receipt<T: for<'de> Deserialize<'de>>(reply: &Reply) -> Result<Receipt<T>, Problem> {
    let Wrote { receipt: Synced { term, index, synced }, .. } = read(reply)?;
    Ok(Receipt { term, index, synced, value: read(reply)? })
}

fn changed(reply: &Reply) -> Result<Receipt<bool>, Problem> {
    let Wrote { receipt: Synced { term, index, synced }, changed } = read(reply)?;
    Ok(Receipt { term, index, synced, value: changed == Value::Bool(true) })
}

fn of(collection: &str, rest: &str) -> String {
    format!("/v1/collections/{}{rest}", segment(collection))
}

fn one(collection: &str, id: &str) -> String {
    of(collection, &format!("/documents/{}", segment(id)))
}

/// Each of them: [`Problem::state`] says what became of what was asked.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl Client {
    /// Makes a collection; whether it is new.
    pub fn create_collection(&mut self, name: &str) -> Result<Receipt<bool>, Problem> {
        changed(&self.call(Request::new("PUT", of(name, "")))?)
    }

    /// Drops a collection with all it holds; whether it was there.
    pub fn drop_collection(&mut self, name: &str) -> Result<Receipt<bool>, Problem> {
        changed(&self.call(Request::new("DELETE", of(name, "")))?)
    }

    /// All collections, in numbers.
    pub fn collections(&mut self) -> Result<Value, Problem> {
        self.call(Request::new("GET", "/v1/collections"))?.value()
    }

    /// Makes an index; whether it is new.
    pub fn create_index(&mut self, collection: &str, index: &IndexSpec) -> Result<Receipt<bool>, Problem> {
        let IndexSpec { name, fields, unique, sparse } = index;
        let body = json!({ "fields": fields, "unique": unique, "sparse": sparse });
        let path = of(collection, &format!("/indexes/{}", segment(name)));
        changed(&self.call(Request::new("PUT", path).json(&body))?)
    }

    /// A new document; one without `_id` gets one.
    pub fn insert(&mut self, collection: &str, document: &Value) -> Result<Receipt<Written>, Problem> {
        receipt(&self.call(Request::new("POST", of(collection, "/documents")).json(document))?)
    }

    /// Takes the place of the document with this id, or is new; at `revision` if one
    /// is given.
    pub fn put(
        &mut self,
        collection: &str,
        id: &str,
        document: &Value,
        revision: Option<u64>,
    ) -> Result<Receipt<Written>, Problem> {
        let request = Request::new("PUT", one(collection, id)).json(document);
        receipt(&self.call(at_revision(request, revision))?)
    }

    /// The document with this id, if there is one.
    pub fn get(&mut self, collection: &str, id: &str) -> Result<Option<Document>, Problem> {
        match self.call(Request::new("GET", one(collection, id))) {
            Ok(reply) => read(&reply).map(Some),
            Err(problem) if problem.code == "no_document" => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Changes a document, at `revision` if one is given.
    pub fn patch(
        &mut self,
        collection: &str,
        id: &str,
        patch: &Value,
        revision: Option<u64>,
    ) -> Result<Receipt<Written>, Problem> {
        let request = Request::new("PATCH", one(collection, id)).json(patch);
        receipt(&self.call(at_revision(request, revision))?)
    }

    /// Deletes a document, at `revision` if one is given.
    pub fn delete(&mut self, collection: &str, id: &str, revision: Option<u64>) -> Result<Receipt<Written>, Problem> {
        receipt(&self.call(at_revision(Request::new("DELETE", one(collection, id)), revision))?)
    }

    /// Deletes all documents that pass a filter.
    pub fn delete_where(&mut self, collection: &str, filter: &Value) -> Result<Receipt<Written>, Problem> {
        let body = json!({ "filter": filter });
        receipt(&self.call(Request::new("POST", of(collection, "/delete")).json(&body))?)
    }

    /// Writes that are done all or none, as `/v1/batch` takes them.
    pub fn batch(&mut self, writes: &[Value]) -> Result<Receipt<Vec<Written>>, Problem> {
        #[derive(Deserialize)]
        struct Results {
            results: Vec<Written>,
        }
        let reply = self.call(Request::new("POST", "/v1/batch").json(&json!({ "writes": writes })))?;
        Ok(receipt::<Results>(&reply)?.map(|it| it.results))
    }

    /// A page of the documents that pass, as the route `find` takes and answers it.
    pub fn find(&mut self, collection: &str, query: &Value) -> Result<Value, Problem> {
        self.call(Request::new("POST", of(collection, "/find")).json(query).reading())?.value()
    }

    /// How many documents pass.
    pub fn count(&mut self, collection: &str, filter: &Value) -> Result<u64, Problem> {
        let body = json!({ "filter": filter });
        let reply = self.call(Request::new("POST", of(collection, "/count")).json(&body).reading())?;
        reply.value()?["count"].as_u64().ok_or_else(|| foreign("no count"))
    }

    /// What became of a write.
    pub fn outcome(&mut self, key: Key) -> Result<Value, Problem> {
        self.call(Request::new("GET", format!("/v1/outcome/{key:032x}")))?.value()
    }

    /// The node that answers, and its view of the group.
    pub fn status(&mut self) -> Result<Value, Problem> {
        self.call(Request::new("GET", "/v1/status"))?.value()
    }
}

fn at_revision(request: Request, revision: Option<u64>) -> Request {
    match revision {
        Some(revision) => request.header("if-match", format!("\"{revision}\"")),
        None => request,
    }
}
