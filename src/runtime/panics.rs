//! Where a component's panic becomes a fault.

use super::counters::count;
use super::live::Live;
use crate::error::Fault;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a component's code; a panic is a broken invariant.
pub(super) fn caught(live: &Live, run: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
    // The component is dropped after a panic, so nobody sees a half-made state.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        count(&live.counts().panics);
        Err(Fault::Broken(format!("panicked: {}", panic_text(&*panic))))
    })
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}
