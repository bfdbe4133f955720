//! The gateway against nodes that misbehave: stand-ins with real sockets, which read by
//! the project's own parser and break off, stall or refuse where they are told to.

use bytes::Bytes;
use nodewright::ring_gateway::{Gateway, Limits, Options};
use nodewright::service::ring::text::{Heard, Reader, Request};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);
const SIZE: usize = 3_000_000;

/// What a stand-in does with a file.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Well,
    /// Breaks off after so many bytes of an answer.
    Breaks(usize),
    /// Takes connections and says nothing, as a stopped process does.
    Silent,
    /// Has another version of the file.
    Newer,
    /// Goes when a push begins.
    GoesAtPush,
}

/// The file as the first version has it.
fn content() -> Vec<u8> {
    version(1)
}

fn version(version: usize) -> Vec<u8> {
    (0..SIZE).map(|at| ((at + version) * 31 % 251) as u8).collect()
}

/// A node; its address.
fn node(way: Way) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream, way));
        }
    });
    address
}

fn serve(mut stream: TcpStream, way: Way) {
    let (mut reader, mut block) = (Reader::default(), vec![0; 64 << 10]);
    while let Ok(read) = stream.read(&mut block) {
        if read == 0 || way == Way::Silent {
            if read == 0 {
                return;
            }
            continue;
        }
        let mut bytes = Bytes::copy_from_slice(&block[..read]);
        while let Some(heard) = reader.read(&mut bytes) {
            let number = if way == Way::Newer { 2 } else { 1 };
            let done = match heard {
                Heard::Request(Request::Ping) => stream.write_all(b"PONG\n"),
                Heard::Request(Request::Get { offset, length, .. }) => {
                    let whole = version(number);
                    let from = (offset as usize).min(SIZE);
                    let to = from + (length as usize).min(SIZE - from);
                    let head = format!("OK {} of {SIZE} v{number}\n", to - from);
                    let body = &whole[from..to];
                    let sent = if let Way::Breaks(after) = way { &body[..after.min(body.len())] } else { body };
                    let written = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent));
                    if sent.len() < body.len() {
                        let _ = stream.shutdown(Shutdown::Both);
                        return;
                    }
                    written
                }
                Heard::Request(Request::Push { .. }) if way == Way::GoesAtPush => return,
                Heard::Request(Request::Status) => stream.write_all(b"PORT x:1\nNEXT <unset>\nOK\n"),
                Heard::Request(_) => stream.write_all(b"ERR node verb\n"),
                _ => Ok(()),
            };
            if done.is_err() {
                return;
            }
        }
    }
}

fn gateway(ways: &[Way]) -> Gateway {
    let limits = Limits { stall_within: Duration::from_secs(2), ..Limits::default() };
    let options = Options { nodes: ways.iter().map(|way| node(*way)).collect(), limits, ..Options::default() };
    Gateway::start(TcpListener::bind("127.0.0.1:0").expect("a port"), options).expect("starts")
}

/// All that is answered until the connection ends, and how it ended.
fn say(gateway: &Gateway, text: &[u8]) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut stream = TcpStream::connect(gateway.local_addr()).expect("connects");
    stream.set_read_timeout(Some(DEADLINE)).expect("is set");
    stream.write_all(text).expect("is said");
    stream.shutdown(Shutdown::Write).expect("half-closed");
    let mut all = Vec::new();
    let ended = stream.read_to_end(&mut all);
    (all, ended.map(|_| ()).map_err(|error| error.kind()))
}

#[test]
fn a_file_goes_on_at_another_node_where_one_breaks_off() {
    // Whichever of them the name ranks first.
    for ways in [[Way::Breaks(1_000_000), Way::Well], [Way::Well, Way::Breaks(1)], [Way::Silent, Way::Well]] {
        let gateway = gateway(&ways);
        for name in ["a", "b", "c"] {
            let (all, ended) = say(&gateway, format!("FILE PULL {name}\n").as_bytes());
            assert!(all == content() && ended == Ok(()), "{} bytes, {ended:?}", all.len());
        }
    }
}

#[test]
fn a_short_file_never_ends_cleanly_and_versions_are_never_mixed() {
    // One that breaks off again and again brings it all in the end; one that breaks off
    // at once never does.
    for ways in [&[Way::Breaks(500_000)][..], &[Way::Breaks(500_000), Way::Newer], &[Way::Breaks(0)]] {
        let gateway = gateway(ways);
        for n in 0..4 {
            let (all, ended) = say(&gateway, format!("FILE PULL file-{n}\n").as_bytes());
            let is_whole = all == version(1) || ways.contains(&Way::Newer) && all == version(2);
            let is_refused = all.starts_with(b"ERR UNAVAILABLE") && ended.is_ok();
            let is_cut = ended == Err(ErrorKind::ConnectionReset);
            assert!(is_whole && ended.is_ok() || is_refused || is_cut, "{} bytes, {ended:?}", all.len());
            assert!(!is_whole || !ways.contains(&Way::Breaks(0)), "nobody had a byte");
        }
    }
}

#[test]
fn a_push_is_never_sent_twice_and_its_end_is_told_as_unknown() {
    let gateway = gateway(&[Way::GoesAtPush]);
    let (all, _) = say(&gateway, b"FILE PUSH 3 a\nabc");
    let text = String::from_utf8_lossy(&all);
    assert!(text.starts_with("ERR UNAVAILABLE") && text.contains("not known"), "{text}");
}

#[test]
fn what_a_living_node_says_is_passed_on_and_that_nobody_lives_is_said() {
    let gateway = gateway(&[Way::Silent, Way::Well]);
    for _ in 0..4 {
        assert_eq!(say(&gateway, b"NODE STATUS\r\n").0, b"PORT x:1\nNEXT <unset>\nOK\n");
    }
    let nobody = self::gateway(&[Way::Silent]);
    let (all, ended) = say(&nobody, b"FILE PULL a\n");
    let text = String::from_utf8_lossy(&all);
    assert!(text.starts_with("ERR UNAVAILABLE no node answers") && ended == Ok(()), "{text} {ended:?}");
    let (all, _) = say(&nobody, &[b'x'; 9000]);
    assert!(all.starts_with(b"ERR the line is longer"), "{}", String::from_utf8_lossy(&all));
}
