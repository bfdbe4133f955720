//! The fault-tolerant steganography service: servers that take images from clients,
//! and see to it that each task is done although they fall.
//!
//! ```text
//!   client --Assign(task, hash)--> any --> leader      one entry of the log: who does it
//!   client --Submit(fence, cover, payload)--> that server --> queue --> worker
//!   client <--Image--
//!   client --Ack(task)--> any                          the entry is deleted: recorded
//! ```
//!
//! **Guarantee.** A task that was assigned is done at least once and its
//! acknowledgement is recorded at most once, under crashes of any server, the leader
//! and the assigned one together, partitions, pauses and restarts; while in the end
//! a majority of the voters is up, and the client asks on. No two leaders assign.
//! The image stays with the client until it has its result: servers that fall
//! together lose work, never a task. No server writes an image to a file.
//!
//! **One image's way.** The client asks any server who is to do its task. That one
//! looks into its picture of the history (`mirror`, `history`), and hands the
//! question on to the leader (`component`). The leader picks the least loaded server
//! (`servers`: what each says of itself, and what the leader itself assigned since)
//! and commits one transaction (`assign`): *if the election's key is as I wrote it,
//! and the task's key is not there, then put* (server, epoch, attempt, hash). The
//! first condition is the fence: a leader that was deposed assigns nothing. The client
//! sends cover and payload to that server, with the assignment's fence (`clients`,
//! `frame`, `binary`). The server compares fence and hash with the history, asks the
//! map where its picture is older than the fence (`tasks`), and puts the task into its
//! queue (`workers`), or says that it is full, and has the leader look elsewhere. A
//! worker embeds; the PNG goes back as it is. The client extracts, compares, and
//! acknowledges to any server, which deletes the entry *as of its version*: one of
//! two acknowledgements finds it.
//!
//! **When the server falls** the leader's detector suspects it, and every entry that
//! it had is put again with a higher attempt. The client, whose connection broke, asks
//! who has it now (`errand`: what a client does, without a socket). A server that
//! was only slow finds the higher attempt in its history, and refuses. **When the
//! leader falls** another one is elected; it assigns nothing before it has read the
//! history up to its own epoch.
//!
//! **Why a leader, and no hash table over the servers.** An assignment is one entry of
//! the log, not a walk over all servers: some thousands fit into a second (`nodewright
//! bench stego` measures it), while a server's core does some hundred images. A table
//! would spread what is no bottleneck, and would know nothing of load.
//!
//! **Two dialects on the node's port.** [`binary`], ours; [`json`], that of existing
//! clients. What servers say to one another is refused from either.
//!
//! | file | what |
//! |---|---|
//! | `task` `request` `stats` `message` | plain values: what is held, asked, told |
//! | `frame` `binary` `json` | bytes |
//! | `clients` | connections: limits, deadlines, one request at a time |
//! | `component` | where inputs go |
//! | `servers` `assign` | the leader's picture of the servers, and its decisions |
//! | `history` `mirror` | a server's picture of the history, kept up by a watch |
//! | `workers` `tasks` | the queue, the work, acknowledgements |
//! | `errand` | a client's side, pure: what to ask whom next |

mod assign;
pub mod binary;
mod clients;
mod component;
mod config;
pub mod errand;
pub mod frame;
mod history;
pub mod json;
mod message;
mod mirror;
mod request;
mod servers;
mod stats;
mod task;
mod tasks;
mod workers;

pub use component::{NAME, StegoService, Timer, factory};
pub use config::Config;
#[doc(hidden)]
pub use config::Mutant;
pub use errand::{Errand, Step, Told};
pub use message::{Call, Message, TaskAssigned, TaskDone, TaskRecorded, TaskTaken};
pub use request::{Answer, Refused, Request, Work};
pub use servers::Load;
pub use stats::Stats;
pub use task::{Assignment, CLIENT_BYTES_MAX, Fence, ImageHash, PREFIX, TaskId};
pub use workers::{Done, Job};
