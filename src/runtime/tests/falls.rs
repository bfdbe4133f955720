//! Components that panic.

use super::*;
use crate::codec::BatchBuilder;
use crate::component::{DeliveredBatch, Progress, Stamp, Target};
use crate::error::CallError;
use crate::event::EventType;
use crate::id::MessageId;
use std::sync::{Arc, Mutex};

/// Counts calls; falls under 13, 0 means "how many".
fn fragile(role: Role) -> Factory {
    little(Manifest { role, ..named("fragile") }, || {
        let mut count = 0u64;
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            if let Input::Call { call, reply_to } = input {
                assert_ne!(call, 13, "a planted panic");
                count += call;
                cx.reply(reply_to, count);
            }
            Ok(())
        }
    })
}

#[test]
fn a_leaf_begins_anew_and_its_caller_is_told() {
    let handle = started(vec![fragile(Role::Leaf)]);
    let life = handle.life();
    let restarted = handle.subscribe(EventType::of::<Restarted>());
    assert_eq!(ask(&handle, "fragile", 1), Ok(1));
    assert!(matches!(ask(&handle, "fragile", 13), Err(CallError::Ended(_))));
    assert_eq!(ask(&handle, "fragile", 5), Ok(5), "its state is gone");
    let event = restarted.recv_timeout(DEADLINE).expect("told");
    assert!(event.get::<Restarted>().expect("a restart").why.contains("planted panic"));
    assert_eq!(handle.life(), life);
    assert_eq!((handle.counters().restarts, handle.counters().panics), (1, 1));
    handle.stop();
}

#[test]
fn a_protocol_component_that_falls_ends_the_life() {
    let handle = started(vec![fragile(Role::Protocol)]);
    let old = handle.life();
    let lives = handle.lives();
    assert_eq!(ask(&handle, "fragile", 1), Ok(1));
    assert!(matches!(ask(&handle, "fragile", 13), Err(CallError::Ended(_))));
    let new = lives.recv_timeout(DEADLINE).expect("a new life");
    assert!(new.incarnation > old.incarnation && new.node == old.node);
    assert_eq!(ask(&handle, "fragile", 2), Ok(2));
    assert_eq!((handle.counters().lives, handle.counters().restarts), (2, 0));
    handle.stop();
}

#[test]
fn a_leaf_that_falls_too_often_takes_the_node_along_and_that_ends_too() {
    let handle = started(vec![fragile(Role::Leaf)]);
    for _ in 0..6 {
        assert!(matches!(ask(&handle, "fragile", 13), Err(CallError::Ended(_))));
    }
    until("a new life", || handle.counters().lives == 2);
    assert_eq!(handle.counters().restarts, 5);
    let fell = std::thread::scope(|scope| {
        scope.spawn(|| while !matches!(ask(&handle, "fragile", 13), Err(CallError::Stopping)) {});
        handle.join()
    });
    let Err(Ended::FellTooOften { why, .. }) = fell else { panic!("{fell:?}") };
    assert!(why.contains("fragile") && why.contains("planted panic"), "{why}");
}

/// Delivers the numbers up to the call's as one batch to "eater", and counts
/// the bytes that were consumed; reports progress on its requests.
fn feeder(fed: Arc<Mutex<(u64, u64)>>) -> Factory {
    little(named("feeder"), move || {
        let fed = fed.clone();
        let (mut delivered, mut bytes) = (0, 0);
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Call { call, .. } => {
                    let mut batch = BatchBuilder::default();
                    (1..=call).for_each(|n| batch.push(|out| out.extend_from_slice(&n.to_le_bytes())));
                    let batch = batch.take().expect("a call of at least one");
                    fed.lock().expect("not poisoned").0 += batch.run().len() as u64;
                    let id = MessageId { origin: cx.me(), delivery: Kind::of("feeder"), batch: 1, index: 0 };
                    let batch = DeliveredBatch { id, via: Kind::of("feeder"), stamp: Stamp::default(), batch };
                    cx.deliver(Kind::of("eater"), batch);
                }
                Input::Consumed { bytes, .. } => fed.lock().expect("not poisoned").1 += bytes,
                Input::Request { from, target, batch } => {
                    delivered += u64::from(batch.count());
                    bytes += batch.run().len() as u64;
                    let via = Kind::of("feeder");
                    let progress =
                        Progress { via, target, delivered, stable: delivered, released_bytes: bytes, failed: None };
                    cx.progress(from, progress);
                }
                _ => {}
            }
            Ok(())
        }
    })
}

#[test]
fn a_message_that_kills_twice_is_a_dead_letter_and_no_other_is_lost_or_doubled() {
    let eaten = Arc::<Mutex<Vec<(u32, u64)>>>::default();
    let fed = Arc::<Mutex<(u64, u64)>>::default();
    let told = eaten.clone();
    let eater = little(named("eater"), move || {
        let told = told.clone();
        let mut here = 0;
        move |input: Input<'_, Little>, _: &mut Context<'_, Little>| {
            if let Input::Delivered(delivered) = input {
                let n = u64::from_le_bytes(delivered.body.try_into().expect("eight bytes"));
                here += 1;
                assert!(n != 13 && here < 17, "a planted panic");
                told.lock().expect("not poisoned").push((delivered.id.index, n));
            }
            Ok(())
        }
    });
    let handle = started(vec![feeder(fed.clone()), eater]);
    handle.call_later(Kind::of("feeder"), Box::new(33u64), DEADLINE);
    until("the last of the batch", || eaten.lock().expect("not poisoned").last() == Some(&(32, 33)));
    let all: Vec<(u32, u64)> = (1..=33).filter(|n| *n != 13).map(|n| (n as u32 - 1, n)).collect();
    assert_eq!(*eaten.lock().expect("not poisoned"), all);
    // Twice under 13, and once of a full state, which the next life of it eats.
    assert_eq!((handle.counters().restarts, handle.counters().dead_letters), (3, 1));
    let dead = handle.dead_letters();
    assert_eq!((dead.len(), dead[0].component), (1, "eater"));
    assert!(dead[0].item.contains("index: 12") && dead[0].why.contains("planted panic"), "{dead:?}");
    until("all consumed", || {
        let (delivered, consumed) = *fed.lock().expect("not poisoned");
        delivered == consumed
    });
    handle.stop();
}

#[test]
fn a_component_made_anew_counts_its_requests_from_one() {
    let seen = Arc::<Mutex<Vec<(u64, u64)>>>::default();
    let told = seen.clone();
    let eater = little(named("eater"), move || {
        let told = told.clone();
        let mut asked = 0;
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Call { call: 13, .. } => panic!("a planted panic"),
                Input::Call { call, .. } => {
                    for _ in 0..call {
                        asked = cx.request(Kind::of("feeder"), Target::All, |out| out.push(7));
                    }
                }
                Input::Progress(progress) if progress.delivered == asked => {
                    told.lock().expect("not poisoned").push((progress.delivered, progress.released_bytes));
                }
                _ => {}
            }
            Ok(())
        }
    });
    let handle = started(vec![feeder(Arc::default()), eater]);
    let call = |n: u64| handle.call_later(Kind::of("eater"), Box::new(n), DEADLINE);
    call(5);
    until("the first report", || *seen.lock().expect("not poisoned") == [(5, 10)]);
    assert!(call(13).recv_timeout(DEADLINE).expect("told").is_err());
    call(2);
    until("the second report", || *seen.lock().expect("not poisoned") == [(5, 10), (2, 4)]);
    handle.stop();
}

#[test]
fn a_component_that_falls_at_its_start_ends_the_node_with_the_reason() {
    let handle = started(vec![little(named("hopeless"), || {
        |_: Input<'_, Little>, _: &mut Context<'_, Little>| Err(Fault::Broken("born broken".into()))
    })]);
    let fell = handle.join();
    assert!(matches!(&fell, Err(Ended::FellTooOften { why, .. }) if why.contains("born broken")), "{fell:?}");
    assert_eq!(handle.join(), fell, "whoever asks is told");
}

#[test]
fn a_component_can_ask_for_the_stop_or_for_a_new_life() {
    let asker = || {
        little(named("asker"), || {
            |input: Input<'_, Little>, _: &mut Context<'_, Little>| match input {
                Input::Call { call: 1, .. } => Err(Fault::Stop("enough".into())),
                Input::Call { .. } => Err(Fault::LifeEnded("voted out".into())),
                _ => Ok(()),
            }
        })
    };
    let handle = started(vec![asker()]);
    let (old, lives) = (handle.life(), handle.lives());
    assert!(matches!(ask(&handle, "asker", 2), Err(CallError::Ended(_))));
    assert!(lives.recv_timeout(DEADLINE).expect("a new life") > old);
    handle.call_later(Kind::of("asker"), Box::new(1u64), DEADLINE);
    assert_eq!(handle.join(), Err(Ended::Asked { component: "asker", why: "enough".into() }));
}
