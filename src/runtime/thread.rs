//! The thread of one component: the driver's loop.

use super::cell::{Fall, Next};
use super::counters::count;
use super::live::Live;
use super::mailbox::{Mail, Mailbox, Running};
use super::node::Notice;
use super::notice::Restarted;
use super::supervisor::Budget;
use crate::component::{Item, Role};
use crate::error::Fault;
use crate::event::AnyEvent;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a leaf may begin anew before the node does.
const RESTARTS_MAX: usize = 5;
/// In which time.
const RESTARTS_WITHIN: Duration = Duration::from_secs(30);
/// Rest before the second restart within that time; it doubles.
const REST: Duration = Duration::from_millis(20);

/// Runs the component at `me` until it is stopped or its life is over.
///
/// 1. Sleep until mail comes or a timer is due; nothing is held, nothing
///    polled.
/// 2. Take the component and give it a turn: see [`Cell::turn`].
/// 3. If it fell, mend it or tell the supervisor, and go on with 2.
///
/// [`Cell::turn`]: super::cell::Cell::turn
pub(super) fn run(live: &Live, me: usize) {
    let mailbox = &live.mailboxes[me];
    let mut budget = Budget::new(RESTARTS_MAX, RESTARTS_WITHIN, REST);
    let mut sleep = None;
    'life: loop {
        let mut first = match sleep {
            // 1
            Some(at) => mailbox.receiver.recv_deadline(live.node.clock.instant(at)).ok(),
            None => mailbox.receiver.recv().ok(),
        };
        loop {
            if live.is_over() {
                break 'life;
            }
            let running = Running::enter();
            let next = mailbox.own().turn(live, mailbox, first.take()); // 2
            drop(running);
            match next {
                Next::Sleep(at) => sleep = at,
                Next::End => break 'life,
                Next::Mend(fall) => {
                    // 3
                    if !mend(live, me, &fall, &mut budget) {
                        break 'life;
                    }
                    continue;
                }
            }
            break;
        }
    }
    mailbox.close();
    left_over(live, mailbox);
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
    for mail in mailbox.receiver.try_iter() {
        if let Mail::Item(_) = mail {
            count(&live.counts().left_over);
        }
    }
}
