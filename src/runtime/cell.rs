//! A component and what belongs to it, as whoever holds the cell's lock sees
//! it: hand over items one by one, flush once, perform.

use super::counters::count;
use super::letters::{self, Kept};
use super::live::Live;
use super::mailbox::{Mailbox, Running, weight};
use super::out::{Out, OutState};
use super::panics::caught;
use super::timers::Due;
use crate::component::{AnyComponent, ComponentName, Item, Role, StreamId, Token};
use crate::error::{CallError, Fault};
use crate::id::Kind;
use crate::time::Time;
use std::collections::VecDeque;

/// Items handled between two flushes at most.
const DRAIN_ITEMS_MAX: usize = 256;
/// Bytes of blocks and batches handled between two flushes at most: what is to
/// be acknowledged must not wait for a whole window.
const DRAIN_BYTES_MAX: usize = 256 << 10;

/// Why a component fell.
#[derive(Clone, Debug)]
pub(super) struct Fall {
    pub(super) fault: Fault,
}

enum State {
    Up(Box<dyn AnyComponent>),
    /// Its own thread has to see to it.
    Down(Fall),
    Stopped,
}

pub(super) struct Cell {
    name: ComponentName,
    role: Role,
    state: State,
    out: OutState,
    /// Until when the component's thread sleeps.
    armed: Option<Time>,
    /// What of the input under which it fell is to be handed over again: at most
    /// one item, and one more if it falls over what it is told at its new start.
    backlog: VecDeque<Item>,
    /// Whether the first of them is the one under which it fell.
    suspect: bool,
    /// Bytes delivered to it since the last flush, by delivery: their
    /// consumption is reported even if it falls, or their sender would wait
    /// for ever.
    unconsumed: Vec<(Kind, u64)>,
}

/// How often an item may kill a leaf.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Chance {
    /// It is handed over again.
    First,
    /// It was, and is a dead letter now.
    Second,
    /// It is not handed over again: it belongs to the fallen state.
    Lost,
}

/// What the component's thread does next.
pub(super) enum Next {
    /// Sleeps until mail comes, or until then.
    Sleep(Option<Time>),
    /// Sees to the fallen component.
    Mend(Fall),
    /// Ends.
    End,
}

impl Cell {
    pub(super) fn new(name: ComponentName, role: Role, component: Box<dyn AnyComponent>, me: usize) -> Self {
        Cell {
            name,
            role,
            state: State::Up(component),
            out: OutState::new(me, Kind::of(name)),
            armed: None,
            backlog: VecDeque::new(),
            suspect: false,
            unconsumed: Vec::new(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_)) && self.backlog.is_empty()
    }

    /// One turn of the component's thread.
    ///
    /// 1. What was left over from a fall comes first, then the timers that are
    ///    due.
    /// 2. The mailbox is drained up to a budget; the component gets its items
    ///    one by one.
    /// 3. It flushes.
    /// 4. Open blocks are sealed, and what it asked for is performed in order.
    /// 5. The items count as handled, and the next timer says how long the
    ///    thread may sleep.
    pub(super) fn turn(&mut self, live: &Live, mailbox: &Mailbox) -> Next {
        let now = self.clock(live);
        let overdue = self.overdue(live, now); // 1
        if self.drain(live, mailbox, now, overdue) {
            count(&live.counts().wakes);
        }
        self.armed = self.out.timers.next(); // 5
        match &self.state {
            State::Up(_) => Next::Sleep(self.armed),
            State::Down(fall) => Next::Mend(fall.clone()),
            State::Stopped => Next::End,
        }
    }

    /// A run in place: as a turn, but what is due or fell is left to the
    /// component's thread, which is woken for it. False if it has to go on.
    pub(super) fn in_place(&mut self, live: &Live, mailbox: &Mailbox) -> bool {
        if self.is_up() {
            let _running = Running::enter();
            let now = self.clock(live);
            if self.drain(live, mailbox, now, false) {
                count(&live.counts().in_place);
            }
            let next = self.out.timers.next();
            let sooner = next.is_some_and(|next| self.armed.is_none_or(|armed| next < armed));
            if sooner {
                self.armed = next;
                mailbox.wake();
            }
        }
        if !self.is_up() {
            mailbox.wake();
        }
        self.is_up()
    }

    fn clock(&mut self, live: &Live) -> Time {
        self.out.now = live.now();
        self.out.now
    }

    /// Steps 2 to 4, and the first half of 5. True if there was anything to do;
    /// `begun` says that there was.
    fn drain(&mut self, live: &Live, mailbox: &Mailbox, now: Time, begun: bool) -> bool {
        let (mut items, mut bytes) = (0, 0);
        while self.is_up() && items < DRAIN_ITEMS_MAX && bytes < DRAIN_BYTES_MAX {
            let Ok(item) = mailbox.receiver.try_recv() else { break };
            items += 1;
            bytes += weight(&item);
            if let (Item::Delivered(delivered), Some(recorder)) = (&item, &live.node.recorder) {
                recorder.delivered(now, live.me, Kind::of(self.name), delivered);
            }
            self.step(live, item, now, Chance::First);
        }
        let worked = begun || items > 0;
        if worked {
            self.flush(live, now);
            mailbox.handled(items, bytes);
        }
        worked
    }

    /// Puts a component made anew in the place of the fallen one; `told` is
    /// what it has to know first.
    pub(super) fn begin_anew(&mut self, live: &Live, component: Box<dyn AnyComponent>, told: Vec<Item>) {
        self.state = State::Up(component);
        let now = live.now();
        self.out.now = now;
        for item in told {
            self.step(live, item, now, Chance::Lost);
        }
    }

    /// What a fall left behind, and the timers that are due; true if there was
    /// anything.
    fn overdue(&mut self, live: &Live, now: Time) -> bool {
        let mut any = false;
        while let State::Up(_) = self.state
            && let Some(item) = self.backlog.pop_front()
        {
            any = true;
            let chance = if std::mem::take(&mut self.suspect) { Chance::Second } else { Chance::First };
            self.step(live, item, now, chance);
        }
        while let (State::Up(_), Some(due)) = (&self.state, self.out.timers.due(now)) {
            any = true;
            let item = match due {
                Due::Timer(timer) => Item::Timer(timer),
                Due::Call(token) => {
                    let deadline = self.out.calls.get(&token).copied().unwrap_or_default();
                    Item::Reply { token, value: Err(CallError::TimedOut(deadline)) }
                }
            };
            self.step(live, item, now, Chance::Lost);
        }
        any
    }

    fn step(&mut self, live: &Live, item: Item, now: Time, chance: Chance) {
        let State::Up(component) = &mut self.state else { return };
        let Some(item) = Self::admit(&mut self.out, item) else {
            return count(&live.counts().late_answers);
        };
        let keep = self.role == Role::Leaf && chance != Chance::Lost;
        let kept = if keep { Kept::of(&item) } else { Kept::Nothing };
        if let Item::Delivered(delivered) = &item {
            self.unconsumed.push((delivered.via, delivered.batch.run().len() as u64));
        }
        let stop = matches!(item, Item::Stop);
        let mut out = Out { state: &mut self.out, live };
        let done = caught(live, || component.step(item, now, &mut out));
        match done {
            Ok(()) if stop => {
                self.flush(live, now);
                self.state = State::Stopped;
            }
            Ok(()) => {}
            Err(fault) => {
                let handled = component.handled();
                self.save(live, kept, handled, chance, &fault);
                self.fall(live, fault);
            }
        }
    }

    /// Keeps what of the item under which a leaf falls is to be handed over
    /// again. `handled` messages of it are done; the next killed it.
    fn save(&mut self, live: &Live, kept: Kept, handled: u32, chance: Chance, fault: &Fault) {
        let item = match kept {
            Kept::Copy(item) => item,
            Kept::Call(reply_to) => {
                let ended = CallError::Ended(format!("{} fell while it handled the call", self.name));
                return live.answer(reply_to, Err(ended));
            }
            Kept::Nothing => return,
        };
        if let Item::Delivered(_) = item {
            self.unconsumed.pop(); // the whole of it; its parts are counted by themselves
        }
        let (done, rest) = letters::split(item, handled);
        self.unconsumed.extend(done.as_ref().and_then(delivered_bytes));
        self.suspect = !(chance == Chance::Second && handled == 0);
        let rest = match rest {
            Some(rest) if !self.suspect => {
                let (killer, rest) = letters::split(rest, 1);
                if let Some(killer) = killer {
                    live.dead_letter(self.name, &killer, &fault.to_string());
                    self.unconsumed.extend(delivered_bytes(&killer));
                }
                rest
            }
            rest => rest,
        };
        self.suspect &= rest.is_some();
        if let Some(rest) = rest {
            self.backlog.push_front(rest);
        }
    }

    /// Answers reach only who asked: not a successor, and not after the
    /// deadline.
    fn admit(out: &mut OutState, item: Item) -> Option<Item> {
        Some(match item {
            Item::Reply { token, value } => {
                out.calls.remove(&token)?;
                out.timers.cancel(Due::Call(token));
                Item::Reply { token: Token(out.own(token.0)?), value }
            }
            Item::Done { token, done } => Item::Done { token: Token(out.own(token.0)?), done },
            Item::Disk { token, result } => Item::Disk { token: Token(out.own(token.0)?), result },
            Item::Stream { id, input } => Item::Stream { id: StreamId(out.own(id.0)?), input },
            Item::Progress(progress) => Item::Progress(out.own_progress(progress)),
            other => other,
        })
    }

    fn flush(&mut self, live: &Live, now: Time) {
        if let State::Up(component) = &mut self.state {
            let mut out = Out { state: &mut self.out, live };
            match caught(live, || component.flush(now, &mut out)) {
                Ok(()) => self.unconsumed.clear(),
                Err(fault) => self.fall(live, fault),
            }
        }
        self.out.perform(live);
    }

    fn fall(&mut self, live: &Live, fault: Fault) {
        self.state = State::Down(Fall { fault });
        // The effects that it made are whole, as if it had crashed after the
        // last of them; what it waited for is void.
        self.out.begin_anew();
        live.abandon_streams(self.out.me(), self.out.restarts());
        for (via, bytes) in self.unconsumed.drain(..) {
            live.consumed(via, Kind::of(self.name), bytes);
        }
    }
}

/// Which delivery an item came through, and its bytes.
fn delivered_bytes(item: &Item) -> Option<(Kind, u64)> {
    let Item::Delivered(delivered) = item else { return None };
    Some((delivered.via, delivered.batch.run().len() as u64))
}
