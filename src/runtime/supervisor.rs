//! The node's own thread: begins lives and ends them.

use super::incarnation::Incarnations;
use super::live::Live;
use super::network::Entry;
use super::node::{Ended, Node, Notice, Now};
use super::notice::NewLife;
use super::{FirstLife, StartError, thread};
use crate::component::{Boot, Item};
use crate::error::{CallError, Fault};
use crate::event::AnyEvent;
use crate::id::Life;
use crate::time::Time;
use crate::trace::What;
use crate::transport::{Bound, Links};
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How often a node may begin a new life before it gives up.
const LIVES_MAX: usize = 5;
/// In which time.
const LIVES_WITHIN: Duration = Duration::from_secs(60);
/// Rest before the second new life within that time; it doubles.
const REST: Duration = Duration::from_millis(50);

/// How often something may begin anew within a time.
pub(super) struct Budget {
    max: usize,
    within: Duration,
    rest: Duration,
    taken: VecDeque<Time>,
}

impl Budget {
    pub(super) fn new(max: usize, within: Duration, rest: Duration) -> Self {
        Budget { max, within, rest, taken: VecDeque::new() }
    }

    /// How long to rest before beginning anew; `None` if it happened too often.
    pub(super) fn take(&mut self, now: Time) -> Option<Duration> {
        while self.taken.front().is_some_and(|taken| now.since(*taken) > self.within) {
            self.taken.pop_front();
        }
        if self.taken.len() >= self.max {
            return None;
        }
        self.taken.push_back(now);
        let doublings = self.taken.len() as u32 - 1;
        Some(if doublings == 0 { Duration::ZERO } else { self.rest * (1 << (doublings - 1)) })
    }
}

/// Longest reason that a trace is told.
const TOLD_CHARS_MAX: usize = 200;

/// How long a new life tries to listen on the old one's port.
const BIND_WITHIN: Duration = Duration::from_secs(10);

/// A life with its threads.
struct Begun {
    live: Arc<Live>,
    threads: Vec<JoinHandle<()>>,
    /// What measures the machine's load, where a component wants it.
    load: Option<JoinHandle<()>>,
}

pub(super) struct Supervisor {
    node: Arc<Node>,
    notices: flume::Receiver<Notice>,
    incarnations: Incarnations,
    budget: Budget,
}

impl Supervisor {
    pub(super) fn new(node: Arc<Node>, notices: flume::Receiver<Notice>, incarnations: Incarnations) -> Self {
        Supervisor { node, notices, incarnations, budget: Budget::new(LIVES_MAX, LIVES_WITHIN, REST) }
    }

    /// Runs the node to its end; `started` is told how the first life began.
    pub(super) fn run(
        mut self,
        first: FirstLife,
        started: &flume::Sender<Result<(), StartError>>,
    ) -> Result<(), Ended> {
        let begun = self.begin(first.me, first.bound, None, "start");
        let (mut begun, result) = match begun {
            Ok(begun) => (Some(begun), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let refused = result.is_err();
        let _ = started.send(result);
        let mut ended = Ok(());
        while let Some(now) = begun.take() {
            match self.watch(now) {
                Ok(next) => begun = next,
                Err(why) => ended = Err(why),
            }
        }
        if !refused {
            log::info!(target: "nodewright::runtime", "{} is stopped", self.node.options.name);
        }
        self.node.set_now(Now::Stopped);
        self.node.calls.end(&CallError::Stopping);
        self.node.board.close();
        self.node.watchers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.node.pool.stop();
        self.node.disk.stop();
        self.node.files.stop();
        if let Some(recorder) = &self.node.recorder {
            recorder.end();
        }
        ended
    }

    /// Sees a life to its end; the next one, or `None` when the user stopped.
    fn watch(&mut self, begun: Begun) -> Result<Option<Begun>, Ended> {
        let here = begun.live.me;
        let mut deadline = self.node.calls.expire(self.node.clock.now());
        loop {
            let notice = match deadline {
                Some(at) => self.notices.recv_deadline(self.node.clock.instant(at)).ok(),
                None => self.notices.recv().ok(),
            };
            match notice {
                None | Some(Notice::Deadline) => deadline = self.node.calls.expire(self.node.clock.now()),
                Some(Notice::Stop) => {
                    self.stop(begun);
                    return Ok(None);
                }
                Some(Notice::Fell { life, component, fault }) if life == here => {
                    if let Fault::Stop(why) = fault {
                        self.stop(begun);
                        return Err(Ended::Asked { component, why });
                    }
                    let why = format!("{component}: {fault}");
                    let told = why.chars().take(TOLD_CHARS_MAX).collect();
                    return self.anew(begun, 0, why, What::Failed { why: told });
                }
                Some(Notice::Outlived { life, at_least, why }) if life == here => {
                    return self.anew(begun, at_least, why, What::Outlived);
                }
                Some(Notice::Fell { .. } | Notice::Outlived { .. }) => {} // of an earlier life
            }
        }
    }

    /// Begins a life: mailboxes first, then threads in start order, then links;
    /// then the threads may run. Every mailbox holds `Started` before anything
    /// else can reach it, and what components send meets links.
    fn begin(&self, me: Life, bound: Option<Bound>, old: Option<Life>, why: &str) -> Result<Begun, StartError> {
        let (voters, voter) = bound.as_ref().map_or((1, true), |bound| (bound.voters, bound.voter));
        let boot = Boot { me, name: self.node.options.name.clone(), voters, voter };
        self.node.board.begin(me);
        let live = Live::new(self.node.clone(), boot);
        for mailbox in &live.mailboxes {
            mailbox.queue(Item::Started(live.boot.clone()));
        }
        live.record(What::Started { name: self.node.options.name.to_string(), voter });
        let mut begun = Begun { live: live.clone(), threads: Vec::new(), load: None };
        // Closed when the components may run.
        let (gate, closed) = flume::bounded::<()>(0);
        for (index, factory) in self.node.stack.factories.iter().enumerate() {
            let (life, closed) = (live.clone(), closed.clone());
            let name = format!("nw-{}-{}", self.node.options.name, factory.manifest().name);
            let thread = Builder::new().name(name).spawn(move || {
                let _ = closed.recv();
                thread::run(&life, index);
            });
            match thread {
                Ok(thread) => {
                    live.mailboxes[index].runs_on(thread.thread().clone());
                    begun.threads.push(thread);
                }
                Err(error) => {
                    live.end();
                    drop(gate);
                    end(begun, false);
                    return Err(StartError::Thread(error));
                }
            }
        }
        if let Some(bound) = bound {
            match Links::start(bound, Arc::new(Entry { live: Arc::downgrade(&live) })) {
                Ok(links) => live.linked(Box::new(Arc::new(links))),
                Err(error) => {
                    live.end();
                    drop(gate);
                    end(begun, false);
                    return Err(error.into());
                }
            }
        }
        match super::load::start(&live) {
            Ok(load) => begun.load = load,
            Err(error) => {
                drop(gate);
                end(begun, false);
                return Err(StartError::Thread(error));
            }
        }
        drop(gate);
        log::info!(target: "nodewright::runtime", "{} lives as {me}: {why}", self.node.options.name);
        super::counters::count(&self.node.counts.lives);
        live.publish(AnyEvent::new(NewLife { old, new: me, why: why.to_owned() }));
        self.node.set_now(Now::Lives(live));
        let mut watchers = self.node.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher.send(me).is_ok());
        drop(watchers);
        Ok(begun)
    }

    /// Ends a life as a crash would and begins the next.
    fn anew(&mut self, begun: Begun, at_least: u64, why: String, what: What) -> Result<Option<Begun>, Ended> {
        let (old, live) = (begun.live.me, begun.live.clone());
        log::warn!(target: "nodewright::runtime", "{old} is over, a new life begins: {why}");
        self.node.set_now(Now::Between);
        end(begun, false);
        live.record(what);
        drop(live);
        self.node.calls.end(&CallError::Ended(format!("{old} is over: {why}")));
        let Some(rest) = self.budget.take(self.node.clock.now()) else {
            return Err(Ended::FellTooOften { lives: LIVES_MAX, within: LIVES_WITHIN, why });
        };
        if self.rest(rest) {
            return Ok(None);
        }
        let failed = |error: StartError| Ended::NoNewLife(error.to_string());
        let incarnation = self.incarnations.next(at_least).map_err(|error| failed(error.into()))?;
        let me = Life { node: old.node, incarnation };
        let begun_binding = self.node.clock.now();
        loop {
            match self.node.options.bind(me, self.node.recorder.as_ref()) {
                Ok(bound) => return self.begin(me, bound, Some(old), &why).map(Some).map_err(failed),
                // Whoever holds the old life's port for a moment lets go of it.
                Err(_) if self.node.clock.now().since(begun_binding) < BIND_WITHIN => {
                    if self.rest(REST) {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
    }

    /// Rests; true if the user meanwhile asked to stop. What else comes is of
    /// the old life.
    fn rest(&self, rest: Duration) -> bool {
        let until = self.node.clock.instant(self.node.clock.now() + rest);
        while let Ok(notice) = self.notices.recv_deadline(until) {
            if let Notice::Stop = notice {
                return true;
            }
        }
        false
    }

    /// Stops gracefully: what stands above stops first, each component after
    /// it has handled what came before.
    fn stop(&self, begun: Begun) {
        self.node.set_now(Now::Stopped);
        let Begun { live, mut threads, load } = begun;
        while let Some(thread) = threads.pop() {
            live.mailboxes[threads.len()].queue(Item::Stop);
            // Its panics are caught inside.
            let _ = thread.join();
        }
        end(Begun { live: live.clone(), threads, load }, true);
        live.record(What::Stopped);
    }
}

fn end(begun: Begun, leaving: bool) {
    begun.live.end();
    begun.live.network().stop(leaving);
    begun.live.close_streams();
    for thread in begun.threads.into_iter().chain(begun.load) {
        // Its panics are caught inside.
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_rests_longer_each_time_and_ends() {
        let second = Duration::from_secs(1);
        let mut budget = Budget::new(3, 30 * second, second);
        let at = |s| Time::ZERO + s * second;
        assert_eq!(budget.take(at(0)), Some(Duration::ZERO));
        assert_eq!(budget.take(at(1)), Some(second));
        assert_eq!(budget.take(at(2)), Some(2 * second));
        assert_eq!(budget.take(at(3)), None);
        assert_eq!(budget.take(at(31)), Some(2 * second), "the first is forgotten");
    }
}
