//! The thread of one component: the driver's loop.

use super::cell::{Fall, Next};
use super::counters::count;
use super::live::Live;
use super::mailbox::{Mailbox, Running};
use super::node::Notice;
use super::notice::Restarted;
use super::supervisor::Budget;
use crate::component::{Item, Role};
use crate::error::Fault;
use crate::event::AnyEvent;
use crate::time::Time;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often a leaf may begin anew before the node does.
const RESTARTS_MAX: usize = 5;
/// In which time.
const RESTARTS_WITHIN: Duration = Duration::from_secs(30);
/// Rest before the second restart within that time; it doubles.
const REST: Duration = Duration::from_millis(20);

/// Runs the component at `me` until it is stopped or its life is over.
///
/// 1. Park until mail comes or a timer is due; nothing is held, nothing polled.
/// 2. Take the component and give it a turn: see [`Cell::turn`].
/// 3. If it fell, mend it or tell the supervisor, and go on with 2.
///
/// [`Cell::turn`]: super::cell::Cell::turn
pub(super) fn run(live: &Live, me: usize) {
    let mailbox = &live.mailboxes[me];
    let mut budget = Budget::new(RESTARTS_MAX, RESTARTS_WITHIN, REST);
    while !live.is_over() {
        let running = Running::enter();
        let next = mailbox.own().turn(live, mailbox); // 2
        drop(running);
        match next {
            Next::Sleep(_) if !mailbox.receiver.is_empty() => {}
            Next::Sleep(until) => park(live, until),                     // 1
            Next::Mend(fall) if mend(live, me, &fall, &mut budget) => {} // 3
            Next::Mend(_) | Next::End => break,
        }
    }
    mailbox.close();
    left_over(live, mailbox);
}

/// Parks until it is woken, or until then. Who sends wakes afterwards, so mail
/// that comes after the mailbox was found empty ends the parking at once.
fn park(live: &Live, until: Option<Time>) {
    match until {
        Some(until) => {
            let left = live.node.clock.instant(until).saturating_duration_since(Instant::now());
            if !left.is_zero() {
                std::thread::park_timeout(left);
            }
        }
        None => std::thread::park(),
    }
}

/// Lets a fallen leaf begin anew; false if that is not for it to do.
fn mend(live: &Live, me: usize, fall: &Fall, budget: &mut Budget) -> bool {
    let manifest = live.manifest(me);
    let alone = manifest.role == Role::Leaf && matches!(fall.fault, Fault::Broken(_));
    let rest = if alone { budget.take(live.now()) } else { None };
    let Some(rest) = rest else {
        let (component, fault) = (manifest.name, fall.fault.clone());
        log::error!(target: "nodewright::runtime", "{component} fell: {fault}");
        live.node.notify(Notice::Fell { life: live.me, component, fault });
        return false;
    };
    live.rest(rest);
    if live.is_over() {
        return false;
    }
    log::info!(target: "nodewright::runtime", "{} begins anew: {}", manifest.name, fall.fault);
    let restarts = live.counts().restarts.fetch_add(1, Ordering::Relaxed) + 1;
    let seed = live.node.seed(live.me, me, restarts);
    let component = live.node.stack.factories[me].make(seed);
    let mut told = vec![Item::Started(live.boot.clone())];
    told.extend(live.node.board.replay(&manifest.hears));
    let running = Running::enter();
    live.mailboxes[me].own().begin_anew(live, component, told);
    drop(running);
    live.publish(AnyEvent::new(Restarted { component: manifest.name.to_owned(), why: fall.fault.to_string() }));
    true
}

/// Counts and drops what nobody will handle.
fn left_over(live: &Live, mailbox: &Mailbox) {
    let _cell = mailbox.own();
    mailbox.receiver.try_iter().for_each(|_| count(&live.counts().left_over));
}
