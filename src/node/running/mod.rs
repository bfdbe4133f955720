//! A running node, for the user's threads.

mod asking;
mod events;
mod sending;

pub use asking::Whom;
pub use events::Events;
pub use sending::MESSAGE_BYTES_MAX;
pub(super) use sending::{append, encode};

use super::app::Shared;
use super::roster::Peer;
use super::stats::Stats;
use crate::component::{ComponentName, Inspection, Plan, Target};
use crate::id::{Life, MessageId};
use crate::protocol::clock::{Clocks, Lamport, VectorClock};
use crate::protocol::delivery::Delivery;
use crate::runtime::{Counters, DeadLetter, Ended, Handle};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A node that runs. Clones are the same node; dropping them does not stop it,
/// [`Running::stop`] does.
#[derive(Clone)]
pub struct Running {
    pub(in crate::node) node: Arc<Started>,
}

/// What a started node's clones share.
pub(super) struct Started {
    pub(in crate::node) handle: Handle,
    pub(in crate::node) shared: Arc<Shared>,
    pub(in crate::node) plan: Plan,
    pub(in crate::node) stats: Stats,
    pub(in crate::node) clocks: Clocks,
    pub(in crate::node) name: String,
    #[cfg(feature = "http")]
    pub(in crate::node) serving: super::http::Serving,
}

impl Running {
    /// What the node consists of, and why.
    pub fn plan(&self) -> &Plan {
        &self.node.plan
    }

    /// Every component's state, for people.
    pub fn inspect(&self) -> Vec<(ComponentName, Inspection)> {
        self.node.handle.inspect()
    }

    /// Everything that [`Running::inspect`] knows, and the peers, as JSON.
    pub fn stats(&self) -> serde_json::Value {
        self.node.stats.own(&self.node.handle)
    }

    /// What is known of a message and what it waits for, by component.
    pub fn explain(&self, message: MessageId) -> String {
        let known = self.node.handle.explain(message);
        if known.is_empty() {
            return format!("{message}: never seen");
        }
        let lines: Vec<_> = known.into_iter().map(|(name, text)| format!("{name}: {text}")).collect();
        lines.join("\n")
    }

    /// Who is or was linked.
    pub fn peers(&self) -> Vec<Peer> {
        self.node.shared.roster.list()
    }

    /// The Lamport time, where the node has that clock.
    pub fn lamport(&self) -> Option<Lamport> {
        self.node.clocks.lamport()
    }

    /// The vector time, where the node has that clock.
    pub fn vector(&self) -> Option<VectorClock> {
        self.node.clocks.vector()
    }

    /// Counts a local event of yours on the node's clocks.
    pub fn tick(&self) {
        self.node.clocks.local(1);
    }

    /// Bytes broadcast by `delivery` and not yet released.
    pub fn outstanding_bytes(&self, delivery: Delivery) -> u64 {
        self.node.shared.windows.outstanding_bytes(delivery.kind(), Target::All)
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.node.name
    }

    /// The present life; the last one when the node is stopped.
    pub fn life(&self) -> Life {
        self.node.handle.life()
    }

    /// Where it listens.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.node.handle.local_addr()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        self.node.handle.counters()
    }

    /// The newest inputs that killed their component twice.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.node.handle.dead_letters()
    }

    /// The runtime's handle, for calls to components of your own.
    pub fn handle(&self) -> &Handle {
        &self.node.handle
    }

    /// Stops gracefully and waits for the end; in a callback it only asks.
    pub fn stop(&self) {
        #[cfg(feature = "http")]
        self.stop_http();
        self.node.handle.stop();
    }

    /// Waits for the end of the node, whoever brings it about.
    ///
    /// # Errors
    /// Why it ended, unless it was stopped.
    pub fn join(&self) -> Result<(), Ended> {
        let ended = self.node.handle.join();
        #[cfg(feature = "http")]
        self.stop_http();
        ended
    }

    /// Stops gracefully on Ctrl-C or TERM; a second one ends the process at
    /// once. For one node of a process.
    ///
    /// # Errors
    /// The process handles these signals already.
    #[cfg(feature = "cli")]
    pub fn stop_on_ctrl_c(&self) -> Result<(), ctrlc::Error> {
        let (node, asked) = (self.clone(), std::sync::atomic::AtomicBool::new(false));
        ctrlc::set_handler(move || {
            if asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
                std::process::exit(130);
            }
            let node = node.clone(); // stopping waits, and the second signal must be heard meanwhile
            std::thread::spawn(move || node.stop());
        })
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({} as {})", self.node.name, self.life())
    }
}
