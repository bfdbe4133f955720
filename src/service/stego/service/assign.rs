//! The leader: who does a task, and who does it after that.
//!
//! A decision is one transaction of the map, and so one entry of the log. Its first
//! condition is the fence: the key of the election is as this leader wrote it. A
//! leader whose epoch is over thus assigns nothing, whatever it believes.

use super::component::{Cx, StegoService, Waiter};
use super::config::Mutant;
use super::message::{Message, TaskAssigned};
use super::mirror::Asked;
use super::request::{Answer, Refused};
use super::servers::Leading;
use super::task::{Assignment, ImageHash, TaskId};
use crate::component::{Lane, To};
use crate::error::CallError;
use crate::id::NodeId;
use crate::protocol::election;
use crate::protocol::replicated_map::{Committed, Condition, Transaction};

/// Tasks that are assigned anew at a time, so that a fall does not fill the log's queue.
const ANEW_MAX: usize = 512;

/// A decision that is under way to the map.
pub(super) struct Assigning {
    pub(super) waiters: Vec<Waiter>,
    node: NodeId,
}

impl StegoService {
    /// This life's leadership, once it knows all that was decided before it.
    pub(super) fn ready_to_lead(&self) -> Option<Leading> {
        self.leading.filter(|leading| self.history.through >= Some(leading.epoch.number))
    }

    pub(super) fn assign(
        &mut self,
        task: TaskId,
        image: Option<ImageHash>,
        refused: Option<u32>,
        waiter: Waiter,
        cx: Cx<'_, '_>,
    ) {
        if let Some(held) = self.history.get(&task) {
            if held.assignment.is_of_other(image.as_ref()) {
                return self.refuse(waiter, Refused::OtherImage, cx);
            }
            if refused != Some(held.assignment.attempt) {
                let assignment = held.assignment.clone();
                return self.answer(waiter, Answer::Assigned(assignment), cx);
            }
        }
        match self.ready_to_lead() {
            Some(leading) => self.decide(leading, task, image, waiter, cx),
            None if matches!(waiter, Waiter::Peer(..) | Waiter::Nobody) => self.refuse(waiter, Refused::NoLeader, cx),
            None => self.forward(task, image, refused, waiter, cx),
        }
    }

    fn decide(&mut self, leading: Leading, task: TaskId, image: Option<ImageHash>, waiter: Waiter, cx: Cx<'_, '_>) {
        if let Some(assigning) = self.assigning.get_mut(&task) {
            assigning.waiters.push(waiter);
            return;
        }
        let held = self.history.get(&task).map(|held| (held.assignment.clone(), held.version));
        if held.is_none() && self.history.len() >= self.config.history_max {
            return self.refuse(waiter, Refused::Busy, cx);
        }
        let before = held.as_ref().map(|(assignment, _)| assignment.server.node);
        let under_way = |node| self.assigning.values().filter(|it| it.node == node).count() as u32;
        let open = |node| self.history.open(node) + under_way(node);
        let Some((server, address)) = self.servers.least_loaded(open, before) else {
            return self.refuse(waiter, Refused::NoLeader, cx);
        };
        let assignment = Assignment {
            server,
            address: address.to_string(),
            epoch: leading.epoch,
            attempt: held.as_ref().map_or(0, |(assignment, _)| assignment.attempt) + 1,
            image: image.or(held.as_ref().and_then(|(assignment, _)| assignment.image)),
        };
        let key = task.key();
        let as_it_was = match held {
            Some((_, version)) => Condition::Version(key.clone(), version),
            None => Condition::Absent(key.clone()),
        };
        let transaction = self.fenced(leading).when(as_it_was).put(key, assignment.encoded());
        self.assigning.insert(task.clone(), Assigning { waiters: vec![waiter], node: server.node });
        self.commit(transaction, Asked::Assign(task, assignment), cx);
    }

    /// A transaction that is done only while this leader's epoch lasts.
    fn fenced(&self, leading: Leading) -> Transaction {
        let fence = Condition::Version(election::KEY.into(), leading.epoch.number);
        let bare = Transaction::default();
        if self.config.mutant == Some(Mutant::NoFence) { bare } else { bare.when(fence) }
    }

    pub(super) fn assigned(
        &mut self,
        task: TaskId,
        assignment: Assignment,
        answer: Result<Committed, CallError>,
        cx: Cx<'_, '_>,
    ) {
        let waiters = self.waiting(&task);
        let answer = match answer {
            Ok(Committed::Done { version }) => {
                if assignment.attempt == 1 {
                    self.stats.assigned += 1;
                } else {
                    self.stats.reassigned += 1;
                }
                self.history.set(task.clone(), Some(assignment.clone()), version, cx.now());
                if self.config.traced {
                    cx.publish(TaskAssigned { task: task.clone(), assignment: assignment.clone(), version });
                }
                self.moved_on(&task, cx);
                Answer::Assigned(assignment)
            }
            Ok(Committed::Failed { found, .. }) => match found.filter(|found| found.key != election::KEY.as_bytes()) {
                // Someone decided before: that stands.
                Some(found) => match Assignment::decoded(&found.value) {
                    Some(other) if other.is_of_other(assignment.image.as_ref()) => Answer::Refused(Refused::OtherImage),
                    Some(other) => Answer::Assigned(other),
                    None => Answer::Refused(Refused::NoLeader),
                },
                None => Answer::Refused(Refused::NoLeader),
            },
            // Unknown, maybe: asked again, the same is found or decided.
            Ok(Committed::Refused(_)) | Err(_) => Answer::Refused(Refused::NoLeader),
        };
        for waiter in waiters {
            self.answer(waiter, answer.clone(), cx);
        }
    }

    /// What a leader does unasked: tasks of fallen servers are assigned anew, and
    /// those that nobody acknowledges leave.
    pub(super) fn look_after(&mut self, cx: Cx<'_, '_>) {
        let Some(leading) = self.ready_to_lead() else { return };
        let (now, led) = (cx.now(), cx.now().since(leading.since));
        let forgotten = self.config.mutant == Some(Mutant::OrphansForgotten);
        let room = ANEW_MAX.saturating_sub(self.assigning.len());
        let (mut orphans, mut expired) = (Vec::new(), Vec::new());
        for (task, held) in self.history.iter() {
            if now.since(held.since) > self.config.keep {
                expired.push((task.clone(), held.version));
            } else if orphans.len() < room
                && !forgotten
                && self.servers.has_fallen(held.assignment.server, led, self.config.unheard_after)
                && !self.assigning.contains_key(task)
            {
                orphans.push(task.clone());
            }
        }
        for task in orphans {
            self.decide(leading, task, None, Waiter::Nobody, cx);
        }
        for (task, version) in expired.into_iter().take(room) {
            let transaction = self.fenced(leading).when(Condition::Version(task.key(), version)).delete(task.key());
            self.commit(transaction, Asked::Expire(task), cx);
        }
    }

    /// Has a task moved off this server, which has no room for it.
    pub(super) fn have_it_moved(&mut self, task: TaskId, attempt: u32, cx: Cx<'_, '_>) {
        if self.ready_to_lead().is_some() {
            return self.assign(task, None, Some(attempt), Waiter::Nobody, cx);
        }
        if let Some(elected) = self.leader.filter(|elected| elected.leader != self.me) {
            let message = Message::Assign { token: 0, task, image: None, refused: Some(attempt) };
            cx.send(To::Life(elected.leader), Lane::Control, &message);
        }
    }
}
