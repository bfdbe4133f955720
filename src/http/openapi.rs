//! The description of all routes, as OpenAPI 3.1.

use super::asked::Asked;
use super::problem::Problem;
use super::routes::{ROUTES, Route, RouteKind, json};
use super::server::Front;
use super::{IDEMPOTENCY_KEY, INDEX, RECEIPT};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json as value};
use std::sync::Arc;

pub(super) async fn describe(front: Arc<Front>, _: Asked) -> Result<Response, Problem> {
    Ok(json(200, HeaderMap::new(), description(front.options.token.is_some()).to_string().into_bytes()))
}

/// The document.
pub(super) fn description(secured: bool) -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| value!({}));
        path[route.method] = operation(route);
    }
    let mut description = value!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nodewright documents",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A replicated document store. What is answered with a receipt is done, synced on a majority \
                of the nodes; any node answers. Every error says whether it was done: done, not_done or unknown.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["code", "message", "state", "hint"],
                    "properties": {
                        "code": {"type": "string", "description": "A short name for programs"},
                        "message": {"type": "string", "description": "What happened"},
                        "state": {"enum": ["done", "not_done", "unknown"], "description": "What is known of what was asked"},
                        "hint": {"type": "string", "description": "What to do next"},
                        "write": {"type": "integer", "description": "Which write of a batch, counted from 0"},
                        "status": {"type": "integer"},
                    },
                },
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    });
    if secured {
        description["security"] = value!([{"token": []}]);
    }
    description
}

fn operation(route: &Route) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let text = value!({"type": "string"});
    let mut parameters: Vec<Value> =
        in_path.map(|name| value!({"name": name, "in": "path", "required": true, "schema": text})).collect();
    for name in route.kind.query().iter().chain(route.query) {
        parameters.push(value!({"name": name, "in": "query", "description": meaning(name), "schema": text}));
    }
    let header =
        |name: &str, meaning: &str| value!({"name": name, "in": "header", "description": meaning, "schema": text});
    if route.kind == RouteKind::Writes {
        parameters.push(header(IDEMPOTENCY_KEY, "32 hexadecimal digits or a UUID: the same key again does it once"));
    }
    if route.query.contains(&"revision") {
        parameters.push(header("if-match", "Only at this revision"));
    }
    if route.query.contains(&"after") {
        parameters.push(header("last-event-id", "Goes on behind this token, on whatever node"));
    }
    let streams = route.answer.starts_with("event:");
    let content = match serde_json::from_str::<Value>(route.answer) {
        Ok(example) if !streams => value!({"application/json": {"schema": {"type": "object"}, "example": example}}),
        _ => value!({"text/event-stream": {"schema": text}}),
    };
    let headers = match route.kind {
        RouteKind::Writes => value!({RECEIPT: {"schema": text, "description": "term=3,index=41,synced=2"}}),
        RouteKind::Reads => value!({INDEX: {"schema": text, "description": "The index of the state that answered"}}),
        RouteKind::Other => value!({}),
    };
    let problem = value!({
        "description": "It was not done, or it is unknown whether it was: see 'state'",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    let mut operation = value!({
        "operationId": route.name,
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            route.status.to_string(): {"description": "Well", "headers": headers, "content": content},
            "default": problem,
        },
    });
    if let Ok(example) = serde_json::from_str::<Value>(route.body) {
        let body = value!({"application/json": {"schema": {"type": ["object", "array"]}, "example": example}});
        operation["requestBody"] = value!({"content": body});
    }
    operation
}

fn meaning(name: &str) -> &'static str {
    match name {
        "within" => "Until when it is tried: 500ms, 10s, 2m",
        "level" => "linearizable (default), stale, or at_least:INDEX",
        "projection" => "Fields to show, as name,address.city, or to leave out, as -secret",
        "revision" => "Only at this revision",
        "replace" => "Only if the document is there",
        "upsert" => "A document that is not there is made from the patch",
        "after" => "Changes behind this index",
        "state" => "First all documents, then the changes behind that state",
        "filter" => "A filter as JSON: changes of other documents are told as 'out'",
        _ => "",
    }
}
