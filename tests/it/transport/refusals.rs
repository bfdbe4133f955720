//! Bad handshakes and bad peers: refused by name, and none delays a good one.

use super::*;
use nodewright::transport::client::{ClientError, ClientLink};
use nodewright::transport::{Limits, StartError};
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener};

/// The first bytes of a link, up to the version.
const MAGIC: &[u8] = &[0xD7, b'N', b'W', b'L'];

/// Two nodes that list each other, each with its own adaptation.
fn two(adapt_a: impl FnOnce(&mut Config), adapt_b: impl FnOnce(&mut Config)) -> (Node, Node) {
    let secret = secret();
    let (mut a, mut b) = (config("alpha", &secured(&secret)), config("beta", &secured(&secret)));
    adapt_a(&mut a);
    adapt_b(&mut b);
    let ((mut a, a_life), (mut b, b_life)) = (bind(a), bind(b));
    a.set_peers(vec![b.local_addr().into()]).expect("one");
    b.set_peers(vec![a.local_addr().into()]).expect("one");
    (start(a, a_life), start(b, b_life))
}

/// A node alone, and what a client needs to get in.
fn alone(adapt: impl FnOnce(&mut Config)) -> (Node, Security) {
    let secret = secret();
    let mut config = config("alpha", &secured(&secret));
    adapt(&mut config);
    let (bound, life) = bind(config);
    (start(bound, life), ClientLink::credentials(secret).expect("random"))
}

fn raw(node: &Node, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(node.links.local_addr()).expect("listening");
    stream.write_all(bytes).expect("written");
    stream
}

/// Passes connections on; keeps what went up and the sockets it went through.
struct Proxy {
    address: SocketAddr,
    recorded: Arc<Mutex<Vec<u8>>>,
    upstream: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (recorded, upstream) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (keep, sockets) = (recorded.clone(), upstream.clone());
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (Ok(mut near), Ok(mut far)) = (near, TcpStream::connect(target)) else { return };
                let (Ok(mut near_write), Ok(mut far_read)) = (near.try_clone(), far.try_clone()) else { return };
                sockets.lock().expect("no panic").extend(far.try_clone());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut far_read, &mut near_write);
                    let _ = near_write.shutdown(Shutdown::Both);
                });
                let keep = keep.clone();
                std::thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(read @ 1..) = near.read(&mut bytes) {
                        keep.lock().expect("no panic").extend_from_slice(&bytes[..read]);
                        if far.write_all(&bytes[..read]).is_err() {
                            break;
                        }
                    }
                    let _ = far.shutdown(Shutdown::Both);
                });
            }
        });
        Proxy { address, recorded, upstream }
    }
}

#[test]
fn another_secret_is_refused_on_both_sides() {
    let (a, b) = two(|_| {}, |b| b.security = secured(&secret()));
    wait_refused(&a, "wrong secret");
    wait_refused(&b, "wrong secret");
    assert!(a.sink.wait("", |_| true).changes.is_empty());
}

#[test]
fn sealed_and_unsealed_nodes_refuse_each_other() {
    let (a, b) = two(|_| {}, |b| b.security = Security::Insecure);
    wait_refused(&a, "sealed and unsealed");
    wait_refused(&b, "sealed and unsealed");
}

#[test]
fn unsealed_nodes_link_where_that_was_asked_for() {
    let (a, b) = two(|a| a.security = Security::Insecure, |b| b.security = Security::LoopbackOnly);
    a.sink.wait_joined(b.life);
    say(&b, To::All, Lane::Data, vec![1; 200_000]);
    a.sink.wait("the word", |told| !told.received.is_empty());
}

#[test]
fn a_key_that_is_not_listed_or_not_the_pinned_one_is_refused() {
    let secret = secret();
    let credentials = || Credentials::new(secret.clone(), KeyPair::generate().expect("random"));
    let (mut a, mut b) = (credentials(), credentials());
    b.allowed = Some([a.keys.public()].into());
    a.allowed = Some(BTreeSet::new());
    a.pinned.insert("beta".to_string(), b.keys.public());
    let good = two(
        |config| config.security = Security::Secured(Arc::new(a.clone())),
        |config| config.security = Security::Secured(Arc::new(b.clone())),
    );
    good.0.sink.wait_joined(good.1.life);
    drop(good);
    a.allowed = None; // the pin alone
    let (one, _other) =
        two(|config| config.security = Security::Secured(Arc::new(a)), |config| config.security = secured(&secret));
    wait_refused(&one, "not the pinned key");
    assert!(one.links.counters().impostors["beta"] > 0);
    b.allowed = Some(BTreeSet::new());
    let (_one, two) =
        two(|config| config.security = secured(&secret), |config| config.security = Security::Secured(Arc::new(b)));
    wait_refused(&two, "unknown key");
    assert!(two.sink.wait("", |_| true).changes.is_empty());
}

#[test]
fn damaged_handshakes_are_refused_by_name() {
    let (a, security) = alone(|_| {});
    let mut answer = [0; 6];
    raw(&a, &[MAGIC, &[9, 1]].concat()).read_exact(&mut answer).expect("the refusal is told");
    assert_eq!(answer[5], 1, "the status that means another version");
    wait_refused(&a, "wrong version");
    drop(raw(&a, &[MAGIC, &[1, 1, 48, 0, 1, 2, 3]].concat()));
    wait_refused(&a, "broken-off handshake"); // truncated
    let _oversized = raw(&a, &[MAGIC, &[1, 1, 0xff, 0xff]].concat());
    wait_refused(&a, "garbled handshake");
    let forged = [MAGIC, &[1, 1, 48, 0], &[5; 48]].concat();
    let _forged = raw(&a, &forged);
    wait_refused(&a, "wrong secret");
    assert!(a.sink.wait("", |_| true).changes.is_empty());
    ClientLink::connect(a.links.local_addr(), &security, PATIENCE).expect("a good one is let in");
}

#[test]
fn a_replayed_handshake_is_refused() {
    let (a, security) = alone(|_| {});
    let proxy = Proxy::to(a.links.local_addr());
    let mut client = ClientLink::connect(proxy.address, &security, PATIENCE).expect("let in");
    client.send(TALK, "pay once".into()).expect("sent");
    a.sink.wait("the block", |told| told.received.len() == 1);
    let recorded = proxy.recorded.lock().expect("no panic").clone();
    let _replay = raw(&a, &recorded);
    wait_refused(&a, "garbled handshake");
    let told = a.sink.wait("", |_| true);
    assert_eq!((told.changes.len(), told.received.len()), (1, 1));
}

#[test]
fn silent_connections_delay_no_good_peer() {
    let long = Duration::from_secs(600);
    let (a, security) = alone(|a| a.limits = Limits { half_open_max: 16, handshake_within: long, ..a.limits });
    let _silent: Vec<TcpStream> = (0..100).map(|_| raw(&a, b"")).collect();
    let _dribbling: Vec<TcpStream> = (0..10).map(|_| raw(&a, &MAGIC[..2])).collect();
    for _ in 0..5 {
        ClientLink::connect(a.links.local_addr(), &security, PATIENCE).expect("let in at once");
    }
    wait_refused(&a, "pushed out half-open");
    let begun = Instant::now();
    a.links.stop();
    assert!(begun.elapsed() < PATIENCE, "half-open connections hold up the stop");
}

#[test]
fn a_silent_connection_ends_at_the_deadline() {
    let soon = Duration::from_millis(100);
    let (a, _) = alone(|a| a.limits.handshake_within = soon);
    let mut silent = raw(&a, b"");
    assert_eq!(silent.read(&mut [0]).expect("closed in order"), 0);
    wait_refused(&a, "silent connection");
    let mut dribbling = raw(&a, &[MAGIC, &[1, 1, 48, 0]].concat());
    let _ = dribbling.read(&mut [0]);
    wait_refused(&a, "broken-off handshake");
}

#[test]
fn a_frame_of_4_gib_cuts_the_connection_and_nothing_else() {
    let (a, _) = alone(|a| a.security = Security::LoopbackOnly);
    let proxy = Proxy::to(a.links.local_addr());
    let unsealed = Security::LoopbackOnly;
    let victim = ClientLink::connect(proxy.address, &unsealed, PATIENCE).expect("let in");
    let other = ClientLink::connect(a.links.local_addr(), &unsealed, PATIENCE).expect("let in");
    a.sink.wait_joined(victim.me());
    let mut frame = vec![26, 0, 0, 2]; // a record with a frame's header: a block on the lane data
    frame.extend(1u64.to_le_bytes());
    frame.extend(0u64.to_le_bytes());
    frame.extend(TALK.0.to_le_bytes());
    frame.extend(u32::MAX.to_le_bytes());
    let upstream = proxy.upstream.lock().expect("no panic").pop().expect("the victim's");
    (&upstream).write_all(&frame).expect("written");
    a.sink.wait("the victim's end", |told| told.changes.len() == 3 && !told.linked.contains(&victim.me()));
    assert_eq!(a.links.counters().malformed, 1);
    assert!(a.sink.wait("", |_| true).linked.contains(&other.me()));
}

#[test]
fn a_record_that_was_changed_on_the_way_cuts_the_connection() {
    let (a, security) = alone(|_| {});
    let proxy = Proxy::to(a.links.local_addr());
    let mut victim = ClientLink::connect(proxy.address, &security, PATIENCE).expect("let in");
    victim.send(TALK, "good".into()).expect("sent");
    a.sink.wait("the block", |told| told.received.len() == 1);
    let upstream = proxy.upstream.lock().expect("no panic").pop().expect("the victim's");
    (&upstream).write_all(&[&[42, 0][..], &[7; 42]].concat()).expect("written");
    a.sink.wait("the victim's end", |told| told.linked.is_empty());
    assert_eq!(a.links.counters().malformed, 1);
}

#[test]
fn a_node_found_at_a_named_address_must_have_that_name() {
    let secret = secret();
    let (b, b_life) = bind(config("beta", &secured(&secret)));
    let mut a = config("alpha", &secured(&secret));
    a.peers = vec![format!("gamma@{}", b.local_addr()).parse().expect("an address")];
    let (a, a_life) = bind(a);
    let (a, _b) = (start(a, a_life), start(b, b_life));
    wait_refused(&a, "voter slot taken");
    assert!(a.sink.wait("", |_| true).changes.is_empty());
}

#[test]
fn two_nodes_of_one_name_refuse_each_other() {
    let (a, b) = two(|_| {}, |b| (b.me, b.name) = (life("alpha", 7), "alpha".into()));
    wait_refused(&a, "name clash");
    wait_refused(&b, "name clash");
    assert!(a.sink.wait("", |_| true).outlived.is_none());
}

#[test]
fn a_life_that_runs_elsewhere_is_a_clash_not_a_successor() {
    let secret = secret();
    let (mut a, a_life) = bind(config("alpha", &secured(&secret)));
    let (mut b, b_life) = bind(config("beta", &secured(&secret)));
    a.set_peers(vec![b.local_addr().into()]).expect("one");
    b.set_peers(vec![a.local_addr().into()]).expect("one");
    let b_at = b.local_addr();
    let (a, b) = (start(a, a_life), start(b, b_life));
    b.sink.wait_joined(a.life);
    let mut twin = config("alpha", &secured(&secret));
    twin.me = life("alpha", 2);
    twin.peers = vec![b_at.into()];
    let done = Mutex::new(false);
    std::thread::scope(|scope| {
        let (a, done) = (&a, &done);
        scope.spawn(move || {
            while !*done.lock().expect("no panic") {
                say(a, To::All, Lane::Probe, "alive");
                std::thread::yield_now();
            }
        });
        b.sink.wait("a sign of life", |told| !told.received.is_empty());
        let (twin, twin_life) = bind(twin);
        let twin = start(twin, twin_life);
        wait_refused(&twin, "name clash");
        *done.lock().expect("no panic") = true;
    });
    assert_eq!(b.sink.wait("", |_| true).changes.len(), 1);
}

#[test]
fn a_voter_at_anothers_address_and_one_that_is_not_listed_are_refused() {
    let secret = secret();
    let (mut a, a_life) = bind(config("alpha", &secured(&secret)));
    let (mut b, b_life) = bind(config("beta", &secured(&secret)));
    let (a_at, b_at) = (a.local_addr(), b.local_addr());
    a.set_peers(vec![b_at.into()]).expect("one");
    b.set_peers(vec![a_at.into()]).expect("one");
    let (a, b) = (start(a, a_life), start(b, b_life));
    a.sink.wait_joined(b.life);
    let mut stranger = config("stranger", &secured(&secret));
    stranger.peers = vec![a_at.into()];
    let (stranger, stranger_life) = bind(stranger);
    let stranger = start(stranger, stranger_life);
    wait_refused(&stranger, "not a peer");
    b.links.stop();
    let mut other = config("gamma", &secured(&secret));
    other.listen = b_at;
    other.peers = vec![a_at.into()];
    let (other, other_life) = bind(other);
    let other = start(other, other_life);
    wait_refused(&other, "voter slot taken");
    assert_eq!(a.sink.wait("", |_| true).changes.len(), 1);
}

#[test]
fn more_peers_than_the_most_are_refused_by_name() {
    let secret = secret();
    let mut sponsor = config("alpha", &secured(&secret));
    sponsor.max_peers = 1;
    let (sponsor, life) = bind(sponsor);
    let at = sponsor.local_addr();
    let sponsor = start(sponsor, life);
    let listener = |name| {
        let mut config = config(name, &secured(&secret));
        config.join = vec![at.into()];
        let (bound, life) = bind(config);
        start(bound, life)
    };
    let first = listener("first");
    first.sink.wait_joined(sponsor.life);
    let second = listener("second");
    wait_refused(&second, "too many peers");
    assert!(second.sink.wait("", |_| true).changes.is_empty());
}

#[test]
fn more_clients_than_the_most_are_refused_and_places_come_free() {
    let (a, security) = alone(|a| a.limits.clients_max = 1);
    let first = ClientLink::connect(a.links.local_addr(), &security, PATIENCE).expect("let in");
    let second = ClientLink::connect(a.links.local_addr(), &security, PATIENCE).expect_err("full");
    assert!(matches!(&second, ClientError::NotDone(why) if why.contains("alpha already has 1 clients")), "{second}");
    drop(first);
    a.sink.wait("the first one's end", |told| told.changes.len() == 2);
    ClientLink::connect(a.links.local_addr(), &security, PATIENCE).expect("let in");
}

#[test]
fn a_node_that_meets_itself_lets_go() {
    let security = secured(&secret());
    let (mut a, life) = bind(config("alpha", &security));
    let own = a.local_addr();
    a.set_peers(vec![own.into()]).expect("nobody");
    assert_eq!(a.voters, 1, "the own address is recognised");
    let proxy = Proxy::to(own); // hides it
    a.set_peers(vec![proxy.address.into()]).expect("one");
    let a = start(a, life);
    wait_refused(&a, "myself");
    assert!(a.sink.wait("", |_| true).changes.is_empty());
}

#[test]
fn what_cannot_start_says_what_mends_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut config = Config::new(life("alpha", 1), "alpha", taken.local_addr().expect("bound"));
    let error = Links::bind(config.clone()).expect_err("taken");
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    config.listen = ([0, 0, 0, 0], 0).into();
    let error = Links::bind(config.clone()).expect_err("open to all").to_string();
    assert!(error.contains(".secret_file(") && error.contains(".insecure()"), "{error}");
    config.security = Security::Insecure;
    Links::bind(config.clone()).expect("asked for");
    config.peers = vec!["10.0.0.1:1".parse().expect("an address"), "10.0.0.2:1".parse().expect("an address")];
    config.max_peers = 1;
    let error = Links::bind(config).expect_err("too many");
    assert!(matches!(error, StartError::TooManyPeers { configured: 2, max: 1 }), "{error}");
}
