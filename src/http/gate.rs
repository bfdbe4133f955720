//! Who may ask.

use super::problem::Problem;
use axum::http::{HeaderMap, StatusCode, header};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Shortest token, in bytes.
const TOKEN_BYTES_MIN: usize = 16;
const TOKEN_BYTES_MAX: usize = 512;

/// A bearer token: who knows it may do everything.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why there is no token.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What is given is none.
    #[error("{0} is no token: one line of {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX} visible ASCII characters")]
    Malformed(String),
}

impl Token {
    /// A token of 16 to 512 visible ASCII characters.
    ///
    /// # Errors
    /// It is none.
    pub fn new(text: impl Into<String>) -> Result<Self, TokenError> {
        let text = text.into();
        let fits = (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Token(text))
        } else {
            Err(TokenError::Malformed("that".into()))
        }
    }

    /// The token in a file, blanks around it left out.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TokenError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| TokenError::File { path: path.into(), error })?;
        Token::new(text.trim()).map_err(|_| TokenError::Malformed(path.display().to_string()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares all of it, wherever it differs.
    pub(crate) fn is(&self, other: &[u8]) -> bool {
        let own = self.0.as_bytes();
        own.len() == other.len() && own.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

/// Never shown.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why a request may not come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(crate) enum Stranger {
    #[error("a token is missing")]
    NoToken,
    #[error("the token is not the one of this node")]
    WrongToken,
    #[error("the request comes from a page in a browser")]
    Browser,
    #[error("the request names a host that is not this machine")]
    ForeignHost,
}

impl Stranger {
    /// What the person should do.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Stranger::NoToken | Stranger::WrongToken => {
                "send the header 'Authorization: Bearer TOKEN', the token of the node's token file"
            }
            Stranger::Browser | Stranger::ForeignHost => {
                "this node has no token: ask from a program on its machine, by its loopback address"
            }
        }
    }

    /// Whether a token would let it in.
    pub(crate) fn wants_token(self) -> bool {
        matches!(self, Stranger::NoToken | Stranger::WrongToken)
    }
}

/// Whether a request may come in.
pub(super) fn check(token: Option<&Token>, headers: &HeaderMap) -> Result<(), Problem> {
    admit(token, headers).map_err(|stranger| {
        let (status, code) = match stranger.wants_token() {
            true => (StatusCode::UNAUTHORIZED, "unauthorized"),
            false => (StatusCode::FORBIDDEN, "foreign"),
        };
        Problem::new(status, code, stranger.to_string(), stranger.hint())
    })
}

/// Whether a request with these headers may come in.
pub(crate) fn admit(token: Option<&Token>, headers: &HeaderMap) -> Result<(), Stranger> {
    let Some(token) = token else { return from_this_machine(headers) };
    let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    match given.and_then(|value| value.strip_prefix(b"Bearer ").or_else(|| value.strip_prefix(b"bearer "))) {
        Some(given) if token.is(given) => Ok(()),
        given => Err(if given.is_some() { Stranger::WrongToken } else { Stranger::NoToken }),
    }
}

/// Without a token, a page in a browser of this machine must not get in: neither by
/// a form or script of its own (they name their origin), nor by a host name that
/// leads here (DNS rebinding).
fn from_this_machine(headers: &HeaderMap) -> Result<(), Stranger> {
    if headers.contains_key(header::ORIGIN) {
        return Err(Stranger::Browser);
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    match name.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => Ok(()),
        Err(_) if name == "localhost" => Ok(()),
        _ => Err(Stranger::ForeignHost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn without_a_token_only_programs_of_this_machine_get_in() {
        let may = |pairs: &[_]| check(None, &headers(pairs)).is_ok();
        for host in ["127.0.0.1:80", "localhost", "localhost:1", "[::1]:80", "127.9.9.9"] {
            assert!(may(&[(header::HOST, host)]), "{host}");
        }
        for host in ["evil.example:80", "10.0.0.1:80", "", "localhost.evil.example"] {
            assert!(!may(&[(header::HOST, host)]), "{host}");
        }
        assert!(!may(&[(header::HOST, "127.0.0.1"), (header::ORIGIN, "http://evil.example")]));
    }

    #[test]
    fn with_a_token_it_alone_counts() {
        let token = Token::new("0123456789abcdef").expect("one");
        let may = |value| check(Some(&token), &headers(&[(header::AUTHORIZATION, value)])).is_ok();
        assert!(may("Bearer 0123456789abcdef"));
        for wrong in ["Bearer 0123456789abcdeg", "Bearer 0123456789abcde", "0123456789abcdef", "Basic 0123456789abcdef"]
        {
            assert!(!may(wrong), "{wrong}");
        }
        assert_eq!(check(Some(&token), &HeaderMap::new()).expect_err("refused").status, 401);
        assert!(Token::new("short").is_err() && Token::new("with a blank in it").is_err());
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
