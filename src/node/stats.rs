//! A node's statistics as JSON, its own and those of all that it reaches: what
//! [`Client::collect_stats`](super::Client::collect_stats) brings.

use super::app::Shared;
use super::services::STATS;
use crate::component::PeerRole;
use crate::id::Kind;
use crate::protocol::request::{self, Answer, Ask, Peer, Reply};
use crate::runtime::Handle;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long another node's statistics are waited for.
const PEER_WITHIN: Duration = Duration::from_secs(6);

/// Collects statistics from outside the components. Without a handle (in the
/// simulator, before the start) there are none.
#[derive(Clone)]
pub(super) struct Stats {
    name: Arc<str>,
    shared: Arc<Shared>,
    handle: Arc<OnceLock<Handle>>,
    of_all: bool,
}

impl Stats {
    pub(super) fn new(name: &str, shared: Arc<Shared>) -> Self {
        Stats { name: name.into(), shared, handle: Arc::default(), of_all: false }
    }

    /// The node runs.
    pub(super) fn started(&self, handle: Handle) {
        // Set once: a node is started by value.
        let _ = self.handle.set(handle);
    }

    pub(super) fn of_all(self, of_all: bool) -> Self {
        Stats { of_all, ..self }
    }

    /// Blocks until the components have answered.
    pub(super) fn collect(&self) -> Reply {
        let Some(handle) = self.handle.get() else {
            return Reply::Refused("this node has no statistics yet".into());
        };
        let stats = if self.of_all { self.all(handle) } else { self.own(handle) };
        Reply::Done(Bytes::from(stats.to_string()))
    }

    /// `{"alpha": {...}, "beta": {...}, "gamma": {"unreachable": "why"}}`
    fn all(&self, handle: &Handle) -> Value {
        let peers = self.shared.roster.list().into_iter().filter(|peer| peer.alive && peer.role != PeerRole::Client);
        let asked: Vec<_> = peers.map(|peer| (peer.name, ask(handle, Peer::Life(peer.life)))).collect();
        let mut all = Map::from_iter([(self.name.to_string(), self.own(handle))]);
        for (name, answered) in asked {
            let stats = answered
                .recv()
                .map_err(|_| "the node is stopping".to_string())
                .and_then(|answer| answer.map_err(|error| error.to_string()))
                .and_then(|answer| answer.downcast::<Answer>().map_err(|_| "no answer of a request".to_string()))
                .and_then(|answer| answer.map_err(|error| error.to_string()))
                .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
            all.insert(name.to_string(), stats.unwrap_or_else(|why| json!({ "unreachable": why })));
        }
        Value::Object(all)
    }

    /// Identity, counters, and every component's rows by name.
    pub(super) fn own(&self, handle: &Handle) -> Value {
        let components = handle.inspect().into_iter().map(|(name, inspection)| {
            let rows = inspection.rows.into_iter().map(|(row, value)| (row, Value::from(value)));
            (name.to_string(), Value::Object(rows.collect()))
        });
        let peers = self.shared.roster.list().into_iter().map(|peer| {
            let (life, role) = (peer.life.to_string(), format!("{:?}", peer.role).to_lowercase());
            json!({ "name": &*peer.name, "life": life, "role": role, "alive": peer.alive, "suspected": peer.suspected })
        });
        json!({
            "name": &*self.name,
            "life": handle.life().to_string(),
            "address": handle.local_addr().map(|address| address.to_string()),
            "peers": peers.collect::<Vec<_>>(),
            "runtime": handle.counters().rows().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "links": handle.links().map(|links| {
                let counted = links.counters();
                json!({
                    "refused": counted.refused,
                    "impostors": counted.impostors,
                    "sessions": counted.sessions,
                    "bytes_in": counted.bytes_in,
                    "bytes_out": counted.bytes_out,
                    "resent": counted.resent,
                    "duplicates": counted.duplicates,
                    "malformed": counted.malformed,
                })
            }),
            "components": Value::Object(components.collect()),
        })
    }
}

fn ask(handle: &Handle, to: Peer) -> flume::Receiver<crate::runtime::Answer> {
    let ask = Ask { to, name: STATS.into(), version: 1, params: Vec::new(), body: Bytes::new(), within: PEER_WITHIN };
    handle.call_later(Kind::of("request"), Box::new(request::Call::Ask(ask)), PEER_WITHIN)
}
