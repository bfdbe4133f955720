//! Planted bugs of the gate, for the tests beside this file that must catch
//! them.
//!
//! They are in builds for tests alone: nobody can ask a node that is used to
//! leave its gate open. There is nothing of them in any other build, and the
//! places that ask for one are then as if they did not.

#[cfg(test)]
mod tests;

/// What is wrong with the gate.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mutant {
    /// A handshake without any seal is let in where a secret is asked for.
    UnsealedAdmitted,
    /// The secret does not go into the handshake.
    SecretNotMixed,
    /// Who is not on the allow list is let in.
    AllowListNotConsulted,
    /// Who has another key than the pinned one is let in.
    PinNotConsulted,
    /// Any number of connections may be half open.
    HalfOpenUnbounded,
    /// A handshake may take as long as it likes.
    DeadlineNotKept,
    /// The reader of a session that was replaced goes on delivering.
    OldReaderDelivers,
    /// A node without a secret listens where others reach it.
    OpenToAll,
}

/// The bug that is planted, if one is.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Planted(#[cfg(test)] Option<Mutant>);

impl Planted {
    /// Whether it is this one.
    pub(super) fn is(self, mutant: Mutant) -> bool {
        #[cfg(test)]
        let planted = self.0 == Some(mutant);
        #[cfg(not(test))]
        let planted = {
            let _ = mutant;
            false
        };
        planted
    }
}
