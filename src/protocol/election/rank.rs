//! Who is better, for one election.

use super::config::By;
use crate::id::NodeId;
use serde::{Deserialize, Serialize};

/// A node's place in one election.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct Rank {
    /// The bucket of its load score; `None` where ids rank, and for a node that
    /// is no candidate by load.
    pub bucket: Option<u8>,
    /// Its id.
    pub id: NodeId,
}

impl Rank {
    /// Whether this one is to lead rather than `other`.
    pub(super) fn is_better(&self, other: &Rank, by: By) -> bool {
        match by {
            By::Id => self.id > other.id,
            By::Load => match (self.bucket, other.bucket) {
                (Some(mine), Some(theirs)) if mine != theirs => mine < theirs,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                _ => self.id > other.id,
            },
        }
    }
}

/// The score with which a node takes part in an election: the one it had when it
/// first spoke in it.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default, Hash)]
pub(super) struct Frozen {
    number: u64,
    bucket: Option<u8>,
}

impl Frozen {
    /// The number of the election in which this node takes part, and its bucket
    /// there; `now` if it is a new one. It takes part in none that is older than
    /// one that it knows. Without a score it has not spoken: the first one counts,
    /// since the number does not change while nobody is elected.
    pub(super) fn bucket(&mut self, number: u64, now: Option<u8>) -> (u64, Option<u8>) {
        if number > self.number || number == self.number && self.bucket.is_none() {
            *self = Frozen { number, bucket: now };
        }
        (self.number, self.bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_load_is_better_ties_go_by_id_and_no_candidate_wins() {
        let rank = |bucket, id| Rank { bucket, id: NodeId(id) };
        assert!(rank(Some(1), 1).is_better(&rank(Some(2), 9), By::Load));
        assert!(rank(Some(2), 9).is_better(&rank(Some(2), 1), By::Load));
        assert!(rank(Some(20), 1).is_better(&rank(None, 9), By::Load));
        assert!(!rank(None, 9).is_better(&rank(Some(20), 1), By::Load));
        assert!(rank(Some(20), 9).is_better(&rank(Some(1), 1), By::Id));
    }

    #[test]
    fn a_score_is_frozen_for_its_election() {
        let mut frozen = Frozen::default();
        assert_eq!(frozen.bucket(3, Some(4)), (3, Some(4)));
        assert_eq!(frozen.bucket(3, Some(9)), (3, Some(4)));
        assert_eq!(frozen.bucket(2, Some(9)), (3, Some(4)), "an older one is not taken part in again");
        assert_eq!(frozen.bucket(4, Some(9)), (4, Some(9)));
        assert_eq!(frozen.bucket(5, None), (5, None));
        assert_eq!(frozen.bucket(5, Some(1)), (5, Some(1)), "it had none, and said nothing");
        assert_eq!(frozen.bucket(5, Some(2)), (5, Some(1)));
    }
}
