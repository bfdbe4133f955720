//! Exhaustive models: every state that the real cores can come to in a small
//! scope, looked at one by one.
//!
//! Each test prints what it looked at: scope, states, depth, seconds. By itself
//! it takes a small scope; `NODEWRIGHT_MODELS=full` takes all, in release:
//!
//! ```text
//! NODEWRIGHT_MODELS=full cargo test --release --test it models:: -- --nocapture
//! ```
//!
//! **What runs** is the delivery core, the ordering in it, the adapter and the
//! codec around it, and the link core: the code of a node, not a model of it.
//!
//! **Scope above the link.** Three voters, all linked and joined at first.
//! Broadcasts at any time. One crash (two in the rolling restart), before any
//! step or between any two effects of one that others can see; what the crashed
//! life had sent arrives as far as it likes, and the rest of it is lost. Then,
//! where the scope says so: a new life without memory; suspicions, also of
//! lives that are up; the end of the crashed life by decision, of which each is
//! told at its own time.
//!
//! **Abstracted, and why that is sound.**
//! - Links are first-in first-out queues for each pair of lives and lane: what
//!   the link's own model shows. A queue's head arrives alone or the whole queue
//!   in one block; blocks of some messages between these are left out.
//! - Time stands still. The core reads it for timers only, and a timer fires
//!   here when nothing is on its way, in any order with the others. That is how
//!   they are set (patience is many round trips), not a law: scopes with
//!   *hurried* timers let one fire before messages that are on their way.
//! - Suspicion and decision are an oracle's: any detector is one of its moods.
//!   Only crashed lives are ended.
//! - Nobody is slow: windows, pauses and credit are never reached. No clocks,
//!   no listeners. What a core only counts is not compared (`Uncompared`).
//! - Word of a new life is dropped when its reader knows it already.
//! - The order of deliveries is judged when they happen and then forgotten.
//!
//! **Properties.** No duplication, no creation and order are judged at each
//! delivery. Liveness is safety at rest: wherever nothing is on its way, faults
//! stop, and the nodes run on, timers included, until nothing changes or the
//! same comes again; then what is promised must be delivered. A life that began
//! later may instead have been told a gap, or know that all was settled.
//!
//! **Not covered.** More than three nodes or one crash at a time: among three, a
//! new life joins through both others, so that word of it which others pass on
//! (`NewLife`) cannot matter; with five it does, and a schedule of the
//! delivery's own tests tells that story. Two senders across a restart, and the
//! reliable rungs across a restart beyond nine steps: too many states.
//! Listeners; a life that is ended although it is up; the all-ack rung, whose
//! detector must be accurate.
//!
//! **What cannot be seen here.** Above perfect links nothing arrives twice or
//! early by itself: duplicates come of relays and pulls, early arrivals of new
//! lives. Best effort has neither, so its own filter is not tested by these.

mod best_effort;
mod causal;
#[expect(clippy::print_stdout, reason = "a check says what it looked at")]
mod checked;
mod election;
mod fifo;
mod link;
pub mod mutants;
mod reliable;
mod scope;
mod step;
mod uniform;
mod world;

/// Whether all scopes are asked for.
fn is_full() -> bool {
    std::env::var("NODEWRIGHT_MODELS").is_ok_and(|size| size == "full")
}
