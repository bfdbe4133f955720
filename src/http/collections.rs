//! Collections and their indexes.

use super::asked::Asked;
use super::documents::{Synced, answer, index_headers, lost, receipt_headers, strange};
use super::problem::Problem;
use super::server::Front;
use crate::service::documents::{
    Answer, CollectionOptions, CollectionStats, Command, Done, IndexSpec, Question, Refusal, Stats,
};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

impl Front {
    async fn change(&self, command: Command, asked: &Asked) -> Result<Response, Problem> {
        let receipt = self.store.commit(command, asked.key()?, asked.within()?).await?;
        let synced = Synced::from(&receipt);
        let Done::Changed(changed) = receipt.value else { return Err(lost("an answer of another kind")) };
        answer(200, receipt_headers(synced), &json!({ "changed": changed, "receipt": synced }))
    }

    /// All there is, and the index of that state.
    pub(super) async fn stats(&self, asked: &Asked) -> Result<(u64, Stats), Problem> {
        let got = self.ask(Question::Collections, asked.level()?, asked).await?;
        match got.value {
            Answer::Collections(stats) => Ok((got.applied, stats)),
            _ => Err(strange()),
        }
    }

    async fn one(&self, asked: &Asked) -> Result<(u64, CollectionStats), Problem> {
        let (index, stats) = self.stats(asked).await?;
        let name = asked.param("collection");
        match stats.collections.into_iter().find(|collection| collection.name == name) {
            Some(collection) => Ok((index, collection)),
            None => Err(Refusal::NoCollection(name).into()),
        }
    }
}

pub(super) async fn list(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let (index, stats) = front.stats(&asked).await?;
    answer(200, index_headers(index), &json!({ "collections": stats.collections, "index": index }))
}

pub(super) async fn show(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let (index, collection) = front.one(&asked).await?;
    answer(200, index_headers(index), &collection)
}

pub(super) async fn create(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Body {
        expire_after_ms: Option<u64>,
    }
    let Body { expire_after_ms } = asked.json_or_default()?;
    let options = CollectionOptions { expire_after_ms };
    front.change(Command::CreateCollection(asked.param("collection"), options), &asked).await
}

pub(super) async fn remove(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    front.change(Command::DropCollection(asked.param("collection")), &asked).await
}

pub(super) async fn indexes(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let (index, collection) = front.one(&asked).await?;
    answer(200, index_headers(index), &json!({ "indexes": collection.indexes, "index": index }))
}

pub(super) async fn create_index(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        fields: Vec<String>,
        #[serde(default)]
        unique: bool,
        #[serde(default)]
        sparse: bool,
    }
    let Body { fields, unique, sparse } = asked.json()?;
    let spec = IndexSpec { name: asked.param("index"), fields, unique, sparse };
    front.change(Command::CreateIndex(asked.param("collection"), spec), &asked).await
}

pub(super) async fn drop_index(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    front.change(Command::DropIndex(asked.param("collection"), asked.param("index")), &asked).await
}
