//! What this node holds against others, said to all voters.

use super::{Membership, TICKS};
use crate::component::{Context, Lane, PeerRole, To};
use crate::id::Life;
use crate::protocol::membership::Claims;
use crate::time::Time;
use std::collections::BTreeSet;

impl Membership {
    /// The lives of this role against which something was held long enough.
    pub(super) fn grieved(&self, role: PeerRole, now: Time) -> impl Iterator<Item = Life> + '_ {
        self.grievances.lasting(self.config.exclude_after, now).filter(move |life| self.has_role(*life, role))
    }

    /// Says whom this node accuses, if that changed; whether it did.
    pub(super) fn accuse(&mut self, cx: &mut Context<'_, Self>) -> bool {
        if !self.is_voter() {
            return false;
        }
        let accused: BTreeSet<Life> = self.grieved(PeerRole::Voter, cx.now()).collect();
        if accused == self.said {
            return false;
        }
        for life in accused.symmetric_difference(&self.said) {
            let verb = if accused.contains(life) { "accuses" } else { "no longer accuses" };
            log::info!(target: "nodewright::membership", "{verb} {} ({life})", self.name(life.node));
        }
        self.said = accused;
        self.version += 1;
        self.withdrawing = if self.said.is_empty() { TICKS } else { 0 };
        self.say(cx);
        true
    }

    pub(super) fn say(&mut self, cx: &mut Context<'_, Self>) {
        self.accusations.hear(cx.me(), self.version, self.said.clone(), cx.now());
        let claims = Claims::Accuses { version: self.version, lives: self.said.iter().copied().collect() };
        for voter in self.linked_voters() {
            cx.send(To::Life(voter.life), Lane::Probe, &claims);
        }
    }
}
