//! The node and its group; and what became of a write.

use super::asked::{Asked, read_key};
use super::documents::{Synced, answer};
use super::problem::Problem;
use super::server::Front;
use crate::id::NodeId;
use crate::protocol::replicated_log::{Level, Member, Status};
use crate::service::documents::{Answer, DocumentError, Done, Question};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long a view of the store itself may take: a node that cannot answer is shown
/// without it.
const GLANCE: Duration = Duration::from_secs(2);

fn name_of(front: &Front, node: NodeId) -> Value {
    front.store.name_of(node).map_or_else(|| Value::from(node.to_string()), Value::from)
}

pub(super) async fn status(front: Arc<Front>, _: Asked) -> Result<Response, Problem> {
    let log = front.store.status().await?;
    let store = front.store.ask(Question::Collections, Level::Stale, GLANCE).await;
    let store = match store {
        Ok(Some(got)) => match got.value {
            Answer::Collections(stats) => json!(stats),
            _ => Value::Null,
        },
        _ => Value::Null,
    };
    let Status { replica, leads, leader, term, commit, applied, voters, learners, hash, unusable } = log;
    let body = json!({
        "node": front.store.about(),
        "log": {
            "replica": format!("{replica:016x}"),
            "leads": leads,
            "leader": leader.map(|leader| name_of(&front, leader)),
            "term": term,
            "commit": commit,
            "applied": applied,
            "voters": voters.len(),
            "learners": learners.len(),
            "hash": format!("{hash:016x}"),
            "unusable": unusable,
        },
        "store": store,
    });
    answer(200, HeaderMap::new(), &body)
}

pub(super) async fn members(front: Arc<Front>, _: Asked) -> Result<Response, Problem> {
    let log = front.store.status().await?;
    let member = |member: &Member, votes: bool| {
        json!({
            "node": member.node.0.to_string(),
            "name": name_of(&front, member.node),
            "replica": format!("{:016x}", member.replica),
            "votes": votes,
            "leads": log.leader == Some(member.node),
        })
    };
    let voters = log.voters.iter().map(|it| member(it, true));
    let members: Vec<_> = voters.chain(log.learners.iter().map(|it| member(it, false))).collect();
    answer(200, HeaderMap::new(), &json!({ "members": members, "term": log.term, "applied": log.applied }))
}

pub(super) async fn remove(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let text = asked.param("node");
    let log = front.store.status().await?;
    let members = log.voters.iter().chain(&log.learners);
    let named = |member: &&Member| {
        member.node.0.to_string() == text || front.store.name_of(member.node).is_some_and(|name| name == text)
    };
    let Some(member) = members.clone().find(named) else {
        let known: Vec<_> = members.map(|member| member.node.0.to_string()).collect();
        let why = format!("'{text}' is no member: they are {}", known.join(", "));
        return Err(Problem::new(axum::http::StatusCode::NOT_FOUND, "no_member", why, "GET /v1/members lists them"));
    };
    front.store.remove(member.node, asked.within()?).await?;
    answer(200, HeaderMap::new(), &json!({ "removed": text }))
}

pub(super) async fn outcome(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let key = read_key(&asked.param("key"))?;
    let body = match front.store.outcome(key, asked.within()?).await {
        Ok(None) => json!({
            "known": false,
            "state": "unknown",
            "hint": "no write with this key is done so far, or it was too long ago; one that is under way may still be",
        }),
        Ok(Some(receipt)) => {
            let result = match &receipt.value {
                Done::Written(written) => json!(written),
                Done::Changed(changed) => json!({ "changed": changed }),
            };
            json!({ "known": true, "state": "done", "receipt": Synced::from(&receipt), "result": result })
        }
        Err(error @ DocumentError::Refused { at, .. }) if at > 0 => {
            json!({ "known": true, "state": "not_done", "problem": Problem::from(error) })
        }
        Err(error) => return Err(error.into()),
    };
    answer(200, HeaderMap::new(), &body)
}
