//! Members without a vote: their sponsor's affair, and they its.

use super::Membership;
use crate::component::{Context, PeerRole};
use crate::error::Fault;
use crate::time::Time;

impl Membership {
    /// A listener has no vote and is in nobody's stability but its sponsor's; a
    /// joiner is in nobody's.
    pub(super) fn end_listeners(&self, cx: &mut Context<'_, Self>) {
        let now = cx.now();
        for listener in self.grieved(PeerRole::Listener, now).chain(self.grieved(PeerRole::Joiner, now)) {
            log::info!(target: "nodewright::membership", "ends {} ({listener}), which has no vote and does not answer", self.name(listener.node));
            cx.end_life(listener);
        }
    }

    /// A listener that has lost every sponsor for long joins anew.
    pub(super) fn find_sponsor(&mut self, now: Time) -> Result<(), Fault> {
        if self.linked_voters().next().is_none() {
            let alone = *self.alone.get_or_insert(now);
            if !self.sponsored || now.since(alone) < self.config.exclude_after {
                return Ok(());
            }
        } else {
            self.alone = None;
            if self.grieved(PeerRole::Voter, now).count() < self.linked_voters().count() {
                return Ok(());
            }
        }
        Err(Fault::LifeEnded("no sponsor answers this listener any more: it joins anew".to_owned()))
    }
}
