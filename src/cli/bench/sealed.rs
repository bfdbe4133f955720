//! A bare sealed link: Noise records over plain TCP, as ours has them, and nothing else:
//! no numbers, no acknowledgements, no windows but TCP's own.

use serde::{Serialize, de::DeserializeOwned};
use snow::params::NoiseParams;
use snow::resolvers::{DefaultResolver, FallbackResolver, RingResolver};
use snow::{Builder, HandshakeState, StatelessTransportState};
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Most bytes of a record before it is sealed.
const PLAIN_MAX: usize = 65_519;
const TAG: usize = 16;
/// What is read at once, in bytes.
const READ_BYTES: usize = 256 << 10;

/// What says things.
pub(super) struct Sender {
    stream: TcpStream,
    state: Arc<StatelessTransportState>,
    nonce: u64,
    out: Vec<u8>,
}

/// What hears them.
pub(super) struct Receiver {
    stream: BufReader<TcpStream>,
    state: Arc<StatelessTransportState>,
    nonce: u64,
    sealed: Vec<u8>,
}

fn broken(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("the sealed link broke: {error}"))
}

/// Both ends of one link, after a handshake.
pub(super) fn link(mut stream: TcpStream, dials: bool) -> io::Result<(Sender, Receiver)> {
    stream.set_nodelay(true)?;
    let params: NoiseParams = "Noise_NN_25519_AESGCM_BLAKE2s".parse().map_err(broken)?;
    let resolver = FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver));
    let builder = Builder::with_resolver(params, Box::new(resolver));
    let mut shake = if dials { builder.build_initiator() } else { builder.build_responder() }.map_err(broken)?;
    let say = |shake: &mut HandshakeState, stream: &mut TcpStream| {
        let mut message = [0; 128];
        let length = shake.write_message(&[], &mut message).map_err(broken)?;
        stream.write_all(&[length as u8])?;
        stream.write_all(&message[..length])
    };
    let hear = |shake: &mut HandshakeState, stream: &mut TcpStream| {
        let (mut length, mut message) = ([0], [0; 255]);
        stream.read_exact(&mut length)?;
        let message = &mut message[..usize::from(length[0])];
        stream.read_exact(message)?;
        shake.read_message(message, &mut [0; 255]).map(drop).map_err(broken)
    };
    if dials {
        say(&mut shake, &mut stream)?;
        hear(&mut shake, &mut stream)?;
    } else {
        hear(&mut shake, &mut stream)?;
        say(&mut shake, &mut stream)?;
    }
    let state = Arc::new(shake.into_stateless_transport_mode().map_err(broken)?);
    let reads = BufReader::with_capacity(READ_BYTES, stream.try_clone()?);
    let sender = Sender { stream, state: state.clone(), nonce: 0, out: Vec::new() };
    Ok((sender, Receiver { stream: reads, state, nonce: 0, sealed: vec![0; PLAIN_MAX + TAG] }))
}

impl Sender {
    /// A head, and the bytes that it says follow.
    pub(super) fn send(&mut self, head: &impl Serialize, body: &[u8]) -> io::Result<()> {
        self.out.clear();
        self.seal(&postcard::to_stdvec(head).map_err(broken)?)?;
        for piece in body.chunks(PLAIN_MAX) {
            self.seal(piece)?;
        }
        self.stream.write_all(&self.out)
    }

    fn seal(&mut self, plain: &[u8]) -> io::Result<()> {
        let at = self.out.len();
        self.out.resize(at + 2 + plain.len() + TAG, 0);
        let length = self.state.write_message(self.nonce, plain, &mut self.out[at + 2..]).map_err(broken)?;
        self.out[at..at + 2].copy_from_slice(&(length as u16).to_le_bytes());
        self.nonce += 1;
        Ok(())
    }
}

impl Receiver {
    /// The next head.
    pub(super) fn head<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut plain = [0; PLAIN_MAX + TAG];
        let length = self.open(&mut plain)?;
        postcard::from_bytes(&plain[..length]).map_err(broken)
    }

    /// The bytes that it says follow, as many as `body` has room for and a tag behind.
    pub(super) fn body(&mut self, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
        body.resize(length + TAG, 0);
        let mut at = 0;
        while at < length {
            at += self.open(&mut body[at..])?;
        }
        body.truncate(length);
        Ok(())
    }

    fn open(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length)?;
        let sealed = &mut self.sealed[..usize::from(u16::from_le_bytes(length))];
        self.stream.read_exact(sealed)?;
        let opened = self.state.read_message(self.nonce, sealed, into).map_err(broken)?;
        self.nonce += 1;
        Ok(opened)
    }
}
