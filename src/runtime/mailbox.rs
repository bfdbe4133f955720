//! A component's mailbox, and who runs the component: its own thread, or in
//! place the thread that hands an item over.
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
//! steps. So whoever sent an item to a `Run::InPlace` component attends to the
//! mailbox itself:
//!
//! 1. the item is sent through the channel first, always: one queue, so each
//!    producer's items keep their order whoever runs the component;
//! 2. `try_lock` the cell. If that fails, somebody runs the component now, and
//!    it is up to them;
//! 3. drain the mailbox and let go of the cell;
//! 4. look again: if there is mail, go back to 2.
//!
//! No item is forgotten: who fails in 2 sent before somebody's 3 ended, and
//! that somebody looks again in 4. After [`ROUNDS_MAX`] rounds, or where it is
//! not allowed to run in place, the sender wakes the component's thread, which
//! does the same steps until nothing is left and then parks. Nobody waits for a
//! cell while holding another one, except a component's thread, which holds
//! nothing, so there is no deadlock: a component that is running further up the
//! same stack fails 2. At most [`DEPTH_MAX`] components run on one stack.

use super::cell::Cell;
use super::live::Live;
use crate::component::{Item, Manifest, Run, StreamInput};
use std::cell::Cell as Local;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;

/// Items that may wait in a mailbox before the edge waits.
const EDGE_ITEMS_MAX: usize = 1024;
/// Bytes of blocks and batches that may wait in a mailbox before the edge
/// waits.
const EDGE_BYTES_MAX: usize = 8 << 20;
/// How many components may run on one stack, the one at its bottom included.
const DEPTH_MAX: u32 = 3;

/// How often a sender attends to one mailbox before its thread takes over.
const ROUNDS_MAX: usize = 4;
/// Items handed over together that are run in place; more are worth a thread.
const IN_PLACE_ITEMS_MAX: usize = 8;

pub(super) struct Mailbox {
    sender: flume::Sender<Item>,
    /// Only who holds the cell takes items out.
    pub(super) receiver: flume::Receiver<Item>,
    /// The component's thread, parked while there is no mail: set before
    /// anything can arrive.
    thread: OnceLock<Thread>,
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
            thread: OnceLock::new(),
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

    pub(super) fn runs_on(&self, thread: Thread) {
        // Set once, by who started the thread.
        let _ = self.thread.set(thread);
    }

    /// Sends an item, and leaves it to others to attend to it.
    fn send(&self, item: Item) {
        self.bytes.fetch_add(weight(&item), Ordering::SeqCst);
        self.pending.fetch_add(1, Ordering::SeqCst);
        // The receiver lives beside the sender, so this cannot fail.
        let _ = self.sender.send(item);
    }

    /// Sends an item to the component's thread.
    pub(super) fn queue(&self, item: Item) {
        self.send(item);
        self.wake();
    }

    /// Lets the component's thread look again: at its mail, a timer that was
    /// set in place, its fall, the end of its life.
    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Sends items and attends to them: in place if that is possible.
    pub(super) fn hand_over(&self, live: &Live, items: &mut dyn Iterator<Item = Item>) {
        let mut sent = 0;
        for item in items {
            self.send(item);
            sent += 1;
        }
        self.attend(live, sent);
    }

    fn attend(&self, live: &Live, sent: usize) {
        if self.in_place && DEPTH.get() < DEPTH_MAX && sent <= IN_PLACE_ITEMS_MAX {
            for _ in 0..ROUNDS_MAX {
                let mut cell = match self.cell.try_lock() {
                    Ok(cell) => cell,
                    Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                    Err(TryLockError::WouldBlock) => return,
                };
                let up = cell.in_place(live, self);
                drop(cell);
                if self.receiver.is_empty() {
                    return;
                }
                if !up {
                    break;
                }
            }
        }
        self.wake();
    }

    /// Items sent and not yet handled.
    pub(super) fn pending(&self) -> usize {
        self.pending.load(Ordering::SeqCst)
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

    /// Sends what `number` numbers and attends to it. No component runs on
    /// this thread before `number` has returned, so it may take the user's
    /// locks.
    pub(super) fn numbered<T>(&self, live: &Live, item: Item, number: impl FnOnce() -> T) -> T {
        let numbering = self.numbering.lock().unwrap_or_else(PoisonError::into_inner);
        let number = number();
        self.send(item);
        drop(numbering);
        self.attend(live, 1);
        number
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
