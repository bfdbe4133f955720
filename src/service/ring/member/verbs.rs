//! What is answered from the map and this node's view alone; and requests that wait
//! for memory.

use super::ClientId;
use super::component::{Cx, Ring};
use super::mapping::{For, Told, WITHIN, Wish};
use super::topology::{Member, Record};
use crate::protocol::replicated_log::Level;
use crate::protocol::replicated_map::{Committed, Page};
use crate::service::ring::decide::{Conflict, File};
use crate::service::ring::manifest::{FILES, Manifest, State};
use crate::service::ring::name::Name;
use crate::service::ring::rebalance::Progress;
use crate::service::ring::text::reply::{self, CSV_HEADER, Code, coded, error};
use crate::service::ring::text::{Expected, Listing, Rate, Request};
use bytes::Bytes;
use std::time::Duration;

/// Rows that are read from the map as one.
const PAGE: u32 = 200;
/// How often a change of the ring's order is tried against others'.
const TRIES_MAX: u32 = 16;

/// What is under way for a client.
pub(super) enum Verb {
    /// Wait for memory.
    Push(Name, u64, Option<Expected>),
    Read(Name, Option<(u64, u64)>),
    Stat,
    Manifest,
    Explain,
    /// What stands there is read, to be changed.
    Delete(Name),
    Undo(Name),
    /// It is being changed to this version.
    Changing(Name, Change, u64),
    List(List),
    Order(Order, u32),
    /// How often it was tried, and what is being ordered.
    Rebalance(Rate, u32, Option<Progress>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Delete,
    Undo,
}

/// A list on its way out.
pub(super) struct List {
    prefix: Vec<u8>,
    /// The map's key behind which it goes on.
    after: Option<Bytes>,
    /// Rows still to come, of a page.
    left: Option<u32>,
    last: Option<Name>,
    waits: bool,
}

/// A change of the ring's order.
#[derive(Clone)]
pub(super) enum Order {
    /// This node stands before that one.
    Next(String),
    /// It holds nothing any more.
    Leaves(String),
}

impl Ring {
    /// A request that is neither push nor pull.
    pub(super) fn verb(&mut self, id: ClientId, request: Request, cx: Cx<'_, '_>) {
        let me = cx.me().node;
        match request {
            Request::Ping => self.answer(id, "PONG\n", cx),
            Request::Status => {
                let text = reply::status(&self.own_address(), self.topology.next(me));
                self.answer(id, text, cx);
            }
            Request::Netmap { all } => {
                let text = reply::netmap(&self.netmap(cx), all);
                self.answer(id, text, cx);
            }
            Request::Discover => {
                let alone = self.topology.next(me).is_none();
                self.answer(id, if alone { error("no next hop set") } else { "OK\n".into() }, cx);
            }
            Request::Walk => {
                let mut ring = self.topology.ring();
                let from = ring.iter().position(|node| *node == me).unwrap_or(0);
                ring.rotate_left(from);
                let ports: Vec<String> = ring.into_iter().map(|node| self.topology.port(node)).collect();
                let text = if ports.len() < 2 { error("no next hop set") } else { reply::walk(&ports) };
                self.answer(id, text, cx);
            }
            Request::List => self.start_list(id, List::of(Vec::new(), None, None), cx),
            Request::ListPage(Listing { prefix, after, limit }) => {
                let after = (!after.is_empty()).then(|| {
                    let name = Name::from_bytes(&after).map(|name| name.map_key(FILES));
                    Bytes::from(name.unwrap_or_else(|_| [FILES, &after].concat()))
                });
                self.start_list(id, List::of(prefix, after, Some(limit)), cx);
            }
            Request::Stat(name) => self.look_for(id, &name, Verb::Stat, cx),
            Request::Manifest(name) => self.look_for(id, &name, Verb::Manifest, cx),
            Request::Explain(name) => self.look_for(id, &name, Verb::Explain, cx),
            Request::Delete(name) => self.look_for(id, &name.clone(), Verb::Delete(name), cx),
            Request::Undo(name) => self.look_for(id, &name.clone(), Verb::Undo(name), cx),
            Request::Next(address) => self.order(id, Order::Next(address), 0, cx),
            Request::Drain(address) | Request::Forget(address) => self.order(id, Order::Leaves(address), 0, cx),
            other => self.chore(id, other, cx),
        }
    }

    fn look_for(&mut self, id: ClientId, name: &Name, verb: Verb, cx: Cx<'_, '_>) {
        self.verbs.insert(id, verb);
        self.look(For::Client(id), File::keys(name).to_vec(), cx);
    }

    /// One that waited for memory goes on.
    pub(super) fn verb_admitted(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        match self.verbs.remove(&id) {
            Some(Verb::Push(name, size, expected)) => self.push(id, name, size, expected, cx),
            Some(Verb::Read(name, range)) => self.pull(id, name, range, cx),
            Some(other) => _ = self.verbs.insert(id, other),
            None => {}
        }
    }

    /// The map answers.
    pub(super) fn verb_told(&mut self, id: ClientId, told: Told, cx: Cx<'_, '_>) {
        match (self.verbs.remove(&id), told) {
            (None, _) => {}
            (Some(Verb::List(list)), Told::Page(page)) => self.listed(id, list, page.value, cx),
            (Some(Verb::List(list)), _) => {
                // a part of it went out: nobody is to take it for the whole
                if list.last.is_some() {
                    return self.cut(id, "the map does not answer", cx);
                }
                self.answer(id, coded(Code::Unavailable, "this node's map is not ready"), cx);
            }
            (Some(Verb::Rebalance(rate, tries, order)), told) => {
                self.rebalance_told(id, (rate, tries), order, &told, cx);
            }
            (Some(Verb::Order(order, tries)), told) => self.ordered(id, order, tries, &told, cx),
            (Some(Verb::Changing(_, _, version)), Told::Committed(Some(Committed::Done { .. }))) => {
                self.answer(id, format!("OK v{version}\n"), cx);
            }
            (Some(Verb::Changing(name, change, _)), Told::Committed(Some(Committed::Failed { .. }))) => {
                // something came in between: look again
                let verb = match change {
                    Change::Delete => Verb::Delete(name.clone()),
                    Change::Undo => Verb::Undo(name.clone()),
                };
                self.look_for(id, &name, verb, cx);
            }
            (Some(Verb::Changing(..)), Told::Committed(None)) => {
                let text = coded(Code::Unavailable, "no quorum: it is not known whether it was done");
                self.answer(id, text, cx);
            }
            (Some(verb), Told::Entries(entries)) => match File::read(&entries) {
                Ok(file) => self.seen(id, verb, &file, cx),
                Err(wrong) => self.answer(id, error(&wrong.to_string()), cx),
            },
            (Some(_), _) => self.answer(id, coded(Code::Unavailable, "no quorum: nothing was done"), cx),
        }
    }

    fn seen(&mut self, id: ClientId, verb: Verb, file: &File, cx: Cx<'_, '_>) {
        let wall = self.wall_ms(cx);
        let until = wall + self.config.undo.as_millis() as u64;
        let change = match &verb {
            Verb::Delete(_) => Some(file.delete(until)),
            Verb::Undo(_) => Some(file.undo(wall, until)),
            _ => None,
        };
        match (verb, change, file.live()) {
            (Verb::Delete(name), Some(Ok((manifest, transaction))), _) => {
                self.verbs.insert(id, Verb::Changing(name, Change::Delete, manifest.version));
                self.transact(For::Client(id), transaction, cx);
            }
            (Verb::Undo(name), Some(Ok((manifest, transaction))), _) => {
                self.verbs.insert(id, Verb::Changing(name, Change::Undo, manifest.version));
                self.transact(For::Client(id), transaction, cx);
            }
            (_, Some(Err(Conflict::NotFound)), _) | (_, None, None) => {
                self.answer(id, coded(Code::NotFound, "file not found"), cx);
            }
            (_, Some(Err(conflict)), _) => self.answer(id, coded(Code::Conflict, &conflict.to_string()), cx),
            (Verb::Stat, _, Some(manifest)) => self.answer(id, reply::stat(manifest), cx),
            (Verb::Manifest, _, Some(manifest)) => {
                let text = reply::manifest(manifest, |node| self.topology.port(node));
                self.answer(id, text, cx);
            }
            (Verb::Explain, _, Some(manifest)) => self.explain_file(id, manifest.clone(), cx),
            // waits for memory, is a list, or was changed: nothing of that reads a file
            _ => self.answer(id, error("nothing was asked"), cx),
        }
    }

    // --- lists ---

    fn start_list(&mut self, id: ClientId, list: List, cx: Cx<'_, '_>) {
        self.say(id, CSV_HEADER, cx);
        self.next_page(id, list, cx);
    }

    fn next_page(&mut self, id: ClientId, mut list: List, cx: Cx<'_, '_>) {
        let (prefix, after) = (Bytes::from([FILES, &list.prefix].concat()), list.after.clone());
        list.waits = true;
        self.verbs.insert(id, Verb::List(list));
        let wish = Wish::List { prefix, after, limit: PAGE, level: Level::Linearizable };
        self.wish(For::Client(id), wish, WITHIN, cx);
    }

    fn listed(&mut self, id: ClientId, mut list: List, page: Page, cx: Cx<'_, '_>) {
        let mut rows = String::new();
        list.waits = false;
        for entry in &page.entries {
            if list.left == Some(0) {
                break;
            }
            list.after = Some(entry.key.clone());
            let Ok(manifest) = Manifest::decode(FILES, &entry.key, &entry.value) else { continue };
            if manifest.state != State::Live {
                continue;
            }
            let start = manifest.slots.first().map(|node| self.topology.port(*node)).unwrap_or_default();
            rows += &reply::csv_row(&manifest, &start);
            list.left = list.left.map(|left| left - 1);
            list.last = Some(manifest.name);
        }
        self.say(id, rows, cx);
        let full = list.left == Some(0);
        if page.more && !full {
            self.verbs.insert(id, Verb::List(list));
            return self.list_on(id, cx);
        }
        match list.left {
            None => self.close(id, cx),
            Some(_) => {
                let more = list.last.as_ref().filter(|_| full);
                let end = reply::page_end(more);
                self.answer(id, end, cx);
            }
        }
    }

    /// The next page, once the client has taken the last one.
    pub(super) fn list_on(&mut self, id: ClientId, cx: Cx<'_, '_>) {
        let waiting = self.verbs.get(&id).is_some_and(|verb| matches!(verb, Verb::List(list) if !list.waits));
        let room = self.clients.get(id).is_some_and(|client| client.room() > 0);
        if waiting
            && room
            && let Some(Verb::List(list)) = self.verbs.remove(&id)
        {
            self.next_page(id, list, cx);
        }
    }

    // --- the ring's order ---

    fn order(&mut self, id: ClientId, order: Order, tries: u32, cx: Cx<'_, '_>) {
        let me = cx.me().node;
        let (Order::Next(address) | Order::Leaves(address)) = &order;
        let Some(node) = self.topology.named(address) else {
            let left = matches!(order, Order::Leaves(_)) && tries > 0;
            let text = if left { "OK\n".into() } else { error(&format!("no node of the ring is at {address}")) };
            return self.answer(id, text, cx);
        };
        let change = |record: &mut Record| match order {
            Order::Leaves(_) => {
                record.members.iter_mut().filter(|member| member.node == node).for_each(|member| member.left = true);
            }
            Order::Next(_) if node == me => {}
            Order::Next(_) => {
                let (own, mut rest): (Vec<Member>, _) =
                    std::mem::take(&mut record.members).into_iter().partition(|member| member.node == me);
                let at = rest.iter().position(|member| member.node == node).unwrap_or(0);
                rest.splice(at..at, own);
                record.members = rest;
            }
        };
        let transaction = self.topology.change(change);
        self.verbs.insert(id, Verb::Order(order, tries));
        self.transact(For::Client(id), transaction, cx);
    }

    fn ordered(&mut self, id: ClientId, order: Order, tries: u32, told: &Told, cx: Cx<'_, '_>) {
        match told {
            Told::Committed(Some(Committed::Done { .. })) => {
                let text = match order {
                    Order::Next(address) => format!("OK next={address}\n"),
                    Order::Leaves(_) => "OK\n".into(),
                };
                self.answer(id, text, cx);
            }
            // the watch brings what stands there, and then it is tried again
            Told::Committed(Some(Committed::Failed { .. })) if tries < TRIES_MAX => {
                self.verbs.insert(id, Verb::Order(order, tries + 1));
                self.topology.changing.push(id);
            }
            _ => self.answer(id, coded(Code::Unavailable, "the ring's order was not changed"), cx),
        }
    }

    /// The ring's order changed: who waited for that tries again.
    pub(super) fn topology_changed(&mut self, cx: Cx<'_, '_>) {
        for id in std::mem::take(&mut self.topology.changing) {
            if let Some(Verb::Order(order, tries)) = self.verbs.remove(&id) {
                self.order(id, order, tries, cx);
            }
        }
    }
}

impl List {
    fn of(prefix: Vec<u8>, after: Option<Bytes>, left: Option<u32>) -> Self {
        List { prefix, after, left, last: None, waits: false }
    }
}

/// How long what is asked of all members may take.
pub(super) const ALL_WITHIN: Duration = Duration::from_secs(60);
