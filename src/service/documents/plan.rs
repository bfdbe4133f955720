//! Which way a query goes, and going it.
//!
//! The way is a function of the collection's state and the query alone, so that all
//! pages of a cursor go the same one, and all replicas that write by filter. What
//! narrows most fields is taken; of equals, what leaves least to sort.

use super::collection::{Collection, Held};
use super::index::{Index, Progress};
use super::query::sort::Direction;
use super::query::{Filter, ID, KeyRanges, Path, Range, Sort, encode};
use super::question::{ANSWER_BYTES, ANSWER_MAX, Access, EXAMINED_DEFAULT, EXAMINED_MAX, Find, Found};
use super::refusal::Refusal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most ranges of keys that are looked at one by one.
const RANGES_MAX: usize = 256;
/// Most documents that one write by filter changes.
pub(super) const WRITTEN_MAX: u64 = 10_000;

/// Which way.
enum Way<'a> {
    Ids(KeyRanges),
    Index(&'a Index, KeyRanges),
    Scan,
}

/// A way that was chosen.
pub(super) struct Chosen<'a> {
    collection: &'a Collection,
    way: Way<'a>,
    pub(super) sorts: bool,
    pub(super) passed_over: Vec<(String, String)>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Went {
    /// In order, with their places.
    pub(super) found: Vec<(Vec<u8>, Found)>,
    pub(super) more: bool,
    pub(super) examined: u64,
    pub(super) matched: u64,
}

fn id_path() -> Option<Path> {
    ID.parse().ok()
}

/// Chooses the way for documents that pass, in this order.
pub(super) fn choose<'a>(collection: &'a Collection, filter: &Filter, sort: &Sort) -> Chosen<'a> {
    let mut passed_over = Vec::new();
    let by_id = sort.fields().len() == 1 && sort.fields()[0].1 == Direction::Ascending;
    let ids = id_path().map(|id| filter.key_ranges(&[id], RANGES_MAX)).filter(|found| found.fields > 0);
    // narrowed fields, single values, already in order
    let mut best = match ids {
        Some(found) => ((2 * found.fields, 2 * found.points, by_id), Way::Ids(found), !by_id),
        None => ((0, 0, by_id), Way::Scan, !by_id),
    };
    for index in &collection.indexes {
        let pass = |why: &str| (index.spec.name.clone(), why.to_string());
        let found = filter.key_ranges(&index.paths, RANGES_MAX);
        let ordered = in_order(index, &found, sort);
        match &index.progress {
            Progress::Building(_) => passed_over.push(pass("it is being built")),
            Progress::Failed { .. } => passed_over.push(pass("two documents have the same values: drop it")),
            Progress::Ready if index.spec.sparse && found.missing => {
                passed_over.push(pass("it is sparse, and documents without its first field may pass"));
            }
            Progress::Ready if found.fields == 0 && !(ordered && best.2) => {
                passed_over.push(pass("the filter does not narrow its first field"));
            }
            Progress::Ready => {
                let rank = (found.fields, found.points + usize::from(index.spec.unique), ordered);
                if rank > best.0 {
                    best = (rank, Way::Index(index, found), !ordered);
                } else {
                    passed_over.push(pass("another one narrows as much or more"));
                }
            }
        }
    }
    Chosen { collection, way: best.1, sorts: best.2, passed_over }
}

/// Whether keys within these ranges are in this order already: the fields that are
/// not bound to single values, then the id.
fn in_order(index: &Index, found: &KeyRanges, sort: &Sort) -> bool {
    let Some((_, fields)) = sort.fields().split_last() else { return false };
    let ascending = sort.fields().iter().all(|(_, direction)| *direction == Direction::Ascending);
    let is = |paths: &[Path]| paths.len() == fields.len() && paths.iter().zip(fields).all(|(a, (b, _))| a == b);
    let rest = index.paths.get(found.points..).unwrap_or_default();
    ascending && (is(&index.paths) || found.ranges.len() <= 1 && is(rest))
}

impl Chosen<'_> {
    /// How many the collection has.
    pub(super) fn documents(&self) -> u64 {
        self.collection.documents.len() as u64
    }

    pub(super) fn access(&self) -> Access {
        match &self.way {
            Way::Ids(found) if found.points > 0 => Access::Ids(found.ranges.len() as u64),
            Way::Ids(_) => Access::IdRange,
            Way::Index(index, found) => Access::Index {
                name: index.spec.name.clone(),
                fields: found.fields as u64,
                ranges: found.ranges.len() as u64,
            },
            Way::Scan => Access::Scan,
        }
    }

    fn is_narrowed(&self) -> bool {
        match &self.way {
            Way::Ids(_) => true,
            Way::Index(_, found) => found.fields > 0,
            Way::Scan => false,
        }
    }

    /// Shows documents in the way's order, those behind a place, until told to end.
    fn visit(
        &self,
        after: Option<&[u8]>,
        mut visit: impl FnMut(&[u8], &Arc<str>, &Held) -> Result<bool, Refusal>,
    ) -> Result<(), Refusal> {
        let documents = &self.collection.documents;
        let behind = |place: &[u8]| after.is_none_or(|after| place > after);
        match &self.way {
            Way::Scan => {
                let from = documents.from(|id| after.is_some_and(|after| id.as_bytes() <= after));
                for (id, held) in from {
                    if !visit(id.as_bytes(), id, held)? {
                        break;
                    }
                }
            }
            Way::Ids(found) => {
                for Range { from, to, .. } in &found.ranges {
                    for (id, held) in documents.from(|id| key_of(id) < *from || !behind(id.as_bytes())) {
                        if key_of(id) >= *to {
                            break;
                        }
                        if !visit(id.as_bytes(), id, held)? {
                            return Ok(());
                        }
                    }
                }
            }
            Way::Index(index, found) => {
                for Range { from, to, .. } in &found.ranges {
                    let entries = index.entries.from(|key| **key < **from || !behind(key));
                    for (key, id) in entries.take_while(|(key, _)| ***key < **to) {
                        let Some((id, held)) = documents.get(|it| it.cmp(id)) else { continue };
                        if !visit(key, id, held)? {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Goes the way: a page of what passes, behind a place. `None` once more than
    /// `budget` documents were examined.
    ///
    /// # Errors
    /// Too many documents would be examined, or it is a scan where none is wanted.
    pub(super) fn go(
        &self,
        find: &Find,
        after: Option<&[u8]>,
        counts: bool,
        budget: u64,
    ) -> Result<Option<Went>, Refusal> {
        let Find { filter, sort, projection, .. } = find;
        let max = find.examined_max.unwrap_or(EXAMINED_DEFAULT).min(EXAMINED_MAX);
        let mend = || match self.is_narrowed() {
            true => "narrow the filter, or raise the bound".to_string(),
            false => "make an index on a field of the filter, or raise the bound".into(),
        };
        let refused = |mend| Refusal::Scan { collection: self.collection.name.to_string(), max, mend };
        if find.demand_index && !self.is_narrowed() {
            let why = "no index serves this filter, and one is demanded: make one, or read without the demand";
            return Err(refused(why.into()));
        }
        let mut went = Went::default();
        let limit = (find.limit as usize).clamp(1, ANSWER_MAX);
        let parses = !filter.is_all() || self.sorts || !projection.is_all();
        let (mut bytes, mut best) = (0, BTreeMap::<Vec<u8>, (Arc<str>, Held)>::new());
        let starts = if self.sorts { None } else { after };
        self.visit(starts, |place, id, held| {
            went.examined += 1;
            if went.examined > max {
                return Err(refused(mend()));
            }
            if went.examined > budget {
                return Ok(false);
            }
            let value = if parses { held.document.value() } else { Value::Null };
            if parses && !filter.matches(&value) {
                return Ok(true);
            }
            if counts {
                went.matched += 1;
                return Ok(true);
            }
            if self.sorts {
                let key = sort.key(&value);
                if after.is_none_or(|after| *key > *after) {
                    went.matched += 1;
                    best.insert(key, (id.clone(), held.clone()));
                    if best.len() > limit + 1 {
                        best.pop_last();
                    }
                }
                return Ok(true);
            }
            went.more = went.found.len() == limit || bytes > ANSWER_BYTES;
            if !went.more {
                went.matched += 1;
                let found = shown(id, held, find, &value)?;
                bytes += found.document.len() + found.id.len();
                went.found.push((place.to_vec(), found));
            }
            Ok(!went.more)
        })?;
        if went.examined > budget {
            return Ok(None);
        }
        for (key, (id, held)) in best {
            went.more = went.found.len() == limit || bytes > ANSWER_BYTES;
            if went.more {
                break;
            }
            let value = if projection.is_all() { Value::Null } else { held.document.value() };
            let found = shown(&id, &held, find, &value)?;
            bytes += found.document.len() + found.id.len();
            went.found.push((key, found));
        }
        Ok(Some(went))
    }

    /// Ids of all that pass, in their order.
    ///
    /// # Errors
    /// Too many.
    pub(super) fn ids(&self, filter: &Filter) -> Result<Vec<Arc<str>>, Refusal> {
        let (mut ids, mut examined) = (Vec::new(), 0);
        self.visit(None, |_, id, held| {
            examined += 1;
            if examined > EXAMINED_DEFAULT {
                let mend = "make an index on a field of the filter, or narrow it".to_string();
                let collection = self.collection.name.to_string();
                return Err(Refusal::Scan { collection, max: EXAMINED_DEFAULT, mend });
            }
            if filter.is_all() || filter.matches(&held.document.value()) {
                ids.push(id.clone());
            }
            Ok(true)
        })?;
        ids.sort_unstable();
        match ids.len() as u64 {
            asked if asked > WRITTEN_MAX => {
                Err(Refusal::TooMany { what: "documents pass a write's filter".into(), asked, max: WRITTEN_MAX })
            }
            _ => Ok(ids),
        }
    }
}

fn key_of(id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(id.len() + 4);
    encode(&Value::String(id.to_string()), &mut key);
    key
}

fn shown(id: &Arc<str>, held: &Held, find: &Find, value: &Value) -> Result<Found, Refusal> {
    let document = match find.projection.is_all() {
        true => held.document.clone(),
        false => super::Document::new(&find.projection.apply(value))?,
    };
    Ok(Found { id: id.to_string(), revision: held.revision, document })
}
