//! What requests are told when they are composed.

use super::{Reply, Request};
use crate::component::Erased;
use crate::id::Kind;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A handler run right where the request arrives, perhaps on the thread that
/// read it: short, never blocking, its answer a function of the request and of
/// what it only reads. One that panics has failed; the node goes on.
pub type Respond = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A component that answers requests: it is called with what `wrap` makes of
/// the request (one of its own calls, boxed) and replies with a [`Reply`].
#[derive(Copy, Clone, Debug)]
pub struct Route {
    /// The component.
    pub component: Kind,
    /// Makes a boxed `C::Call` of a request, for the component's type `C`.
    pub wrap: fn(Request) -> Erased,
}

/// Who answers requests of one name.
#[derive(Clone)]
pub enum Responder {
    /// A short function, in place.
    InPlace(Respond),
    /// A component.
    Component(Route),
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Responder::InPlace(_) => f.write_str("in place"),
            Responder::Component(route) => write!(f, "component {:?}", route.component),
        }
    }
}

/// Configuration of [`Requests`](super::Requests).
#[derive(Clone, Debug)]
pub struct Config {
    /// Who answers what, by the hash of the request's name.
    pub responders: BTreeMap<Kind, Responder>,
    /// Requests that wait for an answer, to one peer. One more is refused.
    pub asked_per_peer_max: usize,
    /// Requests that wait for an answer, in all. One more is refused.
    pub asked_max: usize,
    /// Requests of one peer that components here are still answering. One more
    /// is refused.
    pub serving_per_peer_max: usize,
    /// Requests that components here are still answering, in all. One more is
    /// refused.
    pub serving_max: usize,
    /// Longest body of a request or a reply, at most 15 MiB. A longer one is
    /// refused before it is sent.
    pub body_bytes_max: usize,
    /// Bytes on the way to one peer that its link did not acknowledge. A
    /// request beyond is refused; a peer that asks on without taking replies
    /// is refused too, and at twice this is no longer answered at all. At least
    /// `body_bytes_max`.
    pub unacknowledged_bytes_max: u64,
    /// A component is given up after this time even if the asker would wait
    /// longer.
    pub serve_within_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            responders: BTreeMap::new(),
            asked_per_peer_max: 4096,
            asked_max: 16_384,
            serving_per_peer_max: 1024,
            serving_max: 4096,
            body_bytes_max: 8 << 20,
            unacknowledged_bytes_max: 32 << 20,
            serve_within_max: Duration::from_secs(600),
        }
    }
}

impl Config {
    /// Answers requests named `name` in place.
    pub fn respond(mut self, name: &str, respond: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        self.responders.insert(Kind::of(name), Responder::InPlace(Arc::new(respond)));
        self
    }

    /// Hands requests named `name` to a component.
    pub fn route(mut self, name: &str, route: Route) -> Self {
        self.responders.insert(Kind::of(name), Responder::Component(route));
        self
    }

    /// What is wrong with these values, and what would be right; `None` if
    /// nothing is.
    pub fn fault(&self) -> Option<String> {
        const BODY_BYTES_MAX: usize = 15 << 20;
        if self.body_bytes_max > BODY_BYTES_MAX {
            return Some(format!("body_bytes_max is {}: links carry at most {BODY_BYTES_MAX}", self.body_bytes_max));
        }
        (self.unacknowledged_bytes_max < self.body_bytes_max as u64).then(|| {
            format!(
                "unacknowledged_bytes_max is {}, less than one body of {}: raise it",
                self.unacknowledged_bytes_max, self.body_bytes_max
            )
        })
    }
}
