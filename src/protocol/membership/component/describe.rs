//! What it says of itself, for people.

use super::{Membership, TICKS};
use crate::component::Inspection;
use crate::id::Life;
use crate::time::Time;

impl Membership {
    pub(super) fn describe(&self, into: &mut Inspection) {
        if self.boot.is_none() {
            return;
        }
        let linked = self.linked_voters().count() + usize::from(self.is_voter());
        into.row("voters with a life", format!("{linked} of {}, majority {}", self.configured(), self.majority()));
        into.row("accused after", format!("{:?}", self.config.exclude_after));
        for (life, what) in self.grievances.describe() {
            into.row(format!("{} {life}", self.name(life.node)), what);
        }
        for accused in self.accusations.accused() {
            into.row(format!("accused {accused}"), self.trial(accused));
        }
        for life in self.ended.lives() {
            into.row(format!("ended of {}", self.name(life.node)), life);
        }
        if self.junk > 0 {
            into.row("claims dropped", self.junk);
        }
    }

    /// What is held against the life that a message comes from.
    pub(super) fn describe_origin(&self, origin: Life) -> Option<String> {
        if self.ended.covers(origin) {
            return Some(format!("its origin's life {origin} is ended"));
        }
        let accused = self.accusations.accused().contains(&origin);
        accused.then(|| format!("its origin {origin} is accused {}", self.trial(origin)))
    }

    /// Who accuses `accused`, for people.
    fn trial(&self, accused: Life) -> String {
        let now = self.due.map_or(Time::ZERO, |due| due - self.config.exclude_after / TICKS);
        let accusers = self.accusations.accusers(accused, now, self.config.exclude_after);
        let names: Vec<&str> = accusers.map(|node| self.name(node)).collect();
        let needed = self.majority();
        format!("by {} of {needed} needed: {}", names.len(), names.join(", "))
    }
}
