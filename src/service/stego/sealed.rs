//! Format `sealed`: nothing recognisable without the password.
//!
//! ```text
//!   carriers 0..272        opening: salt 16, nonce 16, cost 2 bytes, one bit each; all of it noise
//!   positions 0..384       head: kind, bits, part, parts, set, total, length, padded length; sealed
//!   positions 384..        the padded part, sealed, with the head's bits each
//! ```
//!
//! Positions are those of a keyed order of the carriers behind the opening. Head
//! and body are XChaCha20-Poly1305 under keys of their own, the head being the
//! body's associated data. The length is padded (Padmé), as far as there is room.
//!
//! Guarantee: what comes back was embedded by one who has the password, whole.
//! Not promised: that a detector sees no change at all; the report says what it
//! sees.
//!
//! Source: padding after Nikitin et al., *Reducing Metadata Leakage from Encrypted
//! Files and Communication with PURBs*, section 4.

use super::payload::Part;
use super::positions::Positions;
use super::session::{Keys, OPENING_BYTES, Session};
use super::source::Source;
use super::{Error, Put, Random};
use crate::lsb::{self, Bits, read_bits};
use chacha20poly1305::aead::{Aead, Payload as Sealing};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

const OPENING: usize = OPENING_BYTES * 8;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 32;
const HEAD: usize = (HEAD_BYTES + TAG_BYTES) * 8;

/// Bytes of a part that so many carriers hold.
pub(super) fn capacity(carriers: usize, bits: Bits) -> usize {
    let behind = carriers.saturating_sub(OPENING + HEAD);
    lsb::capacity(behind, bits).saturating_sub(TAG_BYTES).min(u32::MAX as usize)
}

/// The padded length: it tells of a length no more than its magnitude and the
/// first few of its bits.
fn padded(length: usize) -> usize {
    let Some(exponent) = length.checked_ilog2() else { return length };
    let kept = exponent.checked_ilog2().map_or(0, |bits| bits + 1);
    let mask = (1usize << exponent.saturating_sub(kept)) - 1;
    length.saturating_add(mask) & !mask
}

fn seal(key: &[u8; 32], nonce: &[u8; 24], plain: &[u8], beside: &[u8]) -> Result<Vec<u8>, Error> {
    let sealing = Sealing { msg: plain, aad: beside };
    XChaCha20Poly1305::new(key.into()).encrypt(nonce.into(), sealing).map_err(|_| Error::Sealed)
}

fn unseal(key: &[u8; 32], nonce: &[u8; 24], sealed: &[u8], beside: &[u8]) -> Result<Vec<u8>, Error> {
    let sealing = Sealing { msg: sealed, aad: beside };
    XChaCha20Poly1305::new(key.into()).decrypt(nonce.into(), sealing).map_err(|_| Error::Sealed)
}

/// Embeds a part. `put` writes into carriers, by replacement or by matching.
pub(super) fn write(
    carriers: &mut [u8],
    part: &Part,
    bits: Bits,
    session: &mut Session,
    random: Random<'_>,
    put: Put<'_>,
) -> Result<(), Error> {
    let available = capacity(carriers.len(), bits);
    if carriers.len() < OPENING + HEAD + TAG_BYTES * 8 || part.bytes.len() > available {
        return Err(Error::TooLarge { needed: part.bytes.len() as u64, available: available as u64 });
    }
    let (opening, keys) = session.begin(random)?;
    let mut body = part.bytes.clone();
    body.resize(padded(part.bytes.len()).min(available), 0);
    let mut head = [0; HEAD_BYTES];
    head[..2].copy_from_slice(&[part.kind, bits.get()]);
    head[2..4].copy_from_slice(&part.number.to_be_bytes());
    head[4..6].copy_from_slice(&part.of.to_be_bytes());
    head[6..14].copy_from_slice(&part.set);
    head[14..22].copy_from_slice(&part.total.to_be_bytes());
    head[22..26].copy_from_slice(&(part.bytes.len() as u32).to_be_bytes());
    head[26..30].copy_from_slice(&(body.len() as u32).to_be_bytes());
    let sealed_head = seal(&keys.head, &keys.nonces[0], &head, &[])?;
    let sealed_body = seal(&keys.body, &keys.nonces[1], &body, &head)?;

    let (start, behind) = carriers.split_at_mut(OPENING);
    put(start, &opening, Bits::ONE);
    let positions = Positions::new(behind.len(), &keys.positions);
    let mut scattered = |from: usize, bytes: &[u8], bits: Bits| {
        let places = from..from + lsb::carriers_for(bytes.len(), bits);
        let mut chosen: Vec<u8> = places.clone().map(|index| behind[positions.at(index)]).collect();
        put(&mut chosen, bytes, bits);
        places.zip(chosen).for_each(|(index, carrier)| behind[positions.at(index)] = carrier);
    };
    scattered(0, &sealed_head, Bits::ONE);
    scattered(HEAD, &sealed_body, bits);
    Ok(())
}

/// Reads a part. Every way to fail is one error, on purpose.
pub(super) fn read(source: &mut Source<'_>, session: &mut Session) -> Result<Part, Error> {
    let carriers = source.first(usize::MAX)?;
    if carriers.len() < OPENING + HEAD {
        return Err(Error::Sealed);
    }
    let (start, behind) = carriers.split_at(OPENING);
    let mut opening = [0; OPENING_BYTES];
    lsb::extract(start, &mut opening, Bits::ONE);
    let Keys { head: head_key, body: body_key, nonces, positions } = session.keys(&opening)?;
    let positions = Positions::new(behind.len(), &positions);
    let gather = |from: usize, length: usize, bits: Bits| {
        let places = from..from + lsb::carriers_for(length, bits);
        let chosen: Vec<u8> = places.map(|index| read_bits(behind[positions.at(index)], Bits::MAX)).collect();
        let mut bytes = vec![0; length];
        lsb::extract(&chosen, &mut bytes, bits);
        bytes
    };
    let head = unseal(&head_key, &nonces[0], &gather(0, HEAD_BYTES + TAG_BYTES, Bits::ONE), &[])?;
    let number =
        |from: usize, to: usize| head[from..to].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let bits = Bits::new(head[1]).ok_or(Error::Sealed)?;
    let (length, padded) = (number(22, 26) as usize, number(26, 30) as usize);
    if length > padded || padded > capacity(carriers.len(), bits) {
        return Err(Error::Sealed);
    }
    let mut bytes = unseal(&body_key, &nonces[1], &gather(HEAD, padded + TAG_BYTES, bits), &head)?;
    bytes.truncate(length);
    let set = head[6..14].first_chunk().copied().unwrap_or_default();
    let (part, of) = (number(2, 4) as u16, number(4, 6) as u16);
    Ok(Part { kind: head[0], number: part, of, set, total: number(14, 22), bytes })
}
