//! A sharded ring file store: files cut into parts, each part on its owner and
//! its backups, whatever joins or leaves later.
//!
//! **Guarantee.** What was acknowledged is synced in all the copies that the
//! acknowledgement names (or, where less was asked for, [written](durability)), and
//! decided by a majority of the voters: no crash of any number of nodes loses it, as
//! far as their disks keep what they synced. It is read
//! as long as one holder of each part answers. A byte that is read is a byte that was
//! pushed, or the connection is cut. What was not acknowledged is there whole, or not
//! at all. Without a majority files are read and none is taken.
//!
//! # A push
//!
//! ```text
//!   client        entry node                  map (a majority)      holders: owner, backups
//!   FILE PUSH ->  plans slots            ->   tx/<push> = intent
//!                 PREPARE                ------------------------->  room for each part
//!   bytes     ->  hashed once, sent on   ------------------------->  written, hashed
//!             <-  as much more as was written everywhere
//!                 SEAL, with digests     ------------------------->  compared, synced, logged
//!                 one transaction        ->   tx/<push> gone,
//!                                             f/<name> = manifest
//!   OK        <-  only now
//!                                             every node hears it -> stage/ to content/, backup/
//! ```
//!
//! The transaction is the decision. Whatever happens before it, the push comes to
//! nothing by another transaction that takes `tx/<push>` away, and only what the map
//! said makes a holder remove staged bytes. Of the two at most one is done, in whatever
//! order they are tried, and by whomever: the entry node, or the node that leads the
//! log when the entry node is gone.
//!
//! # A pull
//!
//! ```text
//!   FILE PULL ->  manifest               ->   f/<name>
//!                 HAS, for each part     ------------------------->  lists of hashes
//!                 the digest in the manifest vouches for a list; no list for a part:
//!             <-  ERR UNAVAILABLE, and no byte
//!                 READ, four blocks ahead ------------------------>  a block
//!   bytes     <-  each compared with its hash; a wrong one is fetched from the backup,
//!                 and its holder looks at its copy
//! ```
//!
//! # A deletion
//!
//! ```text
//!   FILE DELETE -> f/<name> = deleted until t     holders: content/ to old/
//!   FILE UNDO   -> f/<name> = as it was           old/ to content/
//!   at t        -> f/<name> gone                  old/ removed
//! ```
//!
//! # A crash
//!
//! | what crashed, when | what becomes of it |
//! |---|---|
//! | the entry node, before the transaction | the leader of the log aborts the push; stage is emptied |
//! | the entry node, after it | the file is there; nobody was told |
//! | a holder, before SEAL was answered | the push fails, and is aborted |
//! | a holder, after it | the part is in its stage; the next life hears the decision and follows it |
//! | a holder's disk is lost, or a part of it rots | the node compares with the map, fetches what it lacks from the other copies, verified |
//! | all nodes at once, after OK | the file is there when a majority is up |
//!
//! | question | where |
//! |---|---|
//! | which names are taken, what stands for one on disks and in the map | [`name`] |
//! | where a file is cut | [`cuts`] |
//! | what vouches for a block, a part, the whole | [`sums`] |
//! | what an acknowledgement rests on | [`durability`] |
//! | who holds a part | [`placement`] |
//! | what the ring knows of a file | [`manifest`] |
//! | how pushes, deletions and undoings are decided in the map | [`decide`] |
//! | how a file is read back: from whom, verified, and what else | [`pull`] |
//! | the order to move files to nodes that came later | [`rebalance`] |
//! | which node a client's file is entered at | [`rendezvous`] |
//! | what would be unreadable if some nodes were down | [`what_if`] |
//! | how parts are kept, and found again after a crash | [`holder`] |
//! | what a holder's disk says of its parts | [`parts_log`] |
//! | how the nodes' states are told | [`netmap`] |
//! | what clients say and are answered: all verbs | [`text`] |
//! | who does all this on a node | [`member`] |

pub mod cuts;
pub mod decide;
pub mod durability;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub mod holder;
pub mod manifest;
pub mod member;
pub mod name;
pub mod netmap;
pub mod parts_log;
pub mod placement;
pub mod pull;
pub mod rebalance;
pub mod rendezvous;
pub mod sums;
pub mod text;
pub mod what_if;
