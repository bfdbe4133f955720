//! A member of the ring: what clients say is done here, with the map, this node's
//! holder and those of the others.
//!
//! | file | what |
//! |---|---|
//! | `config` | settings |
//! | `component` | inputs come in here |
//! | `clients` | connections: lines and bodies in, answers out, credit |
//! | `push` `deciding` | a file on its way in; its end |
//! | `reading` | a file on its way out |
//! | `verbs` | what is answered from the map alone |
//! | `chores` | what is asked of all members: heal, scrub, what-if |
//! | `topology` | the ring's order, who is in it and in which state |
//! | `following` | what the map decided is done on this node's disk |
//! | `rebalance` `moving` | files move to today's ring: which, how fast, who does it; one of them |
//! | `expiry` | pushes that nobody goes on with, undo that is over |
//! | `refill` | what this node should hold and does not |
//! | `asking` `message` | questions to holders, here and elsewhere |
//! | `mapping` | questions to the map |

mod asking;
mod chores;
mod clients;
mod component;
mod config;
mod deciding;
mod expiry;
mod following;
mod mapping;
mod message;
mod moving;
mod push;
mod reading;
mod rebalance;
mod refill;
mod topology;
mod verbs;

use super::holder;
use super::manifest::PushId;

pub use clients::Cut;
pub use component::{Call, NAME, Ring};
pub use config::Config;
#[doc(hidden)]
pub use config::Mutant;
pub use message::{Answer, Ask, Message};

/// One client's connection, or one talk of the node's own user.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct ClientId(u64);

/// Who pushes what is moved: no client, which are counted from 1.
const MOVER: ClientId = ClientId(0);
