//! Where the user's closures are kept over the lives of a node.
//!
//! A life's component borrows them for one run of inputs and gives them back:
//! two lives never run one closure at once, and a message costs no lock. A new
//! life waits while a closure of the last one is still running.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// The place; clones share it.
pub(super) struct Shelf<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    /// Empty while lent. A lock, because the threads of two lives may want it;
    /// taken twice for each run of inputs.
    place: Mutex<Option<Box<T>>>,
    returned: Condvar,
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Shelf { shared: self.shared.clone() }
    }
}

impl<T> Shelf<T> {
    pub(super) fn new(closures: T) -> Self {
        let place = Mutex::new(Some(Box::new(closures)));
        Shelf { shared: Arc::new(Shared { place, returned: Condvar::new() }) }
    }
}

/// One life's access; gives back when dropped.
pub(super) struct Lent<T> {
    shelf: Shelf<T>,
    closures: Option<Box<T>>,
}

impl<T> Lent<T> {
    pub(super) fn of(shelf: &Shelf<T>) -> Self {
        Lent { shelf: shelf.clone(), closures: None }
    }

    /// The closures, once nobody else has them.
    pub(super) fn get(&mut self) -> &mut T {
        let shared = &self.shelf.shared;
        self.closures.get_or_insert_with(|| {
            let mut place = shared.place.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                match place.take() {
                    Some(closures) => break closures,
                    None => place = shared.returned.wait(place).unwrap_or_else(PoisonError::into_inner),
                }
            }
        })
    }

    /// Gives back what was borrowed.
    pub(super) fn give_back(&mut self) {
        if let Some(closures) = self.closures.take() {
            *self.shelf.shared.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(closures);
            self.shelf.shared.returned.notify_one();
        }
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        self.give_back();
    }
}
