//! A task at its server: taken in or refused, done, acknowledged.

use super::component::{Cx, StegoService, Waiter};
use super::config::Mutant;
use super::message::{TaskDone, TaskRecorded, TaskTaken};
use super::mirror::{Asked, Then};
use super::request::{Answer, Refused, Work};
use super::task::{Assignment, Fence, TaskId};
use super::workers::{Done, Job, Queued, Running};
use crate::component::Token;
use crate::protocol::replicated_map::{Condition, Transaction};

impl StegoService {
    pub(super) fn submit(&mut self, task: TaskId, fence: Option<Fence>, work: Work, waiter: Waiter, cx: Cx<'_, '_>) {
        let image = work.cover.as_ref().map(|cover| *blake3::hash(cover).as_bytes());
        let attempt = fence.map_or(0, |fence| fence.attempt);
        let queued = Queued { task: task.clone(), attempt, work, image, waiter, joined: Vec::new() };
        let held = self.history.get(&task).map(|held| held.assignment.clone());
        match (fence, held) {
            // The picture is behind what the client was told, or the task is over.
            (Some(fence), held) if held.as_ref().is_none_or(|held| held.fence() < fence) => {
                self.look(task, Then::Submit(queued, fence), cx);
            }
            (fence, held) => self.take_in(queued, fence, held.as_ref(), cx),
        }
    }

    /// Takes a task in that the history holds so; of clients that bring no fence,
    /// any.
    pub(super) fn take_in(&mut self, queued: Queued, fence: Option<Fence>, held: Option<&Assignment>, cx: Cx<'_, '_>) {
        let waiter = queued.waiter;
        if let (Some(fence), Some(held)) = (fence, held)
            && (fence < held.fence() || held.server != self.me)
            && self.config.mutant != Some(Mutant::FenceUnchecked)
        {
            self.stats.fenced += 1;
            return self.answer(waiter, Answer::Assigned(held.clone()), cx);
        }
        if held.is_some_and(|held| held.is_of_other(queued.image.as_ref())) {
            return self.refuse(waiter, Refused::OtherImage, cx);
        }
        if let Some(joined) = self.workers.join(&queued.task, queued.image.as_ref(), waiter) {
            if let Err(why) = joined {
                self.refuse(waiter, why, cx);
            }
            return;
        }
        let (task, attempt) = (queued.task.clone(), held.map_or(queued.attempt, |held| held.attempt));
        if self.config.traced {
            let known = held.map(|held| (held.server, held.attempt));
            cx.publish(TaskTaken { task: task.clone(), attempt: queued.attempt, known });
        }
        if !self.workers.push(queued) {
            self.stats.full += 1;
            if self.config.mutant == Some(Mutant::OverflowDropped) {
                return;
            }
            self.have_it_moved(task, attempt, cx);
            return self.answer(waiter, Answer::Full, cx);
        }
        self.start(cx);
    }

    /// Gives free workers what waits.
    fn start(&mut self, cx: Cx<'_, '_>) {
        while let Some(queued) = self.workers.next() {
            let waiters: Vec<Waiter> = queued.waiters().collect();
            let json = waiters.iter().find_map(|waiter| self.clients.task_in_json(*waiter));
            let Queued { task, work, image, .. } = queued;
            let job = Job::Embed { work, own: self.config.cover.clone(), limits: self.config.limits, json };
            let token = cx.job(job);
            self.workers.runs(token, Running { task, image, waiters });
        }
    }

    pub(super) fn job_done(&mut self, token: Token, done: Option<Done>, cx: Cx<'_, '_>) {
        if let Some(id) = self.workers.reading.remove(&token) {
            let read = match done {
                Some(Done::Read(read)) => read,
                _ => Err(Refused::Bad("reading it failed".into())),
            };
            return self.client_asks_json(id, read, cx);
        }
        let Some(Running { task, waiters, .. }) = self.workers.ended(token) else { return };
        let (result, text) = match done {
            Some(Done::Embedded(result, text)) => (result, text),
            _ => (Err("the worker fell over this image".into()), None),
        };
        let result = self.remembered(&task, result);
        match &result {
            Ok(image) => {
                self.stats.served += 1;
                if self.config.publish_results {
                    cx.publish(TaskDone { task, image: image.clone() });
                }
            }
            Err(_) => self.stats.failed += 1,
        }
        let answer = result.map_or_else(Answer::Failed, Answer::Image);
        for waiter in waiters {
            match waiter {
                Waiter::Client(id) => self.answer_client(id, answer.clone(), text.clone(), cx),
                other => self.answer(other, answer.clone(), cx),
            }
        }
        self.start(cx);
    }

    /// Of a planted bug; else the result itself.
    fn remembered(&mut self, task: &TaskId, result: Result<bytes::Bytes, String>) -> Result<bytes::Bytes, String> {
        if self.config.mutant != Some(Mutant::RememberedByNumber) {
            return result;
        }
        Ok(self.planted_results.entry(task.request).or_insert(result?).clone())
    }

    /// The history says something new of a task.
    pub(super) fn moved_on(&mut self, task: &TaskId, cx: Cx<'_, '_>) {
        let Some(held) = self.history.get(task) else { return };
        if held.assignment.server == self.me || self.config.mutant == Some(Mutant::FenceUnchecked) {
            return;
        }
        let assignment = held.assignment.clone();
        if let Some(queued) = self.workers.take_out(task, assignment.attempt) {
            self.stats.fenced += 1;
            for waiter in queued.waiters() {
                self.answer(waiter, Answer::Assigned(assignment.clone()), cx);
            }
        }
    }

    pub(super) fn acknowledge(&mut self, task: TaskId, waiter: Waiter, cx: Cx<'_, '_>) {
        match self.history.get(&task).map(|held| held.version) {
            Some(version) => self.remove(task, version, waiter, cx),
            None if self.config.mutant == Some(Mutant::RecordedTwice) => self.remove(task, 0, waiter, cx),
            None => self.look(task, Then::Acknowledge(waiter), cx),
        }
    }

    /// The task leaves the history, if it is as of this version.
    pub(super) fn remove(&mut self, task: TaskId, version: u64, waiter: Waiter, cx: Cx<'_, '_>) {
        let as_of = Condition::Version(task.key(), version);
        let bare = Transaction::default();
        let twice = self.config.mutant == Some(Mutant::RecordedTwice);
        let transaction = if twice { bare } else { bare.when(as_of) }.delete(task.key());
        self.commit(transaction, Asked::Remove(task, version, waiter), cx);
    }

    pub(super) fn recorded(&mut self, task: TaskId, version: u64, cx: Cx<'_, '_>) {
        self.stats.recorded += 1;
        if self.config.traced {
            cx.publish(TaskRecorded { task, version });
        }
    }
}
