//! Clients and client dialects on the node's one port.

use super::*;
use nodewright::component::{EndedWhy, PeerRole};
use nodewright::transport::client::{ClientError, ClientLink};
use std::io::Write;

#[test]
fn a_client_calls_and_is_gone_with_its_connection() {
    let secret = secret();
    let (a, a_life) = bind(config("alpha", &secured(&secret)));
    let a = start(a, a_life);
    let security = ClientLink::credentials(secret).expect("random");
    let mut client = ClientLink::connect(a.links.local_addr(), &security, PATIENCE).expect("let in");
    assert_eq!((client.node(), client.node_name()), (a.life, "alpha"));
    let me = client.me();
    let refused = client.call(Kind::of("other"), Bytes::new(), PATIENCE);
    assert!(matches!(refused, Err(ClientError::NotDone(_))), "{refused:?}");
    let unanswered = client.call(TALK, "anyone?".into(), Duration::from_millis(30));
    assert!(matches!(unanswered, Err(ClientError::Unknown(_))), "{unanswered:?}");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for asked in 2..=101 {
                let heard = |told: &Told| told.received.get(&(me, Lane::Control)).map_or(0, Vec::len);
                a.sink.wait("the question", |told| heard(told) == asked);
                say(&a, To::Life(me), Lane::Control, format!("answer {asked}"));
            }
        });
        for asked in 2..=101 {
            let answer = client.call(TALK, "?".into(), PATIENCE).expect("an answer");
            assert_eq!(answer, format!("answer {asked}"));
        }
    });
    drop(client);
    let joined = PeerChange::Joined { life: me, role: PeerRole::Client, name: "client".into() };
    let told = a.sink.wait("the client's end", |told| told.changes.len() == 2);
    assert_eq!(told.changes, [joined, PeerChange::Ended { life: me, why: EndedWhy::Left }]);
    assert!(a.links.peers().is_empty());
}

#[test]
fn a_client_dialect_reaches_its_component_and_unknown_bytes_reach_nobody() {
    let (a, life) = bind(config("alpha", &secured(&secret())));
    let a = start(a, life);
    let mut http = TcpStream::connect(a.links.local_addr()).expect("listening");
    http.write_all(b"GET /health HTTP/1.1\r\n\r\n").expect("written");
    drop(http);
    let told = a.sink.wait("the dialect", |told| told.dialects.len() == 1);
    assert_eq!(told.dialects[0], b"GET /health HTTP/1.1\r\n\r\n");
    let mut stranger = TcpStream::connect(a.links.local_addr()).expect("listening");
    stranger.write_all(b"HELO\r\n").expect("written");
    wait_refused(&a, "unknown first bytes");
    let mut rest = Vec::new();
    // closed, with or without a reset
    assert!(stranger.read_to_end(&mut rest).map_or(true, |read| read == 0));
}
