//! A client's side of one task, without a socket: what to ask whom next, until there
//! is a result.
//!
//! ```text
//!   seek --Assigned--> submit --Image--> acknowledge --> done
//!    ^  \--nobody: wait   | broken                  \--broken: the next server
//!    |                    v
//!    +--nobody has it-- poll --another attempt, or ten times the same--> submit
//! ```
//!
//! Never gives up: how long to go on is for the caller to say. A server that was
//! asked and did not answer is asked again only when the history says ten times that
//! it still has the task: it may have come back.

use super::request::{Answer, Refused, Request, Work};
use super::task::{Assignment, ImageHash, TaskId};
use bytes::Bytes;
use std::time::Duration;

/// After so many polls with the same answer that server is tried again.
pub const SAME_MAX: u32 = 10;

/// What is to be done next.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Ask this server.
    Ask {
        /// Where it is.
        server: String,
        /// What.
        request: Request,
    },
    /// Wait, and then say [`Told::Waited`].
    Wait(Duration),
    /// The result is here: look at it, and say [`Told::Good`] or [`Told::Bad`].
    Look(Bytes),
    /// It is over: there is a result, and it is acknowledged.
    Done,
    /// It is over: no server can do this.
    Failed(String),
}

/// What came of a step.
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    /// The server's answer.
    Answer(Answer),
    /// The server is not there, or did not answer in time.
    Broken,
    /// The time has passed.
    Waited,
    /// The result is what it should be.
    Good,
    /// The result is not: it is to be done again.
    Bad,
}

/// How long to wait.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Before all servers are asked again: 500 ms.
    pub poll: Duration,
    /// When nobody leads at this moment: 100 ms.
    pub leaderless: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { poll: Duration::from_millis(500), leaderless: Duration::from_millis(100) }
    }
}

#[derive(Clone, PartialEq, Debug)]
enum State {
    /// So many servers were asked for an assignment; `refused` that attempt.
    Seek {
        asked: usize,
        refused: Option<u32>,
    },
    Submit(Assignment),
    /// So many servers were asked where the task is; whether any had it.
    Poll {
        last: Assignment,
        asked: usize,
        had: bool,
    },
    Look(Assignment),
    Acknowledge {
        asked: usize,
        failed: Option<String>,
    },
    Over,
}

/// See the module.
pub struct Errand {
    task: TaskId,
    image: Option<ImageHash>,
    work: Work,
    servers: Vec<String>,
    /// The server that answered last: asked first.
    first: usize,
    pace: Pace,
    state: State,
    /// Polls that said the same.
    same: u32,
    /// What went otherwise than straight.
    pub retries: u32,
    /// Who gave the result.
    pub server: Option<String>,
}

impl Errand {
    /// A task for these servers, of which `first` is asked first. There is at least
    /// one.
    pub fn new(task: TaskId, work: Work, servers: Vec<String>, first: usize, pace: Pace) -> Self {
        let image = work.cover.as_ref().map(|cover| *blake3::hash(cover).as_bytes());
        let first = first % servers.len().max(1);
        let state = State::Seek { asked: 0, refused: None };
        Errand { task, image, work, servers, first, pace, state, same: 0, retries: 0, server: None }
    }

    /// The first step.
    pub fn begin(&mut self) -> Step {
        self.seek(0, None)
    }

    /// The server that answered last.
    pub fn first(&self) -> usize {
        self.first
    }

    /// What to do, now that this is known.
    pub fn told(&mut self, told: Told) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), told) {
            (State::Seek { refused, .. }, Told::Waited) => self.seek(0, refused),
            (State::Seek { .. }, Told::Answer(Answer::Assigned(assignment))) => self.submit(assignment),
            (State::Seek { .. }, Told::Answer(Answer::Refused(why @ (Refused::OtherImage | Refused::Bad(_))))) => {
                Step::Failed(why.to_string())
            }
            (State::Seek { refused, .. }, Told::Answer(Answer::Refused(Refused::NoLeader | Refused::Busy))) => {
                self.retries += 1;
                self.first = (self.first + 1) % self.servers.len();
                self.state = State::Seek { asked: 0, refused };
                Step::Wait(self.pace.leaderless)
            }
            (State::Seek { asked, refused }, _) => self.seek(asked + 1, refused),

            (State::Submit(at), Told::Answer(answer)) => self.submitted(at, answer),
            (State::Submit(last), _) => {
                self.retries += 1;
                self.poll(last, 0, false)
            }

            (State::Poll { last, .. }, Told::Waited) => self.poll(last, 0, false),
            (State::Poll { last, asked, had }, Told::Answer(Answer::Assigned(now))) => {
                if now.fence() != last.fence() {
                    return self.submit(now);
                }
                let _ = had;
                self.poll(last, asked + 1, true)
            }
            (State::Poll { last, asked, had }, _) => self.poll(last, asked + 1, had),

            (State::Look(at), Told::Good) => {
                self.server = Some(at.address);
                self.acknowledge(0, None)
            }
            (State::Look(at), _) => {
                self.retries += 1;
                self.submit(at)
            }

            (
                State::Acknowledge { failed, .. },
                Told::Answer(Answer::Acked(_) | Answer::Refused(Refused::NoSuchTask)),
            ) => failed.map_or(Step::Done, Step::Failed),
            (State::Acknowledge { failed, .. }, Told::Waited) => self.acknowledge(0, failed),
            (State::Acknowledge { asked, failed }, _) => self.acknowledge(asked + 1, failed),
            (State::Over, _) => Step::Done,
        }
    }

    fn nth(&self, asked: usize) -> String {
        self.servers[(self.first + asked) % self.servers.len()].clone()
    }

    fn seek(&mut self, asked: usize, refused: Option<u32>) -> Step {
        let wait = asked >= self.servers.len();
        self.state = State::Seek { asked, refused };
        if wait {
            self.retries += 1;
            return Step::Wait(self.pace.poll);
        }
        let request = Request::Assign { task: self.task.clone(), image: self.image, refused };
        Step::Ask { server: self.nth(asked), request }
    }

    fn submit(&mut self, at: Assignment) -> Step {
        if let Some(place) = self.servers.iter().position(|server| *server == at.address) {
            self.first = place; // it is up, for all that the leader knows
        }
        let request = Request::Submit { task: self.task.clone(), fence: Some(at.fence()), work: self.work.clone() };
        let server = at.address.clone();
        self.same = 0;
        self.state = State::Submit(at);
        Step::Ask { server, request }
    }

    fn submitted(&mut self, at: Assignment, answer: Answer) -> Step {
        match answer {
            Answer::Image(image) => {
                self.state = State::Look(at);
                Step::Look(image)
            }
            Answer::Failed(why) => self.acknowledge(0, Some(why)),
            Answer::Assigned(now) => {
                self.retries += 1;
                if now.fence() == at.fence() {
                    // not to be understood: as if it had not answered
                    return self.poll(at, 0, false);
                }
                self.submit(now)
            }
            Answer::Full => {
                self.retries += 1;
                self.state = State::Seek { asked: 0, refused: Some(at.attempt) };
                Step::Wait(self.pace.leaderless)
            }
            Answer::Refused(Refused::NoSuchTask) => {
                self.retries += 1;
                self.seek(0, None)
            }
            Answer::Refused(why @ (Refused::OtherImage | Refused::Bad(_))) => Step::Failed(why.to_string()),
            _ => {
                self.retries += 1;
                self.poll(at, 0, false)
            }
        }
    }

    fn poll(&mut self, last: Assignment, asked: usize, had: bool) -> Step {
        if asked < self.servers.len() {
            self.state = State::Poll { last, asked, had };
            return Step::Ask { server: self.nth(asked), request: Request::Where { task: self.task.clone() } };
        }
        if !had {
            return self.seek(0, None);
        }
        self.same += 1;
        if self.same >= SAME_MAX {
            return self.submit(last);
        }
        self.state = State::Poll { last, asked, had };
        Step::Wait(self.pace.poll)
    }

    fn acknowledge(&mut self, asked: usize, failed: Option<String>) -> Step {
        let wait = asked >= self.servers.len();
        self.state = State::Acknowledge { asked, failed };
        if wait {
            return Step::Wait(self.pace.poll);
        }
        Step::Ask { server: self.nth(asked), request: Request::Ack { task: self.task.clone() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Life, NodeId};
    use crate::protocol::election::Epoch;
    use crate::service::stego::Format;

    fn errand() -> Errand {
        let task = TaskId { client: "c".into(), request: 1 };
        let work = Work { cover: Some("cover".into()), payload: "p".into(), is_text: true, format: Format::Raw };
        Errand::new(task, work, vec!["a".into(), "b".into(), "c".into()], 0, Pace::default())
    }

    fn at(server: &str, attempt: u32) -> Answer {
        let (life, leader) = (Life::new(NodeId(1), 1), NodeId(1));
        let epoch = Epoch { number: 4, leader };
        Answer::Assigned(Assignment { server: life, address: server.into(), epoch, attempt, image: None })
    }

    fn asks(step: &Step) -> (&str, &Request) {
        match step {
            Step::Ask { server, request } => (server, request),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn straight_on_it_is_assigned_done_and_acknowledged() {
        let mut errand = errand();
        let step = errand.begin();
        assert!(matches!(asks(&step), ("a", Request::Assign { refused: None, .. })));
        let step = errand.told(Told::Answer(at("b", 1)));
        assert!(matches!(asks(&step), ("b", Request::Submit { .. })));
        assert_eq!(errand.told(Told::Answer(Answer::Image("png".into()))), Step::Look("png".into()));
        let step = errand.told(Told::Good);
        assert!(matches!(asks(&step), ("b", Request::Ack { .. })));
        assert_eq!(errand.told(Told::Answer(Answer::Acked(true))), Step::Done);
        assert_eq!((errand.retries, errand.server.as_deref()), (0, Some("b")));
    }

    #[test]
    fn after_a_fall_it_polls_and_takes_the_next_server() {
        let mut errand = errand();
        errand.begin();
        errand.told(Told::Answer(at("b", 1)));
        let step = errand.told(Told::Broken);
        assert!(matches!(asks(&step), ("b", Request::Where { .. })));
        assert!(matches!(asks(&errand.told(Told::Broken)), ("c", Request::Where { .. })));
        let step = errand.told(Told::Answer(at("b", 1)));
        assert!(matches!(asks(&step), ("a", Request::Where { .. })), "the same: the others may know more");
        assert_eq!(errand.told(Told::Answer(at("b", 1))), Step::Wait(Pace::default().poll));
        let step = errand.told(Told::Waited);
        assert!(matches!(asks(&step), ("b", Request::Where { .. })));
        let step = errand.told(Told::Answer(at("c", 2)));
        assert!(matches!(asks(&step), ("c", Request::Submit { fence: Some(fence), .. }) if fence.attempt == 2));
    }

    #[test]
    fn ten_times_the_same_and_it_is_tried_again() {
        let mut errand = errand();
        errand.begin();
        errand.told(Told::Answer(at("b", 1)));
        let mut step = errand.told(Told::Broken);
        for _ in 1..SAME_MAX {
            for _ in 0..3 {
                assert!(matches!(asks(&step), (_, Request::Where { .. })));
                step = errand.told(Told::Answer(at("b", 1)));
            }
            assert_eq!(step, Step::Wait(Pace::default().poll));
            step = errand.told(Told::Waited);
        }
        for _ in 0..3 {
            step = errand.told(Told::Answer(at("b", 1)));
        }
        assert!(matches!(asks(&step), ("b", Request::Submit { .. })));
    }

    #[test]
    fn a_full_server_is_named_to_the_leader_and_a_failure_is_final() {
        let mut errand = errand();
        errand.begin();
        errand.told(Told::Answer(at("b", 3)));
        assert!(matches!(errand.told(Told::Answer(Answer::Full)), Step::Wait(_)));
        let step = errand.told(Told::Waited);
        assert!(matches!(asks(&step), (_, Request::Assign { refused: Some(3), .. })));
        errand.told(Told::Answer(at("c", 4)));
        let step = errand.told(Told::Answer(Answer::Failed("does not fit".into())));
        assert!(matches!(asks(&step), (_, Request::Ack { .. })), "the task is over, and leaves the history");
        assert_eq!(errand.told(Told::Answer(Answer::Acked(true))), Step::Failed("does not fit".into()));
    }
}
