//! Many writes, all or none.

use super::asked::Asked;
use super::documents::{Synced, answer, receipt_headers};
use super::problem::Problem;
use super::server::Front;
use crate::service::documents::query::{Filter, Patch};
use crate::service::documents::{Document, DocumentError, Refusal, Step, Write, Written};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What a batch came to.
#[derive(Serialize)]
pub(super) struct Wrote {
    pub(super) results: Vec<Written>,
    pub(super) receipt: Synced,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    writes: Vec<Op>,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum Op {
    Insert {
        collection: String,
        document: Value,
    },
    Replace {
        collection: String,
        document: Value,
        revision: Option<u64>,
    },
    Upsert {
        collection: String,
        document: Value,
    },
    Patch {
        collection: String,
        id: String,
        patch: Value,
        revision: Option<u64>,
        #[serde(default)]
        upsert: bool,
    },
    PatchWhere {
        collection: String,
        filter: Value,
        patch: Value,
    },
    Delete {
        collection: String,
        id: String,
        revision: Option<u64>,
    },
    DeleteWhere {
        collection: String,
        filter: Value,
    },
}

impl Op {
    fn step(self) -> Result<Step, Refusal> {
        let (collection, write) = match self {
            Op::Insert { collection, document } => (collection, Write::Insert(Document::new(&document)?)),
            Op::Replace { collection, document, revision } => {
                (collection, Write::Replace(Document::new(&document)?, revision))
            }
            Op::Upsert { collection, document } => (collection, Write::Upsert(Document::new(&document)?)),
            Op::Patch { collection, id, patch, revision, upsert } => {
                (collection, Write::Patch { id, patch: Patch::parse(&patch)?, revision, upsert })
            }
            Op::PatchWhere { collection, filter, patch } => {
                (collection, Write::PatchWhere(Filter::parse(&filter)?, Patch::parse(&patch)?))
            }
            Op::Delete { collection, id, revision } => (collection, Write::Delete(id, revision)),
            Op::DeleteWhere { collection, filter } => (collection, Write::DeleteWhere(Filter::parse(&filter)?)),
        };
        Ok(Step { collection, write })
    }
}

pub(super) async fn commit(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let Body { writes } = asked.json()?;
    let step =
        |(at, op): (usize, Op)| op.step().map_err(|why| Problem::from(DocumentError::Refused { at: 0, step: at, why }));
    let steps = writes.into_iter().enumerate().map(step).collect::<Result<Vec<_>, _>>()?;
    let (receipt, results) = front.write(steps, &asked).await?;
    answer(200, receipt_headers(receipt), &Wrote { results, receipt })
}
