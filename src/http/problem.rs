//! What goes wrong, as JSON: `{"code", "message", "state", "hint"}`.

use crate::service::documents::{DocumentError, Fate, Refusal};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a request brought no result.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// A short name for programs.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// What is known of what was asked.
    pub state: Fate,
    /// What to do next.
    pub hint: String,
    /// Which write of a batch, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<usize>,
    /// The status of the answer.
    #[serde(default)]
    pub status: u16,
}

impl Problem {
    /// Nothing was done.
    pub(super) fn new(status: StatusCode, code: &str, message: impl fmt::Display, hint: impl Into<String>) -> Self {
        Problem {
            code: code.into(),
            message: message.to_string(),
            state: Fate::NotDone,
            hint: hint.into(),
            write: None,
            status: status.as_u16(),
        }
    }

    /// The request itself is wrong.
    pub(super) fn bad(code: &str, message: impl fmt::Display) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, code, message, "see /v1/openapi.json for what is taken")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            Fate::Done => "done",
            Fate::NotDone => "not done",
            Fate::Unknown => "unknown whether done",
        };
        write!(f, "{} ({state})", self.message)?;
        if let Some(write) = self.write {
            write!(f, ", write {write} of the batch")?;
        }
        if self.hint.is_empty() { Ok(()) } else { write!(f, ": {}", self.hint) }
    }
}

impl std::error::Error for Problem {}

/// The status of a refusal, and what to do.
fn of_refusal(why: &Refusal) -> (StatusCode, &'static str) {
    match why {
        Refusal::NoCollection(_) => (StatusCode::NOT_FOUND, "PUT /v1/collections/NAME creates it"),
        Refusal::NoDocument { .. } | Refusal::NoIndex { .. } => (StatusCode::NOT_FOUND, "check the name"),
        Refusal::Exists { .. } | Refusal::Unique { .. } | Refusal::Differs(_) => {
            (StatusCode::CONFLICT, "read what is there, then decide")
        }
        Refusal::Revision { .. } => {
            (StatusCode::PRECONDITION_FAILED, "read the document again, and repeat with its revision")
        }
        Refusal::Full { .. } => (StatusCode::INSUFFICIENT_STORAGE, "delete something, or raise the memory budget"),
        Refusal::Patch { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "read the document, and write a patch that fits it")
        }
        Refusal::TooMany { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "split it"),
        Refusal::Scan { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "create an index, or raise 'examined_max'"),
        Refusal::CursorExpired { .. } => (StatusCode::GONE, "begin anew without a cursor"),
        Refusal::CursorForeign(_) => (StatusCode::BAD_REQUEST, "begin anew without a cursor"),
        Refusal::Unreadable => (StatusCode::INTERNAL_SERVER_ERROR, "bring all nodes to one version"),
        _ => (StatusCode::BAD_REQUEST, "correct it; nothing was changed"),
    }
}

impl From<DocumentError> for Problem {
    fn from(error: DocumentError) -> Self {
        let state = error.fate();
        let (status, code, hint, write) = match &error {
            DocumentError::Refused { step, why, .. } => {
                let (status, hint) = of_refusal(why);
                (status, why.code(), hint, Some(*step).filter(|step| *step > 0))
            }
            DocumentError::NotDone(_) => {
                let hint = "ask again, here or at another node: a majority of the nodes must be up and in touch";
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", hint, None)
            }
            DocumentError::Done(_) => {
                let hint = "GET /v1/outcome/KEY tells what it came to, where it had a key";
                (StatusCode::INTERNAL_SERVER_ERROR, "answer_lost", hint, None)
            }
            DocumentError::Unknown(_) => {
                let hint = "repeat it with the same idempotency key, or GET /v1/outcome/KEY; without a key read before you repeat";
                (StatusCode::GATEWAY_TIMEOUT, "unknown", hint, None)
            }
        };
        let message = match &error {
            DocumentError::Refused { why, .. } => why.to_string(),
            DocumentError::NotDone(why) | DocumentError::Done(why) | DocumentError::Unknown(why) => why.clone(),
        };
        Problem { state, write, ..Problem::new(status, code, message, hint) }
    }
}

impl From<Refusal> for Problem {
    fn from(why: Refusal) -> Self {
        DocumentError::refused(why).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let retry = match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some("1"),
            _ => None,
        };
        if let Some(after) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(after));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
