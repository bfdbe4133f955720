//! A client of HTTP.
//!
//! | request | does |
//! |---|---|
//! | `GET`, `HEAD /files/<name>` | the file; `Range` of one range (206, 416), `If-Range`; its BLAKE3 root is the `ETag`, so `If-None-Match` (304) |
//! | `PUT`, `POST /files/<name>` | stores the body; `If-None-Match: *` only where nothing is, `If-Match: "<root>"` only over that; 412 otherwise |
//! | `DELETE /files/<name>` | deletes it |
//! | `GET /files?prefix=&after=&limit=` | `{"files":[..],"after":<name or null>}` |
//! | `GET /netmap` | `{"7000":"Alive",..}`, five states |
//! | `GET /health` | 200 while a node is alive |
//! | `GET /api/nodes`, `/netmap/get`; `GET /api/files`, `/file/list`; `POST /api/upload`, `/file/push` with `X-Filename`; `GET /file/pull/<name>`; `POST /network/heal` | as the original's gateway has them |
//!
//! Names are percent-encoded in paths. A push has to begin with its size, and nothing is
//! spooled: a body with `Content-Length` is streamed, a chunked one is streamed if
//! `X-File-Size` says how long it will be, and else taken up to 256 KiB, with 411
//! beyond. A body that is shorter or longer than what was said stores nothing.
//!
//! What goes wrong is `{"code":..,"message":..,"state":"done"|"not_done"|"unknown"}`.

mod files;
mod problem;
mod range;
mod routes;
mod upload;

use super::ask::Trouble;
use super::server::Shared;
use crate::http::patient::Patient;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use problem::Problem;
use serde::Serialize;
use std::convert::Infallible;
use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;

pub(super) type Body = UnsyncBoxBody<Bytes, Trouble>;
type Answer = Result<Response<Body>, Problem>;

/// Whether what a client says begins as HTTP does.
pub(super) fn speaks_http(said: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] =
        [b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE "];
    METHODS.iter().any(|method| said.starts_with(method))
}

/// Serves a connection of which this much was read.
pub(super) async fn serve(stream: TcpStream, said: Bytes, from: SocketAddr, shared: &Arc<Shared>) -> io::Result<()> {
    let (read, write) = stream.into_split();
    let rewound = tokio::io::join(Cursor::new(said).chain(read), write);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(shared.limits.head_within)
        .max_buf_size(HEAD_BYTES_MAX)
        // netcat ends what it says before it is answered
        .half_close(true);
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(request, from, shared).await.unwrap_or_else(Problem::into_response))
    });
    let io = TokioIo::new(Patient::new(rewound, shared.limits.stall_within));
    let mut connection = std::pin::pin!(http.serve_connection(io, service));
    let mut stopping = shared.stopping.clone();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(io::Error::other)
}

async fn answer(request: Request<Incoming>, from: SocketAddr, shared: &Arc<Shared>) -> Answer {
    if !shared.may(from) {
        let why = format!("more than {} requests a second", shared.limits.requests_per_second);
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", why));
    }
    crate::http::gate::admit(shared.token.as_ref(), request.headers()).map_err(Problem::from)?;
    routes::answer(request, shared).await
}

/// A body that is there.
fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A JSON answer.
fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(whole(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
