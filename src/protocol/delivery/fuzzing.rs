//! The body of [`crate::fuzzing`] for what delivery components say.

use super::held::Held;
use super::message::{Head, Message};
use crate::codec::fuzzing::stays_itself;
use crate::codec::{Batch, take_head};
use crate::id::Life;
use crate::protocol::ordering::dependencies::Dependencies;
use bytes::Bytes;

pub(crate) fn messages(input: &[u8]) {
    messages_by(input, Held::arrived);
}

/// Judges how `arrived` takes batches.
pub(super) fn messages_by(input: &[u8], arrived: impl Fn(&Head, Bytes) -> Option<Held>) {
    stays_itself::<Message>(input);
    if let Some((Message::Data(head) | Message::Relay { head, .. } | Message::Feed { head, .. }, at)) = take_head(input)
        && let Some(held) = arrived(&head, Bytes::copy_from_slice(&input[at..]))
    {
        assert_eq!(held.head(head.seq), head, "passed on as it came");
        assert_eq!(held.body()[..], input[at..], "passed on as it came");
        assert_eq!(held.batch().iter().count(), head.count as usize, "as many messages as it says");
    }
    packed(input);
    let count = input.first().copied().unwrap_or(0).into();
    if let Some(batch) = Batch::checked(Bytes::copy_from_slice(input), count) {
        assert_eq!(batch.iter().count(), batch.count() as usize);
    }
}

/// Dependencies: junk is refused or read, and whatever is packed is read.
fn packed(input: &[u8]) {
    if let Some(deps) = Dependencies::checked(Bytes::copy_from_slice(input)) {
        let entries: Vec<(Life, u64)> = deps.iter().collect();
        assert!(entries.is_sorted_by(|(one, _), (next, _)| one < next), "each life once");
        assert_eq!(Dependencies::of(entries.iter().copied()).iter().collect::<Vec<_>>(), entries);
    }
    // Few nodes and lives, so that some come twice.
    let named = input.as_chunks::<3>().0.iter().map(|[node, life, count]| {
        (Life::new(crate::id::NodeId(u64::from(node % 4)), u64::from(life % 8)), u64::from(*count))
    });
    let deps = Dependencies::of(named.clone());
    assert_eq!(Dependencies::checked(deps.packed().clone()).as_ref(), Some(&deps), "others take it");
    assert!(named.clone().all(|(life, count)| deps.iter().any(|(known, most)| known == life && most >= count)));
}

/// A batch that is taken at its word: what `messages` must notice.
#[cfg(test)]
pub(crate) fn believed(input: &[u8]) {
    messages_by(input, |head, body| {
        let held = Held::arrived(head, body.clone());
        held.or_else(|| {
            let deps_bytes = (head.deps_bytes as usize).min(body.len());
            let batch = Batch::known(body.slice(deps_bytes..), head.count);
            let held = Held::new(head.channel, batch, head.stamp());
            Some(held.after(&Dependencies::known(body.slice(..deps_bytes))))
        })
    });
}
