use super::*;
use crate::component::{Effect, EndedWhy, Erased, Item, Lane, PeerRole, ReplyTo, To, Token};
use crate::protocol::driven::{Did, Driven};

const WITHIN: Duration = Duration::from_secs(5);

fn life(node: u64, incarnation: u64) -> Life {
    Life::new(NodeId(node), incarnation)
}

const fn beta() -> Life {
    Life { node: NodeId(2), incarnation: crate::id::Incarnation(1) }
}

fn ask(name: &str) -> Ask {
    let (name, params) = (name.into(), vec![("key".to_owned(), "value".to_owned())]);
    Ask { to: Peer::Node(NodeId(2)), name, version: 3, params, body: Bytes::from_static(b"ask"), within: WITHIN }
}

/// What the answering component is called with.
struct Asked(Request);

fn config() -> Config {
    Config::default()
        .respond("echo", |request| Reply::Done(request.body.clone()))
        .respond("deny", |_| Reply::Refused("not today".into()))
        .respond("half", |_| Reply::Failed("the disk is full".into()))
        .respond("panic", |request| panic!("on {:?}", request.kind))
        .route("slow", route("worker"))
}

fn route(component: &str) -> Route {
    Route { component: Kind::of(component), wrap: |request| -> Erased { Box::new(Asked(request)) } }
}

/// Node 1, linked with beta (2.1) and a client.
fn linked(config: Config) -> Driven<Requests> {
    let mut driven = Driven::start(Requests::new(config), life(1, 1), 3, true);
    driven.joined(beta(), PeerRole::Voter, "beta");
    driven.joined(client(), PeerRole::Client, "shell");
    driven
}

fn client() -> Life {
    Life::new(NodeId::client(9), 1)
}

fn request(driven: &mut Driven<Requests>, from: Life, id: u64, name: &str) -> Did {
    let head = Message::Request { id, kind: Kind::of(name), version: 3, within_ms: 5000, params: Params::new() };
    driven.message(from, &head, b"ask")
}

fn answers(did: Did) -> Vec<Answer> {
    did.replies::<Answer>().into_iter().map(|(_, answer)| answer).collect()
}

fn outcomes(did: &Did) -> Vec<(To, u64, Outcome, Bytes)> {
    let sent = did.sent::<Message>().into_iter().map(|(to, _, head, body)| match head {
        Message::Reply { id, outcome } => (to, id, outcome, body),
        request => panic!("{request:?} is no reply"),
    });
    sent.collect()
}

/// The call that went out to a component, and its token.
fn called(did: Did) -> (Kind, Request, Token) {
    let mut calls = did.0.into_iter().filter_map(|effect| match effect {
        Effect::Call { to, token, call, .. } => Some((to, call.downcast::<Asked>().expect("wrapped").0, token)),
        _ => None,
    });
    calls.next().expect("a call")
}

fn refusal(answer: &Answer) -> &str {
    match answer {
        Err(CallError::Refused(why)) => why,
        other => panic!("{other:?} is no refusal"),
    }
}

#[test]
fn one_small_frame_each_way() {
    let mut alpha = linked(config());
    let mut other = Driven::start(Requests::new(config()), beta(), 3, true);
    other.joined(life(1, 1), PeerRole::Voter, "alpha");

    let (reply_to, did) = alpha.call(Call::Ask(ask("echo")));
    let [(to, lane, head, body)] = &did.sent::<Message>()[..] else { panic!("one frame") };
    assert_eq!((*to, *lane, body.as_ref()), (To::Life(beta()), Lane::Control, &b"ask"[..]));
    let did = other.message(life(1, 1), head, body);
    let [(to, lane, head, body)] = &did.sent::<Message>()[..] else { panic!("one frame") };
    assert_eq!((*to, *lane), (To::Life(life(1, 1)), Lane::Control));
    let did = alpha.message(beta(), head, body);
    assert_eq!(did.replies::<Answer>(), [(reply_to, Ok(Bytes::from_static(b"ask")))]);
    assert!(other.timers() == 0 && alpha.timers() == 1);
}

#[test]
fn requests_in_a_row_set_one_timer() {
    let mut alpha = linked(config());
    let mut set = 0;
    for id in 1..=100 {
        let before = alpha.timer_changes();
        alpha.call(Call::Ask(ask("echo")));
        alpha.message(beta(), &Message::Reply { id, outcome: Outcome::Done }, b"");
        alpha.run_for(Duration::from_millis(1));
        set += alpha.timer_changes() - before;
    }
    assert_eq!(set, 1);
    // The sweep finds nothing, and is not set again.
    alpha.run_for(WITHIN * 2);
    assert_eq!(alpha.timers(), 0);
}

#[test]
fn every_deadline_is_kept_to_the_instant() {
    let mut driven = linked(config());
    let asked: Vec<(ReplyTo, u64)> = [5u64, 2, 9, 2]
        .into_iter()
        .map(|seconds| {
            let ask = Ask { within: Duration::from_secs(seconds), ..ask("echo") };
            (driven.call(Call::Ask(ask)).0, seconds)
        })
        .collect();
    for second in 1..=10 {
        let expected: Vec<ReplyTo> = asked.iter().filter(|(_, at)| *at == second).map(|(to, _)| *to).collect();
        let timed_out = driven.run_for(Duration::from_secs(1)).replies::<Answer>();
        assert!(timed_out.iter().all(|(_, answer)| matches!(answer, Err(CallError::TimedOut(_)))));
        assert_eq!(timed_out.into_iter().map(|(to, _)| to).collect::<Vec<_>>(), expected, "second {second}");
    }
    assert_eq!(driven.timers(), 0);
}

#[test]
fn a_late_answer_is_dropped_and_counted() {
    let mut driven = linked(config());
    driven.call(Call::Ask(ask("echo")));
    assert_eq!(answers(driven.run_for(WITHIN)), [Err(CallError::TimedOut(WITHIN))]);
    driven.call(Call::Ask(ask("echo")));
    let late = driven.message(beta(), &Message::Reply { id: 1, outcome: Outcome::Done }, b"late");
    assert!(answers(late).is_empty(), "it answers no other request");
    assert_eq!(driven.row("late answers"), Some("1".to_owned()));
    let again = Message::Reply { id: 2, outcome: Outcome::Done };
    assert_eq!(answers(driven.message(beta(), &again, b"")), [Ok(Bytes::new())]);
    assert!(answers(driven.message(beta(), &again, b"")).is_empty(), "answered once");
}

#[test]
fn nobody_answers_for_another() {
    let mut driven = linked(config());
    driven.joined(life(3, 1), PeerRole::Voter, "gamma");
    driven.call(Call::Ask(ask("echo")));
    for impostor in [life(3, 1), client(), life(2, 7)] {
        assert!(answers(driven.message(impostor, &Message::Reply { id: 1, outcome: Outcome::Done }, b"")).is_empty());
    }
}

#[test]
fn every_outcome_says_what_happened_and_names_who_and_what() {
    let cases = [
        (Outcome::NoHandler, CallError::Refused("beta has no handler for 'service:hide'".into())),
        (Outcome::Busy, CallError::Refused("beta is busy with other requests".into())),
        (Outcome::Refused("no".into()), CallError::Refused("beta refused 'service:hide': no".into())),
        (Outcome::Failed("half".into()), CallError::Failed("'service:hide' at beta: half".into())),
    ];
    let mut driven = linked(config());
    for (id, (outcome, error)) in (1..).zip(cases) {
        driven.call(Call::Ask(ask(&service_name("hide"))));
        assert_eq!(answers(driven.message(beta(), &Message::Reply { id, outcome }, b"")), [Err(error)]);
    }
}

#[test]
fn the_end_of_the_asked_life_ends_what_waits_for_it() {
    let mut driven = linked(config());
    driven.joined(life(3, 1), PeerRole::Voter, "gamma");
    driven.call(Call::Ask(ask("echo")));
    driven.call(Call::Ask(Ask { to: Peer::Node(NodeId(3)), ..ask("echo") }));
    let ended = answers(driven.ended(beta(), EndedWhy::Succeeded));
    assert_eq!(ended, [Err(CallError::Ended("beta (n2.1)".into()))]);
    driven.joined(life(2, 2), PeerRole::Voter, "beta");
    let to_the_old = Ask { to: Peer::Life(beta()), ..ask("echo") };
    assert!(refusal(&answers(driven.call(Call::Ask(to_the_old)).1)[0]).contains("its node's life is n2.2"));
    assert_eq!(driven.call(Call::Ask(ask("echo"))).1.sent::<Message>()[0].0, To::Life(life(2, 2)));
}

#[test]
fn what_cannot_be_asked_is_refused_before_it_is_sent() {
    let small = Config { body_bytes_max: 100, asked_per_peer_max: 2, asked_max: 3, ..config() };
    let mut driven = linked(small);
    driven.joined(life(3, 1), PeerRole::Voter, "gamma");
    let to = |node| Ask { to: Peer::Node(node), ..ask("echo") };
    let long = Ask { body: Bytes::from(vec![0; 101]), ..ask("echo") };
    let many = vec![("k".to_owned(), "v".repeat(100))];
    let long_params = Ask { params: many, body: Bytes::new(), ..ask("echo") };
    for (ask, why) in [
        (to(NodeId(44)), "not linked"),
        (to(client().node), "is a client"),
        (long, "at most 100 are carried"),
        (long_params, "at most 100 are carried"),
    ] {
        let (_, did) = driven.call(Call::Ask(ask));
        assert!(did.sent::<Message>().is_empty());
        let answer = answers(did);
        assert!(refusal(&answer[0]).contains(why), "{answer:?}");
    }
    for _ in 0..2 {
        assert!(answers(driven.call(Call::Ask(ask("echo"))).1).is_empty());
    }
    assert!(refusal(&answers(driven.call(Call::Ask(ask("echo"))).1)[0]).contains("2 requests wait for beta"));
    assert!(answers(driven.call(Call::Ask(to(NodeId(3)))).1).is_empty());
    assert!(refusal(&answers(driven.call(Call::Ask(to(NodeId(3)))).1)[0]).contains("3 requests wait"));
    // An answer, a timeout and an end each make room again.
    driven.message(beta(), &Message::Reply { id: 1, outcome: Outcome::Done }, b"");
    assert!(answers(driven.call(Call::Ask(ask("echo"))).1).is_empty());
    driven.run_for(WITHIN);
    assert!(answers(driven.call(Call::Ask(ask("echo"))).1).is_empty());
    assert!(answers(driven.call(Call::Ask(ask("echo"))).1).is_empty());
    assert_eq!(answers(driven.ended(beta(), EndedWhy::Decided)).len(), 2);
    assert!(answers(driven.call(Call::Ask(to(NodeId(3)))).1).is_empty());
}

#[test]
fn what_is_short_is_answered_in_place() {
    let mut driven = linked(config());
    for (asker, name, outcome, body) in [
        (beta(), "echo", Outcome::Done, &b"ask"[..]),
        (client(), "echo", Outcome::Done, b"ask"),
        (beta(), "deny", Outcome::Refused("not today".into()), b""),
        (beta(), "half", Outcome::Failed("the disk is full".into()), b""),
        (beta(), "panic", Outcome::Failed("the handler panicked".into()), b""),
        (beta(), "unknown", Outcome::NoHandler, b""),
    ] {
        let did = request(&mut driven, asker, 7, name);
        assert_eq!(outcomes(&did), [(To::Life(asker), 7, outcome, Bytes::copy_from_slice(body))], "{name}");
    }
    assert_eq!(driven.row("panicked"), Some("1".to_owned()));
    let unlinked = request(&mut driven, life(66, 1), 7, "echo");
    assert!(unlinked.0.is_empty());
}

#[test]
fn what_is_long_is_answered_by_a_component() {
    let mut driven = linked(config());
    let (to, asked, token) = called(request(&mut driven, beta(), 7, "slow"));
    assert_eq!((to, asked.from, asked.version, asked.within), (Kind::of("worker"), beta(), 3, WITHIN));
    let value: Result<Erased, CallError> = Ok(Box::new(Reply::Done(Bytes::from_static(b"done"))));
    let did = driven.give(Item::Reply { token, value });
    assert_eq!(outcomes(&did), [(To::Life(beta()), 7, Outcome::Done, Bytes::from_static(b"done"))]);
    assert!(driven.row("served").is_some_and(|row| row.ends_with("under way 0")));

    let (.., token) = called(request(&mut driven, beta(), 8, "slow"));
    let did = driven.give(Item::Reply { token, value: Err(CallError::Refused("stopped".into())) });
    assert_eq!(outcomes(&did)[0].2, Outcome::Refused("stopped".into()));
    let (.., token) = called(request(&mut driven, beta(), 9, "slow"));
    let did = driven.give(Item::Reply { token, value: Err(CallError::TimedOut(WITHIN)) });
    assert!(matches!(outcomes(&did)[0].2, Outcome::Failed(_)), "unknown, not refused");
    let (.., token) = called(request(&mut driven, beta(), 10, "slow"));
    let did = driven.give(Item::Reply { token, value: Ok(Box::new("no reply")) });
    assert!(matches!(outcomes(&did)[0].2, Outcome::Failed(_)));
}

#[test]
fn an_answer_for_a_life_that_is_over_goes_nowhere() {
    let mut driven = linked(config());
    let (.., token) = called(request(&mut driven, beta(), 7, "slow"));
    driven.ended(beta(), EndedWhy::Succeeded);
    driven.joined(life(2, 2), PeerRole::Voter, "beta");
    let value: Result<Erased, CallError> = Ok(Box::new(Reply::Done(Bytes::new())));
    assert!(driven.give(Item::Reply { token, value }).0.is_empty());
}

#[test]
fn components_are_not_flooded() {
    let mut driven = linked(Config { serving_per_peer_max: 2, serving_max: 3, ..config() });
    let (.., token) = called(request(&mut driven, beta(), 1, "slow"));
    called(request(&mut driven, beta(), 2, "slow"));
    assert_eq!(outcomes(&request(&mut driven, beta(), 3, "slow"))[0].2, Outcome::Busy);
    called(request(&mut driven, client(), 1, "slow"));
    assert_eq!(outcomes(&request(&mut driven, client(), 2, "slow"))[0].2, Outcome::Busy);
    assert_eq!(outcomes(&request(&mut driven, beta(), 4, "echo"))[0].2, Outcome::Done, "in place is never busy");
    let value: Result<Erased, CallError> = Ok(Box::new(Reply::Done(Bytes::new())));
    driven.give(Item::Reply { token, value });
    called(request(&mut driven, beta(), 5, "slow"));
    assert_eq!(outcomes(&request(&mut driven, client(), 3, "slow"))[0].2, Outcome::Busy);
}

#[test]
fn a_node_asks_itself_without_a_frame() {
    let mut driven = linked(config());
    let myself = |name: &str| Ask { to: Peer::Node(NodeId(1)), ..ask(name) };
    let (_, did) = driven.call(Call::Ask(myself("echo")));
    assert!(did.sent::<Message>().is_empty());
    assert_eq!(answers(did), [Ok(Bytes::from_static(b"ask"))]);
    let (_, did) = driven.call(Call::Ask(myself("none")));
    assert_eq!(refusal(&answers(did)[0]), "this node has no handler for 'none'");
    let (_, did) = driven.call(Call::Ask(myself("slow")));
    let (_, asked, token) = called(did);
    assert_eq!(asked.param("key"), Some("value"));
    let value: Result<Erased, CallError> = Ok(Box::new(Reply::Done(Bytes::from_static(b"me"))));
    assert_eq!(answers(driven.give(Item::Reply { token, value })), [Ok(Bytes::from_static(b"me"))]);
}

#[test]
fn a_component_registers_for_a_name_that_nobody_answers_yet() {
    let mut driven = linked(config());
    let mut serve = |name: &str, component: &str| {
        let (_, did) = driven.call(Call::Serve { name: name.into(), route: route(component) });
        did.replies::<Result<(), CallError>>().remove(0).1
    };
    assert_eq!(serve("new", "mine"), Ok(()));
    assert_eq!(serve("new", "mine"), Ok(()), "again, after its restart");
    assert!(matches!(serve("new", "other"), Err(CallError::Refused(_))));
    assert!(matches!(serve("echo", "mine"), Err(CallError::Refused(_))));
    assert_eq!(called(request(&mut driven, beta(), 1, "new")).0, Kind::of("mine"));
}

#[test]
fn who_takes_no_answers_is_refused_and_then_ignored() {
    let mut driven = linked(Config { body_bytes_max: 1000, unacknowledged_bytes_max: 1000, ..config() });
    let mut seen = Vec::new();
    for id in 0..2000 {
        match &outcomes(&request(&mut driven, client(), id, "echo"))[..] {
            [] => seen.push("ignored"),
            [(.., outcome, _)] => seen.push(if *outcome == Outcome::Busy { "busy" } else { "done" }),
            more => panic!("{more:?}"),
        }
    }
    seen.dedup();
    assert_eq!(seen, ["done", "busy", "ignored"]);
    assert_eq!(outcomes(&request(&mut driven, beta(), 1, "echo"))[0].2, Outcome::Done, "others are served");
    driven.give(Item::Credit { life: client(), bytes: 1500 });
    assert_eq!(outcomes(&request(&mut driven, client(), 1, "echo"))[0].2, Outcome::Done);
    // The same bound holds for asking.
    let answer = (0..1000).find_map(|_| answers(driven.call(Call::Ask(ask("echo"))).1).pop());
    assert!(refusal(&answer.expect("refused in the end")).contains("bytes wait on the link to beta"));
}

#[test]
fn large_bodies_keep_off_the_small_ones_lane() {
    let mut driven = linked(config());
    let large = Ask { body: Bytes::from(vec![0; 64 * 1024]), ..ask("echo") };
    assert_eq!(driven.call(Call::Ask(large)).1.sent::<Message>()[0].1, Lane::Bulk);
    assert_eq!(driven.call(Call::Ask(ask("echo"))).1.sent::<Message>()[0].1, Lane::Control);
}

#[test]
fn an_answer_too_long_to_carry_is_said_to_be_so() {
    let config = config().respond("long", |_| Reply::Done(Bytes::from(vec![0; 101])));
    let mut driven = linked(Config { body_bytes_max: 100, ..config });
    let did = request(&mut driven, beta(), 1, "long");
    assert!(matches!(&outcomes(&did)[0].2, Outcome::Failed(why) if why.contains("101 bytes")));
}

#[test]
fn senseless_configurations_are_named() {
    assert_eq!(Config::default().fault(), None);
    assert!(Config { body_bytes_max: 64 << 20, ..Config::default() }.fault().is_some());
    assert!(Config { unacknowledged_bytes_max: 10, ..Config::default() }.fault().is_some());
}
