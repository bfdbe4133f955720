//! A push is decided, or comes to nothing.
//!
//! What stands under the name is read, and the transaction rests on that: where something
//! came in between it fails, and is made anew from what is there then. Whatever fails
//! before it is aborted through the map.

use super::asking::Why;
use super::component::{Cx, Ring};
use super::mapping::{For, Told, WITHIN, Wish};
use super::message::Ask;
use super::moving::KEPT_FOR;
use super::push::{HOLDER_WITHIN, Stage};
use super::{ClientId, MOVER, Mutant};
use crate::protocol::replicated_log::Level;
use crate::protocol::replicated_map::Committed;
use crate::service::ring::decide::File;
use crate::service::ring::text::reply::{Code, coded, error, pushed};
use bytes::Bytes;
use std::time::Duration;

/// How often another content of the same name may come in between.
const TRIES_MAX: u32 = 32;

impl Ring {
    pub(super) fn read_for_commit(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let Some(push) = self.pushes.get_mut(&id) else { return };
        push.stage = Stage::Reading;
        // a commit that rests on an old sight fails, and reads anew
        let level = if push.tries == 0 && push.expected.is_none() { Level::Stale } else { Level::Linearizable };
        let keys = File::keys(&push.intent.name).to_vec();
        self.wish(For::Client(id), Wish::Get(keys, level), WITHIN, cx);
    }

    /// The map answers.
    pub(super) fn push_told(&mut self, id: ClientId, told: Told, cx: Cx<'_, '_>) {
        let Some(push) = self.pushes.get_mut(&id) else { return };
        match (push.stage, told) {
            (Stage::Looking | Stage::Reading, Told::Entries(entries)) => match File::read(&entries) {
                Ok(file) => self.push_sees(id, &file, cx),
                Err(wrong) => self.fail_push(id, error(&wrong.to_string()), cx),
            },
            (Stage::Beginning, Told::Committed(Some(Committed::Done { version }))) => {
                push.begun = Some(version);
                self.prepare(id, cx);
            }
            (Stage::Committing, Told::Committed(Some(Committed::Done { .. }))) => {
                let copies = usize::from(push.intent.copies).min(push.intent.slots.len()) as u8;
                let text = pushed(&push.intent, copies, self.config.durability);
                self.pushes.remove(&id);
                self.push_over(id, Ok(text), cx);
            }
            (Stage::Committing, Told::Committed(Some(Committed::Failed { condition: 0, .. }))) => {
                let text = "the push took too long and was given up: nothing was stored";
                self.fail_push(id, coded(Code::Unavailable, text), cx);
            }
            (Stage::Committing, Told::Committed(Some(Committed::Failed { .. }))) => {
                push.tries += 1;
                if push.tries > TRIES_MAX {
                    let text = "other contents of this name came in between too often: nothing was stored";
                    return self.fail_push(id, coded(Code::Conflict, text), cx);
                }
                self.read_for_commit(id, cx);
            }
            (_, Told::Committed(Some(Committed::Refused(why)))) => {
                let text = format!("the map refuses ({why:?}): nothing was stored");
                self.fail_push(id, coded(Code::Full, &text), cx);
            }
            (Stage::Committing, Told::Committed(None)) => {
                let text = "no quorum: it is not known whether the file was stored; ask FILE STAT";
                self.fail_push(id, coded(Code::Unavailable, text), cx);
            }
            _ => self.fail_push(id, coded(Code::Unavailable, "no quorum: nothing was stored"), cx),
        }
    }

    /// What stands under the name is known.
    fn push_sees(&mut self, id: ClientId, file: &File, cx: Cx<'_, '_>) {
        let wall = self.wall_ms(cx);
        let moves = self.pushes.get(&id).and_then(|push| push.moves.as_ref());
        if let Some(why) = moves.and_then(|moves| self.forbids_move(moves, file)) {
            return self.fail_push(id, why, cx);
        }
        let undo = self.config.undo.min(if moves.is_some() { KEPT_FOR } else { Duration::MAX });
        let until = wall + undo.as_millis() as u64;
        let Some(push) = self.pushes.get_mut(&id) else { return };
        let version = match file.next(push.expected) {
            Ok(version) => version,
            Err(conflict) => return self.fail_push(id, coded(Code::Conflict, &conflict.to_string()), cx),
        };
        if push.stage == Stage::Looking {
            return self.begin(id, cx);
        }
        let Some(begun) = push.begun else { return };
        push.intent.version = version;
        push.stage = Stage::Committing;
        let commit = file.commit(&push.intent, begun, until);
        self.transact(For::Client(id), commit, cx);
    }

    /// The push comes to nothing: the client hears why.
    pub(super) fn fail_push(&mut self, id: ClientId, why: String, cx: Cx<'_, '_>) {
        self.abort_push(id, cx);
        self.push_over(id, Err(why), cx);
    }

    /// Nothing of it is left to do: who waits for it is told.
    fn push_over(&mut self, id: ClientId, end: Result<String, String>, cx: Cx<'_, '_>) {
        match end {
            _ if id == MOVER => self.move_over(end.is_ok(), cx),
            Ok(text) | Err(text) => self.answer(id, text, cx),
        }
        self.admit(cx);
    }

    /// The client is gone.
    pub(super) fn give_up_push(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        self.abort_push(id, cx);
    }

    pub(super) fn abort_push(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let Some(push) = self.pushes.remove(&id) else { return };
        self.asking.drop_client(id);
        let Some(begun) = push.begun else { return };
        if self.has(Mutant::AbortWithoutMap) {
            for node in push.intent.slots.clone() {
                let abort = Ask::Abort(push.intent.push);
                self.ask(node, abort, Bytes::new(), Why::Nothing, HOLDER_WITHIN, cx);
            }
        }
        self.abort(push.intent.push, begun, cx);
    }
}
