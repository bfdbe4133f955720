//! Paths.

use super::super::ask::{ask, ask_line};
use super::super::server::Shared;
use super::problem::Problem;
use super::{Answer, files, json, upload};
use crate::service::ring::name::{Name, unpercent};
use crate::service::ring::netmap::{Netmap, Status};
use crate::service::ring::text::Request as Line;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode, header};
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(super) async fn answer(request: Request<Incoming>, shared: &Arc<Shared>) -> Answer {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let read = method == Method::GET || method == Method::HEAD;
    if let Some(text) = path.strip_prefix("/files/").filter(|text| !text.is_empty()) {
        let name = name(text)?;
        return match method {
            Method::GET | Method::HEAD => files::get(shared, name, &request).await,
            Method::PUT | Method::POST => upload::put(shared, name, request).await,
            Method::DELETE => files::delete(shared, name).await,
            _ => Err(not_allowed("GET, HEAD, PUT, POST, DELETE")),
        };
    }
    if let Some(text) = path.strip_prefix("/file/pull/") {
        return if read { files::get(shared, name(text)?, &request).await } else { Err(not_allowed("GET, HEAD")) };
    }
    match path.as_str() {
        "/files" if read => files::list(shared, request.uri().query().unwrap_or_default()).await,
        "/netmap" if read => Ok(netmap(shared.nodes.netmap(), |status| status)),
        "/health" if read => health(&shared.nodes.netmap()),
        "/api/nodes" | "/netmap/get" if read => fresh(shared).await,
        "/api/files" | "/file/list" if read => Ok(files::all(shared)),
        "/api/upload" | "/file/push" if method == Method::POST || method == Method::PUT => {
            let given = request.headers().get("x-filename").map(|value| value.as_bytes().to_vec());
            let missing = || Problem::new(StatusCode::BAD_REQUEST, "name", "the header X-Filename is missing");
            upload::put(shared, of_bytes(&given.ok_or_else(missing)?)?, request).await
        }
        "/network/heal" if method == Method::POST => {
            let line = ask_line(&shared.nodes, &Line::Heal).await?;
            Ok(json(StatusCode::OK, &json!({ "message": line.trim_start_matches("OK ") })))
        }
        "/files" | "/netmap" | "/health" | "/api/nodes" | "/netmap/get" | "/api/files" | "/file/list" => {
            Err(not_allowed("GET, HEAD"))
        }
        "/api/upload" | "/file/push" | "/network/heal" => Err(not_allowed("POST")),
        _ => {
            let why = "there is no such path: /files, /files/<name>, /netmap, /health, /network/heal";
            Err(Problem::new(StatusCode::NOT_FOUND, "path", why))
        }
    }
}

fn not_allowed(methods: &str) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", format!("this path takes {methods}"))
}

fn name(text: &str) -> Result<Name, Problem> {
    let wrong = || Problem::new(StatusCode::BAD_REQUEST, "name", "a % without two hexadecimal digits behind it");
    of_bytes(&unpercent(text.as_bytes()).ok_or_else(wrong)?)
}

fn of_bytes(bytes: &[u8]) -> Result<Name, Problem> {
    Name::from_bytes(bytes).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "name", error.to_string()))
}

fn netmap(map: Netmap, shown: impl Fn(Status) -> Status) -> hyper::Response<super::Body> {
    let states: Map<String, Value> =
        map.0.into_iter().map(|(port, status)| (port, Value::String(shown(status).to_string()))).collect();
    let mut response = json(StatusCode::OK, &states);
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

/// The netmap as a node has it now, in two states.
async fn fresh(shared: &Arc<Shared>) -> Answer {
    let lines = ask(&shared.nodes, &Line::Netmap { all: false }, |line| line == "OK").await?;
    let map = Netmap::from_lines(lines.iter().map(String::as_str));
    let map = map.map_err(|why| Problem::new(StatusCode::BAD_GATEWAY, "odd", why))?;
    Ok(netmap(map, Status::plain))
}

fn health(map: &Netmap) -> Answer {
    let alive = map.0.values().filter(|status| status.plain() == Status::Alive).count();
    let told = json!({ "nodes": map.0.len(), "alive": alive });
    Ok(json(if alive > 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &told))
}
