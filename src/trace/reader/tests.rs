use super::super::{Clock, Frame, Lane, Stamp, What, Writer};
use super::*;
use crate::id::{Kind, Life, MessageId, NodeId};

fn sample() -> Trace {
    let [a, b] = ["alpha", "beta"].map(|name| Life::new(NodeId::from_name(name), 1));
    let id = MessageId { origin: a, delivery: Kind::of("uniform"), batch: 3, index: 1 };
    let frame = Frame { peer: b, lane: Lane::Data, number: 7, component: 99, bytes: 64 };
    let stamp = Stamp { lamport: Some(4), vector: vec![("alpha.1".into(), 2)] };
    let whats = [
        What::Started { name: "alpha".into(), voter: true },
        What::Broadcast { via: "uniform".into(), to: None, body: "m1 \"quoted\"".into() },
        What::Broadcast { via: "best_effort".into(), to: Some(b.node), body: "m2".into() },
        What::Sent(frame),
        What::Delivered { id, body: "m1".into(), stamp },
        What::Suspected { peer: b },
        What::Parted { to: b.node },
        What::Stopped,
    ];
    let records = whats.into_iter().enumerate().map(|(at, what)| Record { at: at as u64, life: a, what });
    let mut header = Header::new(Clock::Virtual, 0, "a sample");
    header.kinds.push("uniform".into());
    Trace { header, records: records.collect(), tail: Tail::Finished }
}

fn bytes() -> Vec<u8> {
    sample().save(Vec::new()).unwrap()
}

fn why(bytes: &[u8]) -> String {
    Trace::load(bytes).unwrap_err().to_string()
}

/// The bytes with one line replaced, or taken out.
fn with_line(number: usize, line: Option<&str>) -> Vec<u8> {
    let text = String::from_utf8(bytes()).unwrap();
    let lines = text.lines().enumerate().filter_map(|(at, old)| if at + 1 == number { line } else { Some(old) });
    lines.map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

#[test]
fn what_was_written_is_read() {
    assert_eq!(Trace::load(&bytes()[..]).unwrap(), sample());
}

#[test]
fn damage_is_told_by_its_line() {
    let text = String::from_utf8(bytes()).unwrap();
    let third = text.lines().nth(2).unwrap();
    assert!(why(&with_line(3, Some(&third.replace("m1", "m9")))).starts_with("line 3: damaged: its checksum"));
    assert!(why(&with_line(3, None)).starts_with("line 3: damaged: its checksum"), "a line taken out");
    assert!(why(&with_line(3, Some("{}"))).starts_with("line 3: damaged: it has no checksum"));
    assert!(why(&with_line(3, Some(&"x".repeat(LINE_BYTES_MAX + 1)))).contains("line 3: damaged: it is longer"));
    assert!(why(&[bytes(), b"more\n".to_vec()].concat()).contains("line 11: damaged: something follows"));
}

#[test]
fn what_is_no_trace_or_a_newer_one_is_refused_by_name() {
    for foreign in ["", "hello\n", "{\"a\":1}\n", "[1,2]\n", "{\"nodewright_trace\":\"x\"}\n", "\u{0}\u{0}"] {
        assert!(why(foreign.as_bytes()).starts_with("line 1: this is no trace of nodewright"), "{foreign:?}");
    }
    let header = Header { format: 9, ..sample().header };
    let newer = Writer::begin(Vec::new(), &header).unwrap().finish().unwrap();
    assert!(why(&newer).starts_with("line 1: the trace has format 9, and this program reads up to 1"));
}

#[test]
fn a_record_of_an_unknown_kind_is_refused_by_its_line() {
    let mut text = Vec::new();
    let mut crc = 0;
    for body in [
        "{\"nodewright_trace\":1,\"clock\":\"wall\",\"epoch_unix_ns\":1,\"about\":\"\",\"kinds\":[]",
        "{\"at\":1,\"life\":\"n1.1\",\"what\":\"levitated\"",
    ] {
        crc = crc32c::crc32c_append(crc, body.as_bytes());
        text.extend_from_slice(format!("{body},\"crc\":\"{crc:08x}\"}}\n").as_bytes());
    }
    assert!(why(&text).starts_with("line 2: damaged: unknown variant `levitated`"), "{}", why(&text));
}

/// Every cut is either an end in the middle, or after a whole record: what was
/// whole before it is read.
#[test]
fn every_cut_leaves_the_whole_records_before_it() {
    let bytes = bytes();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in 0..bytes.len() {
        match Trace::load(&bytes[..cut]) {
            Ok(trace) => {
                assert!(cut >= header);
                let lines = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
                assert_eq!(trace.records.len(), lines - 1);
                assert_eq!(trace.tail, if bytes[cut - 1] == b'\n' { Tail::Open } else { Tail::Torn });
            }
            Err(_) => assert!(cut < header, "{cut}"),
        }
    }
}

#[test]
fn flipped_bits_never_panic_and_never_pass() {
    let (bytes, whole) = (bytes(), sample());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = Trace::load(&flipped[..]) {
            assert!(read.tail != Tail::Finished && read.records.len() < whole.records.len() + 1, "bit {bit} unseen");
        }
    }
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..2000 {
        let junk: Vec<u8> = (0..rng.usize(0..200)).map(|_| rng.u8(..)).collect();
        assert!(Trace::load(&junk[..]).is_err());
        let spliced = [&bytes[..rng.usize(0..bytes.len())], &junk[..], &bytes[rng.usize(0..bytes.len())..]].concat();
        _ = Trace::load(&spliced[..]);
    }
}
