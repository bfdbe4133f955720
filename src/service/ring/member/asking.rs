//! Questions to holders: this node's own and others', in one way.

use super::component::{Cx, Ring};
use super::message::{Answer, Ask, Form, Got, Message};
use super::push::Step;
use super::reading::Asked as Reads;
use super::{ClientId, Mutant, holder};
use crate::component::{Erased, Lane, To, Token};
use crate::error::CallError;
use crate::id::{Kind, Life, NodeId};
use crate::service::ring::holder::Refusal;
use crate::time::Time;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Questions of others that are under way here, at most.
const SERVED_MAX: usize = 4096;
/// Until when this node's own holder answers a question of another.
const SERVED_WITHIN: Duration = Duration::from_secs(60);

/// Who waits for an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    Push(ClientId, Step),
    Read(ClientId, Reads),
    Refill(Reads),
    Move(Reads),
    Scrub(ClientId),
    Sweep(ClientId),
    Nothing,
}

/// A question that was put.
struct Put {
    node: NodeId,
    life: Option<Life>,
    form: Form,
    why: Why,
    until: Time,
}

/// Whose question the holder has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    /// This node's, by its number.
    Own(u64),
    Other(Life, u64),
}

/// All questions under way.
#[derive(Default)]
pub(super) struct Asking {
    next: u64,
    put: BTreeMap<u64, Put>,
    /// Questions to this node's holder, with those that may be put again while it
    /// reads its directory.
    asked: BTreeMap<Token, (From, Form, Option<Ask>)>,
    /// To be put to the holder again.
    again: Vec<(From, Ask)>,
    /// Answers that nobody has heard yet.
    answered: VecDeque<(Why, NodeId, Option<Got>)>,
}

impl Asking {
    /// The next answer; `None` for the answer if there will be none.
    pub(super) fn next_answer(&mut self) -> Option<(Why, NodeId, Option<Got>)> {
        self.answered.pop_front()
    }

    fn answer(&mut self, number: u64, got: Option<Got>) {
        if let Some(put) = self.put.remove(&number) {
            let fitting = got.filter(|got| form(&got.answer) == put.form);
            self.answered.push_back((put.why, put.node, fitting));
        }
    }

    /// Nobody waits for these answers any more.
    pub(super) fn drop_client(&mut self, client: ClientId) {
        for put in self.put.values_mut() {
            match put.why {
                Why::Push(of, _) | Why::Read(of, _) | Why::Scrub(of) | Why::Sweep(of) if of == client => {
                    put.why = Why::Nothing;
                }
                _ => {}
            }
        }
    }

    /// A life is over: it answers nothing more.
    pub(super) fn ended(&mut self, life: Life) {
        let with: Vec<u64> =
            self.put.iter().filter(|(_, put)| put.life == Some(life)).map(|(number, _)| *number).collect();
        with.into_iter().for_each(|number| self.answer(number, None));
        let of = |from: &From| matches!(from, From::Other(asker, _) if *asker == life);
        self.asked.retain(|_, (from, ..)| !of(from));
        self.again.retain(|(from, _)| !of(from));
    }

    /// Deadlines that have passed.
    pub(super) fn late(&mut self, now: Time) {
        let late: Vec<u64> = self.put.iter().filter(|(_, put)| put.until <= now).map(|(number, _)| *number).collect();
        late.into_iter().for_each(|number| self.answer(number, None));
    }

    pub(super) fn under_way(&self) -> usize {
        self.put.len()
    }
}

fn form(answer: &Answer) -> Form {
    match answer {
        Answer::Done(_) => Form::Done,
        Answer::Held(_) => Form::Held,
        Answer::Bytes(_) => Form::Bytes,
        Answer::Scrubbed(_) => Form::Scrubbed,
    }
}

impl Ring {
    /// Asks the holder of `node`; the answer comes to `why`.
    pub(super) fn ask(&mut self, node: NodeId, ask: Ask, bytes: Bytes, why: Why, within: Duration, cx: Cx<'_, '_>) {
        self.asking.next += 1;
        let (number, form, until) = (self.asking.next, ask.form(), cx.now() + within);
        let life = self.peers.life(node);
        self.asking.put.insert(number, Put { node, life, form, why, until });
        if node == cx.me().node {
            if ask == Ask::Sweep {
                self.sweep(cx);
                let answer = Answer::Done(Ok(()));
                return self.asking.answer(number, Some(Got { answer, bytes: Bytes::new() }));
            }
            return self.put_to_holder(From::Own(number), ask, bytes, within, cx);
        }
        let Some(life) = life else { return self.asking.answer(number, None) };
        let lane = if bytes.is_empty() { Lane::Control } else { Lane::Bulk };
        cx.send_with(To::Life(life), lane, &Message::Ask(number, ask), &bytes);
    }

    /// A part of a push is to be made room for: it is seen to that it does not stay if
    /// the push is given up before this is heard.
    fn may_be_left(&mut self, ask: &Ask) {
        if let Ask::Prepare { id, begun, .. } = ask {
            self.following.prepared.insert(id.push, *begun);
        }
    }

    /// What another member says.
    pub(super) fn heard(&mut self, from: Life, message: Message, bytes: Bytes, cx: Cx<'_, '_>) {
        if !self.peers.is_member(from) {
            return; // a client, or a life that is over
        }
        match message {
            Message::Answer(number, answer) => {
                if self.asking.put.get(&number).is_some_and(|put| put.life == Some(from)) {
                    self.asking.answer(number, Some(Got { answer, bytes }));
                }
            }
            Message::Ask(number, ask) => {
                if self.asking.asked.len() + self.asking.again.len() >= SERVED_MAX {
                    return; // members bound what they ask: to this one the deadline is the answer
                }
                if ask == Ask::Sweep {
                    self.sweep(cx);
                    let answer = Message::Answer(number, Answer::Done(Ok(())));
                    cx.send(To::Life(from), Lane::Control, &answer);
                    return;
                }
                self.put_to_holder(From::Other(from, number), ask, bytes, SERVED_WITHIN, cx);
            }
        }
    }

    fn put_to_holder(&mut self, from: From, ask: Ask, bytes: Bytes, within: Duration, cx: Cx<'_, '_>) {
        if matches!(ask, Ask::Abort(_)) && !self.has(Mutant::AbortWithoutMap) {
            return; // the map says it, and nobody else
        }
        self.may_be_left(&ask);
        let (form, again) = (ask.form(), bytes.is_empty().then(|| ask.clone()));
        let Some(call) = ask.call(bytes, self.wall_ms(cx)) else { return };
        let token = cx.call::<holder::Holder>(Kind::of(holder::NAME), call, within);
        self.asking.asked.insert(token, (from, form, again));
    }

    /// What the holder was not ready for.
    pub(super) fn put_again(&mut self, cx: Cx<'_, '_>) {
        for (from, ask) in std::mem::take(&mut self.asking.again) {
            let waits = match from {
                From::Own(number) => self.asking.put.contains_key(&number),
                From::Other(..) => true,
            };
            if waits {
                self.put_to_holder(from, ask, Bytes::new(), SERVED_WITHIN, cx);
            }
        }
    }

    /// This node's own holder answers; whether it was asked by this part.
    pub(super) fn holder_answered(
        &mut self,
        token: Token,
        value: Result<Erased, CallError>,
        cx: Cx<'_, '_>,
    ) -> Option<Result<Erased, CallError>> {
        let Some((from, form, again)) = self.asking.asked.remove(&token) else { return Some(value) };
        let got = form.got(value);
        match (&got, again) {
            (Some(got), Some(ask)) if is_starting(&got.answer) => {
                self.asking.again.push((from, ask));
                return None;
            }
            (Some(Got { answer: Answer::Scrubbed(found), .. }), _) => self.scrubbed_here(found, cx),
            _ => {}
        }
        match (from, got) {
            (From::Own(number), got) => self.asking.answer(number, got),
            (From::Other(asker, number), Some(Got { answer, bytes })) => {
                let lane = if bytes.is_empty() { Lane::Control } else { Lane::Bulk };
                cx.send_with(To::Life(asker), lane, &Message::Answer(number, answer), &bytes);
            }
            (From::Other(..), None) => {}
        }
        None
    }
}

fn is_starting(answer: &Answer) -> bool {
    let refusal = match answer {
        Answer::Done(Err(refusal))
        | Answer::Held(Err(refusal))
        | Answer::Bytes(Err(refusal))
        | Answer::Scrubbed(Err(refusal)) => refusal,
        _ => return false,
    };
    *refusal == Refusal::Starting
}
