//! A component's mailbox and the two ways in: through the channel to its
//! thread, or in place on the thread that hands an item over.
//!
//! **Bound.** The channel itself refuses nothing, because what arrives in it
//! is bounded where it is made: messages of peers by the window of their
//! links, deliveries by the credit that `consumed` gives back, answers by the
//! calls, jobs and disk operations outstanding, timers by their number, events
//! by what happens. Only the edges add at will, users' calls and sockets'
//! readers: in [`Mailbox::room`] they wait while [`EDGE_ITEMS_MAX`] items or
//! [`EDGE_BYTES_MAX`] bytes are waiting. That ends, because no component ever
//! waits for an edge.
//!
//! **In place.** Waking a sleeping thread costs about 20 us, more than most
//! steps. Whoever hands an item to an idle `Run::InPlace` component runs it
//! itself. *Idle* is decided by `pending` and the cell's lock:
//!
//! 1. who sends through the channel raises `pending` first and sends then;
//! 2. the component's thread lowers `pending` only after the items are
//!    handled, still holding the lock;
//! 3. in place needs the lock (`try_lock`, never waited for) *and*, read under
//!    it, `pending == 0`.
//!
//! So an item handed over in place cannot pass an earlier one of the same
//! producer: that one was either handled in place (before), or had raised
//! `pending`, which is zero again only when it is handled. Producers do not
//! order among one another, as with any channel. Nobody waits for a cell while
//! holding another one, so there is no deadlock; a component that is running
//! further up the same stack fails `try_lock` and gets its item through the
//! channel. At most [`DEPTH_MAX`] components run on one stack.

use super::cell::Cell;
use crate::component::{Item, Manifest, Run, StreamInput};
use std::cell::Cell as Local;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

/// Items that may wait in a mailbox before the edge waits.
const EDGE_ITEMS_MAX: usize = 1024;
/// Bytes of blocks and batches that may wait in a mailbox before the edge
/// waits.
const EDGE_BYTES_MAX: usize = 8 << 20;
/// How many components may run on one stack, the one at its bottom included.
const DEPTH_MAX: u32 = 3;

/// What a mailbox carries.
pub(super) enum Mail {
    /// An input.
    Item(Item),
    /// Look again: a timer was set in place, the component fell, or the life
    /// is over.
    Wake,
}

pub(super) struct Mailbox {
    sender: flume::Sender<Mail>,
    pub(super) receiver: flume::Receiver<Mail>,
    /// Items sent and not yet handled.
    pending: AtomicUsize,
    /// Their bytes.
    bytes: AtomicUsize,
    in_place: bool,
    /// The component. Locked by its thread while it works and, where it may be
    /// run in place, by the thread that does: one of the two at a time, which
    /// is what the lock is for.
    cell: Mutex<Cell>,
    waiting: AtomicUsize,
    closed: AtomicBool,
    /// Where the edge waits for room.
    edge: Mutex<()>,
    /// Held by the edge while it numbers an item and sends it, so that numbers
    /// and places in the mailbox agree.
    numbering: Mutex<()>,
    room: Condvar,
}

thread_local! {
    static DEPTH: Local<u32> = const { Local::new(0) };
}

/// Marks the current thread as running a component until it is dropped.
pub(super) struct Running;

impl Running {
    pub(super) fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Running
    }

    /// Whether the current thread is running a component.
    pub(super) fn here() -> bool {
        DEPTH.get() > 0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

impl Mailbox {
    pub(super) fn new(manifest: &Manifest, cell: Cell) -> Self {
        let (sender, receiver) = flume::unbounded();
        Mailbox {
            sender,
            receiver,
            pending: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            in_place: manifest.run == Run::InPlace,
            cell: Mutex::new(cell),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            edge: Mutex::new(()),
            numbering: Mutex::new(()),
            room: Condvar::new(),
        }
    }

    /// Sends through the channel.
    pub(super) fn queue(&self, item: Item) {
        self.bytes.fetch_add(weight(&item), Ordering::SeqCst);
        self.pending.fetch_add(1, Ordering::SeqCst);
        // The receiver lives beside the sender, so this cannot fail.
        let _ = self.sender.send(Mail::Item(item));
    }

    pub(super) fn wake(&self) {
        let _ = self.sender.send(Mail::Wake);
    }

    /// Items sent and not yet handled.
    pub(super) fn pending(&self) -> usize {
        self.pending.load(Ordering::SeqCst)
    }

    /// The cell, if the component may be run by this thread now.
    pub(super) fn idle(&self) -> Option<MutexGuard<'_, Cell>> {
        if !self.in_place || DEPTH.get() >= DEPTH_MAX || self.pending() > 0 {
            return None;
        }
        let cell = match self.cell.try_lock() {
            Ok(cell) => cell,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        (self.pending() == 0 && cell.is_up()).then_some(cell)
    }

    /// The cell; only for the component's own thread.
    pub(super) fn own(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `items` taken from the channel, of `bytes` in all, are handled.
    pub(super) fn handled(&self, items: usize, bytes: usize) {
        if items == 0 {
            return;
        }
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.pending.fetch_sub(items, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 && !self.is_full() {
            self.release();
        }
    }

    fn is_full(&self) -> bool {
        self.pending() >= EDGE_ITEMS_MAX || self.bytes.load(Ordering::SeqCst) >= EDGE_BYTES_MAX
    }

    /// Waits for room, as the edge does; a thread that runs a component never
    /// waits, since it may be the one that has to make room.
    pub(super) fn room(&self) {
        if !self.is_full() || Running::here() {
            return;
        }
        let mut edge = self.edge.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while self.is_full() && !self.closed.load(Ordering::SeqCst) {
            edge = self.room.wait(edge).unwrap_or_else(PoisonError::into_inner);
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Takes a place for what `number` numbers: the cell, if the component is
    /// idle; else `queue` has to send at once. No component runs meanwhile on
    /// this thread, so `number` may take the user's locks.
    pub(super) fn numbered<T>(&self, number: impl FnOnce() -> (T, Item)) -> (T, Option<(MutexGuard<'_, Cell>, Item)>) {
        let _numbering = self.numbering.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = self.idle();
        let (number, item) = number();
        match idle {
            Some(cell) => (number, Some((cell, item))),
            None => {
                self.queue(item);
                (number, None)
            }
        }
    }

    /// The component takes no more: whoever waits for room goes on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.release();
        self.wake();
    }

    fn release(&self) {
        drop(self.edge.lock().unwrap_or_else(PoisonError::into_inner));
        self.room.notify_all();
    }
}

/// How many bytes of blocks and batches an item holds.
pub(super) fn weight(item: &Item) -> usize {
    match item {
        Item::Messages { block, .. } => block.len(),
        Item::Delivered(delivered) => delivered.batch.run().len(),
        Item::Request { batch, .. } => batch.run().len(),
        Item::Stream { input: StreamInput::Chunk(chunk), .. } => chunk.len(),
        _ => 0,
    }
}
