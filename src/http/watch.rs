//! Changes as server-sent events.
//!
//! ```text
//!   event: document   data: {"collection","id","revision","document"}    with ?state, page by page
//!   event: state      id: 41   data: {"index":41}                        all before it is the state at 41
//!   event: change     id: 42   data: {"index","collection","type","id","document"}
//!   event: through    id: 50   data: {"index":50}                        nothing else happened up to here
//!   event: gone                data: {"after","oldest"}                  history is not held: a fresh state follows
//! ```
//!
//! **Guarantee.** Without a gap, a repetition or disorder: the state at an index and
//! every change after it. The id of an event is a token: with it as `Last-Event-ID`
//! (or `after=`) any node goes on behind it. Changes of one index (a batch) carry it
//! at the last of them only, so that none of them is skipped by a reader that stops
//! in between. The state of all collections at once (`/v1/watch?state`) is read one
//! after the other: its index is the earliest, and changes behind that one may repeat
//! what a later collection already showed.

use super::asked::Asked;
use super::documents::{append_found, strange};
use super::problem::Problem;
use super::server::Front;
use crate::protocol::replicated_log::Level;
use crate::service::documents::query::Filter;
use crate::service::documents::{Answer, Change, Changed, Find, Question, Refusal, Watch, Watched};
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Changes of one answer of the store, and documents of a page of the state.
const PAGE: u32 = 500;
/// After so long without an event a comment is sent, which finds out whether the
/// other side is there.
const QUIET: Duration = Duration::from_secs(10);
/// Pieces that wait for a slow reader, each of a page at most; then the store is not
/// asked for more.
const PIECES: usize = 2;

pub(super) async fn all(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    begin(front, asked, None).await
}

pub(super) async fn one(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let collection = asked.param("collection");
    begin(front, asked, Some(collection)).await
}

struct Stream {
    front: Arc<Front>,
    collection: Option<String>,
    filter: Filter,
    out: Sender<Bytes, Infallible>,
    _permit: OwnedSemaphorePermit,
}

/// The other side is gone, or the store cannot be asked.
enum End {
    Closed,
    Problem(Problem),
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        End::Problem(problem)
    }
}

async fn begin(front: Arc<Front>, asked: Asked, collection: Option<String>) -> Result<Response, Problem> {
    let Ok(permit) = front.watches.clone().try_acquire_owned() else {
        let why = format!("{} watches are open already", front.options.limits.watches);
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "watches", why, "close some, or ask another node"));
    };
    let last = asked.headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let after = match last {
        Some(token) => match token.parse() {
            Ok(index) => Some(index),
            Err(_) => return Err(Problem::bad("token", format!("'{token}' is no token of a watch"))),
        },
        None => asked.number("after")?,
    };
    let filter = match asked.query.get("filter") {
        Some(text) => text.parse::<Filter>().map_err(Refusal::from)?,
        None => Filter::default(),
    };
    let (state, level) = (asked.flag("state")?, Level::Linearizable);
    // The first question is asked before the answer begins, so that what is wrong is an error.
    let got = front.ask(Question::Collections, level, &asked).await?;
    let Answer::Collections(stats) = got.value else { return Err(strange()) };
    if let Some(name) = &collection
        && after.is_none()
        && !stats.collections.iter().any(|it| it.name == *name)
    {
        return Err(Refusal::NoCollection(name.clone()).into());
    }
    if let Some(after) = after.filter(|after| *after > got.applied) {
        return Err(Problem::bad("token", format!("index {after} is still to come: the newest is {}", got.applied)));
    }
    let (out, body) = Channel::<Bytes, Infallible>::new(PIECES);
    let mut stream = Stream { front, collection, filter, out, _permit: permit };
    let from = if state && after.is_none() { None } else { Some(after.unwrap_or(got.applied)) };
    tokio::spawn(async move {
        let mut stopping = stream.front.stopping.clone();
        let ended = tokio::select! {
            ended = stream.run(from) => ended,
            _ = stopping.changed() => End::Closed,
        };
        if let End::Problem(problem) = ended {
            let _ = stream.send("problem", None, &json!(problem)).await; // the other side may be gone as well
        }
    });
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

impl Stream {
    async fn run(&mut self, from: Option<u64>) -> End {
        let mut after = from;
        loop {
            let told = match after {
                None => self.state().await.map(Some),
                Some(index) => self.changes(index).await,
            };
            match told {
                Ok(next) => after = next,
                Err(end) => return end,
            }
        }
    }

    async fn piece(&mut self, piece: Vec<u8>) -> Result<(), End> {
        self.out.send_data(piece.into()).await.map_err(|_| End::Closed)
    }

    async fn send(&mut self, event: &str, id: Option<u64>, data: &Value) -> Result<(), End> {
        let mut piece = Vec::new();
        append(&mut piece, event, id, data.to_string().as_bytes());
        self.piece(piece).await
    }

    async fn ask(&self, question: Question, level: Level, within: Duration) -> Result<Option<(u64, Answer)>, End> {
        let got = self.front.store.ask(question, level, within).await.map_err(Problem::from)?;
        Ok(got.map(|got| (got.applied, got.value)))
    }

    /// All documents, each page of one state; then its index.
    async fn state(&mut self) -> Result<u64, End> {
        let within = Duration::from_secs(10);
        let asked = self.ask(Question::Collections, Level::Linearizable, within).await?;
        let Some((start, Answer::Collections(stats))) = asked else { return Err(strange().into()) };
        let names: Vec<String> = match &self.collection {
            Some(name) => vec![name.clone()],
            None => stats.collections.into_iter().map(|it| it.name).collect(),
        };
        let mut index = start;
        for (at, name) in names.iter().enumerate() {
            let mut find = Find { filter: self.filter.clone(), limit: PAGE, ..Find::default() };
            loop {
                let asked = self.ask(Question::Find(name.clone(), find.clone()), Level::AtLeast(start), within).await?;
                let Some((_, Answer::Page(page))) = asked else { return Err(strange().into()) };
                let mut piece = Vec::new();
                for found in &page.documents {
                    let mut data = format!("{{\"collection\":{},\"found\":", Value::from(name.as_str())).into_bytes();
                    append_found(&mut data, found);
                    data.push(b'}');
                    append(&mut piece, "document", None, &data);
                }
                self.piece(piece).await?;
                // Of several collections, the states are of several indexes: the first
                // counts, and what came between is told again as changes.
                index = if at == 0 { page.at } else { index.min(page.at) };
                match page.cursor {
                    Some(cursor) => find.cursor = Some(cursor),
                    None => break,
                }
            }
        }
        self.send("state", Some(index), &json!({ "index": index })).await?;
        Ok(index)
    }

    /// What happened behind an index: where the next question goes on, or that a
    /// fresh state has to follow.
    async fn changes(&mut self, after: u64) -> Result<Option<u64>, End> {
        let watch = Watch { collection: self.collection.clone(), after, limit: PAGE };
        let asked = self.ask(Question::Watch(watch), Level::Stale, QUIET).await?;
        let watched = match asked {
            None => {
                self.piece(b": nothing new\n\n".to_vec()).await?;
                return Ok(Some(after));
            }
            Some((_, Answer::Watched(watched))) => watched,
            Some(_) => return Err(strange().into()),
        };
        match watched {
            Watched::Gone { oldest } => {
                self.send("gone", None, &json!({ "after": after, "oldest": oldest })).await?;
                Ok(None)
            }
            Watched::Changes { changes, through } => {
                let mut piece = Vec::new();
                for (at, change) in changes.iter().enumerate() {
                    let last = changes.get(at + 1).is_none_or(|next| next.index != change.index);
                    let id = last.then_some(change.index);
                    append(&mut piece, "change", id, told(change, &self.filter).to_string().as_bytes());
                }
                if changes.last().is_none_or(|change| change.index < through) {
                    append(&mut piece, "through", Some(through), json!({ "index": through }).to_string().as_bytes());
                }
                self.piece(piece).await?;
                Ok(Some(through))
            }
        }
    }
}

fn told(change: &Change, filter: &Filter) -> Value {
    let (index, collection) = (change.index, &change.collection);
    match &change.what {
        Changed::Put(id, document) => {
            let value = document.value();
            if filter.matches(&value) {
                json!({ "index": index, "collection": collection, "type": "put", "id": id, "document": value })
            } else {
                json!({ "index": index, "collection": collection, "type": "out", "id": id })
            }
        }
        Changed::Deleted(id) => json!({ "index": index, "collection": collection, "type": "deleted", "id": id }),
        Changed::Dropped => json!({ "index": index, "collection": collection, "type": "dropped" }),
    }
}

/// JSON text has no line breaks, so an event's data is one line.
fn append(out: &mut Vec<u8>, event: &str, id: Option<u64>, data: &[u8]) {
    out.extend_from_slice(format!("event: {event}\n").as_bytes());
    if let Some(id) = id {
        out.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}
