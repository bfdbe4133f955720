//! Streams of files, peers and clients.

use super::disk::Directory;
use super::links::mesh_of;
use super::*;
use crate::component::{PeerChange, StreamId, StreamInput, StreamOp};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

/// Bytes that are granted ahead.
const WINDOW: u64 = 4 << 20;

/// What a stream's consumer saw.
#[derive(Default, Clone)]
struct Saw {
    bytes: u64,
    sum: u32,
    finished: bool,
    reset: Option<String>,
    opened: Vec<String>,
}

type Shared = Arc<Mutex<Saw>>;

fn look(saw: &Shared) -> Saw {
    saw.lock().expect("not poisoned").clone()
}

/// Opens "big" on a call and grants as many bytes as the call says, and more
/// for every chunk if that is a whole window.
fn reader(saw: Shared) -> Stack {
    let reader = little(named("reader"), move || {
        let saw = saw.clone();
        let (mut file, mut window) = (StreamId(0), 0);
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Call { call, .. } if file == StreamId(0) => {
                    (file, window) = (cx.open_stream(StreamOp::OpenFile { name: "big".into(), offset: 3 }), call);
                    cx.stream(file, StreamOp::Grant(call));
                }
                Input::Call { call, .. } => cx.stream(file, StreamOp::Grant(call)),
                Input::Stream { id, input } => {
                    assert_eq!(id, file);
                    let mut saw = saw.lock().expect("not poisoned");
                    match input {
                        StreamInput::Opened { name, .. } => saw.opened.push(name),
                        StreamInput::Chunk(chunk) => {
                            saw.bytes += chunk.len() as u64;
                            if window == WINDOW {
                                cx.stream(file, StreamOp::Grant(chunk.len() as u64));
                            }
                        }
                        StreamInput::Finished => saw.finished = true,
                        StreamInput::Reset(why) => saw.reset = Some(why),
                        StreamInput::Writable(_) => {}
                    }
                }
                _ => {}
            }
            Ok(())
        }
    });
    Stack { factories: vec![reader] }
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("two numbers") * 4096
}

fn call(handle: &Handle, to: &'static str, call: u64) {
    handle.call_later(Kind::of(to), Box::new(call), DEADLINE);
}

#[test]
fn a_long_file_is_read_in_flat_memory() {
    const BYTES: u64 = 1 << 30;
    let (saw, dir) = (Shared::default(), Directory::new("long"));
    let file = dir.file("reader/big");
    file.set_len(BYTES + 3).expect("sparse");
    let before = resident_bytes();
    let handle = start(reader(saw.clone()), Options { dir: Some(dir.path()), ..Options::new("long") }).expect("starts");
    call(&handle, "reader", WINDOW);
    let mut most = 0;
    until("the file's end", || {
        most = most.max(resident_bytes());
        look(&saw).finished
    });
    assert_eq!(look(&saw).bytes, BYTES);
    assert!(most.saturating_sub(before) < BYTES / 4, "{} bytes grew to {most}", before);
    handle.stop();
}

#[test]
fn nothing_is_read_beyond_what_was_granted() {
    let (saw, dir) = (Shared::default(), Directory::new("granted"));
    dir.file("reader/big").set_len(100_003).expect("sparse");
    let handle = start(reader(saw.clone()), Options { dir: Some(dir.path()), ..Options::new("granted") });
    let handle = handle.expect("starts");
    for granted in [10u64, 1000, 70_000] {
        let before = look(&saw).bytes;
        call(&handle, "reader", granted);
        until("as much as was granted", || look(&saw).bytes == before + granted);
    }
    assert!(!look(&saw).finished);
    call(&handle, "reader", 1 << 40);
    until("the file's end", || look(&saw).finished);
    assert_eq!(look(&saw).bytes, 100_000);
    handle.stop();
}

#[test]
fn a_file_that_is_not_there_or_outside_is_a_reset() {
    let saw = Shared::default();
    let handle = start(reader(saw.clone()), Options::new("none")).expect("starts");
    call(&handle, "reader", 1);
    until("a reset", || look(&saw).reset.is_some_and(|why| why.contains("no directory")));
    handle.stop();
}

/// Sends a pattern of as many bytes as the call says to the peer; counts and
/// sums what comes. 13 is a planted panic.
fn shipper(saw: Shared) -> Stack {
    let shipper = little(named("shipper"), move || {
        let saw = saw.clone();
        let mut peer = None;
        let (mut left, mut writable, mut at) = (0u64, 0u64, 0u64);
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Peer(PeerChange::Joined { life, .. }) => peer = Some(*life),
                Input::Call { call: 0, reply_to } => cx.reply(reply_to, u64::from(peer.is_some())),
                Input::Call { call: 13, .. } => panic!("a planted panic"),
                Input::Call { call, .. } => {
                    left = call;
                    let life = peer.expect("asked after it joined");
                    cx.open_stream(StreamOp::OpenPeer { life, name: "cargo".into() });
                }
                Input::Stream { id, input } => {
                    let incoming = id.0 & 1 == 0;
                    let mut saw = saw.lock().expect("not poisoned");
                    match input {
                        StreamInput::Opened { name, peer: Some(_) } => {
                            saw.opened.push(name);
                            if incoming {
                                cx.stream(id, StreamOp::Grant(WINDOW));
                            }
                        }
                        StreamInput::Opened { peer: None, .. } => {}
                        StreamInput::Chunk(chunk) => {
                            saw.bytes += chunk.len() as u64;
                            saw.sum = crc32c::crc32c_append(saw.sum, &chunk);
                            cx.stream(id, StreamOp::Grant(chunk.len() as u64));
                        }
                        StreamInput::Writable(bytes) => {
                            writable += bytes;
                            while left > 0 && writable > 0 {
                                let bytes = left.min(writable).min(300_000);
                                cx.stream(id, StreamOp::Write(pattern(at, bytes)));
                                (left, writable, at) = (left - bytes, writable - bytes, at + bytes);
                            }
                            if left == 0 {
                                cx.stream(id, StreamOp::Finish);
                            }
                        }
                        StreamInput::Finished => {
                            saw.finished = true;
                            cx.stream(id, StreamOp::Finish);
                        }
                        StreamInput::Reset(why) => saw.reset = Some(why),
                    }
                }
                _ => {}
            }
            Ok(())
        }
    });
    Stack { factories: vec![shipper] }
}

fn pattern(at: u64, bytes: u64) -> bytes::Bytes {
    (at..at + bytes).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

fn ship(bytes: u64) -> (Vec<Handle>, [Shared; 2]) {
    let saw = [Shared::default(), Shared::default()];
    let mut each = saw.iter().cloned();
    let nodes = mesh_of(&["from", "to"], |_| shipper(each.next().expect("two nodes")));
    until("a link", || nodes.iter().all(|node| ask(node, "shipper", 0) == Ok(1)));
    call(&nodes[0], "shipper", bytes);
    (nodes, saw)
}

#[test]
fn a_stream_reaches_a_peer_whole_though_connections_are_cut() {
    const BYTES: u64 = 24 << 20;
    let (nodes, saw) = ship(BYTES);
    let mut cuts = 0;
    until("the stream's end", || {
        if cuts < 5 && look(&saw[1]).bytes > cuts * BYTES / 6 {
            cuts += 1;
            nodes[1].links().expect("linked").cut(crate::transport::Cut::All);
        }
        look(&saw[1]).finished
    });
    assert!(cuts > 0, "no connection was cut");
    assert_eq!(look(&saw[1]).bytes, BYTES);
    assert_eq!(look(&saw[1]).sum, crc32c::crc32c(&pattern(0, BYTES)));
    until("the end on the other side", || look(&saw[0]).finished);
    assert_eq!((look(&saw[0]).opened, look(&saw[1]).opened), (vec!["cargo".to_owned()], vec!["cargo".to_owned()]));
    nodes.iter().for_each(Handle::stop);
}

#[test]
fn a_stream_is_reset_when_the_other_component_falls_or_the_other_life_ends() {
    for end_life in [false, true] {
        let (nodes, saw) = ship(1 << 40);
        until("some of it", || look(&saw[1]).bytes > 1 << 20);
        if end_life {
            nodes[1].stop();
        } else {
            assert!(ask(&nodes[1], "shipper", 13).is_err());
        }
        let why = if end_life { "is over" } else { "the component fell" };
        until("a reset", || look(&saw[0]).reset.is_some_and(|reset| reset.contains(why)));
        nodes.iter().for_each(Handle::stop);
    }
}

/// Echoes what clients that begin with "ECHO" write.
fn echo() -> Stack {
    let manifest = Manifest { dialects: vec![b"ECHO"], ..named("echo") };
    let echo = little(manifest, || {
        |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            if let Input::Stream { id, input } = input {
                match input {
                    StreamInput::Opened { peer: None, .. } => cx.stream(id, StreamOp::Grant(64 << 10)),
                    StreamInput::Chunk(chunk) => cx.stream(id, StreamOp::Write(chunk)),
                    StreamInput::Writable(bytes) if bytes < 256 << 10 => cx.stream(id, StreamOp::Grant(bytes)),
                    StreamInput::Finished => cx.stream(id, StreamOp::Finish),
                    _ => {}
                }
            }
            Ok(())
        }
    });
    Stack { factories: vec![echo] }
}

#[test]
fn a_client_of_a_dialect_is_a_stream() {
    let nodes = mesh_of(&["echo"], |_| echo());
    let mut client = TcpStream::connect(nodes[0].local_addr().expect("it listens")).expect("it accepts");
    let mut sent = b"ECHO".to_vec();
    sent.extend_from_slice(&pattern(0, 3 << 20));
    let mut writing = client.try_clone().expect("one connection");
    let mut got = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writing.write_all(&sent).expect("it reads on");
            writing.shutdown(Shutdown::Write).expect("open");
        });
        client.read_to_end(&mut got).expect("it ends");
    });
    assert!(got == sent, "{} of {} bytes came back", got.len(), sent.len());
    let mut silent = TcpStream::connect(nodes[0].local_addr().expect("it listens")).expect("it accepts");
    silent.write_all(b"ECHO").expect("open");
    silent.read_exact(&mut [0; 4]).expect("echoed");
    nodes[0].stop();
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0, "the stop closes the connection");
}
