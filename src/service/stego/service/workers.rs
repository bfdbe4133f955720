//! The work itself: a bounded queue in front of so many workers, and what a worker
//! does. The component asks for jobs; the driver has the threads.

use super::component::Waiter;
use super::json;
use super::request::{Answer, Refused, Request, Work};
use super::task::{ImageHash, TaskId};
use crate::component::{StreamId, Token};
use crate::service::stego::{Limits, Options, Payload, embed};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// A task that waits for a worker.
pub(super) struct Queued {
    pub(super) task: TaskId,
    pub(super) attempt: u32,
    pub(super) work: Work,
    /// What its image is, as it came.
    pub(super) image: Option<ImageHash>,
    pub(super) waiter: Waiter,
    /// The same client, by further connections.
    pub(super) joined: Vec<Waiter>,
}

impl Queued {
    pub(super) fn waiters(&self) -> impl Iterator<Item = Waiter> {
        std::iter::once(self.waiter).chain(self.joined.iter().copied())
    }
}

/// A task that a worker has.
pub(super) struct Running {
    pub(super) task: TaskId,
    pub(super) image: Option<ImageHash>,
    pub(super) waiters: Vec<Waiter>,
}

/// What a worker is given.
pub enum Job {
    /// Embed.
    Embed {
        /// What in what.
        work: Work,
        /// The server's own cover.
        own: Option<Bytes>,
        /// What an image may take.
        limits: Limits,
        /// The request id, where the answer is to be in JSON.
        json: Option<u64>,
    },
    /// Read a long body of the JSON dialect.
    Read(Bytes),
}

/// What a worker brings.
pub enum Done {
    /// The image, or why there is none; and the same in JSON.
    Embedded(Result<Bytes, String>, Option<Bytes>),
    /// What the body says.
    Read(Result<(Request, json::Words), Refused>),
}

/// Runs a job.
pub(super) fn run(job: Job) -> Done {
    match job {
        Job::Read(body) => Done::Read(json::decode(&body)),
        Job::Embed { work, own, limits, json } => {
            let result = embedded(work, own, limits);
            let text = json.zip(result.as_ref().ok());
            let text = text.and_then(|(request, image)| {
                json::encode_answer(&Answer::Image(image.clone()), json::Words::Task(request))
            });
            Done::Embedded(result, text)
        }
    }
}

fn embedded(work: Work, own: Option<Bytes>, limits: Limits) -> Result<Bytes, String> {
    let Some(cover) = work.cover.or(own) else {
        return Err("this server has no cover image of its own: send one, or set server.cover_image".into());
    };
    let payload = if work.is_text {
        Payload::Text(String::from_utf8(work.payload.into()).map_err(|_| "the text is no UTF-8".to_string())?)
    } else {
        Payload::Bytes(work.payload.into())
    };
    let options = Options { format: work.format, limits, ..Options::default() };
    // Nothing here is random: neither format has a salt, and bits are replaced.
    let embedded = embed(&cover, &payload, &options, None, &mut |bytes| bytes.fill(0));
    embedded.map(|it| it.image.into()).map_err(|error| error.to_string())
}

/// See the module.
pub(super) struct Workers {
    threads: u32,
    queue_max: u32,
    queue: VecDeque<Queued>,
    running: BTreeMap<Token, Running>,
    pub(super) reading: BTreeMap<Token, StreamId>,
}

impl Workers {
    pub(super) fn new(threads: u32, queue_max: u32) -> Self {
        Workers { threads, queue_max, queue: VecDeque::new(), running: BTreeMap::new(), reading: BTreeMap::new() }
    }

    pub(super) fn running(&self) -> u32 {
        self.running.len() as u32
    }

    pub(super) fn queued(&self) -> u32 {
        self.queue.len() as u32
    }

    pub(super) fn active(&self) -> u32 {
        self.running() + self.queued()
    }

    /// Puts a task behind the others, if there is room: whether there was.
    pub(super) fn push(&mut self, queued: Queued) -> bool {
        let room = self.running() < self.threads || self.queued() < self.queue_max;
        if room {
            self.queue.push_back(queued);
        }
        room
    }

    /// The next task, if a worker is free.
    pub(super) fn next(&mut self) -> Option<Queued> {
        if self.running() < self.threads { self.queue.pop_front() } else { None }
    }

    pub(super) fn runs(&mut self, token: Token, running: Running) {
        self.running.insert(token, running);
    }

    pub(super) fn ended(&mut self, token: Token) -> Option<Running> {
        self.running.remove(&token)
    }

    /// Joins a task that is here already. `None` if it is not.
    pub(super) fn join(
        &mut self,
        task: &TaskId,
        image: Option<&ImageHash>,
        waiter: Waiter,
    ) -> Option<Result<(), Refused>> {
        let queued = self.queue.iter_mut().find(|queued| queued.task == *task);
        let running = self.running.values_mut().find(|running| running.task == *task);
        let (here, waiters) = match (queued, running) {
            (Some(queued), _) => (queued.image, &mut queued.joined),
            (None, Some(running)) => (running.image, &mut running.waiters),
            (None, None) => return None,
        };
        if here.as_ref() != image {
            return Some(Err(Refused::OtherImage));
        }
        if !waiters.contains(&waiter) {
            waiters.push(waiter);
        }
        Some(Ok(()))
    }

    /// A task that waits is taken out: another server has it.
    pub(super) fn take_out(&mut self, task: &TaskId, before: u32) -> Option<Queued> {
        let at = self.queue.iter().position(|queued| queued.task == *task && queued.attempt < before)?;
        self.queue.remove(at)
    }

    /// A client went: nobody waits for what it alone asked for, and what has not
    /// begun is not begun.
    pub(super) fn forget(&mut self, gone: Waiter) {
        for queued in &mut self.queue {
            queued.joined.retain(|waiter| *waiter != gone);
            if queued.waiter == gone {
                queued.waiter = queued.joined.pop().unwrap_or(Waiter::Nobody);
            }
        }
        self.queue.retain(|queued| queued.waiter != Waiter::Nobody);
        for running in self.running.values_mut() {
            running.waiters.retain(|waiter| *waiter != gone);
        }
    }
}
