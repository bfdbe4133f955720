//! The answering half: who carries a request out, and what goes back.

use super::Requests;
use crate::component::{Context, Erased, To, Token};
use crate::error::CallError;
use crate::id::{Kind, Life};
use crate::protocol::request::{Message, Outcome, Reply, Request, Responder, Route, lane_for};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Requests {
    pub(super) fn serve(&mut self, id: u64, request: Request, cx: &mut Context<'_, Self>) {
        let from = request.from;
        match self.config.responders.get(&request.kind) {
            None => self.answer(from, id, Outcome::NoHandler, &[], cx),
            Some(Responder::InPlace(respond)) => {
                // The function is not trusted: its panic must not take the
                // other requests with it. It sees nothing of this state.
                let reply = catch_unwind(AssertUnwindSafe(|| respond(&request)));
                let reply = reply.unwrap_or_else(|_| {
                    self.counts.panicked += 1;
                    log::error!(target: "nodewright::request", "the handler of {:?}, asked by {from}, panicked", request.kind);
                    Reply::Failed("the handler panicked".to_owned())
                });
                self.reply(from, id, reply, cx);
            }
            Some(Responder::Component(route)) => {
                let route = *route;
                let per_peer = self.peers.get(&from.node).map_or(0, |linked| linked.serving);
                if self.serving.len() >= self.config.serving_max || per_peer >= self.config.serving_per_peer_max {
                    self.answer(from, id, Outcome::Busy, &[], cx);
                    return;
                }
                let within = request.within.min(self.config.serve_within_max);
                let token = cx.call_erased(route.component, (route.wrap)(request), within);
                self.serving.insert(token, (from, id));
                if let Some(linked) = self.linked(from) {
                    linked.serving += 1;
                }
            }
        }
    }

    /// A component answered its call.
    pub(super) fn served(&mut self, token: Token, value: Result<Erased, CallError>, cx: &mut Context<'_, Self>) {
        let Some((asker, id)) = self.serving.remove(&token) else { return };
        if let Some(linked) = self.linked(asker) {
            linked.serving -= 1;
        }
        let reply = match value.map(|value| value.downcast::<Reply>()) {
            Ok(Ok(reply)) => *reply,
            Ok(Err(_)) => Reply::Failed("the handler answered with something that is no reply".to_owned()),
            Err(CallError::Refused(why)) => Reply::Refused(why),
            Err(CallError::Stopping) => Reply::Refused("the node is stopping".to_owned()),
            Err(unknown) => Reply::Failed(unknown.to_string()),
        };
        self.reply(asker, id, reply, cx);
    }

    fn reply(&mut self, to: Life, id: u64, reply: Reply, cx: &mut Context<'_, Self>) {
        match reply {
            Reply::Done(body) if body.len() > self.config.body_bytes_max => {
                let why = format!("done, but its answer of {} bytes is too long to be carried", body.len());
                self.answer(to, id, Outcome::Failed(why), &[], cx);
            }
            Reply::Done(body) => self.answer(to, id, Outcome::Done, &body, cx),
            Reply::Refused(why) => self.answer(to, id, Outcome::Refused(why), &[], cx),
            Reply::Failed(why) => self.answer(to, id, Outcome::Failed(why), &[], cx),
        }
    }

    pub(super) fn answer(&mut self, to: Life, id: u64, outcome: Outcome, body: &[u8], cx: &mut Context<'_, Self>) {
        match outcome {
            Outcome::Done | Outcome::Failed(_) => self.counts.served += 1,
            _ => self.counts.refused += 1,
        }
        if to == cx.me() {
            self.settle(id, to, outcome, Bytes::copy_from_slice(body), cx);
        } else if let Some(linked) = self.linked(to) {
            let head = Message::Reply { id, outcome };
            linked.unacknowledged += cx.send_with(To::Life(to), lane_for(body.len()), &head, body);
        } else {
            self.counts.dropped += 1; // the asker's life is over
        }
    }

    pub(super) fn register(&mut self, name: &str, route: Route) -> Result<(), CallError> {
        match self.config.responders.get(&Kind::of(name)) {
            Some(Responder::Component(other)) if other.component == route.component => {}
            None => {}
            Some(_) => return Err(CallError::Refused(format!("requests named '{name}' are answered already"))),
        }
        self.config.responders.insert(Kind::of(name), Responder::Component(route));
        Ok(())
    }
}
