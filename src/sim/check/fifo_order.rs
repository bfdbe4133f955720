//! FIFO order: a life delivers the messages of one origin in the order in which
//! that origin broadcast them, and leaves none out.
//!
//! Judged: every life, also those that ended, up to their end. A node's first
//! life begins each origin with its first message; a later life may begin
//! anywhere, and may leave out what it reports as missing.

use super::{History, Violation};
use std::collections::BTreeMap;

/// Checks FIFO order.
///
/// # Errors
/// The first delivery that is not its origin's next.
pub fn fifo_order(history: &History) -> Result<(), Violation> {
    let mut next: BTreeMap<_, u64> = BTreeMap::new();
    for delivery in &history.deliveries {
        let Some(broadcast) = delivery.broadcast.map(|m| &history.broadcasts[m]) else { continue };
        let key = (delivery.life, broadcast.origin);
        let expected = match next.get(&key) {
            Some(next) => *next,
            None if history.first.contains(&delivery.life) => 1,
            None => broadcast.number,
        };
        let excused =
            |number| history.numbered(broadcast.origin, number).is_some_and(|m| history.excused(delivery.life, m));
        if broadcast.number < expected || !(expected..broadcast.number).all(excused) {
            let (life, origin) = (history.name(delivery.life), history.name(broadcast.origin));
            let text = History::text(&broadcast.body);
            let number = broadcast.number;
            return Err(Violation::new(
                "FIFO order",
                format!("{life} delivers '{text}', number {number} of {origin}, where number {expected} is next"),
            ));
        }
        next.insert(key, broadcast.number + 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::hand::history;
    use super::*;

    const SENT: &str = "a starts, b starts, a sends m1, a sends m2, a sends m3";

    #[test]
    fn in_the_order_of_the_origin() {
        assert_eq!(fifo_order(&history(&format!("{SENT}, b gets m1, b gets m2"))), Ok(()));
        assert!(fifo_order(&history(&format!("{SENT}, b gets m2, b gets m1"))).is_err());
        assert!(fifo_order(&history(&format!("{SENT}, b gets m1, b gets m3"))).is_err());
        assert!(fifo_order(&history(&format!("{SENT}, b gets m2, b gets m3"))).is_err());
    }

    #[test]
    fn a_late_life_begins_anywhere() {
        let late = format!("{SENT}, b crashes, b starts");
        assert_eq!(fifo_order(&history(&format!("{late}, b gets m2, b gets m3"))), Ok(()));
        assert!(fifo_order(&history(&format!("{late}, b gets m3, b gets m2"))).is_err());
    }
}
