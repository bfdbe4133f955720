//! The cluster secret and the nodes' static keys: made from the operating
//! system's randomness, kept as one line of text.
//!
//! Who has the secret may take part at all; the static key (X25519) says which
//! node it is. Both are proven in the handshake and never sent.
//!
//! ```text
//! nws1-<64 hex digits>    the cluster secret     one file, the same on every node
//! nwk1-<64 hex digits>    a node's private key   never leaves its node
//! nwp1-<64 hex digits>    its public key         for allow lists and pins
//! ```

use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver, FallbackResolver, RingResolver};
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use thiserror::Error;

const SECRET: &str = "nws1-";
const PRIVATE: &str = "nwk1-";
const PUBLIC: &str = "nwp1-";

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The text is no such key.
    #[error("{place}: this is {found}, but {wanted} was expected")]
    Text {
        /// File, or "the text".
        place: String,
        /// What it looks like.
        found: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gives no random bytes")]
    Randomness,
}

/// What every node of a cluster knows and nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterSecret(pub(super) [u8; 32]);

/// A node's static key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    pub(super) private: [u8; 32],
    public: PublicKey,
}

/// The public half, by which others name a node's key.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl ClusterSecret {
    /// A new one.
    ///
    /// # Errors
    /// [`KeyError::Randomness`].
    pub fn generate() -> Result<Self, KeyError> {
        random().map(ClusterSecret)
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`KeyError::Text`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        parse("the text", text, SECRET).map(ClusterSecret)
    }

    /// Reads it from a file.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        load(path, SECRET).map(ClusterSecret)
    }

    /// Writes it to a new file that only its owner may read; a file that is
    /// there is never overwritten.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn create(&self, path: &Path) -> Result<(), KeyError> {
        create(path, &text(SECRET, &self.0))
    }
}

impl KeyPair {
    /// A new one.
    ///
    /// # Errors
    /// [`KeyError::Randomness`].
    pub fn generate() -> Result<Self, KeyError> {
        random().map(Self::from_private)
    }

    /// The pair of this private key.
    pub fn from_private(private: [u8; 32]) -> Self {
        let mut public = [0; 32];
        if let Some(mut dh) = resolver().resolve_dh(&DHChoice::Curve25519) {
            dh.set(&private);
            public.copy_from_slice(dh.pubkey());
        }
        KeyPair { private, public: PublicKey(public) }
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Reads it from a file.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        load(path, PRIVATE).map(Self::from_private)
    }

    /// Writes it to a new file that only its owner may read.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn create(&self, path: &Path) -> Result<(), KeyError> {
        create(path, &text(PRIVATE, &self.private))
    }
}

impl std::str::FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(line: &str) -> Result<Self, KeyError> {
        parse("the text", line, PUBLIC).map(PublicKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(PUBLIC, &self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(..)")
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.public)
    }
}

/// The text form of the secret, for a file that others deploy.
impl fmt::Display for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(SECRET, &self.0))
    }
}

/// Ciphers and hashes by ring, which is several times faster on long records;
/// what it lacks (X25519 in this form) by the pure Rust ones.
pub(super) fn resolver() -> FallbackResolver {
    FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver))
}

/// 32 bytes from the operating system.
pub(super) fn random() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    let mut source = resolver().resolve_rng().ok_or(KeyError::Randomness)?;
    source.try_fill_bytes(&mut bytes).map_err(|_| KeyError::Randomness)?;
    Ok(bytes)
}

fn text(prefix: &str, bytes: &[u8; 32]) -> String {
    use fmt::Write;
    bytes.iter().fold(prefix.to_string(), |mut line, byte| {
        // writing to a String cannot fail
        let _ = write!(line, "{byte:02x}");
        line
    })
}

fn kind(prefix: &str) -> &'static str {
    match prefix {
        SECRET => "a cluster secret (nws1-...)",
        PRIVATE => "a private key (nwk1-...)",
        PUBLIC => "a public key (nwp1-...)",
        _ => "something else",
    }
}

fn parse(place: &str, line: &str, prefix: &str) -> Result<[u8; 32], KeyError> {
    let line = line.trim();
    let wrong = |found| KeyError::Text { place: place.to_string(), found, wanted: kind(prefix) };
    let Some(hex) = line.strip_prefix(prefix) else {
        let other = [SECRET, PRIVATE, PUBLIC].into_iter().find(|other| line.starts_with(other));
        return Err(wrong(if line.is_empty() { "empty" } else { kind(other.unwrap_or_default()) }));
    };
    let damaged = "a damaged key (64 hex digits must follow the prefix)";
    if hex.len() != 64 || !hex.is_ascii() {
        return Err(wrong(damaged));
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| wrong(damaged))?;
    }
    Ok(bytes)
}

fn load(path: &Path, prefix: &str) -> Result<[u8; 32], KeyError> {
    let file = |error| KeyError::File { path: path.to_path_buf(), error };
    let line = std::fs::read_to_string(path).map_err(file)?;
    parse(&path.display().to_string(), &line, prefix)
}

fn create(path: &Path, line: &str) -> Result<(), KeyError> {
    let file = |error| KeyError::File { path: path.to_path_buf(), error };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(path).map_err(file)?;
    writeln!(out, "{line}").and_then(|()| out.sync_all()).map_err(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_what_they_write_and_name_what_they_are_not() {
        let dir = std::env::temp_dir().join(format!("nodewright-keys-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let (secret, keys) = (ClusterSecret::generate().expect("random"), KeyPair::generate().expect("random"));
        let (secret_file, key_file) = (dir.join("cluster.secret"), dir.join("node.key"));
        secret.create(&secret_file).expect("a new file");
        keys.create(&key_file).expect("a new file");
        assert!(secret.create(&secret_file).is_err(), "never overwritten");
        assert_eq!(ClusterSecret::load(&secret_file).expect("readable"), secret);
        let loaded = KeyPair::load(&key_file).expect("readable");
        assert_eq!(loaded, keys);
        assert_eq!(loaded.public().to_string().parse::<PublicKey>().expect("its text"), keys.public());
        let swapped = ClusterSecret::load(&key_file).expect_err("a private key is no secret").to_string();
        assert!(swapped.contains("this is a private key") && swapped.contains("a cluster secret"), "{swapped}");
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(
                &std::fs::metadata(&secret_file).expect("it is there").permissions(),
            );
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::remove_dir_all(&dir).expect("ours");
        assert!(ClusterSecret::parse("nws1-xyz").is_err());
        assert!(ClusterSecret::parse(&format!("nws1-{}", "ä".repeat(32))).is_err());
    }
}
