//! Membership before consensus: voters, and lives that a majority of them ends.
//!
//! Who votes is not decided here: it is the configured list, or what the node's
//! replicated log says ([`VoterList`]). What is decided is which *life* of each
//! counts. Every voter whose detector suspected a life for
//! `exclude_after` (or whose delivery was held back by it that long) *accuses*
//! it to all voters; the accusation is withdrawn when the life is heard of
//! again. When a majority of the voters accuse one life at the same
//! time, that life is *ended*, for good: the set of ended lives only grows, so
//! nodes may learn it in any order. An ended life comes back as a new one.
//!
//! - *Agreement*: what one node ended, every linked node ends.
//! - *No opinion of one, no minority*: without a majority of voters that accuse
//!   it, a life is never ended. In a minority partition nothing ever is.
//! - *A majority stays*: an ended life's accusations are void, so at most a
//!   minority of the voters' places is without a life by decision.
//!
//! A decision counts only accusations that were repeated within the last
//! `exclude_after`: what a voter said before it was cut off cannot be added to
//! what a minority concludes from the cut.
//!
//! A listener has no vote and nobody waits for it, so its sponsor alone ends
//! it, on that sponsor only. A listener whose last sponsor is gone for
//! `exclude_after` goes on as a new life, and joins anew.
//!
//! A *joiner* is to membership what a listener is: without a vote. It links with
//! all voters, each of which ends it for itself alone when it does not answer; it
//! comes back as a new life.
//!
//! Where a log names the voters, each node judges by the last list that its log has
//! come to, and has no say before the first. Lists that follow one another differ in
//! one node, so majorities of them meet; what nodes decide that lag by more, they
//! decide for themselves. Who is removed accuses nobody any more, and is accused by
//! none: it is to membership what a joiner is.
//!
//! The failure assumption is that of primary-partition membership (Ricciardi
//! and Birman, *Using Process Groups to Implement Failure Detection in
//! Asynchronous Environments*, PODC 1991), without its agreed order of views:
//! a set that only grows needs none.

mod accusations;
mod claims;
mod component;
mod config;
mod ended;
mod grievances;
mod list;
#[cfg(test)]
mod tests;
mod view;

pub use claims::Claims;
pub use component::{Membership, Tick};
pub use config::Config;
pub use list::{Seat, VoterList};
pub use view::{LifeEndedEvent, Member, View};

use crate::event::Event;
use crate::id::Life;

/// A delivery component holds back more than its bound because `life` does not
/// acknowledge. Counts as an accusation while `holding` is true. Retained per
/// life.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct HoldingBack {
    /// The life that others wait for.
    pub life: Life,
    /// Whether it still holds back.
    pub holding: bool,
}

impl Event for HoldingBack {
    const NAME: &'static str = "holding_back";
    const RETAINED: bool = true;

    fn retained_key(&self) -> u64 {
        self.life.node.0
    }
}
