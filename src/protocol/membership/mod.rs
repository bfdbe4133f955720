//! Membership before consensus: static voters, and lives that a majority of
//! them ends.
//!
//! The voters are the configured list and never change here. What changes is
//! which *life* of each counts. Every voter whose detector suspected a life for
//! `exclude_after` (or whose delivery was held back by it that long) *accuses*
//! it to all voters; the accusation is withdrawn when the life is heard of
//! again. When a majority of the configured voters accuse one life at the same
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
//! The failure assumption is that of primary-partition membership (Ricciardi
//! and Birman, *Using Process Groups to Implement Failure Detection in
//! Asynchronous Environments*, PODC 1991), without its agreed order of views:
//! a set that only grows needs none.

mod accusations;
mod component;
mod config;
#[cfg(test)]
mod tests;

pub use component::{Claims, Membership, Tick};
pub use config::Config;

use crate::component::EndedWhy;
use crate::event::Event;
use crate::id::Life;
use std::sync::Arc;

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

/// One linked life and its node's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The life.
    pub life: Life,
    /// Its node's name.
    pub name: Arc<str>,
}

/// Who is linked with this node, and how many lives are over. Retained. A local
/// view: two nodes' views may differ at any time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// How many voters are configured.
    pub configured: usize,
    /// The voters with a life known to this node, itself included where it is
    /// one, by node id.
    pub voters: Vec<Member>,
    /// The listeners linked with this node, itself included where it is one.
    pub listeners: Vec<Member>,
    /// How many members' lives have ended since this node started.
    pub ended: u64,
}

impl Event for View {
    const NAME: &'static str = "view";
    const RETAINED: bool = true;
}

/// A member's life is over for this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LifeEndedEvent {
    /// The life.
    pub life: Life,
    /// Its node's name.
    pub name: Arc<str>,
    /// Why.
    pub why: EndedWhy,
}

impl Event for LifeEndedEvent {
    const NAME: &'static str = "life_ended";
}
