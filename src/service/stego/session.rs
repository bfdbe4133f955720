//! A password, and the keys derived from it.
//!
//! A key costs 64 MiB and three passes of Argon2id once for each salt; a session
//! keeps what it derived, and writes all its images under one salt. So a service
//! pays once a session, and an observer can tell that images of one session
//! belong together. Each image has a nonce of its own, from which HKDF makes its
//! keys.

use super::{Error, Random};
use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Keys that a session keeps; the oldest goes first.
const KEPT_MAX: usize = 16;

/// What a key costs, in two bytes of an image that any image may have: values
/// below 240 mean the default, so that they say nothing about whether something
/// is hidden.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Cost {
    memory: u8,
    passes: u8,
}

impl Cost {
    /// 64 MiB, three passes.
    pub const DEFAULT: Cost = Cost { memory: 0, passes: 0 };
    /// 1 MiB and one pass: for tests, and for passwords that are random keys.
    pub const LOW: Cost = Cost { memory: 240, passes: 240 };
    /// What reading accepts: 256 MiB, eight passes.
    const MEMORY_MIB_MAX: u32 = 256;
    const PASSES_MAX: u32 = 8;

    fn memory_mib(self) -> u32 {
        if self.memory < 240 { 64 } else { 1 << (self.memory - 240) }
    }

    fn passes(self) -> u32 {
        if self.passes < 240 { 3 } else { u32::from(self.passes - 240) + 1 }
    }

    /// The bytes of an image, any of those that mean this.
    fn bytes(self, random: Random<'_>) -> [u8; 2] {
        let any = |value: u8, noise: [u8; 4]| if value < 240 { (u32::from_le_bytes(noise) % 240) as u8 } else { value };
        let mut noise = [[0; 4]; 2];
        random(noise.as_flattened_mut());
        [any(self.memory, noise[0]), any(self.passes, noise[1])]
    }
}

/// Where a salt, a nonce and a cost stand, at the start of an image.
pub(super) const OPENING_BYTES: usize = 34;

/// A derived key, and what it was derived by.
struct Kept {
    salt: [u8; 16],
    memory_mib: u32,
    passes: u32,
    master: Zeroizing<[u8; 32]>,
}

/// A password in use. Wiped when dropped.
pub struct Session {
    password: Zeroizing<Vec<u8>>,
    cost: Cost,
    writes_under: Option<[u8; 16]>,
    kept: Vec<Kept>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("keys", &self.kept.len()).finish_non_exhaustive()
    }
}

/// The keys of one image.
pub(super) struct Keys {
    pub(super) head: Zeroizing<[u8; 32]>,
    pub(super) body: Zeroizing<[u8; 32]>,
    pub(super) nonces: [[u8; 24]; 2],
    pub(super) positions: Zeroizing<[u8; 64]>,
}

impl Session {
    /// A session under a password.
    ///
    /// # Errors
    /// [`Error::Options`] for an empty one.
    pub fn new(password: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let password = Zeroizing::new(password.into());
        if password.is_empty() {
            return Err(Error::Options("the password is empty"));
        }
        Ok(Session { password, cost: Cost::DEFAULT, writes_under: None, kept: Vec::new() })
    }

    /// What the keys of what is written cost. Reading takes what the image says,
    /// up to 256 MiB and eight passes.
    #[must_use]
    pub fn with_cost(self, cost: Cost) -> Self {
        Session { cost, ..self }
    }

    /// A new image's opening bytes, and its keys.
    pub(super) fn begin(&mut self, random: Random<'_>) -> Result<([u8; OPENING_BYTES], Keys), Error> {
        let mut opening = [0; OPENING_BYTES];
        random(&mut opening[..32]);
        let fresh = opening.first_chunk::<16>().copied().unwrap_or_default();
        let salt = *self.writes_under.get_or_insert(fresh);
        opening[..16].copy_from_slice(&salt);
        opening[32..].copy_from_slice(&self.cost.bytes(random));
        let keys = self.keys(&opening)?;
        Ok((opening, keys))
    }

    /// The keys of an image, by its opening bytes.
    ///
    /// # Errors
    /// [`Error::Sealed`] if they would cost more than is accepted; nothing was
    /// derived then.
    pub(super) fn keys(&mut self, opening: &[u8; OPENING_BYTES]) -> Result<Keys, Error> {
        let salt = opening.first_chunk::<16>().copied().unwrap_or_default();
        let cost = Cost { memory: opening[32], passes: opening[33] };
        let (memory, passes) = (cost.memory_mib(), cost.passes());
        if memory > Cost::MEMORY_MIB_MAX || passes > Cost::PASSES_MAX {
            return Err(Error::Sealed);
        }
        let same = |kept: &Kept| (kept.salt, kept.memory_mib, kept.passes) == (salt, memory, passes);
        let known = self.kept.iter().position(same);
        let at = match known {
            Some(at) => at,
            None => {
                let params = Params::new(memory << 10, passes, 1, Some(32)).map_err(|_| Error::Sealed)?;
                let mut master = Zeroizing::new([0; 32]);
                let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                argon.hash_password_into(&self.password, &salt, &mut *master).map_err(|_| Error::Sealed)?;
                if self.kept.len() == KEPT_MAX {
                    self.kept.remove(0);
                }
                self.kept.push(Kept { salt, memory_mib: memory, passes, master });
                self.kept.len() - 1
            }
        };
        let hkdf = Hkdf::<Sha256>::new(Some(&opening[16..32]), &*self.kept[at].master);
        let expand = |info: &str, out: &mut [u8]| {
            let info = format!("nodewright stego sealed 1 {info}");
            hkdf.expand(info.as_bytes(), out).map_err(|_| Error::Sealed)
        };
        let mut keys = Keys {
            head: Zeroizing::new([0; 32]),
            body: Zeroizing::new([0; 32]),
            nonces: [[0; 24]; 2],
            positions: Zeroizing::new([0; 64]),
        };
        expand("head", &mut *keys.head)?;
        expand("body", &mut *keys.body)?;
        expand("nonces", keys.nonces.as_flattened_mut())?;
        expand("positions", &mut *keys.positions)?;
        Ok(keys)
    }
}
