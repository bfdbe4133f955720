//! One connection: one request at a time.

use super::Reply;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one address may take to link.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

pub(super) struct Connection {
    sender: SendRequest<Body>,
}

/// Why there is no answer.
pub(super) enum Broken {
    NotSent(String),
    Sent(String),
}

impl Connection {
    pub(super) async fn open(address: &str, within: Duration) -> Result<Self, Broken> {
        let not_sent = |why: &dyn std::fmt::Display| Broken::NotSent(why.to_string());
        let stream = timeout(within.min(CONNECT_WITHIN), TcpStream::connect(address)).await;
        let stream = stream.map_err(|_| not_sent(&"no answer in time"))?.map_err(|error| not_sent(&error))?;
        stream.set_nodelay(true).map_err(|error| not_sent(&error))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| not_sent(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                log::debug!(target: "nodewright::http", "a connection broke: {error}");
            }
        });
        Ok(Connection { sender })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request; its answer begins within this time.
    pub(super) async fn begin(
        &mut self,
        method: &'static str,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
        within: Duration,
    ) -> Result<hyper::Response<Incoming>, Broken> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method.parse().map_err(|_| Broken::NotSent(format!("{method} is no method")))?;
        *request.uri_mut() = target.parse().map_err(|_| Broken::NotSent(format!("{target} is no path")))?;
        *request.headers_mut() = headers;
        let ready = timeout(within, self.sender.ready()).await;
        match ready {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Broken::NotSent(error.to_string())),
            Err(_) => return Err(Broken::NotSent("the connection is not ready in time".into())),
        }
        match timeout(within, self.sender.send_request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_canceled() => Err(Broken::NotSent(error.to_string())),
            Ok(Err(error)) => Err(Broken::Sent(error.to_string())),
            Err(_) => Err(Broken::Sent(format!("no answer within {within:?}"))),
        }
    }

    /// A request and its whole answer.
    pub(super) async fn ask(
        &mut self,
        method: &'static str,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
        within: Duration,
    ) -> Result<Reply, Broken> {
        let response = self.begin(method, target, headers, body, within).await?;
        whole(response, within).await
    }
}

/// An answer with all its body.
pub(super) async fn whole(response: hyper::Response<Incoming>, within: Duration) -> Result<Reply, Broken> {
    let (parts, body) = response.into_parts();
    match timeout(within, Limited::new(body, ANSWER_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes() }),
        Ok(Err(error)) => Err(Broken::Sent(format!("the answer breaks off: {error}"))),
        Err(_) => Err(Broken::Sent("the answer does not end in time".into())),
    }
}
