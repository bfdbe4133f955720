//! What a running node counts.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the start of the node, over all its lives.
        #[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(super) struct Counts {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counts {
            pub(super) fn read(&self) -> Counters {
                Counters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Counters {
            /// Names and values, for people and for metrics.
            pub fn rows(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Lives begun, the first one included.
    lives,
    /// Components begun anew alone.
    restarts,
    /// Panics in components' steps.
    panics,
    /// Panics in jobs.
    job_panics,
    /// Inputs that killed their component twice and were skipped.
    dead_letters,
    /// Blocks from peers for a component that this node does not have.
    unknown_kind,
    /// Streams' messages that were none, or brought more than was granted.
    malformed_streams,
    /// Clients that were let go at once: too many, or no threads for them.
    clients_refused,
    /// Items for a component that this node does not have.
    unaddressed,
    /// Answers to calls that were no longer open.
    late_answers,
    /// Events that a slow subscriber of the user's missed.
    events_missed,
    /// Items that stood in the mailbox of a component when it stopped.
    left_over,
    /// Runs of a component on the thread that handed over the item.
    in_place,
    /// Runs of a component on its own thread.
    wakes,
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
