//! Records: what is written to a socket after the handshake, sealed by Noise
//! or (only where that was asked for) plain.
//!
//! ```text
//! | length u16 | sealed bytes, at most 65,535, the last 16 of them the tag |
//! ```
//! Nonces are counted by each side and never travel. A stateless transport
//! state is shared by a peer's reader and writer: each direction has a key of
//! its own and its own counter, so no lock is needed.

use snow::{HandshakeState, StatelessTransportState};

/// A Noise message holds at most this much, tag included.
pub(super) const SEALED_MAX: usize = 65_535;
/// Bytes that sealing adds.
pub(super) const TAG: usize = 16;
/// Most bytes before sealing.
pub(super) const PLAIN_MAX: usize = SEALED_MAX - TAG;
/// Bytes of a record's length.
pub(super) const LENGTH: usize = 2;

/// How records are sealed.
pub(super) enum Seal {
    Noise(Box<StatelessTransportState>),
    Plain,
}

/// A record does not open: it was changed on the way.
#[derive(Debug)]
pub(super) struct Broken;

impl Seal {
    pub(super) fn noise(handshake: HandshakeState) -> Result<Self, Broken> {
        let state = handshake.into_stateless_transport_mode().map_err(|_| Broken)?;
        Ok(Seal::Noise(Box::new(state)))
    }

    /// Appends `plain` to `out` as records; counts `nonce` up.
    pub(super) fn seal(&self, nonce: &mut u64, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        for piece in plain.chunks(PLAIN_MAX) {
            let at = out.len();
            out.resize(at + LENGTH + piece.len() + TAG, 0);
            let sealed = &mut out[at + LENGTH..];
            let length = match self {
                Seal::Noise(state) => state.write_message(*nonce, piece, sealed).map_err(|_| Broken)?,
                Seal::Plain => {
                    sealed[..piece.len()].copy_from_slice(piece);
                    piece.len()
                }
            };
            *nonce += 1;
            out.truncate(at + LENGTH + length);
            // a record is at most SEALED_MAX long, which fits
            out[at..at + LENGTH].copy_from_slice(&(length as u16).to_le_bytes());
        }
        Ok(())
    }

    /// Opens one record's sealed bytes into `out`, which must be at least as
    /// long (a shorter one costs an allocation); the plain length.
    pub(super) fn open(&self, nonce: &mut u64, sealed: &[u8], out: &mut [u8]) -> Result<usize, Broken> {
        let length = match self {
            Seal::Noise(state) => state.read_message(*nonce, sealed, out).map_err(|_| Broken)?,
            Seal::Plain => {
                out[..sealed.len()].copy_from_slice(sealed);
                sealed.len()
            }
        };
        *nonce += 1;
        Ok(length)
    }
}

/// The length of the record at the front of `bytes` with its prefix, once
/// that is there.
pub(super) fn record_bytes(bytes: &[u8]) -> Option<usize> {
    let length = bytes.first_chunk::<LENGTH>()?;
    Some(LENGTH + usize::from(u16::from_le_bytes(*length)))
}
