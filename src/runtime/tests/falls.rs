//! Components that panic.

use super::*;
use crate::error::CallError;
use crate::event::EventType;

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
