//! Election of one leader: Bully, by id or by load.
//!
//! ```text
//!   seeker ---- Election(number, rank) ---> all who may be better
//!   seeker <--- Answer(number) ------------ one that is better, and now seeks itself
//!   winner ---- Coordinator(epoch) -------> all     nobody better answered in time
//!   leader ---- Coordinator(epoch) -------> all     again and again: it still leads
//!   leader <--- Outdated(epoch) ----------- one that followed a higher epoch, and lost
//!                                           that leader: a higher one is begun
//! ```
//!
//! Whoever suspects the leader, or knows none, seeks: after a random delay, so
//! that not all do at once. If a better node answers and then falls silent, a
//! second timeout begins anew. Ranks are ids (the highest wins) or load scores
//! (the lowest bucket wins, ties by id; see [`score`]). A score is frozen with the
//! first message of an election, so that two nodes never see each other as the
//! better one. A leader that lives is not displaced for a better one, unless
//! [`Config::pre_emption`] says so, and then late and seldom.
//!
//! Every leadership has an [`Epoch`], and epochs only rise: a receiver's [`Fence`]
//! refuses commands of a leader whose time is over. A lower epoch than one that was
//! seen is refused, whoever announces it.
//!
//! **Safe mode** (over the replicated log). Bully only picks the *candidate*. It
//! leads if its compare-and-set of the key `leader` in the replicated map is done,
//! and the log index of that is its epoch: so there is at most one leader an epoch,
//! under any fault. A minority elects nobody. The leader confirms its key by
//! linearizable reads and leads for a lease from when it asked, by its own
//! monotonic clock: that *shortens* the time in which a deposed leader believes in
//! itself, the fence *excludes* that it matters.
//!
//! **Textbook mode** (without a log, or by choice). Garcia-Molina's rules over the
//! suspicions of the failure detector. Whoever is left leads: in a partition each
//! side has its own leader, each with an epoch of its own, and when the sides meet
//! the higher epoch stays. Epochs are on the disk before anyone acts on them; a
//! node without a directory counts from its incarnation, which rises with time.
//! One leader for all is a matter of calm: no partition, no mistaken suspicion.
//!
//! In calm exactly one leader that is up is known to all within three times
//! [`Config::timeout`].
//!
//! H. Garcia-Molina, *Elections in a Distributed Computing System*, IEEE
//! Transactions on Computers C-31(1), 1982, section IV (the Bully algorithm), with
//! epochs for its coordinator numbers. The fence is that of leases: Gray and
//! Cheriton, *Leases*, SOSP 1989.
//!
//! | file | what |
//! |---|---|
//! | `epoch` `score` `rank` | plain values |
//! | `message` `config` `event` | what travels, is set, is told |
//! | `component` | a life: who is there, who leads |
//! | `bully` | the election itself |
//! | `textbook` | epochs on the own disk |
//! | `safe` | epochs from the replicated map, and the lease |

mod bully;
mod component;
mod config;
mod epoch;
mod event;
mod message;
mod rank;
#[cfg(feature = "replicated_log")]
mod safe;
pub mod score;
#[cfg(test)]
mod tests;
mod textbook;

pub use component::{Election, NAME, Timer};
#[doc(hidden)]
pub use config::Mutant;
pub use config::{By, Config, Mode};
pub use epoch::{Epoch, Fence, Outdated};
pub use event::{ElectionRank, LeaderElected, LeaderLost};
pub use message::{Call, Message, Status};
pub use rank::Rank;
#[cfg(feature = "replicated_log")]
pub use safe::KEY;
