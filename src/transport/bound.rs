//! Before links start: listening, and who of the configured peers is this node
//! itself. The number of voters is known before any component starts.

use super::config::{Config, PeerAddr, Security, StartError};
use super::hello::{Hello, NAME_BYTES_MAX, PROVIDES_MAX, Role};
use super::keys;
use super::links::Links;
use super::planted::Mutant;
use crate::protocol::link::BLOCK_BYTES_MAX;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// Links that listen already but neither accept nor dial yet.
#[derive(Debug)]
pub struct Bound {
    pub(super) config: Config,
    pub(super) listener: TcpListener,
    pub(super) local: SocketAddr,
    /// How many voters are configured, this node included where it is one;
    /// for a listener the number of `peers`, or of sponsors if there are none.
    pub voters: usize,
    /// Whether this node is a voter: it is unless it joins through sponsors.
    pub voter: bool,
}

impl Bound {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Replaces the configured peers, for those who learn the addresses only
    /// after binding.
    ///
    /// # Errors
    /// [`StartError::TooManyPeers`].
    pub fn set_peers(&mut self, peers: Vec<PeerAddr>) -> Result<(), StartError> {
        self.config.peers = peers;
        self.without_myself()
    }

    /// Drops doubles and this node's own address, and counts the voters.
    fn without_myself(&mut self) -> Result<(), StartError> {
        let mut seen = BTreeSet::new();
        let mut mine = vec![self.local];
        mine.extend(self.config.advertise);
        let any = self.local.ip().is_unspecified();
        self.config.peers.retain(|peer| {
            let addresses = peer.resolve();
            let own = addresses.iter().any(|address| {
                mine.contains(address) || (any && address.port() == self.local.port() && is_local(*address))
            });
            let first = addresses.iter().map(|address| seen.insert(*address)).fold(addresses.is_empty(), |a, b| a | b);
            !own && first
        });
        let others = self.config.peers.len();
        self.voter = self.config.join.is_empty();
        self.voters = match (self.voter, others) {
            (true, others) => others + 1,
            (false, 0) => self.config.join.len(),
            (false, others) => others,
        };
        if self.voter && others > self.config.max_peers {
            return Err(StartError::TooManyPeers { configured: others, max: self.config.max_peers });
        }
        Ok(())
    }
}

impl Links {
    /// Listens. Nothing is accepted or dialled before [`Links::start`].
    ///
    /// # Errors
    /// Says what is wrong with the configuration or the port, and what mends it.
    pub fn bind(config: Config) -> Result<Bound, StartError> {
        if config.me.node.is_client() {
            return Err(StartError::ClientId(config.me.node));
        }
        if matches!(config.security, Security::LoopbackOnly)
            && !config.listen.ip().is_loopback()
            && !config.planted().is(Mutant::OpenToAll)
        {
            return Err(StartError::Unsecured { address: config.listen.to_string() });
        }
        let listen = |error| StartError::Listen { address: config.listen, error };
        let listener = TcpListener::bind(config.listen).map_err(listen)?;
        let local = listener.local_addr().map_err(listen)?;
        let mut bound = Bound { config, listener, local, voters: 0, voter: true };
        bound.without_myself()?;
        Ok(bound)
    }
}

/// How this node introduces itself.
pub(super) fn hello(config: &Config, local: SocketAddr, voters: usize) -> Result<Hello, StartError> {
    let [a, b, c, d, e, f, g, h, ..] = keys::random()?;
    let mut name = config.name.to_string();
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    let provides = config.provides.iter().take(PROVIDES_MAX).cloned().collect();
    Ok(Hello {
        life: config.me,
        name,
        boot: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        role: match (config.join.is_empty(), config.joiner) {
            (true, _) => Role::Voter,
            (_, true) => Role::Joiner,
            (_, false) => Role::Listener,
        },
        listen: Some(config.advertise.unwrap_or(local)),
        block_bytes_max: BLOCK_BYTES_MAX as u32,
        voters: voters as u32,
        provides,
    })
}

/// Whether the address is one of this machine's: only those can be bound.
fn is_local(address: SocketAddr) -> bool {
    UdpSocket::bind((address.ip(), 0)).is_ok()
}
