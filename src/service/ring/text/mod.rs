//! The text protocol: one line a request, `netcat` is a full client.
//!
//! ```text
//!   client                                     node
//!   FILE PUSH 5 a b.txt\n hello      ->
//!                                    <-        FILE 5 bytes split into 3 chunks and distributed\n
//!                                              OK 5 <root> v1 copies=2 durability=strict\n
//!   FILE PULL a b.txt\n              ->
//!                                    <-        hello                       and closes
//! ```
//!
//! A line ends with LF (CR LF is taken) and has at most [`HEADER_BYTES_MAX`] bytes.
//! Nouns and verbs are taken in any case. Fields are split at single spaces; a
//! name is the rest of the line, spaces and all. Where nothing else is said the
//! connection stays open. An error is `ERR <text>`, of an added verb
//! `ERR <CODE> <text>`.
//!
//! | request | reply |
//! |---|---|
//! | `AUTH <token>` | `OK` |
//! | `NODE PING` | `PONG` |
//! | `NODE STATUS` | `PORT <host:port>`, `NEXT <host:port>` or `NEXT <unset>`, `OK` |
//! | `NODE NEXT <address>` | `OK next=<address>` |
//! | `NODE HEAL` | `OK network healed`, `ERR heal walk canceled`, `ERR heal walk timed out` |
//! | `NODE REBUILD` | `OK files=<n>`: so many files that this node's disk knows and the map did not |
//! | `NODE WHATIF <port>,<port>` | `files=<n> unreadable=<n> bytes=<n> degraded=<n>`, `OK` |
//! | `NODE REBALANCE [<bytes a second>\|stop\|status]` | `OK state=<none\|running\|done\|stopped> moved=<files> bytes=<n> left=<files> rate=<n>`: the order is written down, whoever leads the log moves files. A file that was moved has the next version |
//! | `NODE DRAIN <address>`, `NODE FORGET <address>` | `OK` |
//! | `NETMAP GET` | `<port>=Alive` or `<port>=Dead` for each node, sorted by the port's text, or `(empty)`; `OK` |
//! | `NETMAP GET-ALL` | the same with five states |
//! | `NETMAP DISCOVER` | `OK`, `ERR no next hop set` |
//! | `TOPOLOGY WALK` | `<port>-><port>` for each hop, `OK`; `ERR no next hop set`, `ERR walk canceled`, `ERR walk timeout` |
//! | `FILE LIST` | a CSV ([`reply::CSV_HEADER`]), and closes |
//! | `FILE LIST <prefix> <after> <limit>` | the same CSV, then `OK`, or `OK after=<name>` where more follow. Both names percent-encoded, `-` for none |
//! | `FILE PUSH <size> <name>`, then the bytes | `FILE <size> bytes split into <n> chunks and distributed`, `OK <size> <root> v<version> copies=<n> durability=<level>` |
//! | `FILE PUSH-IF <version\|none> <size> <name>`, then the bytes | the same, or `ERR CONFLICT <text>` |
//! | `FILE PULL <name>` | the bytes, and closes; `ERR file not found` |
//! | `FILE GET <offset> <length> <name>` | `OK <length> of <size> v<version>`, then so many bytes |
//! | `FILE STAT <name>` | `OK <size> <root> v<version> parts=<n> copies=<n> mtime=<ms> state=<state>` |
//! | `FILE MANIFEST <name>` | `part <n> start=<offset> size=<bytes> digest=<hex> slot=<port>` for each, `OK` |
//! | `FILE EXPLAIN <name>` | `part <n> <owner\|backup> <port> <state> verified=<ms\|never>` for each copy, `OK` |
//! | `FILE DELETE <name>`, `FILE UNDO <name>` | `OK v<version>` |
//! | `FILE SCRUB [<name>]` | `OK read=<bytes> bad=<n>` |
//! | `FILE GET-CHUNK <chunk>`, `FILE GET-BACKUP-CHUNK <chunk>` | `FILE RESP-CHUNK <next> <size> <chunk>`, then the bytes |
//! | `FILE GET-CHUNK-FOR-BACKUP <chunk>` | 8 bytes of length, the highest first, then the bytes |
//! | the nodes' own: `NODE HEAL-HOP`, `HEAL-DONE`, `NETMAP HOP`, `DONE`, `SET`, `TOPOLOGY HOP`, `DONE`, `SET`, `FILE TAGS-SET`, `NOTIFY-CHUNK-SAVED`, `RELAY-STREAM` | `ERR node verb`; nodes have a mesh of their own. After the last one, whose bytes have no end, it closes |
//!
//! A request that is refused although its line says how many bytes follow is
//! followed by those bytes, which are skipped; a line that is no request announces
//! none.

pub mod answer;
mod parse;
mod reader;
pub mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use parse::parse;
pub use reader::{HEADER_BYTES_MAX, Heard, Reader};
pub use request::{Chunk, Expected, Listing, Rate, Refused, Request, SIZE_MAX};
