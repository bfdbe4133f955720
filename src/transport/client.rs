//! A client's end of a link: no member, no threads, one call at a time.
//!
//! A client is a new random life with each connection. It speaks the same
//! handshake, records and frames as members do; its blocks are received by the
//! component that they name, as from any peer.

use super::config::{Credentials, Security, StartError};
use super::handshake::{self, Failure};
use super::hello::{Hello, Role};
use super::keys::{self, KeyPair};
use super::peer::Clock;
use super::reader::{Frames, Raw};
use super::seal::Seal;
use crate::component::Lane;
use crate::id::{Kind, Life, NodeId};
use crate::protocol::link::{self, Accept, BLOCK_BYTES_MAX, FrameHeader, Link};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Answers that nobody asked for yet; more of them push the oldest out.
const KEPT_MAX: usize = 1024;

/// Why a client's call brought nothing. Each variant says what happened at the
/// node.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nothing was sent: not done.
    #[error("not done: {0}")]
    NotDone(String),
    /// It was sent, but no answer came: it may or may not have been done.
    #[error("sent, but no answer came ({0}): it may or may not have been done")]
    Unknown(String),
}

/// A client's connection to one node.
#[derive(Debug)]
pub struct ClientLink {
    me: Life,
    node: Node,
    socket: TcpStream,
    seal: Seal,
    send_nonce: u64,
    receive_nonce: u64,
    link: Link,
    clock: Clock,
    raw: Raw,
    frames: Frames,
    answers: VecDeque<(Kind, Bytes)>,
}

#[derive(Debug)]
struct Node {
    life: Life,
    name: String,
    provides: Vec<(Kind, String)>,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Seal::Plain) { "Plain" } else { "Noise" })
    }
}

/// The session's number: a client has only one.
const EPOCH: u64 = 1;

impl ClientLink {
    /// Connects to the first of `address`'s addresses that answers. A client
    /// that has no key of its own takes [`ClientLink::credentials`].
    ///
    /// # Errors
    /// [`ClientError::NotDone`], with the reason the node gave.
    pub fn connect(address: impl ToSocketAddrs, security: &Security, within: Duration) -> Result<Self, ClientError> {
        let not_done = |error: &dyn std::fmt::Display| ClientError::NotDone(error.to_string());
        let deadline = Instant::now() + within;
        let mut last = ClientError::NotDone("the host name has no address".to_string());
        for address in address.to_socket_addrs().map_err(|error| not_done(&error))? {
            match Self::connect_to(address, security, deadline) {
                Ok(client) => return Ok(client),
                Err(Failure::Io(error)) => last = not_done(&format!("{address}: {error}")),
                Err(Failure::Refused(why) | Failure::Refusing(why)) => last = not_done(&format!("{address}: {why}")),
            }
        }
        Err(last)
    }

    /// The cluster secret with a new key: enough where keys are not listed.
    ///
    /// # Errors
    /// The operating system gives no randomness.
    pub fn credentials(secret: keys::ClusterSecret) -> Result<Security, StartError> {
        let credentials = Credentials::new(secret, KeyPair::generate()?);
        Ok(Security::Secured(credentials.into()))
    }

    fn connect_to(address: SocketAddr, security: &Security, deadline: Instant) -> Result<Self, Failure> {
        if matches!(security, Security::LoopbackOnly) && !address.ip().is_loopback() {
            let unsecured = StartError::Unsecured { address: address.to_string() };
            return Err(Failure::Io(io::Error::other(unsecured.to_string())));
        }
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let socket = TcpStream::connect_timeout(&address, left)?;
        socket.set_nodelay(true)?;
        let random = keys::random().map_err(io::Error::other)?;
        let [id, boot] = [0, 8].map(|at| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&random[at..at + 8]);
            u64::from_le_bytes(bytes)
        });
        let me = Life::new(NodeId::client(id), 1);
        let mine = Hello {
            life: me,
            name: "client".to_string(),
            boot,
            role: Role::Client,
            listen: None,
            block_bytes_max: BLOCK_BYTES_MAX as u32,
            voters: 0,
            provides: Vec::new(),
        };
        let agreed = handshake::dial(&socket, security, &mine, deadline, |hello, key| {
            if let (Security::Secured(credentials), Some(key)) = (security, &key) {
                credentials.admits(&hello.name, hello.life.node, key)?;
            }
            Ok(hello)
        })?;
        let clock = Clock(Instant::now());
        let hello = agreed.judged;
        let mut link = Link::new(link::Config::default());
        link.session(clock.now(), hello.life, EPOCH);
        Ok(ClientLink {
            me,
            node: Node { life: hello.life, name: hello.name, provides: hello.provides },
            socket,
            seal: agreed.seal,
            send_nonce: agreed.send_nonce,
            receive_nonce: agreed.receive_nonce,
            link,
            clock,
            raw: Raw::new(),
            frames: Frames::default(),
            answers: VecDeque::new(),
        })
    }

    /// The life that this client is to the node.
    pub fn me(&self) -> Life {
        self.me
    }

    /// The node's life.
    pub fn node(&self) -> Life {
        self.node.life
    }

    /// The node's name.
    pub fn node_name(&self) -> &str {
        &self.node.name
    }

    /// Whether the node has a component.
    pub fn provides(&self, component: Kind) -> bool {
        self.node.provides.iter().any(|(kind, _)| *kind == component)
    }

    /// Sends a block to a component and waits for the next block from it.
    ///
    /// # Errors
    /// [`ClientError`] says whether it may have been done.
    pub fn call(&mut self, component: Kind, block: Bytes, within: Duration) -> Result<Bytes, ClientError> {
        let deadline = Instant::now() + within;
        self.send(component, block)?;
        self.next(component, deadline)
    }

    /// Sends a block to a component of the node.
    ///
    /// # Errors
    /// [`ClientError::NotDone`] if the node has no such component or the block
    /// is too long, [`ClientError::Unknown`] if the connection broke meanwhile.
    pub fn send(&mut self, component: Kind, block: Bytes) -> Result<(), ClientError> {
        if !self.provides(component) {
            let name = &self.node.name;
            return Err(ClientError::NotDone(format!("{name} has no component {component:?} (it says so itself)")));
        }
        if block.len() > BLOCK_BYTES_MAX {
            return Err(ClientError::NotDone(format!("{} bytes are over the limit of {BLOCK_BYTES_MAX}", block.len())));
        }
        self.link.push(Lane::Control, component, block);
        self.write().map_err(|error| ClientError::Unknown(error.to_string()))
    }

    /// Waits for the next block from a component; blocks from others are kept.
    ///
    /// # Errors
    /// [`ClientError::Unknown`] when the deadline passes or the connection ends.
    pub fn next(&mut self, component: Kind, deadline: Instant) -> Result<Bytes, ClientError> {
        loop {
            if let Some(at) = self.answers.iter().position(|(from, _)| *from == component)
                && let Some((_, block)) = self.answers.remove(at)
            {
                return Ok(block);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ClientError::Unknown("the deadline passed".to_string()));
            }
            self.read(left).map_err(|error| ClientError::Unknown(error.to_string()))?;
        }
    }

    /// Reads once, or as long as the link has nothing due.
    fn read(&mut self, left: Duration) -> io::Result<()> {
        let due = self.link.deadline().map(|at| at.since(self.clock.now()));
        let wait = due.map_or(left, |due| due.min(left)).max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(wait))?;
        match self.raw.read(&self.socket) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                self.link.tick(self.clock.now());
                return self.write();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        if !self.raw.open(&self.seal, &mut self.receive_nonce, &mut self.frames.plain) || !self.frames.split() {
            return Err(io::Error::other("the node wrote what is no frame"));
        }
        let now = self.clock.now();
        for (header, block) in self.frames.whole.drain(..) {
            if self.link.receive(EPOCH, &header, now, &mut Vec::new()) == Accept::Deliver {
                if self.answers.len() == KEPT_MAX {
                    self.answers.pop_front();
                }
                self.answers.push_back((header.component, block));
            }
        }
        if self.link.ready(now) { self.write() } else { Ok(()) }
    }

    /// Writes all that the link lets go now.
    fn write(&mut self) -> io::Result<()> {
        loop {
            let mut plain = Vec::new();
            self.link.transmit(self.clock.now(), 64 << 10, &mut |header: &FrameHeader, block| {
                plain.extend_from_slice(&header.encode());
                plain.extend_from_slice(block);
            });
            if plain.is_empty() {
                return Ok(());
            }
            let mut sealed = Vec::new();
            let broken = |_| io::Error::other("the record does not seal");
            self.seal.seal(&mut self.send_nonce, &plain, &mut sealed).map_err(broken)?;
            self.socket.write_all(&sealed)?;
        }
    }
}
