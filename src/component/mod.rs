//! The component contract: inputs and the time go in, effects come out.
//!
//! A component is a pure state machine. It never names a thread, a channel, a
//! socket, a file, the clock or a source of randomness; all of these are
//! handed in or asked for. The same component therefore runs on threads
//! ([`crate::runtime`]) and in virtual time ([`crate::sim`]).
//!
//! ```text
//!   above    request v   ^ delivered, progress        user, services, own components
//!            +-----------------------+
//!   events ->|  component            |-> events       the node's bus
//!   timers ->|  handle(input) -> fx  |-> calls, jobs, disk, streams
//!            +-----------------------+
//!   below    send v      ^ message                    the same component of peers
//! ```
//!
//! A driver drains a component's mailbox, hands over the inputs one by one,
//! calls [`NetComponent::flush`] once and only then lets blocks go: what can
//! be joined is joined.

mod adapter;
mod context;
mod disk_rules;
pub mod effect;
pub mod input;
mod item;
pub mod manifest;
mod modelled;
mod plan;
pub mod resolve;
pub mod stack;
mod wiring;

pub use adapter::{Adapter, AnyComponent, Inspection};
pub use context::Context;
pub(crate) use disk_rules::{RESERVED, check_name};
pub use effect::{DiskOp, Effect, Effects, Erased, Outbox, ReplyTo, StreamId, StreamOp, TimerId, Token};
pub use input::{
    Boot, Delivered, DeliveredBatch, DiskDone, EndedWhy, Failed, FailedWhy, Input, Lane, LoadSample, PeerChange,
    PeerRole, Progress, Stamp, StreamInput, Target, To,
};
pub use item::Item;
pub use manifest::{Capability, ComponentName, Exclusion, Manifest, Role, Run};
pub use modelled::{Modelled, Uncompared};
pub use plan::{Plan, Planned, Why};
pub use resolve::{Catalogue, Part, WhenMissing, resolve};
pub use stack::{Factory, Stack};
pub use wiring::{WiringFault, WiringReport};

use crate::error::Fault;
use crate::id::MessageId;
use serde::{Serialize, de::DeserializeOwned};

/// A pluggable part of a node.
///
/// Types that a component has no use for are `()` (message, timer) or
/// [`std::convert::Infallible`] (call, job, done).
pub trait NetComponent: Sized + Send + 'static {
    /// Heads of the messages between peers' same components; whatever follows
    /// a head is its body, raw bytes.
    type Message: Serialize + DeserializeOwned;
    /// What other components and the user may ask of it.
    type Call: Send + 'static;
    /// Its named timers: setting an equal one replaces it, a cancelled or
    /// replaced one never fires.
    type Timer: Clone + Eq + Send + 'static;
    /// Long work, as data.
    type Job: Send + 'static;
    /// What a job brings.
    type Done: Send + 'static;

    /// What it is and needs; must not depend on state.
    fn manifest(&self) -> Manifest;

    /// Handles one input.
    ///
    /// # Errors
    /// A [`Fault`] stops the component; its [`Role`] says what follows.
    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault>;

    /// Called once after a run of inputs: acknowledgements and sends that can
    /// be joined belong here.
    ///
    /// # Errors
    /// As [`NetComponent::handle`].
    fn flush(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        let _ = cx;
        Ok(())
    }

    /// Performs a job, off the component's thread.
    fn run(job: Self::Job) -> Self::Done {
        let _ = job;
        unreachable!("a component that starts jobs implements `run`")
    }

    /// Describes its state, for people.
    fn inspect(&self, into: &mut Inspection) {
        let _ = into;
    }

    /// Says what it knows of a message and what that waits for.
    fn explain(&self, message: MessageId) -> Option<String> {
        let _ = message;
        None
    }
}
