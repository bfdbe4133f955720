//! Answers from the state.

use super::collection::Collection;
use super::cursor::Cursor;
use super::limits::Mutant;
use super::plan::choose;
use super::query::{Filter, Projection, Sort};
use super::question::{ANSWER_BYTES, ANSWER_MAX, Answer, Chores, Find, Found, Page, Plan, Question, Stats};
use super::refusal::Refusal;
use super::store::Store;
use std::sync::Arc;

impl Store {
    /// `None` while there is nothing to tell.
    pub(super) fn answer(&self, applied: u64, question: Question) -> Option<Answer> {
        let answered = match question {
            Question::Get { collection, ids, projection } => self.get(&collection, &ids, &projection),
            Question::Find(collection, find) => self.find(applied, &collection, &find),
            Question::Count(collection, find) => self.count(&collection, &find),
            Question::Explain(collection, find) => self.explain(&collection, &find),
            Question::Collections => Ok(Answer::Collections(self.stats())),
            Question::Watch(watch) => {
                let watched = self.history.watch(applied, &watch, self.has(Mutant::WatchLate));
                return watched.map(Answer::Watched);
            }
            Question::Chores => Ok(Answer::Chores(self.chores())),
        };
        Some(answered.unwrap_or_else(Answer::Refused))
    }

    fn get(&self, collection: &str, ids: &[String], projection: &Projection) -> Result<Answer, Refusal> {
        let collection = self.collection(collection)?;
        let (mut all, mut bytes) = (Vec::new(), 0);
        let (asked, max) = (ids.len() as u64, ANSWER_MAX as u64);
        if asked > max {
            return Err(Refusal::TooMany { what: "documents in one answer".into(), asked, max });
        }
        for id in ids {
            let Some(held) = collection.get(id) else {
                all.push(None);
                continue;
            };
            let document = match projection.is_all() {
                true => held.document.clone(),
                false => super::Document::new(&projection.apply(&held.document.value()))?,
            };
            bytes += document.len();
            if bytes > 2 * ANSWER_BYTES {
                let (what, max) = ("bytes of documents in one answer".into(), 2 * ANSWER_BYTES as u64);
                return Err(Refusal::TooMany { what, asked: bytes as u64, max });
            }
            all.push(Some(Found { id: id.clone(), revision: held.revision, document }));
        }
        Ok(Answer::Documents(all))
    }

    /// The collection's state at a cursor's index.
    fn state_at(&self, name: &str, at: u64) -> Result<Arc<Collection>, Refusal> {
        if let Ok(collection) = self.collection(name)
            && (collection.changed <= at || self.has(Mutant::CursorUnpinned))
        {
            return Ok(collection.clone());
        }
        self.pins.borrow().find(name, at).cloned().ok_or(Refusal::CursorExpired { at })
    }

    fn find(&self, applied: u64, name: &str, find: &Find) -> Result<Answer, Refusal> {
        let (state, at, after) = match &find.cursor {
            None => (self.collection(name)?.clone(), applied, None),
            Some(text) => {
                let Cursor { at, place, .. } = Cursor::read(text, name, find)?;
                (self.state_at(name, at)?, at, Some(place))
            }
        };
        let went = choose(&state, &find.filter, &find.sort).go(find, after.as_deref(), false)?;
        let cursor = match (went.more, went.found.last()) {
            (true, Some((place, _))) => {
                self.pins.borrow_mut().pin(&state, at, self.written, &self.limits);
                Some(Cursor::new(at, name, find, place.clone()).to_text())
            }
            _ => None,
        };
        let documents = went.found.into_iter().map(|(_, found)| found).collect();
        Ok(Answer::Page(Page { documents, at, examined: went.examined, cursor }))
    }

    fn count(&self, name: &str, find: &Find) -> Result<Answer, Refusal> {
        let collection = self.collection(name)?;
        if find.filter == Filter::default() {
            return Ok(Answer::Count(collection.documents.len() as u64));
        }
        let went = choose(collection, &find.filter, &Sort::default()).go(find, None, true)?;
        Ok(Answer::Count(went.matched))
    }

    fn explain(&self, name: &str, find: &Find) -> Result<Answer, Refusal> {
        let collection = self.collection(name)?;
        let chosen = choose(collection, &find.filter, &find.sort);
        let went = chosen.go(find, None, false)?;
        Ok(Answer::Plan(Plan {
            access: chosen.access(),
            sorts: chosen.sorts,
            examined: went.examined,
            matched: went.matched,
            documents: collection.documents.len() as u64,
            passed_over: chosen.passed_over,
        }))
    }

    fn stats(&self) -> Stats {
        Stats {
            collections: self.collections.values().map(|collection| collection.stats()).collect(),
            bytes: self.bytes,
            budget: self.limits.bytes_max,
            clock_ms: self.clock,
            watch_from: self.history.from,
            pins: self.pins.borrow().len() as u64,
        }
    }

    fn chores(&self) -> Chores {
        let expires = |it: &Arc<Collection>| it.options.expire_after_ms.is_some() && it.documents.len() > 0;
        Chores {
            building: self.collections.values().any(|collection| collection.is_building()),
            expiring: self.collections.values().any(expires),
        }
    }
}
