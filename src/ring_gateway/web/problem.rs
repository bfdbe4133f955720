//! What goes wrong, as JSON.

use super::super::ask::Trouble;
use super::{Body, json};
use crate::http::gate::Stranger;
use crate::service::ring::text::answer::NoAnswer;
use crate::service::ring::text::reply::Code;
use hyper::{Response, StatusCode, header};
use serde_json::json;

#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    state: &'static str,
    /// Bytes of the file, where a range is not in it.
    size: Option<u64>,
}

impl Problem {
    /// Nothing was done.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Problem { status, code, message: message.into(), state: "not_done", size: None }
    }

    pub(super) fn range(size: u64) -> Self {
        let message = format!("the range is not in the file, which has {size} bytes");
        Problem { size: Some(size), ..Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", message) }
    }

    /// It may have been done.
    pub(super) fn unknown(trouble: &Trouble) -> Self {
        let message = format!("whether it was done is not known: {trouble}");
        Problem { state: "unknown", ..Problem::new(StatusCode::GATEWAY_TIMEOUT, "unknown", message) }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let Problem { status, code, message, state, size } = self;
        let mut response = json(status, &json!({ "code": code, "message": message, "state": state }));
        let headers = response.headers_mut();
        let mut insert = |name, value: &str| {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        };
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => insert(header::RETRY_AFTER, "1"),
            StatusCode::UNAUTHORIZED => insert(header::WWW_AUTHENTICATE, "Bearer"),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                insert(header::CONTENT_RANGE, &format!("bytes */{}", size.unwrap_or(0)));
            }
            _ => {}
        }
        response
    }
}

impl From<Stranger> for Problem {
    fn from(stranger: Stranger) -> Self {
        let (status, code) = match stranger.wants_token() {
            true => (StatusCode::UNAUTHORIZED, "unauthorized"),
            false => (StatusCode::FORBIDDEN, "foreign"),
        };
        Problem::new(status, code, format!("{stranger}: {}", stranger.hint()))
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        let (status, code) = match (&trouble, trouble.code()) {
            (Trouble::Client(_), _) => (StatusCode::BAD_REQUEST, "request"),
            (_, Some(Code::NotFound)) => (StatusCode::NOT_FOUND, "no_file"),
            (_, Some(Code::Conflict)) => (StatusCode::PRECONDITION_FAILED, "conflict"),
            (_, Some(Code::Full)) => (StatusCode::INSUFFICIENT_STORAGE, "full"),
            (_, Some(Code::Range)) => (StatusCode::RANGE_NOT_SATISFIABLE, "range"),
            (_, Some(Code::Auth)) => (StatusCode::BAD_GATEWAY, "auth"),
            (_, Some(Code::Busy)) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            (Trouble::Refused(NoAnswer::Refused { code: None, .. }), _) => (StatusCode::BAD_REQUEST, "refused"),
            (Trouble::Refused(NoAnswer::Odd(_)), _) => (StatusCode::BAD_GATEWAY, "odd"),
            (Trouble::Changed, _) => (StatusCode::CONFLICT, "changed"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Problem::new(status, code, trouble.to_string())
    }
}

impl From<NoAnswer> for Problem {
    fn from(answer: NoAnswer) -> Self {
        Trouble::Refused(answer).into()
    }
}
