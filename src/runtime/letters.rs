//! Inputs that killed their component, and what becomes of them.
//!
//! A leaf that falls begins anew and is given the input again: the fault may
//! have been in its state. An input that kills it twice is a dead letter. Of a
//! block or batch it is only the one message; those before it are not handled
//! again and those after it are not lost.

use crate::codec::{Batch, Items};
use crate::component::{ComponentName, DeliveredBatch, Item, ReplyTo};
use crate::id::MessageId;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Dead letters that are kept for people; an older one makes room, and all are
/// counted.
const KEPT_MAX: usize = 64;
/// Characters of an item's description.
const TEXT_MAX: usize = 200;

/// An input that killed its component twice and was skipped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// The component.
    pub component: ComponentName,
    /// The input, shortened.
    pub item: String,
    /// Why the component fell the second time.
    pub why: String,
}

/// One list for all components' threads: written only when one falls twice.
#[derive(Default)]
pub(super) struct DeadLetters {
    kept: Mutex<VecDeque<DeadLetter>>,
}

impl DeadLetters {
    pub(super) fn add(&self, component: ComponentName, item: &Item, why: &str) {
        let mut text = format!("{item:?}");
        if let Some((end, _)) = text.char_indices().nth(TEXT_MAX) {
            text.truncate(end);
            text.push_str("...");
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(DeadLetter { component, item: text, why: why.to_owned() });
    }

    pub(super) fn list(&self) -> Vec<DeadLetter> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// What is kept of an item while a leaf handles it.
pub(super) enum Kept {
    /// A second copy, to hand over again. Bodies are shared, not copied.
    Copy(Item),
    /// A call cannot be copied; its caller is told.
    Call(ReplyTo),
    /// Answers cannot be copied: they are lost with the state that waited.
    Nothing,
}

impl Kept {
    pub(super) fn of(item: &Item) -> Self {
        Kept::Copy(match item {
            Item::Messages { from, block } => Item::Messages { from: *from, block: block.clone() },
            Item::Request { from, target, batch } => {
                Item::Request { from: *from, target: *target, batch: batch.clone() }
            }
            Item::Delivered(delivered) => Item::Delivered(delivered.clone()),
            Item::Progress(progress) => Item::Progress(*progress),
            Item::Event(event) => Item::Event(event.clone()),
            Item::Peer(change) => Item::Peer(change.clone()),
            Item::Credit { life, bytes } => Item::Credit { life: *life, bytes: *bytes },
            Item::Consumed { channel, bytes } => Item::Consumed { channel: *channel, bytes: *bytes },
            Item::Load(sample) => Item::Load(*sample),
            Item::Call { reply_to, .. } => return Kept::Call(*reply_to),
            // What a fallen component started is void; the rest is for people
            // or comes once.
            Item::Started(_)
            | Item::Timer(_)
            | Item::Reply { .. }
            | Item::Done { .. }
            | Item::Disk { .. }
            | Item::Stream { .. }
            | Item::Inspect(_)
            | Item::Explain(..)
            | Item::Stop => return Kept::Nothing,
        })
    }
}

/// Splits an item behind its first `count` messages; an item without messages
/// counts as one. Either half may be empty.
pub(super) fn split(item: Item, count: u32) -> (Option<Item>, Option<Item>) {
    match item {
        Item::Messages { from, block } => {
            let (front, back) = split_run(&block, count);
            let part = |block: Bytes| (!block.is_empty()).then_some(Item::Messages { from, block });
            (part(front), part(back))
        }
        Item::Delivered(delivered) => {
            let (front, back) = split_run(delivered.batch.run(), count);
            let part = |run: Bytes, first: u32, count: u32| {
                let id = MessageId { index: delivered.id.index + first, ..delivered.id };
                let batch = Batch::checked(run, count)?;
                Some(Item::Delivered(DeliveredBatch { id, via: delivered.via, stamp: delivered.stamp.clone(), batch }))
            };
            let all = delivered.batch.count();
            (part(front, 0, count.min(all)), part(back, count, all.saturating_sub(count)))
        }
        other if count == 0 => (None, Some(other)),
        other => (Some(other), None),
    }
}

fn split_run(run: &Bytes, count: u32) -> (Bytes, Bytes) {
    let at = match count {
        0 => 0,
        _ => Items::new(run).nth(count as usize - 1).map_or(run.len(), |(at, item)| at + item.len()),
    };
    (run.slice(..at), run.slice(at..))
}
