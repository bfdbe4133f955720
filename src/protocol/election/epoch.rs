//! Whose turn it is: epochs, and the fence that refuses those that are over.

use crate::id::NodeId;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// One leadership. Ordered by number, then by the leader's id: two leaders never
/// share one. In safe mode the number alone is unique; it is a log index.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Rises with every leadership.
    pub number: u64,
    /// The leader's node.
    pub leader: NodeId,
}

/// Numbers from here on are junk: nothing could follow them.
pub(super) const NUMBER_MAX: u64 = 1 << 60;

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.number, self.leader)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {self}")
    }
}

/// Refuses what a leader of an earlier epoch commands.
///
/// Each receiver of commands has one, every command carries its leader's epoch.
/// As durable as what the commands change: a receiver that keeps its state on a
/// disk keeps its fence there too.
///
/// ```
/// use nodewright::id::NodeId;
/// use nodewright::protocol::election::{Epoch, Fence};
///
/// let of = |number| Epoch { number, leader: NodeId(1) };
/// let mut fence = Fence::default();
/// assert!(fence.admit(of(7)).is_ok() && fence.admit(of(7)).is_ok());
/// assert!(fence.admit(of(6)).is_err(), "its leader was deposed");
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default, Hash, Serialize, Deserialize)]
pub struct Fence {
    greatest: Option<Epoch>,
}

impl Fence {
    /// Lets a command of `epoch` through, and from now on none of a lower one.
    ///
    /// # Errors
    /// A higher epoch was admitted before; the command is not to be done.
    pub fn admit(&mut self, epoch: Epoch) -> Result<(), Outdated> {
        match self.greatest {
            Some(greatest) if epoch < greatest => Err(Outdated { epoch, greatest }),
            _ => {
                self.greatest = Some(epoch);
                Ok(())
            }
        }
    }

    /// The highest epoch that was admitted.
    pub fn greatest(&self) -> Option<Epoch> {
        self.greatest
    }
}

/// A command of a leader whose time is over. It was not done.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Error)]
#[error("refused (not done): its leader's epoch {epoch} is over, {greatest} has begun: ask the new leader")]
pub struct Outdated {
    /// The command's.
    pub epoch: Epoch,
    /// The highest that was seen.
    pub greatest: Epoch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_refuses_what_is_lower_and_stays_where_it_was() {
        let of = |number, leader| Epoch { number, leader: NodeId(leader) };
        let mut fence = Fence::default();
        assert_eq!(fence.admit(of(2, 1)), Ok(()));
        assert_eq!(fence.admit(of(2, 3)), Ok(()), "a higher id in a number is higher");
        let refused = fence.admit(of(2, 1)).expect_err("lower");
        assert!(refused.to_string().contains("not done"), "{refused}");
        assert_eq!(fence.greatest(), Some(of(2, 3)));
        assert!(fence.admit(of(1, 9)).is_err() && fence.admit(of(3, 1)).is_ok());
    }
}
