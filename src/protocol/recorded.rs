//! Published events as traces have them: those that protocols publish by
//! themselves, the others by name and text.

use super::delivery::{Delivery, Gap, GapWhy};
use super::failure_detector::Suspicion;
use super::membership::HoldingBack;
use crate::event::AnyEvent;
use crate::trace::What;

/// Longest text of an event that is kept.
const TEXT_CHARS_MAX: usize = 200;

/// An event as a record.
pub fn record(event: &AnyEvent) -> What {
    if let Some(Suspicion { life, suspected, .. }) = event.get() {
        let peer = *life;
        return if *suspected { What::Suspected { peer } } else { What::Restored { peer } };
    }
    if let Some(HoldingBack { life, holding }) = event.get() {
        return What::HoldingBack { peer: *life, holding: *holding };
    }
    if let Some(Gap { delivery, origin, from, to, .. }) = event.get() {
        return What::Missing { via: delivery.name().into(), origin: *origin, first: *from, last: *to };
    }
    let text = format!("{event:?}").chars().take(TEXT_CHARS_MAX).collect();
    What::Published { event: event.event_type().name.into(), text }
}

/// The event that a record stands for; `None` for a record that is none, and
/// for events that were kept as text alone.
pub fn replay(what: &What) -> Option<AnyEvent> {
    let suspicion = |life, suspected| AnyEvent::new(Suspicion { life, name: "".into(), suspected });
    Some(match what {
        What::Suspected { peer } => suspicion(*peer, true),
        What::Restored { peer } => suspicion(*peer, false),
        What::HoldingBack { peer, holding } => AnyEvent::new(HoldingBack { life: *peer, holding: *holding }),
        What::Missing { via, origin, first, last } => {
            let delivery: Delivery = via.parse().ok()?;
            // a trace does not say why, and no checker asks
            AnyEvent::new(Gap { delivery, origin: *origin, from: *first, to: *last, why: GapWhy::BeforeThisLife })
        }
        _ => return None,
    })
}
