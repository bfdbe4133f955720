//! The world in the place of the user: broadcasts for it and records what it
//! is handed, where a stack has no component `app` of its own.

use crate::codec::BatchBuilder;
use crate::component::{Item, Progress, Target};
use crate::id::Kind;
use std::collections::BTreeMap;
use std::time::Duration;

/// The name of the user's component.
pub(super) const APP: &str = "app";

/// Stands in for the user of one life.
#[derive(Default)]
pub(super) struct App {
    /// What was broadcast since the last step, joined to batches.
    outgoing: Vec<(Kind, Target, BatchBuilder)>,
    pub(super) progress: BTreeMap<(Kind, Target), Progress>,
    /// How long the user takes to handle what it is handed.
    pub(super) slowness: Duration,
}

impl App {
    pub(super) fn broadcast(&mut self, via: Kind, target: Target, body: &[u8]) {
        let at = self.outgoing.iter().position(|(to, whom, _)| (*to, *whom) == (via, target)).unwrap_or_else(|| {
            self.outgoing.push((via, target, BatchBuilder::default()));
            self.outgoing.len() - 1
        });
        self.outgoing[at].2.push(|out| out.extend_from_slice(body));
    }

    /// The requests that the broadcasts since the last step became.
    pub(super) fn requests(&mut self) -> Vec<(Kind, Item)> {
        let taken = self.outgoing.drain(..).filter_map(|(via, target, mut builder)| {
            let batch = builder.take()?;
            Some((via, Item::Request { from: Kind::of(APP), target, batch }))
        });
        taken.collect()
    }
}
