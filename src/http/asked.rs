//! What a request says, read with its bounds.

use super::IDEMPOTENCY_KEY;
use super::problem::Problem;
use super::server::Limits;
use crate::protocol::replicated_log::{Key, Level};
use crate::service::documents::query::{DEPTH_MAX, too_deep};
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Until when something is tried, unless the request says otherwise, and at most.
const WITHIN: Duration = Duration::from_secs(10);
const WITHIN_MAX: Duration = Duration::from_secs(300);

/// A request to one route.
pub(super) struct Asked {
    /// Of the path, by name.
    pub(super) params: BTreeMap<String, String>,
    /// Of the query.
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A body of at most so many bytes, within its time.
pub(super) async fn read_body(headers: &HeaderMap, body: Body, limits: &Limits) -> Result<Bytes, Problem> {
    let too_long = || {
        let why = format!("the body has more than {} bytes", limits.body_bytes);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", why, "split it: many documents go in several batches")
    };
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > limits.body_bytes as u64) {
        return Err(too_long());
    }
    let collected = tokio::time::timeout(limits.body_within, Limited::new(body, limits.body_bytes).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(error)) => Err(Problem::bad("body", format!("the body breaks off: {error}"))),
        Err(_) => {
            let why = format!("the body did not come within {:?}", limits.body_within);
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "slow", why, "send it at once"))
        }
    }
}

impl Asked {
    /// A part of the path.
    pub(super) fn param(&self, name: &str) -> String {
        self.params.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.body.iter().all(u8::is_ascii_whitespace)
    }

    /// The body as JSON, not too deep.
    pub(super) fn value(&self) -> Result<Value, Problem> {
        let value: Value = serde_json::from_slice(&self.body).map_err(|error| {
            if error.to_string().starts_with("recursion limit") {
                deep()
            } else {
                let hint = "NaN and infinities are no JSON; numbers beyond 1.8e308 are none that can be held";
                Problem::new(StatusCode::BAD_REQUEST, "json", format!("the body is no JSON: {error}"), hint)
            }
        })?;
        if too_deep(&value) { Err(deep()) } else { Ok(value) }
    }

    /// The body as what a route takes.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        T::deserialize(self.value()?).map_err(|error| {
            let hint = "see /v1/openapi.json for what is taken; nothing was done";
            Problem::new(StatusCode::BAD_REQUEST, "request", format!("the body is not what is taken: {error}"), hint)
        })
    }

    /// The same, with nothing for an empty one.
    pub(super) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.is_empty() { Ok(T::default()) } else { self.json() }
    }

    /// `level=linearizable`, `stale` or `at_least:INDEX`.
    pub(super) fn level(&self) -> Result<Level, Problem> {
        match self.query.get("level").map(String::as_str) {
            None | Some("linearizable") => Ok(Level::Linearizable),
            Some("stale") => Ok(Level::Stale),
            Some(text) => match text.strip_prefix("at_least:").and_then(|index| index.parse().ok()) {
                Some(index) => Ok(Level::AtLeast(index)),
                None => {
                    Err(Problem::bad("level", format!("'{text}' is no level: linearizable, stale or at_least:INDEX")))
                }
            },
        }
    }

    /// `within=500ms`, or seconds.
    pub(super) fn within(&self) -> Result<Duration, Problem> {
        let Some(text) = self.query.get("within") else { return Ok(WITHIN) };
        let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
        let factor = match unit {
            "ms" => Some(1),
            "s" | "" => Some(1000),
            "m" => Some(60_000),
            _ => None,
        };
        let ms = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
        match ms.map(Duration::from_millis).filter(|within| !within.is_zero() && *within <= WITHIN_MAX) {
            Some(within) => Ok(within),
            None => Err(Problem::bad("within", format!("'{text}' is no time up to 5m: write 500ms, 10s or 2m"))),
        }
    }

    /// The idempotency key.
    pub(super) fn key(&self) -> Result<Option<Key>, Problem> {
        self.headers.get(IDEMPOTENCY_KEY).map(|value| read_key(value.to_str().unwrap_or_default())).transpose()
    }

    /// The revision that a document must have: `If-Match`, or `revision=`.
    pub(super) fn revision(&self) -> Result<Option<u64>, Problem> {
        let header = self.headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default());
        let Some(text) = header.or(self.query.get("revision").map(String::as_str)) else { return Ok(None) };
        let number = text.trim_matches('"').parse().map(Some);
        number.map_err(|_| Problem::bad("revision", format!("'{text}' is no revision: a document tells its own")))
    }

    /// A number of the query.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let parse = |text: &String| text.parse().map_err(|_| Problem::bad(name, format!("{name}={text} is no number")));
        self.query.get(name).map(parse).transpose()
    }

    /// A switch of the query: `upsert=true`, or the bare name.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.query.get(name).map(String::as_str) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1" | "") => Ok(true),
            Some(other) => Err(Problem::bad(name, format!("{name}={other} is neither true nor false"))),
        }
    }
}

/// Reads 32 hexadecimal digits, with or without a UUID's dashes.
pub(super) fn read_key(text: &str) -> Result<Key, Problem> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let is_key = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key.then(|| Key::from_str_radix(&digits, 16).ok()).flatten().ok_or_else(|| {
        Problem::bad(
            "idempotency_key",
            "an idempotency key is 32 hexadecimal digits, or a UUID; a new random one for each write",
        )
    })
}

fn deep() -> Problem {
    let why = format!("the body is nested deeper than {DEPTH_MAX}");
    Problem::new(StatusCode::BAD_REQUEST, "too_deep", why, "flatten it, or keep the inner part as a string")
}
