//! Following a collection: its state, and every change after it.

use super::documents::Documents;
use crate::protocol::replicated_log::Level;
use crate::service::documents::{ANSWER_MAX, Change, DocumentError, Fate, Find, Found, Page, Refusal, Watched};

/// What a follower is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Followed {
    /// A part of the state at an index; its changes follow the last part.
    State {
        /// Documents of it.
        documents: Vec<Found>,
        /// The index, the same for all parts.
        at: u64,
        /// Whether it is the last part.
        last: bool,
    },
    /// Every change through an index, a token from which any node goes on.
    Changes {
        /// In the log's order.
        changes: Vec<Change>,
        /// All through here is told.
        through: u64,
    },
    /// The changes that would come next are no longer held: forget what was told, the
    /// state comes anew.
    Gone,
}

/// Follows a collection without a gap: see [`Documents::follow`].
#[derive(Clone, Debug)]
pub struct Follow {
    documents: Documents,
    collection: String,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    Begin,
    /// Behind this page of the state.
    State(String),
    /// Behind this index.
    Changes(u64),
}

impl Documents {
    /// Follows a collection: the state at an index, and every change after it; or, with
    /// a token of an earlier follower, the changes after that.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = nodewright::node::Node::new("alpha", 0, 5).has_documents("data/alpha").start()?;
    /// let mut follow = node.documents().follow("people", None);
    /// loop {
    ///     if let Some(told) = follow.next()? {
    ///         println!("{told:?}; goes on behind {:?}", follow.token());
    ///     }
    /// }
    /// # }
    /// ```
    pub fn follow(&self, collection: impl Into<String>, token: Option<u64>) -> Follow {
        let stage = token.map_or(Stage::Begin, Stage::Changes);
        Follow { documents: self.clone(), collection: collection.into(), stage }
    }
}

impl Follow {
    /// From where another follower may go on, through whatever node; `None` while the
    /// state is told.
    pub fn token(&self) -> Option<u64> {
        match self.stage {
            Stage::Changes(through) => Some(through),
            _ => None,
        }
    }

    /// What comes next; `None` if there is nothing new within the time of the
    /// [`Documents`].
    ///
    /// # Errors
    /// Nothing was read, and nothing is lost: ask again.
    #[expect(clippy::should_implement_trait, reason = "it is no iterator: nothing new is not the end")]
    pub fn next(&mut self) -> Result<Option<Followed>, DocumentError> {
        let find = Find::default().limit(ANSWER_MAX as u32);
        let page = match &self.stage {
            Stage::Changes(after) => return self.changes(*after),
            Stage::Begin => self.documents.find(&self.collection, find),
            // a cursor says itself which state it is of
            Stage::State(cursor) => {
                self.documents.level(Level::Stale).find(&self.collection, find.after(cursor.as_str()))
            }
        };
        match page {
            Ok(page) => {
                let Page { documents, at, cursor, .. } = page.value;
                let last = cursor.is_none();
                self.stage = cursor.map_or(Stage::Changes(at), Stage::State);
                Ok(Some(Followed::State { documents, at, last }))
            }
            Err(error) if matches!(error.refusal(), Some(Refusal::CursorExpired { .. })) => {
                self.stage = Stage::Begin;
                Ok(Some(Followed::Gone))
            }
            Err(error) => Err(error),
        }
    }

    fn changes(&mut self, after: u64) -> Result<Option<Followed>, DocumentError> {
        match self.documents.watch(Some(&self.collection), after) {
            Ok(got) => match got.value {
                Watched::Changes { changes, through } => {
                    self.stage = Stage::Changes(through);
                    Ok(Some(Followed::Changes { changes, through }))
                }
                Watched::Gone { .. } => {
                    self.stage = Stage::Begin;
                    Ok(Some(Followed::Gone))
                }
            },
            Err(error) if error.fate() == Fate::Unknown => Ok(None),
            Err(error) => Err(error),
        }
    }
}
