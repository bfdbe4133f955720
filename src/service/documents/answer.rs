//! Answers from the state.

use super::collection::Collection;
use super::component::encoded;
use super::cursor::Cursor;
use super::limits::Mutant;
use super::plan::{Chosen, Went, choose};
use super::query::{Filter, Projection, Sort};
use super::question::{ANSWER_BYTES, ANSWER_MAX, Answer, Chores, Find, Found, Page, Plan, Question, Stats};
use super::refusal::Refusal;
use super::store::Store;
use crate::protocol::replicated_log::Queried;
use std::sync::Arc;

/// What is made of where a search went.
type Tell = Box<dyn FnOnce(&Chosen<'_>, Went) -> Answer + Send>;

impl Store {
    /// The answer, what brings it, or word that there is nothing to tell yet.
    pub(super) fn answer(&self, applied: u64, question: Question) -> Queried {
        let answered = match question {
            Question::Get { collection, ids, projection } => self.get(&collection, &ids, &projection),
            Question::Find(collection, find) => return now(self.find(applied, collection, find)),
            Question::Count(collection, find) => return now(self.count(&collection, find)),
            Question::Explain(collection, find) => return now(self.explain(&collection, find)),
            Question::Collections => Ok(Answer::Collections(self.stats())),
            Question::Watch(watch) => {
                return match self.history.watch(applied, &watch, self.has(Mutant::WatchLate)) {
                    Some(watched) => Queried::Now(encoded(&Answer::Watched(watched))),
                    None => Queried::NotYet,
                };
            }
            Question::Chores => Ok(Answer::Chores(self.chores())),
        };
        now(answered.map(|answer| Queried::Now(encoded(&answer))))
    }

    /// Searches here as long as that is short, else elsewhere from the beginning.
    /// What may have further pages is kept for them, in the state of an index.
    fn search(
        &self,
        state: Arc<Collection>,
        find: Find,
        after: Option<Vec<u8>>,
        counts: bool,
        pages_at: Option<u64>,
        tell: Tell,
    ) -> Result<Queried, Refusal> {
        let chosen = choose(&state, &find.filter, &find.sort);
        let went = chosen.go(&find, after.as_deref(), counts, self.limits.examined_in_place)?;
        if let Some(at) = pages_at.filter(|_| went.as_ref().is_none_or(|went| went.more)) {
            self.pins.borrow_mut().pin(&state, at, self.written, &self.limits);
        }
        if let Some(went) = went {
            return Ok(Queried::Now(encoded(&tell(&chosen, went))));
        }
        drop(chosen);
        Ok(Queried::Later(Box::new(move || {
            let chosen = choose(&state, &find.filter, &find.sort);
            let went = chosen.go(&find, after.as_deref(), counts, u64::MAX);
            encoded(&went.map_or_else(Answer::Refused, |went| tell(&chosen, went.unwrap_or_default())))
        })))
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

    fn find(&self, applied: u64, name: String, find: Find) -> Result<Queried, Refusal> {
        let (state, at, after) = match &find.cursor {
            None => (self.collection(&name)?.clone(), applied, None),
            Some(text) => {
                let Cursor { at, place, .. } = Cursor::read(text, &name, &find)?;
                (self.state_at(&name, at)?, at, Some(place))
            }
        };
        let asked = find.clone();
        let tell = move |_: &Chosen<'_>, went: Went| {
            let last = went.found.last().filter(|_| went.more);
            let cursor = last.map(|(place, _)| Cursor::new(at, &name, &asked, place.clone()).to_text());
            let documents = went.found.into_iter().map(|(_, found)| found).collect();
            Answer::Page(Page { documents, at, examined: went.examined, cursor })
        };
        self.search(state, find, after, false, Some(at), Box::new(tell))
    }

    fn count(&self, name: &str, find: Find) -> Result<Queried, Refusal> {
        let collection = self.collection(name)?;
        if find.filter == Filter::default() {
            return Ok(Queried::Now(encoded(&Answer::Count(collection.documents.len() as u64))));
        }
        let find = Find { sort: Sort::default(), ..find };
        self.search(collection.clone(), find, None, true, None, Box::new(|_, went| Answer::Count(went.matched)))
    }

    fn explain(&self, name: &str, find: Find) -> Result<Queried, Refusal> {
        let tell = |chosen: &Chosen<'_>, went: Went| {
            Answer::Plan(Plan {
                access: chosen.access(),
                sorts: chosen.sorts,
                examined: went.examined,
                matched: went.matched,
                documents: chosen.documents(),
                passed_over: chosen.passed_over.clone(),
            })
        };
        self.search(self.collection(name)?.clone(), find, None, false, None, Box::new(tell))
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

fn now(answered: Result<Queried, Refusal>) -> Queried {
    answered.unwrap_or_else(|why| Queried::Now(encoded(&Answer::Refused(why))))
}
