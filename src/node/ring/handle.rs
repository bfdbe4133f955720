//! The ring's file store, for the user's threads.

use crate::error::CallError;
use crate::node::running::Running;
use crate::service::ring::member;
use bytes::Bytes;
use std::time::Duration;

/// The ring's store of a running node: see [`Running::ring`].
#[derive(Clone, Debug)]
pub struct Ring {
    node: Running,
    within: Duration,
}

/// Why the ring's store did not do what was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RingError {
    /// It said so, in the text protocol's words; the code, where there is one, first.
    #[error("{0}")]
    Refused(String),
    /// What came is no whole answer.
    #[error(transparent)]
    Cut(#[from] member::Cut),
    /// It was not asked, or did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Running {
    /// The ring's store, where the node has one ([`Node::has_ring_store`](crate::node::Node::has_ring_store)); else its
    /// calls are refused.
    ///
    /// ```no_run
    /// use nodewright::node::Node;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new("alpha", 7000, 5).has_ring_store("nodes/7000").start()?;
    /// println!("{}", node.ring().push("notes.txt", b"hello")?);
    /// assert_eq!(&node.ring().pull("notes.txt")?[..], b"hello");
    /// node.stop();
    /// # Ok(())
    /// # }
    /// ```
    pub fn ring(&self) -> Ring {
        Ring { node: self.clone(), within: Duration::from_secs(60) }
    }
}

impl Ring {
    /// With calls that wait so long; 60 s unless it is said.
    #[must_use]
    pub fn within(&self, within: Duration) -> Self {
        Ring { within, ..self.clone() }
    }

    /// Says all of `bytes` as a client does on one connection, and gives all that the
    /// node says.
    ///
    /// # Errors
    /// The node was not asked, or what it said is no whole answer.
    pub fn talk(&self, bytes: impl Into<Bytes>) -> Result<Bytes, RingError> {
        let call = Box::new(member::Call::Talk(bytes.into()));
        let answer = self.node.handle().call(crate::id::Kind::of(member::NAME), call, self.within)?;
        let strange = |_| CallError::Failed("the ring's answer is of another type".into());
        Ok((*answer.downcast::<Result<Bytes, member::Cut>>().map_err(strange)?)?)
    }

    /// Pushes a file that fits into memory; gives the line that acknowledges it.
    ///
    /// # Errors
    /// Why it was not stored, or that this is not known.
    pub fn push(&self, name: &str, content: &[u8]) -> Result<String, RingError> {
        let mut bytes = format!("FILE PUSH {} {name}\n", content.len()).into_bytes();
        bytes.extend_from_slice(content);
        let text = self.text(bytes)?;
        Ok(text.lines().last().unwrap_or_default().to_owned())
    }

    /// Reads a file that fits into memory; 64 MiB at the most.
    ///
    /// # Errors
    /// There is none, or it cannot be read now.
    pub fn pull(&self, name: &str) -> Result<Bytes, RingError> {
        let answer = self.talk(format!("FILE GET 0 {} {name}\n", u64::MAX >> 1))?;
        let end = answer.iter().position(|byte| *byte == b'\n').unwrap_or(answer.len());
        let line = String::from_utf8_lossy(&answer[..end]).into_owned();
        match line.strip_prefix("ERR ") {
            Some(why) => Err(RingError::Refused(why.to_owned())),
            None => Ok(answer.slice((end + 1).min(answer.len())..)),
        }
    }

    fn text(&self, bytes: Vec<u8>) -> Result<String, RingError> {
        let text = String::from_utf8_lossy(&self.talk(bytes)?).into_owned();
        match text.lines().find_map(|line| line.strip_prefix("ERR ")) {
            Some(why) => Err(RingError::Refused(why.to_owned())),
            None => Ok(text),
        }
    }
}
