//! One judge for each property of the gate: the true gate passes it, and the
//! gate with the planted bug fails it, for the reason expected.
//!
//! All but one judge real sockets. A judge is told how long to wait for what a
//! true gate does: generously for the true one, and not for long where the bug
//! keeps it from ever coming.

use super::{Mutant, Planted};
use crate::component::{Lane, PeerChange};
use crate::id::{Kind, Life, NodeId};
use crate::protocol::link::{FrameHeader, What};
use crate::transport::admission::Via;
use crate::transport::client::ClientLink;
use crate::transport::handshake::Agreed;
use crate::transport::hello::{Hello, Role};
use crate::transport::keys::{ClusterSecret, KeyPair};
use crate::transport::reader::Reading;
use crate::transport::seal::Seal;
use crate::transport::{Config, Credentials, Inbound, Limits, Links, Security, Sink};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
/// How long a bug is waited for to do what it never does.
const IMPATIENCE: Duration = Duration::from_secs(1);
const LET_IN: &str = "was let in";
const TALK: Kind = Kind::of("talk");

type Judge = fn(Planted, Duration) -> Result<(), String>;

/// The judge passes the true gate and fails each of the bugs, for its reason.
#[track_caller]
fn check(judge: Judge, bugs: &[(Mutant, &str)]) {
    assert_eq!(judge(Planted::default(), PATIENCE), Ok(()), "the true gate");
    for (mutant, reason) in bugs {
        // who is let in shows it, sooner or later; what never happens does not
        let patience = if *reason == LET_IN { PATIENCE } else { IMPATIENCE };
        let found = judge(Planted(Some(*mutant)), patience).expect_err("a planted bug");
        assert!(found.contains(reason), "{mutant:?} fails because of '{reason}', not because: {found}");
    }
}

/// Who is linked, and what came from whom that is not.
#[derive(Default)]
struct Seen {
    linked: Mutex<BTreeSet<Life>>,
    ever: Mutex<BTreeSet<Life>>,
    out_of_turn: Mutex<Vec<Life>>,
}

impl Sink for Seen {
    fn received(&self, from: Life, _: &mut Vec<Inbound>, _: &[(Kind, u64)]) {
        if !self.linked.lock().expect("no panic").contains(&from) {
            self.out_of_turn.lock().expect("no panic").push(from);
        }
    }
    fn peer(&self, change: PeerChange) {
        let mut linked = self.linked.lock().expect("no panic");
        match change {
            PeerChange::Joined { life, .. } => {
                self.ever.lock().expect("no panic").insert(life);
                linked.insert(life)
            }
            PeerChange::Ended { life, .. } => linked.remove(&life),
        };
    }
    fn dialect(&self, _: Kind, _: TcpStream, _: Vec<u8>) {}
    fn outlived(&self, _: u64, _: String) {}
}

struct Node {
    links: Links,
    seen: Arc<Seen>,
}

fn config(name: &str, security: Security, planted: Planted) -> Config {
    let mut config = Config::new(Life::new(NodeId::from_name(name), 1), name, ([127, 0, 0, 1], 0).into());
    config.security = security;
    config.planted = planted;
    config
}

fn start(config: Config) -> Node {
    let seen = Arc::new(Seen::default());
    Node { links: Links::start(Links::bind(config).expect("a port"), seen.clone()).expect("threads"), seen }
}

fn credentials(secret: &ClusterSecret, planted: Planted) -> Credentials {
    let mut credentials = Credentials::new(secret.clone(), KeyPair::generate().expect("random"));
    credentials.planted = planted;
    credentials
}

fn secret() -> ClusterSecret {
    ClusterSecret::generate().expect("random")
}

fn sealed(credentials: Credentials) -> Security {
    Security::Secured(Arc::new(credentials))
}

/// `stranger` dials `gate`, which must refuse it for this reason and link with
/// nobody.
fn refuses(gate: &Node, reason: &str, mut stranger: Config, patience: Duration) -> Result<(), String> {
    stranger.peers = vec![gate.links.local_addr().into()];
    let _stranger = start(stranger);
    let deadline = Instant::now() + patience;
    loop {
        let linked = gate.seen.ever.lock().expect("no panic").first().copied();
        if let Some(life) = linked {
            return Err(format!("{life} {LET_IN}"));
        }
        let refused = gate.links.counters().refused;
        if refused.contains_key(reason) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("nobody was refused: {reason}, but {refused:?}"));
        }
        std::thread::sleep(Duration::from_millis(1)); // between two looks
    }
}

/// A gate that a stranger named beta may dial.
fn gate(credentials: Credentials, planted: Planted) -> (Node, Socket) {
    // Beta's place, kept so that nobody listens there: it is beta who dials.
    let place = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    place.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let at = place.local_addr().ok().and_then(|at| at.as_socket()).expect("bound");
    let mut gate = config("alpha", sealed(credentials), planted);
    gate.peers = vec![format!("beta@{at}").parse().expect("an address")];
    (start(gate), place)
}

#[test]
fn a_stranger_without_the_secret_is_refused() {
    fn unsealed(planted: Planted, patience: Duration) -> Result<(), String> {
        let (gate, _place) = gate(credentials(&secret(), planted), planted);
        refuses(&gate, "sealed and unsealed", config("beta", Security::LoopbackOnly, Planted::default()), patience)
    }
    fn another_secret(planted: Planted, patience: Duration) -> Result<(), String> {
        let (gate, _place) = gate(credentials(&secret(), planted), planted);
        refuses(&gate, "wrong secret", config("beta", sealed(credentials(&secret(), planted)), planted), patience)
    }
    check(unsealed, &[(Mutant::UnsealedAdmitted, LET_IN)]);
    check(another_secret, &[(Mutant::SecretNotMixed, LET_IN)]);
}

#[test]
fn a_key_that_is_not_on_the_allow_list_is_refused() {
    fn judge(planted: Planted, patience: Duration) -> Result<(), String> {
        let secret = secret();
        let mut guarded = credentials(&secret, planted);
        guarded.allowed = Some(BTreeSet::from([KeyPair::generate().expect("random").public()]));
        let (gate, _place) = gate(guarded, planted);
        let stranger = config("beta", sealed(credentials(&secret, Planted::default())), Planted::default());
        refuses(&gate, "unknown key", stranger, patience)
    }
    check(judge, &[(Mutant::AllowListNotConsulted, LET_IN)]);
}

#[test]
fn another_key_than_the_pinned_one_is_refused() {
    fn judge(planted: Planted, patience: Duration) -> Result<(), String> {
        let secret = secret();
        let mut guarded = credentials(&secret, planted);
        guarded.pinned.insert("beta".into(), KeyPair::generate().expect("random").public());
        let (gate, _place) = gate(guarded, planted);
        let stranger = config("beta", sealed(credentials(&secret, Planted::default())), Planted::default());
        refuses(&gate, "not the pinned key", stranger, patience)
    }
    check(judge, &[(Mutant::PinNotConsulted, LET_IN)]);
}

/// Whether the other side closed the connection in time.
fn closed(mut connection: &TcpStream, patience: Duration) -> bool {
    connection.set_read_timeout(Some(patience)).expect("a timeout");
    match connection.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn no_more_than_the_most_are_half_open() {
    fn judge(planted: Planted, patience: Duration) -> Result<(), String> {
        let secret = secret();
        let mut config = config("alpha", sealed(credentials(&secret, planted)), planted);
        config.limits = Limits { half_open_max: 4, handshake_within: Duration::from_secs(3600), ..config.limits };
        let gate = start(config);
        let connect = |_| TcpStream::connect(gate.links.local_addr()).expect("listening");
        let silent: Vec<TcpStream> = (0..5).map(connect).collect();
        // Accepted after the silent ones: they have been counted by now.
        let good = ClientLink::credentials(secret).map_err(|error| error.to_string())?;
        ClientLink::connect(gate.links.local_addr(), &good, PATIENCE).map_err(|error| error.to_string())?;
        if !gate.links.counters().refused.contains_key("pushed out half-open") {
            return Err("five are half open, and four may".into());
        }
        closed(&silent[0], patience).then_some(()).ok_or_else(|| "the oldest stays".into())
    }
    check(judge, &[(Mutant::HalfOpenUnbounded, "five are half open")]);
}

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    fn judge(planted: Planted, patience: Duration) -> Result<(), String> {
        let mut config = config("alpha", sealed(credentials(&secret(), planted)), planted);
        config.limits.handshake_within = Duration::from_millis(50);
        let gate = start(config);
        let slow = TcpStream::connect(gate.links.local_addr()).expect("listening");
        (&slow).write_all(&[0xD7, b'N', b'W', b'L', 1, 1, 48, 0]).expect("written");
        closed(&slow, patience).then_some(()).ok_or_else(|| "it goes on for ever".into())
    }
    check(judge, &[(Mutant::DeadlineNotKept, "it goes on for ever")]);
}

/// Both ends of a connection.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
    (listener.accept().expect("it dialled").0, far)
}

#[test]
fn the_reader_of_a_replaced_session_delivers_nothing() {
    fn judge(planted: Planted, _: Duration) -> Result<(), String> {
        let node = start(config("alpha", Security::LoopbackOnly, planted));
        let shared = &node.links.shared;
        // Beta in person: its lives' sessions are made by hand, so that the old
        // one's reader comes to its last block after the new one has begun.
        let session = |incarnation: u64, near: TcpStream| {
            let life = Life::new(NodeId::from_name("beta"), incarnation);
            let hello = Hello {
                life,
                name: "beta".into(),
                boot: incarnation,
                role: Role::Listener,
                listen: None,
                block_bytes_max: shared.mine.block_bytes_max,
                voters: 1,
                provides: Vec::new(),
            };
            let remote = near.peer_addr().expect("linked");
            let judged = shared.judge(&hello, None, Via::Accepted, remote).map_err(|refusal| refusal.to_string())?;
            let agreed = Agreed { seal: Seal::Plain, send_nonce: 0, receive_nonce: 0, judged, told: Vec::new() };
            shared.attach(near, agreed).ok_or_else(|| "no session".to_string())
        };
        let (near, mut far) = connection();
        let (peer, old): (_, Reading) = session(1, near)?;
        let header =
            FrameHeader { what: What::Block, lane: Lane::Data, seq: 1, ack: 0, component: TALK, block_bytes: 3 };
        let mut record = Vec::new();
        let plain = [&header.encode()[..], b"old"].concat();
        Seal::Plain.seal(&mut 0, &plain, &mut record).map_err(|_| "it does not seal".to_string())?;
        far.write_all(&record).expect("written");
        while old.socket.peek(&mut [0; 64]).expect("it is there") < record.len() {
            std::thread::yield_now();
        }
        let (near, _far) = connection();
        session(2, near)?;
        old.run(shared, &peer);
        let out_of_turn = node.seen.out_of_turn.lock().expect("no panic").clone();
        out_of_turn.first().map_or(Ok(()), |life| Err(format!("delivered from {life}, which is over")))
    }
    check(judge, &[(Mutant::OldReaderDelivers, "which is over")]);
}

#[test]
fn a_node_without_a_secret_listens_on_loopback_only() {
    fn judge(planted: Planted, _: Duration) -> Result<(), String> {
        let mut config = config("alpha", Security::LoopbackOnly, planted);
        config.listen = ([0, 0, 0, 0], 0).into();
        match Links::bind(config) {
            Err(error) if error.to_string().contains("no cluster secret") => Ok(()),
            Err(error) => Err(error.to_string()),
            Ok(bound) => Err(format!("listens on {}", bound.local_addr())),
        }
    }
    check(judge, &[(Mutant::OpenToAll, "listens on 0.0.0.0")]);
}
