//! Traces: what happened in a run, as a file that people and programs read.
//!
//! One kind of record serves both drivers: what a simulated world did in
//! virtual time and what nodes did on threads and sockets. From a trace a run
//! is judged, or drawn as a space-time diagram, on another day and another
//! machine.
//!
//! **Format.** UTF-8, one JSON object a line. The first line is the header
//! ([`Header`]), each further one a record ([`Record`]), the last one, if the
//! recording was ended as it should be, says how many there were. The last
//! member of every line is `crc`: the CRC-32C of all bytes of the file's lines
//! up to it, so that a line that was changed, taken out or moved is noticed by
//! its number.
//!
//! ```text
//! {"nodewright_trace":1,"clock":"virtual","epoch_unix_ns":0,"about":"uniform 3","kinds":["uniform"],"crc":"..."}
//! {"at":0,"life":"n1a.1","what":"started","name":"alpha","voter":true,"crc":"..."}
//! {"at":71000,"life":"n1a.1","what":"broadcast","via":"uniform","body":"m1","crc":"..."}
//! {"at":90000,"life":"n2b.1","what":"delivered","id":"n1a.1/c0ffee/1.0","body":"m1","crc":"..."}
//! {"records":3,"crc":"..."}
//! ```
//!
//! | file | what |
//! |---|---|
//! | `record` | what can be recorded |
//! | `body` | messages' bytes as short texts |
//! | `writer`, `reader` | the file |
//! | `pairs` | which broadcast a delivery is of, which sending an arrival |
//! | `merge` | several nodes' traces as one |
//! | `diagram` | the space-time diagram: one HTML file |
//!
//! The simulator's own trace ([`crate::sim::Trace`]) holds typed events in
//! memory; [`crate::scenario::recorded`] turns one into the other.

mod body;
mod diagram;
mod merge;
mod pairs;
mod reader;
mod record;
mod writer;

pub use body::text;
pub use diagram::diagram;
pub use merge::merge;
pub use pairs::{arrivals, deliveries};
pub use reader::{LINE_BYTES_MAX, RECORDS_MAX, ReadError, Reader, Tail, Trace};
pub use record::{Clock, EndWhy, Frame, Header, Lane, Record, Stamp, What};
pub use writer::Writer;
