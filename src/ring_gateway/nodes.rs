//! The nodes, and what they say of one another.

use super::link::Link;
use super::server::Limits;
use crate::http::Token;
use crate::service::ring::netmap::{Netmap, Status};
use crate::service::ring::rendezvous::ranked;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Most nodes of a ring that are remembered.
const NODES_MAX: usize = 1024;

pub(super) struct Nodes {
    /// As they were named: they are never forgotten.
    named: Vec<String>,
    token: Option<Token>,
    pub(super) limits: Limits,
    poll: Duration,
    /// By address; held for one look or one change.
    seen: Mutex<Seen>,
    /// Somebody saw a node fail: the netmap is asked again at once.
    doubt: Notify,
    turn: AtomicUsize,
}

#[derive(Default)]
struct Seen {
    states: BTreeMap<String, Status>,
    /// As the last answer had it.
    netmap: Netmap,
}

impl Nodes {
    pub(super) fn new(named: Vec<String>, token: Option<Token>, limits: Limits, poll: Duration) -> Self {
        let (seen, doubt, turn) = (Mutex::default(), Notify::new(), AtomicUsize::new(0));
        Nodes { named, token, limits, poll, seen, doubt, turn }
    }

    /// In which order they are tried: first those that are alive, by the name, or in
    /// turn where there is none.
    pub(super) fn order(&self, name: Option<&[u8]>) -> Vec<String> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<String> = seen.states.keys().cloned().collect();
        all.extend(self.named.iter().filter(|node| !seen.states.contains_key(*node)).cloned());
        let mut order = ranked(name.unwrap_or(&turn), all);
        // what nobody has seen yet is tried before what is known to be down
        order.sort_by_key(|node| match seen.states.get(node) {
            Some(Status::Alive) => 0,
            Some(Status::Full) => 1,
            None => 2,
            Some(Status::Suspect) => 3,
            Some(Status::Joining | Status::Dead) => 4,
        });
        order
    }

    /// A connection to the first of them that answers.
    pub(super) async fn open(&self, order: impl IntoIterator<Item = String>) -> Result<Link, String> {
        let mut whys = Vec::new();
        for node in order {
            match Link::open(&node, self.token.as_ref(), &self.limits).await {
                Ok(link) => return Ok(link),
                Err(why) => {
                    log::info!(target: "nodewright::ring_gateway", "{node} is passed over: {why}");
                    whys.push(format!("{node}: {why}"));
                    self.failed(&node);
                }
            }
        }
        Err(format!("no node answers ({})", if whys.is_empty() { "none is known".into() } else { whys.join("; ") }))
    }

    /// A node did not do what it should: until the next poll it comes last.
    pub(super) fn failed(&self, node: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.states.insert(node.into(), Status::Suspect);
        drop(seen);
        self.doubt.notify_one();
    }

    /// The netmap as it was last told.
    pub(super) fn netmap(&self) -> Netmap {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).netmap.clone()
    }

    /// Asks for the netmap, again and again.
    pub(super) async fn watch(&self) {
        loop {
            self.look().await;
            let _ = tokio::time::timeout(self.poll, self.doubt.notified()).await; // either
            // failures come in crowds: one look for all of them
            tokio::time::sleep(self.limits.connect_within.min(Duration::from_millis(100))).await;
        }
    }

    async fn look(&self) {
        for node in self.order(None) {
            let Ok(mut link) = Link::open(&node, self.token.as_ref(), &self.limits).await else {
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).states.insert(node, Status::Suspect);
                continue;
            };
            let lines = async {
                link.say("NETMAP GET-ALL\n").await?;
                link.lines(NODES_MAX, |line| line == "OK").await
            };
            let Ok(Ok(lines)) = tokio::time::timeout(self.limits.answer_within, lines).await else { continue };
            match Netmap::from_lines(lines.iter().map(String::as_str)) {
                Ok(netmap) => return self.learn(&node, netmap),
                Err(why) => log::warn!(target: "nodewright::ring_gateway", "{node} tells no netmap: {why}"),
            }
        }
        log::warn!(target: "nodewright::ring_gateway", "no node tells the netmap");
    }

    /// The netmap has ports; or, where two nodes of a ring have one port, hosts too.
    fn learn(&self, from: &str, netmap: Netmap) {
        let host = from.rsplit_once(':').map_or(from, |(host, _)| host);
        let address = |port: &String| {
            if port.contains(':') {
                return port.clone();
            }
            let named = self.named.iter().find(|node| node.rsplit_once(':').is_some_and(|(_, own)| own == port));
            named.cloned().unwrap_or_else(|| format!("{host}:{port}"))
        };
        let states = netmap.0.iter().map(|(port, status)| (address(port), *status)).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen { states, netmap };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(named: &[&str]) -> Nodes {
        let named = named.iter().map(ToString::to_string).collect();
        Nodes::new(named, None, Limits::default(), Duration::from_secs(5))
    }

    #[test]
    fn the_living_come_first_in_the_order_of_the_name() {
        let nodes = nodes(&["h:7000", "h:7001", "h:7002"]);
        let before = nodes.order(Some(b"a"));
        nodes.learn("h:7000", Netmap::from_entries("7000=Alive,7001=Alive,7002=Alive").expect("a map"));
        assert_eq!(nodes.order(Some(b"a")), before);
        nodes.failed(&before[0]);
        assert_eq!(nodes.order(Some(b"a")), [&before[1..], &before[..1]].concat());
        let firsts: std::collections::BTreeSet<_> = (0..100).map(|_| nodes.order(None).remove(0)).collect();
        assert_eq!(firsts.len(), 2, "without a name they take turns");
    }

    #[test]
    fn ports_are_found_at_their_hosts() {
        let nodes = nodes(&["one:7000", "two:7001"]);
        let map = "7000=Dead,7001=Alive,7002=Alive,three:9=Joining";
        nodes.learn("two:7001", Netmap::from_entries(map).expect("a map"));
        let order = nodes.order(Some(b"a"));
        assert_eq!(order[..2].iter().collect::<std::collections::BTreeSet<_>>().len(), 2);
        assert!(order[..2].contains(&"two:7001".into()) && order[..2].contains(&"two:7002".into()), "{order:?}");
        assert!(order[2..].contains(&"one:7000".into()) && order[2..].contains(&"three:9".into()), "{order:?}");
    }
}
