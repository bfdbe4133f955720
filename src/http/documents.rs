//! One document at a time.

use super::asked::Asked;
use super::problem::Problem;
use super::routes::json;
use super::server::Front;
use super::{INDEX, RECEIPT};
use crate::protocol::replicated_log::Level;
use crate::service::documents::query::{ID, Projection};
use crate::service::documents::{
    Answer, Command, Document, DocumentError, Done, Found, Got, Question, Receipt, Refusal, Step, Write, Written,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// A receipt in an answer's body.
#[derive(Serialize, Clone, Copy)]
pub(super) struct Synced {
    pub(super) term: u64,
    pub(super) index: u64,
    pub(super) synced: usize,
}

impl<T> From<&Receipt<T>> for Synced {
    fn from(receipt: &Receipt<T>) -> Self {
        Synced { term: receipt.term, index: receipt.index, synced: receipt.synced }
    }
}

/// What a write came to.
#[derive(Serialize)]
struct Wrote {
    #[serde(flatten)]
    written: Written,
    receipt: Synced,
}

/// The headers of an acknowledgement.
pub(super) fn receipt_headers(receipt: Synced) -> HeaderMap {
    let Synced { term, index, synced } = receipt;
    let mut headers = index_headers(index);
    insert(&mut headers, RECEIPT, format!("term={term},index={index},synced={synced}"));
    headers
}

/// The header of a read.
pub(super) fn index_headers(index: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert(&mut headers, INDEX, index.to_string());
    headers
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: String) {
    if let Ok(value) = HeaderValue::from_str(&value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// An answer of plain values.
pub(super) fn answer(status: u16, headers: HeaderMap, body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(|error| lost(&error.to_string()))?;
    Ok(json(status, headers, body))
}

/// It was done, and cannot be told.
pub(super) fn lost(why: &str) -> Problem {
    DocumentError::Done(why.to_string()).into()
}

impl Front {
    /// Commits writes.
    pub(super) async fn write(&self, steps: Vec<Step>, asked: &Asked) -> Result<(Synced, Vec<Written>), Problem> {
        let receipt = self.store.commit(Command::Write(steps), asked.key()?, asked.within()?).await?;
        let synced = Synced::from(&receipt);
        match receipt.value {
            Done::Written(written) => Ok((synced, written)),
            Done::Changed(_) => Err(lost("an answer of another kind")),
        }
    }

    /// Commits one write.
    pub(super) async fn write_one(&self, write: Write, asked: &Asked, status: u16) -> Result<Response, Problem> {
        let step = Step { collection: asked.param("collection"), write };
        let (receipt, mut written) = self.write(vec![step], asked).await?;
        let written = written.pop().unwrap_or_default();
        let mut headers = receipt_headers(receipt);
        if written.revision > 0
            && let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", written.revision))
        {
            headers.insert(header::ETAG, tag);
        }
        answer(status, headers, &Wrote { written, receipt })
    }

    /// Asks a question that has an answer.
    pub(super) async fn ask(&self, question: Question, level: Level, asked: &Asked) -> Result<Got<Answer>, Problem> {
        match self.store.ask(question, level, asked.within()?).await? {
            Some(got) => Ok(got),
            None => Err(DocumentError::NotDone("nothing was read in time".into()).into()),
        }
    }
}

/// An answer that is not of its question: a bug.
pub(super) fn strange() -> Problem {
    Problem::from(Refusal::Unreadable)
}

/// A document found, with its text as it is.
pub(super) fn append_found(out: &mut Vec<u8>, found: &Found) {
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(Value::from(found.id.as_str()).to_string().as_bytes());
    out.extend_from_slice(format!(",\"revision\":{},\"document\":", found.revision).as_bytes());
    out.extend_from_slice(found.document.as_bytes());
    out.push(b'}');
}

pub(super) async fn add(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let collection = asked.param("collection");
    let documents = match asked.value()? {
        Value::Array(documents) => documents,
        document => return front.write_one(Write::Insert(Document::new(&document)?), &asked, 201).await,
    };
    let insert = |(at, document): (usize, Value)| match Document::new(&document) {
        Ok(document) => Ok(Step { collection: collection.clone(), write: Write::Insert(document) }),
        Err(why) => Err(Problem::from(DocumentError::Refused { at: 0, step: at, why })),
    };
    let steps = documents.into_iter().enumerate().map(insert).collect::<Result<Vec<_>, _>>()?;
    let (receipt, written) = front.write(steps, &asked).await?;
    answer(201, receipt_headers(receipt), &super::batch::Wrote { results: written, receipt })
}

pub(super) async fn get(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let (collection, id) = (asked.param("collection"), asked.param("id"));
    let projection = asked.query.get("projection").map_or(Value::Null, |names| Value::from(names.as_str()));
    let projection = Projection::parse(&projection).map_err(Refusal::from)?;
    let question = Question::Get { collection: collection.clone(), ids: vec![id.clone()], projection };
    let got = front.ask(question, asked.level()?, &asked).await?;
    let Answer::Documents(mut found) = got.value else { return Err(strange()) };
    let Some(found) = found.pop().flatten() else {
        return Err(Refusal::NoDocument { collection, id }.into());
    };
    let mut body = Vec::with_capacity(found.document.len() + 96);
    append_found(&mut body, &found);
    body.pop();
    body.extend_from_slice(format!(",\"index\":{}}}", got.applied).as_bytes());
    let mut headers = index_headers(got.applied);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", found.revision)) {
        headers.insert(header::ETAG, tag);
    }
    Ok(json(200, headers, body))
}

pub(super) async fn put(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let id = asked.param("id");
    let mut value = asked.value()?;
    if let Value::Object(fields) = &mut value {
        match fields.get(ID) {
            Some(other) if other.as_str() != Some(&id) => {
                return Err(Problem::bad("id", format!("the path names '{id}', the document's '{ID}' is {other}")));
            }
            _ => _ = fields.insert(ID.into(), Value::from(id)),
        }
    }
    let document = Document::new(&value)?;
    let write = match asked.revision()? {
        None if !asked.flag("replace")? => Write::Upsert(document),
        revision => Write::Replace(document, revision),
    };
    front.write_one(write, &asked, 200).await
}

pub(super) async fn patch(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let patch = asked.value()?;
    let patch = crate::service::documents::query::Patch::parse(&patch).map_err(Refusal::from)?;
    let (id, revision, upsert) = (asked.param("id"), asked.revision()?, asked.flag("upsert")?);
    front.write_one(Write::Patch { id, patch, revision, upsert }, &asked, 200).await
}

pub(super) async fn delete(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let write = Write::Delete(asked.param("id"), asked.revision()?);
    front.write_one(write, &asked, 200).await
}
