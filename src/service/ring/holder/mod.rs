//! A holder: the parts of files that one node keeps on its disk.
//!
//! ```text
//!   stage/<push>.part-002.new           is being written
//!   stage/<push>.part-002-of-003        whole and acknowledged, of no file yet
//!   content/<key>.part-002-of-003       a file's part, as its owner
//!   backup/<key>.part-002-of-003        as its backup
//!   old/<push>.part-002-of-003          was a file's, undo is open
//!   quarantine/<push>.part-002-of-003   is not what it was: never a source; `.bad`
//!                                       behind its name once a right one is here
//!   parts.log                           what is known of all of them
//!   ballast                             room for deletions, while the disk is full
//! ```
//!
//! | asked | done, in this order | answered |
//! |---|---|---|
//! | Prepare | room for the bytes | there is room |
//! | Write | written, hashed | more may come |
//! | Seal | length and digest compared; file synced, renamed, directory synced; record synced | the part survives a crash |
//! | Seal, less durably | compared, renamed, record written; synced with others' within 100 ms, or when the system likes | the part survives the process |
//! | Commit | record synced; the older content to `old/`, directories synced; the part to its place, directories synced | readers find it |
//! | Abort, Purge | removed | it is gone |
//!
//! **Guarantee.** What [`Call::Seal`] acknowledged strictly is there, whole, after every
//! crash, as far as the disk does what [`DiskOp`](crate::component::DiskOp) promises. A part is never seen under
//! a file's name before its push was committed. What a crash left half done is
//! finished when the next life begins; doing it twice is doing it once.
//!
//! **Failures.** A disk without room refuses a part, and further ones until there is room
//! for more than deletions again; a failed write refuses that part. A failed sync, rename or log ends the life: it is never tried again, the
//! next life reads what is there.
//!
//! **Bounds.** In memory about 200 bytes a part, and 32 for each of its blocks;
//! parts being written are counted and refused beyond 256. `parts.log` grows until
//! the next life begins, which writes it anew.
//!
//! | the next life finds | and does |
//! |---|---|
//! | bytes without a record | they were never acknowledged: removed |
//! | a record, the part in `stage/`, no commit | waits for the commit or the abort |
//! | a commit, the part in `stage/` or under its file's name | makes way, moves it, syncs |
//! | a record, no bytes of that length | the part is lost here: said, forgotten, to be repaired from another copy |
//! | a damaged stretch of the log | keeps what it cannot name, but for what was being written |

mod ballast;
mod boot;
mod call;
mod component;
mod group;
mod looking;
mod shelf;
mod steps;

pub use call::{Call, Committed, Held, Refusal, Scrubbed, Stocked};
pub use component::{Holder, Mutant, NAME, Recovered};
