//! Documents by filter.

use super::asked::Asked;
use super::documents::{answer, append_found, index_headers, strange};
use super::problem::Problem;
use super::routes::json;
use super::server::Front;
use crate::service::documents::query::{Filter, Patch, Projection, Sort};
use crate::service::documents::{Answer, Find, Question, Refusal, Write};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json as value};
use std::sync::Arc;

/// A query, each part as JSON, so that what is wrong is said by its own name.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Body {
    filter: Option<Value>,
    sort: Value,
    projection: Value,
    limit: Option<u32>,
    cursor: Option<String>,
    demand_index: bool,
    examined_max: Option<u64>,
}

fn filter(value: Option<&Value>) -> Result<Filter, Refusal> {
    value.map_or(Ok(Filter::default()), |value| Ok(Filter::parse(value)?))
}

fn query(asked: &Asked) -> Result<Find, Problem> {
    let body: Body = asked.json_or_default()?;
    let whole = Find::default();
    let read = || -> Result<Find, Refusal> {
        Ok(Find {
            filter: filter(body.filter.as_ref())?,
            sort: Sort::parse(&body.sort)?,
            projection: Projection::parse(&body.projection)?,
            limit: body.limit.unwrap_or(whole.limit),
            cursor: body.cursor.clone(),
            demand_index: body.demand_index,
            examined_max: body.examined_max,
        })
    };
    Ok(read()?)
}

pub(super) async fn find(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let question = Question::Find(asked.param("collection"), query(&asked)?);
    let got = front.ask(question, asked.level()?, &asked).await?;
    let Answer::Page(page) = got.value else { return Err(strange()) };
    let mut body = Vec::with_capacity(64 + page.documents.iter().map(|found| found.document.len() + 96).sum::<usize>());
    body.extend_from_slice(b"{\"documents\":[");
    for (at, found) in page.documents.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        append_found(&mut body, found);
    }
    let cursor = Value::from(page.cursor);
    body.extend_from_slice(
        format!("],\"at\":{},\"examined\":{},\"cursor\":{cursor}}}", page.at, page.examined).as_bytes(),
    );
    Ok(json(200, index_headers(page.at), body))
}

pub(super) async fn count(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let question = Question::Count(asked.param("collection"), query(&asked)?);
    let got = front.ask(question, asked.level()?, &asked).await?;
    let Answer::Count(count) = got.value else { return Err(strange()) };
    answer(200, index_headers(got.applied), &value!({ "count": count, "index": got.applied }))
}

pub(super) async fn explain(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    let question = Question::Explain(asked.param("collection"), query(&asked)?);
    let got = front.ask(question, asked.level()?, &asked).await?;
    let Answer::Plan(plan) = got.value else { return Err(strange()) };
    answer(200, index_headers(got.applied), &value!({ "plan": plan, "index": got.applied }))
}

pub(super) async fn patch(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        filter: Value,
        patch: Value,
    }
    let body: Body = asked.json()?;
    let read =
        || -> Result<Write, Refusal> { Ok(Write::PatchWhere(filter(Some(&body.filter))?, Patch::parse(&body.patch)?)) };
    front.write_one(read()?, &asked, 200).await
}

pub(super) async fn delete(front: Arc<Front>, asked: Asked) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        filter: Option<Value>,
        exact: Option<Map<String, Value>>,
    }
    let filter = match asked.json()? {
        Body { filter: Some(value), exact: None } => filter(Some(&value))?,
        Body { filter: None, exact: Some(example) } => Filter::exact(&example).map_err(Refusal::from)?,
        _ => {
            return Err(Problem::bad(
                "request",
                "either a 'filter' or 'exact' says what is deleted; {\"filter\":{}} is all",
            ));
        }
    };
    front.write_one(Write::DeleteWhere(filter), &asked, 200).await
}
