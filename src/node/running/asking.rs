//! Requests and services of other nodes, and whom to ask.

use super::Running;
use crate::error::CallError;
use crate::id::{Kind, Life, NodeId};
use crate::node::error::SendError;
use crate::node::message::Message;
use crate::node::running::sending::encode;
use crate::node::services::request_name;
use crate::protocol::request::{self, Answer, Ask, Params, service_name};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Which node: by name, by id, or by a life of it.
#[derive(Copy, Clone, Debug)]
pub enum Whom<'a> {
    /// The node of this name, once it has been linked.
    Name(&'a str),
    /// The node with this id.
    Id(NodeId),
}

impl<'a> From<&'a str> for Whom<'a> {
    fn from(name: &'a str) -> Self {
        Whom::Name(name)
    }
}

impl From<NodeId> for Whom<'_> {
    fn from(id: NodeId) -> Self {
        Whom::Id(id)
    }
}

impl From<Life> for Whom<'_> {
    fn from(life: Life) -> Self {
        Whom::Id(life.node)
    }
}

impl Running {
    /// Asks a node for one thing and waits for its answer, until `deadline`
    /// has passed.
    ///
    /// # Errors
    /// Says whether it was done: refused (not done), or unknown.
    pub fn request<'w, Q: Message, R: Message>(
        &self,
        to: impl Into<Whom<'w>>,
        request: &Q,
        deadline: Duration,
    ) -> Result<R, CallError> {
        let refused = |error: SendError| CallError::Refused(error.to_string());
        let (_, body) = encode(request).map_err(refused)?;
        let name = request_name(Q::KIND);
        let bytes = self.ask(to.into(), name, Q::VERSION, Params::new(), body.into(), deadline)?;
        postcard::from_bytes(&bytes).map_err(|_| CallError::Failed(format!("done, but its answer is no '{}'", R::KIND)))
    }

    /// Calls a named service of a node.
    ///
    /// # Errors
    /// As [`Running::request`].
    pub fn call_service<'w>(
        &self,
        to: impl Into<Whom<'w>>,
        service: &str,
        params: Params,
        data: &[u8],
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        let name = service_name(service).into();
        self.ask(to.into(), name, 1, params, Bytes::copy_from_slice(data), deadline)
    }

    fn ask(
        &self,
        to: Whom<'_>,
        name: Arc<str>,
        version: u16,
        params: Params,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        let to = self.whom(to).map_err(|error| CallError::Refused(error.to_string()))?;
        let ask = Ask { to: request::Peer::Node(to), name, version, params, body, within };
        let answer = self.node.handle.call(Kind::of("request"), Box::new(request::Call::Ask(ask)), within)?;
        match answer.downcast::<Answer>() {
            Ok(answer) => *answer,
            Err(_) => Err(CallError::Failed("the answer is none of a request".into())),
        }
    }

    pub(super) fn whom(&self, whom: Whom<'_>) -> Result<NodeId, SendError> {
        match whom {
            Whom::Id(id) => Ok(id),
            Whom::Name(name) if name == self.node.name => Ok(self.life().node),
            Whom::Name(name) => self.node.shared.roster.named(name).ok_or_else(|| {
                let known: Vec<_> = self.peers().iter().map(|peer| peer.name.to_string()).collect();
                SendError::UnknownNode(name.into(), known.join(", "))
            }),
        }
    }
}
