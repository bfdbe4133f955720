//! One who watches `docs` through whatever node: what the collection was at each
//! index, as far as that was told.

use super::users::{Reading, Users, by_id};
use crate::id::Kind;
use crate::protocol::replicated_log::Level;
use crate::service::documents::{Answer, Call, Change, Changed, Document, Find, NAME, Question, Read, Watch, Watched};
use crate::sim::check::Violation;
use crate::sim::{NodeIndex, Ticket, World};
use crate::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(2);

pub(super) type State = BTreeMap<String, (u64, Document)>;

/// All changes behind a state, through an index.
#[derive(Default)]
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) through: u64,
    base: State,
    pub(super) changes: Vec<Change>,
}

#[derive(Default)]
pub(super) struct Watcher {
    ticket: Option<(Ticket, bool)>,
    pub(super) stretches: Vec<Stretch>,
    pub(super) told: u64,
    pub(super) gone: u64,
    /// The history is gone: the state is to be read anew.
    anew: bool,
    until: Time,
}

impl Watcher {
    pub(super) fn go_on(&mut self, world: &mut World) {
        if let Some((ticket, state)) = self.ticket {
            let Some(answer) = world.answer::<Read>(ticket) else { return };
            self.ticket = None;
            if let Ok(Ok(got)) = answer {
                self.hear(got.value, state);
            }
        }
        let nodes = world.len();
        // now and then it looks elsewhere for a while
        if world.now() < self.until {
            return;
        }
        if world.rng().u32(0..16) == 0 {
            self.until = world.now() + Duration::from_millis(2500);
        }
        let at = NodeIndex(world.rng().usize(0..nodes));
        let state = self.anew || self.stretches.is_empty();
        let (question, level) = match self.stretches.last().filter(|_| !state) {
            Some(last) => {
                let watch = Watch { collection: Some("docs".into()), after: last.through, limit: 4 };
                (Question::Watch(watch), Level::Stale)
            }
            None => (Question::Find("docs".into(), Find::default().limit(1000)), Level::Linearizable),
        };
        let call = Call::Ask { question, level, within: WITHIN };
        self.ticket = Some((world.call(at, Kind::of(NAME), Box::new(call), WITHIN + WITHIN), state));
    }

    fn hear(&mut self, answer: Answer, state: bool) {
        match answer {
            Answer::Page(page) if state => {
                self.anew = false;
                let (from, through, base) = (page.at, page.at, by_id(&page.documents));
                self.stretches.push(Stretch { from, through, base, changes: Vec::new() });
            }
            Answer::Watched(Watched::Changes { changes, through }) => {
                if let Some(last) = self.stretches.last_mut() {
                    self.told += changes.len() as u64;
                    last.changes.extend(changes);
                    last.through = through;
                }
            }
            Answer::Watched(Watched::Gone { .. }) => {
                self.gone += 1;
                self.anew = true;
            }
            _ => {}
        }
    }

    /// The collection at an index, if all changes up to there were told.
    pub(super) fn state_at(&self, at: u64) -> Option<State> {
        let stretch = self.stretches.iter().find(|it| it.from <= at && at <= it.through)?;
        let mut state = stretch.base.clone();
        for change in stretch.changes.iter().take_while(|change| change.index <= at) {
            match &change.what {
                Changed::Put(id, document) => _ = state.insert(id.clone(), (change.index, document.clone())),
                Changed::Deleted(id) => _ = state.remove(id),
                Changed::Dropped => state.clear(),
            }
        }
        Some(state)
    }

    /// What was watched to the end is what is read in the end.
    pub(super) fn last_known(&self, users: &Users) -> Result<(), Violation> {
        let last = users.seen.iter().rev().find(|seen| matches!(seen.reading, Reading::Session(..)));
        let (Some(seen), Some(stretch)) = (last, self.stretches.last()) else { return Ok(()) };
        let Some(change) = stretch.changes.last() else { return Ok(()) };
        if stretch.through >= seen.at || change.index >= seen.at {
            return Ok(()); // judged as any other read
        }
        // nothing more was told: nothing more may have happened
        let (told, read) = (self.state_at(stretch.through), by_id(&seen.found));
        match told {
            Some(told) if told != read => {
                let why = format!("told through {}: {told:?}, read at {}: {read:?}", stretch.through, seen.at);
                Err(Violation::new("watch without gap", why))
            }
            _ => Ok(()),
        }
    }
}
