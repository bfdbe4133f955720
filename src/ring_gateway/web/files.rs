//! Files out, away and listed.

use super::super::ask::{Trouble, ask, ask_line};
use super::super::reading::Reading;
use super::super::server::Shared;
use super::problem::Problem;
use super::range::{Wanted, wanted};
use super::{Answer, Body, json, whole};
use crate::service::ring::name::{Name, unpercent};
use crate::service::ring::text::answer::{Listed, NoAnswer, Row, Stat, version};
use crate::service::ring::text::reply::Code;
use crate::service::ring::text::{Listing, Request as Line};
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

/// How often a file that is overwritten just then is looked at again.
const TRIES_MAX: u32 = 5;
/// Rows of a page.
const PAGE_MAX: u32 = 1000;

/// What stands under a name.
pub(super) async fn stat(shared: &Shared, name: &Name) -> Result<Stat, Trouble> {
    let stat = Stat::read(&ask_line(&shared.nodes, &Line::Stat(name.clone())).await?)?;
    if stat.deleted {
        let text = format!("NOT-FOUND {name}");
        return Err(NoAnswer::Refused { code: Some(Code::NotFound), text }.into());
    }
    Ok(stat)
}

/// The tag of a content: its root.
pub(super) fn tag(root: &str) -> String {
    format!("\"{root}\"")
}

/// Whether a header names this tag.
pub(super) fn names(header: Option<&HeaderValue>, tag: &str) -> bool {
    let Some(given) = header.and_then(|value| value.to_str().ok()) else { return false };
    given.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

pub(super) async fn get(shared: &Arc<Shared>, name: Name, request: &Request<Incoming>) -> Answer {
    let headers = request.headers();
    for _ in 0..TRIES_MAX {
        let stat = stat(shared, &name).await?;
        let tag = tag(&stat.root);
        if names(headers.get(header::IF_NONE_MATCH), &tag) {
            return Ok(headed(StatusCode::NOT_MODIFIED, &stat, None, whole(Bytes::new())));
        }
        let same = headers.get(header::IF_RANGE).is_none_or(|given| given.as_bytes() == tag.as_bytes());
        let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).filter(|_| same);
        let (status, offset, length) = match wanted(range, stat.size) {
            Wanted::Whole => (StatusCode::OK, 0, stat.size),
            Wanted::Part(offset, length) => (StatusCode::PARTIAL_CONTENT, offset, length),
            Wanted::Beyond => return Err(Problem::range(stat.size)),
        };
        if request.method() == Method::HEAD || length == 0 {
            return Ok(headed(status, &stat, Some((offset, length)), whole(Bytes::new())));
        }
        let reading = Reading::begin(shared.nodes.clone(), name.clone(), offset, length).await?;
        // else it was overwritten between the two
        if (reading.version(), reading.size()) == (stat.version, stat.size) {
            let (sender, body) = Channel::new(1);
            tokio::spawn(pass_on(reading, sender));
            return Ok(headed(status, &stat, Some((offset, length)), body.boxed_unsync()));
        }
    }
    Err(Trouble::Changed.into())
}

/// A body that breaks off breaks the connection: it is shorter than its head says.
async fn pass_on(mut reading: Reading, mut sender: Sender<Bytes, Trouble>) {
    loop {
        match reading.next().await {
            Ok(Some(bytes)) => {
                if sender.send_data(bytes).await.is_err() {
                    return; // the client is gone
                }
            }
            Ok(None) => return,
            Err(trouble) => {
                log::warn!(target: "nodewright::ring_gateway", "a client's answer breaks off: {trouble}");
                return sender.abort(trouble);
            }
        }
    }
}

fn headed(status: StatusCode, stat: &Stat, range: Option<(u64, u64)>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let insert = |headers: &mut HeaderMap, name: header::HeaderName, value: String| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    insert(headers, header::ETAG, tag(&stat.root));
    insert(headers, header::ACCEPT_RANGES, "bytes".into());
    insert(headers, header::HeaderName::from_static("x-version"), stat.version.to_string());
    if let Some((offset, length)) = range {
        insert(headers, header::CONTENT_TYPE, "application/octet-stream".into());
        // what others stored is never a page of this host
        insert(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff".into());
        insert(headers, header::CONTENT_LENGTH, length.to_string());
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {offset}-{}/{}", offset + length.max(1) - 1, stat.size);
            insert(headers, header::CONTENT_RANGE, range);
        }
    }
    response
}

pub(super) async fn delete(shared: &Arc<Shared>, name: Name) -> Answer {
    match ask_line(&shared.nodes, &Line::Delete(name)).await {
        Ok(line) => Ok(json(StatusCode::OK, &json!({ "version": version(&line)? }))),
        Err(trouble @ Trouble::Broken { .. }) => Err(Problem::unknown(&trouble)),
        Err(trouble) => Err(trouble.into()),
    }
}

fn row(row: &Row) -> Value {
    let Row { name, start, size, version, parts, copies, mtime_ms, root } = row;
    json!({ "name": name, "start": start, "size": size, "version": version, "parts": parts, "copies": copies,
        "mtime_ms": mtime_ms, "root": root })
}

/// A page, and behind which name the next begins.
async fn page(shared: &Shared, listing: Listing) -> Result<(Vec<Row>, Option<Vec<u8>>), Trouble> {
    let last = |line: &str| matches!(Listed::read(line), Ok(Listed::End(_)) | Err(_));
    let lines = ask(&shared.nodes, &Line::ListPage(listing), last).await?;
    let (mut rows, mut after) = (Vec::new(), None);
    for line in &lines {
        match Listed::read(line)? {
            Listed::Header => {}
            Listed::Row(row) => rows.push(row),
            Listed::End(end) => after = end,
        }
    }
    Ok((rows, after))
}

pub(super) async fn list(shared: &Arc<Shared>, query: &str) -> Answer {
    let wrong = |why: String| Problem::new(StatusCode::BAD_REQUEST, "query", why);
    let mut listing = Listing { prefix: Vec::new(), after: Vec::new(), limit: PAGE_MAX };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = unpercent(value.replace('+', " ").as_bytes());
        let value = value.ok_or_else(|| wrong(format!("{key}: a % without two hexadecimal digits behind it")))?;
        match key {
            "prefix" => listing.prefix = value,
            "after" => listing.after = value,
            "limit" => {
                let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                let limit: u32 = number.filter(|limit| *limit > 0).ok_or_else(|| wrong("limit: a number".into()))?;
                listing.limit = limit.min(PAGE_MAX);
            }
            _ => return Err(wrong(format!("'{key}' is none of prefix, after, limit"))),
        }
    }
    let (rows, after) = page(shared, listing).await?;
    let after = after.map(|name| String::from_utf8_lossy(&name).into_owned());
    Ok(json(StatusCode::OK, &json!({ "files": rows.iter().map(row).collect::<Vec<_>>(), "after": after })))
}

/// All files as one array, page by page.
pub(super) fn all(shared: &Arc<Shared>) -> Response<Body> {
    let (mut sender, body) = Channel::<Bytes, Trouble>::new(1);
    let shared = shared.clone();
    tokio::spawn(async move {
        let mut after = Vec::new();
        let mut before = "[";
        loop {
            let (rows, next) = match page(&shared, Listing { prefix: Vec::new(), after, limit: PAGE_MAX }).await {
                Ok(page) => page,
                Err(trouble) => return sender.abort(trouble),
            };
            let mut text = String::new();
            for file in &rows {
                text.push_str(before);
                text.push_str(&row(file).to_string());
                before = ",";
            }
            if next.is_none() {
                text.push_str(if before == "[" { "[]" } else { "]" });
            }
            if sender.send_data(text.into()).await.is_err() {
                return; // the client is gone
            }
            match next {
                Some(next) => after = next,
                None => return,
            }
        }
    });
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
