//! Order, calls, timers, events, jobs, stop.

use super::*;
use crate::codec::BatchBuilder;
use crate::component::Target;
use crate::error::CallError;
use crate::event::{AnyEvent, Event, EventType};
use std::sync::{Arc, Mutex};

/// What components saw, in order.
type Seen<T> = Arc<Mutex<Vec<T>>>;

fn seen<T>() -> Seen<T> {
    Arc::default()
}

#[test]
fn a_call_is_answered_or_ends_at_its_deadline() {
    let handle = started(vec![little(named("adder"), || {
        |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            if let Input::Call { call, reply_to } = input
                && call != 0
            {
                cx.reply(reply_to, call + 1);
            }
            Ok(())
        }
    })]);
    assert_eq!(ask(&handle, "adder", 41), Ok(42));
    let begun = Instant::now();
    let late = handle.call(Kind::of("adder"), Box::new(0u64), Duration::from_millis(20));
    assert!(matches!(late, Err(CallError::TimedOut(_))));
    assert!(begun.elapsed() >= Duration::from_millis(20));
    assert!(matches!(ask(&handle, "nobody", 1), Err(CallError::Refused(_))));
    handle.stop();
    assert_eq!(ask(&handle, "adder", 41), Err(CallError::Stopping));
    assert_eq!(handle.post(Kind::of("adder"), Item::Stop), Err(Stopped));
}

#[test]
fn components_call_each_other_and_deadlines_are_kept() {
    let answers: Seen<String> = seen();
    let told = answers.clone();
    let asker = little(named("asker"), move || {
        let told = told.clone();
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Started(_) => {
                    for (call, to) in [(1, "answerer"), (0, "answerer"), (1, "nobody")] {
                        cx.call::<Little>(Kind::of(to), call, Duration::from_millis(10));
                    }
                }
                Input::Reply { token, value } => {
                    let text = match value {
                        Ok(value) => format!("{}: {:?}", token.0, value.downcast_ref::<u64>()),
                        Err(error) => format!("{}: {error}", token.0),
                    };
                    told.lock().expect("not poisoned").push(text);
                }
                _ => {}
            }
            Ok(())
        }
    });
    let answerer = little(named("answerer"), || {
        |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            if let Input::Call { call: 1, reply_to } = input {
                cx.reply(reply_to, 2u64);
            }
            Ok(())
        }
    });
    let handle = started(vec![answerer, asker]);
    until("three answers", || answers.lock().expect("not poisoned").len() == 3);
    let mut answers = answers.lock().expect("not poisoned").clone();
    answers.sort();
    assert_eq!(answers[0], "0: Some(2)");
    assert!(answers[1].starts_with("1: no answer within 10ms"), "{answers:?}");
    assert!(answers[2].starts_with("2: refused"), "{answers:?}");
    handle.stop();
}

#[test]
fn timers_fire_in_order_and_cancelled_ones_never() {
    let fired: Seen<u64> = seen();
    let told = fired.clone();
    let handle = started(vec![little(named("clock"), move || {
        let told = told.clone();
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Started(_) => {
                    cx.set_timer(3, Duration::from_millis(30));
                    cx.set_timer(1, Duration::from_millis(50));
                    cx.set_timer(2, Duration::from_millis(20));
                    cx.set_timer(4, Duration::from_millis(5));
                    cx.set_timer(1, Duration::from_millis(10)); // instead
                    cx.cancel_timer(&4);
                }
                Input::Timer(n) => told.lock().expect("not poisoned").push(n),
                _ => {}
            }
            Ok(())
        }
    })]);
    until("three timers", || fired.lock().expect("not poisoned").len() >= 3);
    handle.stop();
    assert_eq!(*fired.lock().expect("not poisoned"), [1, 2, 3]);
}

#[test]
fn a_timer_set_in_place_wakes_the_thread() {
    let fired: Seen<u64> = seen();
    let told = fired.clone();
    let manifest = Manifest { run: Run::InPlace, ..named("clock") };
    let handle = started(vec![little(manifest, move || {
        let told = told.clone();
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Call { call, reply_to } => {
                    cx.set_timer(call, Duration::from_millis(call));
                    cx.reply(reply_to, call);
                }
                Input::Timer(n) => told.lock().expect("not poisoned").push(n),
                _ => {}
            }
            Ok(())
        }
    })]);
    until("the first run", || handle.counters().wakes > 0);
    while handle.counters().in_place == 0 {
        ask(&handle, "clock", 2).expect("answered");
    }
    fired.lock().expect("not poisoned").clear();
    ask(&handle, "clock", 9).expect("answered");
    until("the timer", || fired.lock().expect("not poisoned").contains(&9));
    handle.stop();
}

/// The answer comes while the asking component still runs further up the
/// stack: it is laid beside that run. Before, it woke the asker's thread.
#[test]
fn an_answer_to_a_run_in_place_wakes_no_thread() {
    let in_place = |name| Manifest { run: Run::InPlace, ..named(name) };
    let asker = little(in_place("asker"), || {
        let mut asked = std::collections::BTreeMap::new();
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Call { call, reply_to } => {
                    asked.insert(cx.call::<Little>(Kind::of("answerer"), call, DEADLINE), reply_to);
                }
                Input::Reply { token, value } => {
                    let value = value.ok().and_then(|value| value.downcast::<u64>().ok()).expect("answered");
                    cx.reply(asked.remove(&token).expect("asked"), *value);
                }
                _ => {}
            }
            Ok(())
        }
    });
    let answerer = little(in_place("answerer"), || {
        |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            if let Input::Call { call, reply_to } = input {
                cx.reply(reply_to, call + 1);
            }
            Ok(())
        }
    });
    let handle = started(vec![answerer, asker]);
    // Threads that start, and the first deadline, wake each component some times.
    until("the components to come to rest", || {
        let wakes = handle.counters().wakes;
        (0..50).for_each(|n| assert_eq!(ask(&handle, "asker", n), Ok(n + 1)));
        handle.counters().wakes == wakes
    });
    handle.stop();
}

#[derive(Debug, PartialEq)]
struct Level(u64);

impl Event for Level {
    const NAME: &'static str = "level";
    const RETAINED: bool = true;
    fn retained_key(&self) -> u64 {
        self.0 / 100
    }
}

fn publisher() -> Factory {
    little(named("publisher"), || {
        |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            if let Input::Call { call, reply_to } = input {
                cx.publish(Level(call));
                cx.reply(reply_to, 0u64);
            }
            Ok(())
        }
    })
}

#[test]
fn events_reach_hearers_and_retained_ones_late_subscribers() {
    let heard: Seen<u64> = seen();
    let told = heard.clone();
    let hearer = Manifest { hears: vec![EventType::of::<Level>()], ..named("hearer") };
    let hearer = little(hearer, move || {
        let told = told.clone();
        move |input: Input<'_, Little>, _: &mut Context<'_, Little>| {
            if let Input::Event(event) = input {
                told.lock().expect("not poisoned").extend(event.get::<Level>().map(|level| level.0));
            }
            Ok(())
        }
    });
    let handle = started(vec![publisher(), hearer]);
    for level in [1, 2, 100, 3] {
        ask(&handle, "publisher", level).expect("answered");
    }
    let late = handle.subscribe(EventType::of::<Level>());
    ask(&handle, "publisher", 4).expect("answered");
    let levels: Vec<u64> =
        (0..3).map(|_| late.recv_timeout(DEADLINE).expect("told").get::<Level>().expect("a level").0).collect();
    assert_eq!(levels, [3, 100, 4], "the newest of each key, then what follows");
    until("all heard", || *heard.lock().expect("not poisoned") == [1, 2, 100, 3, 4]);
    let life = handle.subscribe(EventType::of::<NewLife>());
    assert_eq!(life.recv_timeout(DEADLINE).expect("retained").get::<NewLife>().expect("a life").new, handle.life());
    handle.stop();
    assert!(late.recv_timeout(DEADLINE).is_err(), "closed at the end");
}

#[test]
fn a_slow_subscriber_misses_the_oldest() {
    let handle = started(vec![publisher()]);
    let slow = handle.subscribe(EventType::of::<Level>());
    for level in 0..1500 {
        ask(&handle, "publisher", level).expect("answered");
    }
    let levels: Vec<u64> = slow.try_iter().filter_map(|event: AnyEvent| Some(event.get::<Level>()?.0)).collect();
    assert_eq!(levels, (476..1500).collect::<Vec<_>>());
    assert_eq!(handle.counters().events_missed, 476);
    handle.stop();
}

#[test]
fn jobs_bring_their_result_and_a_panic_brings_none() {
    let done: Seen<Option<u64>> = seen();
    let told = done.clone();
    let handle = started(vec![little(named("worker"), move || {
        let told = told.clone();
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Started(_) => {
                    cx.job(21);
                    cx.job(13);
                }
                Input::Done { done, .. } => told.lock().expect("not poisoned").push(done),
                _ => {}
            }
            Ok(())
        }
    })]);
    until("both jobs", || done.lock().expect("not poisoned").len() == 2);
    let mut done = done.lock().expect("not poisoned").clone();
    done.sort();
    assert_eq!(done, [None, Some(42)]);
    assert_eq!(handle.counters().job_panics, 1);
    handle.stop();
}

#[test]
fn requests_between_two_flushes_are_one_batch() {
    let batches: Seen<u32> = seen();
    let told = batches.clone();
    let below = little(named("below"), move || {
        let told = told.clone();
        move |input: Input<'_, Little>, _: &mut Context<'_, Little>| {
            if let Input::Request { batch, from, .. } = input {
                assert_eq!(from, Kind::of("above"));
                told.lock().expect("not poisoned").push(batch.count());
            }
            Ok(())
        }
    });
    let above = little(named("above"), || {
        |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            if let Input::Call { call, .. } = input {
                for n in 0..call {
                    cx.request(Kind::of("below"), Target::All, |out| out.extend_from_slice(&n.to_le_bytes()));
                }
            }
            Ok(())
        }
    });
    let handle = started(vec![below, above]);
    handle.call_later(Kind::of("above"), Box::new(100u64), DEADLINE);
    until("a batch", || *batches.lock().expect("not poisoned") == [100]);
    let mut batch = BatchBuilder::default();
    batch.push(|out| out.push(1));
    let batch = batch.take().expect("one message");
    let asked = handle.request(Kind::of("below"), Kind::of("above"), Target::All, batch, |life| life);
    assert_eq!(asked, Ok(handle.life()));
    until("the user's batch", || *batches.lock().expect("not poisoned") == [100, 1]);
    handle.stop();
}

#[test]
fn the_order_of_each_producer_is_kept_in_place_and_not() {
    const PRODUCERS: u64 = 4;
    const EACH: u64 = 3_000;
    for run in [Run::Thread, Run::InPlace] {
        let last: Arc<Mutex<[u64; PRODUCERS as usize]>> = Arc::default();
        let told = last.clone();
        let manifest = Manifest { run, ..named("counter") };
        let handle = started(vec![little(manifest, move || {
            let told = told.clone();
            move |input: Input<'_, Little>, _: &mut Context<'_, Little>| {
                if let Input::Call { call, .. } = input {
                    let (producer, n) = ((call >> 32) as usize, call & 0xffff_ffff);
                    let last = &mut told.lock().expect("not poisoned")[producer];
                    if *last + 1 != n {
                        return Err(Fault::Stop(format!("{n} came after {last} of producer {producer}")));
                    }
                    *last = n;
                }
                Ok(())
            }
        })]);
        std::thread::scope(|scope| {
            for producer in 0..PRODUCERS {
                let handle = &handle;
                scope.spawn(move || {
                    for n in 1..=EACH {
                        let reply_to = crate::component::ReplyTo {
                            component: crate::component::ReplyTo::USER,
                            token: crate::component::Token(u64::MAX),
                        };
                        let call = Item::Call { call: Box::new(producer << 32 | n), reply_to };
                        handle.post(Kind::of("counter"), call).expect("runs");
                        if n % 64 == 0 {
                            std::thread::yield_now();
                        }
                    }
                });
            }
        });
        until("all handled", || *last.lock().expect("not poisoned") == [EACH; PRODUCERS as usize]);
        let counters = handle.counters();
        assert_eq!(counters.in_place > 0, run == Run::InPlace, "{counters:?}");
        handle.stop();
        assert_eq!(handle.join(), Ok(()));
    }
}

/// Calls that arrive at `echo` must be 1, 2, 3, ... whatever thread runs its
/// caller, and so must the answers that come back.
#[test]
fn components_in_place_on_many_threads_keep_the_order_between_them() {
    const PRODUCERS: u64 = 4;
    const EACH: u64 = 2_000;
    let in_place = |name| Manifest { run: Run::InPlace, ..named(name) };
    let echo = little(in_place("echo"), || {
        let mut last = 0;
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            if let Input::Call { call, reply_to } = input {
                last += 1;
                if call != last {
                    return Err(Fault::Stop(format!("echo got {call} for {last}")));
                }
                cx.reply(reply_to, call);
            }
            Ok(())
        }
    });
    let answered = Arc::<Mutex<u64>>::default();
    let told = answered.clone();
    let caller = little(in_place("caller"), move || {
        let told = told.clone();
        let mut called = 0;
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Call { .. } => {
                    called += 1;
                    cx.call::<Little>(Kind::of("echo"), called, DEADLINE);
                }
                Input::Reply { value, .. } => {
                    let mut answered = told.lock().expect("not poisoned");
                    *answered += 1;
                    let value = value.ok().and_then(|value| value.downcast_ref::<u64>().copied());
                    if value != Some(*answered) {
                        return Err(Fault::Stop(format!("{value:?} came back for {answered}")));
                    }
                }
                _ => {}
            }
            Ok(())
        }
    });
    let handle = started(vec![echo, caller]);
    std::thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| {
                for n in 0..EACH {
                    handle.call_later(Kind::of("caller"), Box::new(n), DEADLINE);
                    if n % 16 == 0 {
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
    until("all answers", || *answered.lock().expect("not poisoned") == PRODUCERS * EACH);
    let counters = handle.counters();
    assert!(counters.in_place > 0 && counters.wakes > 0, "{counters:?}");
    handle.stop();
    assert_eq!(handle.join(), Ok(()));
}

/// An item that is sent while its component is being run on another thread,
/// after that has emptied the mailbox, must not lie there.
#[test]
fn an_item_sent_at_the_end_of_a_run_in_place_is_not_forgotten() {
    const ROUNDS: usize = 100;
    let in_place = |name| Manifest { run: Run::InPlace, ..named(name) };
    let slow = little(in_place("slow"), || {
        |input: Input<'_, Little>, _: &mut Context<'_, Little>| {
            if let Input::Call { .. } = input {
                // Work of some length: the caller's cell is held meanwhile.
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_micros(300) {
                    std::hint::spin_loop();
                }
            }
            Ok(())
        }
    });
    let handled = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let told = handled.clone();
    let caller = little(in_place("caller"), move || {
        let told = told.clone();
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            if let Input::Call { .. } = input {
                // A deadline that comes after the test's: its timer must not help.
                cx.call::<Little>(Kind::of("slow"), 1, DEADLINE * 10);
                told.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
            Ok(())
        }
    });
    let handle = started(vec![slow, caller]);
    let post = |_| handle.call_later(Kind::of("caller"), Box::new(1u64), DEADLINE);
    let all = |round: usize| handled.load(std::sync::atomic::Ordering::SeqCst) == 2 * round;
    std::thread::scope(|scope| {
        let (go, gone) = flume::bounded::<usize>(0);
        scope.spawn(move || gone.iter().for_each(|round| drop(post(round))));
        for round in 1..=ROUNDS {
            go.send(round).expect("the other thread runs");
            post(round);
            until("both of this round", || all(round));
        }
    });
    handle.stop();
}

#[test]
fn a_stop_goes_from_top_to_bottom_and_drains() {
    let stopped: Seen<String> = seen();
    let part = |name: &'static str, below: Option<&'static str>| {
        let told = stopped.clone();
        little(named(name), move || {
            let told = told.clone();
            let mut handled = 0u64;
            move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
                match input {
                    Input::Call { call, .. } => handled += call,
                    Input::Stop => {
                        told.lock().expect("not poisoned").push(format!("{name} {handled}"));
                        if let Some(below) = below {
                            cx.call::<Little>(Kind::of(below), 1000, DEADLINE);
                        }
                    }
                    _ => {}
                }
                Ok(())
            }
        })
    };
    let handle = started(vec![part("low", None), part("middle", Some("low")), part("high", Some("middle"))]);
    for _ in 0..50 {
        handle.call_later(Kind::of("high"), Box::new(1u64), DEADLINE);
        handle.call_later(Kind::of("low"), Box::new(1u64), DEADLINE);
    }
    handle.stop();
    assert_eq!(*stopped.lock().expect("not poisoned"), ["high 50", "middle 1000", "low 1050"]);
    assert_eq!(handle.counters().left_over, 0);
}

#[test]
fn inspect_and_explain_ask_all_components() {
    let quiet = || |_: Input<'_, Little>, _: &mut Context<'_, Little>| Ok(());
    let handle = started(vec![little(named("one"), quiet), little(named("two"), quiet)]);
    let names: Vec<_> = handle.inspect().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["one", "two"]);
    let message = crate::id::MessageId { origin: handle.life(), delivery: Kind::of("one"), batch: 1, index: 0 };
    assert!(handle.explain(message).is_empty());
    handle.stop();
    assert!(handle.inspect().is_empty());
}
