use super::super::durability::Durability;
use super::super::manifest::tests::manifest;
use super::super::name::Name;
use super::super::netmap::Netmap;
use super::answer::Pushed;
use super::reply::{self, Code};
use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::from_bytes(text.as_bytes()).expect("is taken")
}

fn chunk(name_text: &str) -> Chunk {
    Chunk { name: name(name_text), part: 2, parts: 3 }
}

/// What a connection says in all, bodies joined.
fn heard(input: &[u8], chunk: usize) -> Vec<Heard> {
    let (mut reader, mut all) = (Reader::default(), Vec::new());
    let mut take = |heard: Heard| match (all.last_mut(), heard) {
        (Some(Heard::Body(body)), Heard::Body(more)) => *body = [&body[..], &more[..]].concat().into(),
        (_, heard) => all.push(heard),
    };
    for bytes in input.chunks(chunk.max(1)) {
        let mut bytes = Bytes::copy_from_slice(bytes);
        while let Some(heard) = reader.read(&mut bytes) {
            take(heard);
        }
        assert!(bytes.is_empty());
    }
    reader.end().into_iter().for_each(take);
    all
}

#[test]
fn every_verb_is_read() {
    let list = |prefix: &[u8], after: &[u8], limit| {
        Request::ListPage(Listing { prefix: prefix.into(), after: after.into(), limit })
    };
    let rows: Vec<(&str, Request)> = vec![
        ("AUTH s3cret", Request::Auth("s3cret".into())),
        ("NODE PING", Request::Ping),
        ("node ping", Request::Ping),
        ("Node Status", Request::Status),
        ("NODE NEXT 127.0.0.1:7001", Request::Next("127.0.0.1:7001".into())),
        ("NODE HEAL", Request::Heal),
        ("NODE HEAL ", Request::Heal),
        ("NODE WHATIF 7001,7002", Request::WhatIf(vec!["7001".into(), "7002".into()])),
        ("NODE REBALANCE", Request::Rebalance(Rate::Usual)),
        ("NODE REBALANCE 1000", Request::Rebalance(Rate::Bytes(1000))),
        ("NODE REBALANCE stop", Request::Rebalance(Rate::Stop)),
        ("NODE REBALANCE status", Request::Rebalance(Rate::Status)),
        ("NODE DRAIN a:1", Request::Drain("a:1".into())),
        ("NODE FORGET a:1", Request::Forget("a:1".into())),
        ("NETMAP GET", Request::Netmap { all: false }),
        ("NETMAP GET-ALL", Request::Netmap { all: true }),
        ("NETMAP DISCOVER", Request::Discover),
        ("TOPOLOGY WALK", Request::Walk),
        ("FILE LIST", Request::List),
        ("FILE LIST a%2Fb", list(b"a/b", b"", 1000)),
        ("FILE LIST - x%20y 5", list(b"", b"x y", 5)),
        ("FILE LIST %2D - 99999999999", list(b"-", b"", 1000)),
        ("FILE PUSH 0 a", Request::Push { size: 0, name: name("a") }),
        ("file push 007  a  b ", Request::Push { size: 7, name: name(" a  b ") }),
        ("FILE PUSH-IF none 3 a", Request::PushIf { expected: Expected::Nothing, size: 3, name: name("a") }),
        ("FILE PUSH-IF 12 3 a", Request::PushIf { expected: Expected::Version(12), size: 3, name: name("a") }),
        ("FILE PULL -rf", Request::Pull(name("-rf"))),
        ("FILE GET 5 10 a b", Request::Get { offset: 5, length: 10, name: name("a b") }),
        ("FILE STAT a", Request::Stat(name("a"))),
        ("FILE MANIFEST a", Request::Manifest(name("a"))),
        ("FILE EXPLAIN a", Request::Explain(name("a"))),
        ("FILE DELETE a", Request::Delete(name("a"))),
        ("FILE UNDO a", Request::Undo(name("a"))),
        ("FILE SCRUB", Request::Scrub(None)),
        ("FILE SCRUB a", Request::Scrub(Some(name("a")))),
        ("FILE GET-CHUNK a b.part-002-of-003", Request::GetChunk(chunk("a b"))),
        (
            "FILE GET-BACKUP-CHUNK x.part-001-of-001.part-002-of-003",
            Request::GetBackupChunk(chunk("x.part-001-of-001")),
        ),
        ("FILE GET-CHUNK-FOR-BACKUP a.part-002-of-003", Request::GetChunkForBackup(chunk("a"))),
    ];
    for (line, request) in rows {
        assert_eq!(parse(line.as_bytes()), Ok(request.clone()), "{line}");
        assert_eq!(parse(request.to_string().as_bytes()), Ok(request), "{line}: as it is printed");
    }
}

#[test]
fn every_refusal_says_what_is_wrong() {
    let rows = [
        ("", "unknown command namespace: ''"),
        ("HELLO", "unknown command namespace: 'HELLO'"),
        ("FOO BAR", "unknown command namespace: 'FOO'"),
        (" NODE PING", "unknown command namespace: ''"),
        ("NODE", "unknown NODE command"),
        ("NODE  PING", "unknown NODE command"),
        ("NODE JUMP", "unknown NODE command"),
        ("NETMAP JUMP", "unknown NETMAP command"),
        ("TOPOLOGY JUMP", "unknown TOPOLOGY command"),
        ("FILE JUMP", "unknown FILE command"),
        ("NODE PING now", "NODE PING takes nothing more"),
        ("NODE NEXT", "missing address for NODE NEXT"),
        ("NODE NEXT ", "missing address for NODE NEXT"),
        ("NODE NEXT a b", "invalid address for NODE NEXT: host:port"),
        ("NODE WHATIF 1,,2", "NODE WHATIF wants ports: NODE WHATIF 7001,7002"),
        ("NODE REBALANCE -5", "NODE REBALANCE wants bytes a second, or stop, or status, or nothing"),
        ("FILE PUSH", "invalid size for FILE PUSH"),
        ("FILE PUSH -1 a", "invalid size for FILE PUSH"),
        ("FILE PUSH +1 a", "invalid size for FILE PUSH"),
        ("FILE PUSH 1e3 a", "invalid size for FILE PUSH"),
        ("FILE PUSH 0x10 a", "invalid size for FILE PUSH"),
        ("FILE PUSH 9223372036854775808 a", "invalid size for FILE PUSH"),
        ("FILE PUSH 99999999999999999999999 a", "invalid size for FILE PUSH"),
        ("FILE PUSH a", "invalid size for FILE PUSH"),
        ("FILE PUSH  5 a", "invalid size for FILE PUSH"),
        ("FILE PUSH 5", "missing file name for FILE PUSH"),
        ("FILE PUSH 5 ", "missing file name for FILE PUSH"),
        ("FILE PULL", "missing file name for FILE PULL"),
        ("FILE GET-CHUNK", "missing file name for FILE GET-CHUNK"),
        ("FILE GET-CHUNK a", "invalid chunk for FILE GET-CHUNK: <name>.part-001-of-003"),
        ("FILE GET 5 a", "invalid range for FILE GET: FILE GET <offset> <length> <name>"),
        ("FILE PUSH-IF new 5 a", "invalid version for FILE PUSH-IF: a number, or none"),
        ("FILE PULL ../x", "NAME the name has '.' or '..' between slashes: take it without"),
        ("FILE GET-CHUNK ../x.part-001-of-003", "NAME the name has '.' or '..' between slashes: take it without"),
        ("FILE DELETE /etc/x", "NAME the name begins with '/': take it without"),
        ("AUTH", "AUTH the token is missing: AUTH <token>"),
        ("NODE HEAL-HOP t a", "node verb"),
        ("NODE HEAL-DONE t", "node verb"),
        ("NETMAP SET 7000=Alive", "node verb"),
        ("TOPOLOGY DONE x", "node verb"),
        ("FILE TAGS-SET a:1:2:3", "node verb"),
        ("FILE NOTIFY-CHUNK-SAVED a", "node verb"),
    ];
    for (line, text) in rows {
        assert_eq!(parse(line.as_bytes()), Err(Refused { text: text.into(), body: 0, close: false }), "{line}");
    }
    for list in ["FILE LIST %zz", "FILE LIST a b c", "FILE LIST a b 0", "FILE LIST a b 5 x", "FILE LIST  a"] {
        assert!(parse(list.as_bytes()).is_err_and(|refused| refused.text.starts_with("FILE LIST wants")), "{list}");
    }
}

/// Bytes that follow a refused push are never read as requests.
#[test]
fn the_body_of_a_refused_push_is_skipped() {
    let heard = heard(b"FILE PUSH 12 ../x\nFILE DELETE NODE PING\r\n", 7);
    let [Heard::Refused(refused), Heard::Request(Request::Ping)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(refused.body, 12);
    let closed = super::tests::heard(b"FILE RELAY-STREAM t a 5 1 0 x\nFILE DELETE y\n", 100);
    assert!(matches!(&closed[..], [Heard::Refused(refused)] if refused.close), "{closed:?}");
}

#[test]
fn bodies_stand_between_requests() {
    let input = b"FILE PUSH 5 a\nhelloFILE PUSH 0 b\nFILE LIST\r\nnode ping";
    let push = |size, text| Heard::Request(Request::Push { size, name: name(text) });
    let body = Heard::Body(Bytes::from_static(b"hello"));
    let (ends, list, ping) = (Heard::BodyEnds, Heard::Request(Request::List), Heard::Request(Request::Ping));
    assert_eq!(heard(input, 1000), [push(5, "a"), body, ends.clone(), push(0, "b"), ends, list, ping]);
}

#[test]
fn a_body_that_is_not_wanted_is_skipped() {
    let mut reader = Reader::default();
    let mut bytes = Bytes::from_static(b"FILE PUSH 5 a\nheNODE");
    assert!(matches!(reader.read(&mut bytes), Some(Heard::Request(Request::Push { .. }))));
    assert_eq!(reader.body_left(), Some(5));
    reader.skip_body();
    assert_eq!((reader.read(&mut bytes), reader.body_left()), (None, None));
    let mut bytes = Bytes::from_static(b" PING\nNODE PING\n");
    assert!(matches!(reader.read(&mut bytes), Some(Heard::Refused(_))), "what was skipped is 5 bytes");
    assert_eq!(reader.read(&mut bytes), Some(Heard::Request(Request::Ping)));
}

#[test]
fn a_line_has_a_limit() {
    let mut line = b"FILE PULL ".to_vec();
    line.resize(HEADER_BYTES_MAX - 1, b'x');
    line.push(b'\n');
    let refused = |input: &[u8], chunk| match &heard(input, chunk)[..] {
        [Heard::Refused(refused), ..] => refused.clone(),
        other => panic!("{other:?}"),
    };
    assert!(refused(&line, 100).text.starts_with("NAME"), "the longest is read");
    line.insert(10, b'x');
    for chunk in [1, 100, 100_000] {
        let refused = refused(&line, chunk);
        assert!(refused.close && refused.text.contains("longer than 8192"), "{refused:?}");
    }
    assert_eq!(heard(&vec![b'x'; 1 << 20], 1 << 20).len(), 1, "and what follows is not read");
}

#[test]
fn answers_are_lines() {
    let mut file = manifest("a,\"b\" ", 3, 16 << 20, &[1, 2, 3, 4, 5]);
    let root = "aa".repeat(32);
    let last = format!("OK 16777216 {root} v3 copies=2 durability=group\n");
    let pushed = format!("FILE 16777216 bytes split into 5 chunks and distributed\n{last}");
    assert_eq!(reply::pushed(&file, 2, Durability::Group), pushed);
    let read = Pushed::read(last.trim_end()).expect("it is read");
    assert_eq!((read.version, read.copies, read.durability), (3, 2, Durability::Group));
    assert!(Pushed::read(last.trim_end().trim_end_matches("group")).is_err(), "a level without a name");
    let row = format!("\"a,\"\"b\"\" \",7000,16777216,3,5,2,1700000000123,{root}\n");
    assert_eq!(reply::csv_row(&file, "7000"), row);
    assert!(reply::CSV_HEADER.starts_with("name,start,size"));
    assert_eq!(reply::error("two\nlines"), "ERR two lines\n");
    assert_eq!(reply::coded(Code::Unavailable, "no quorum"), "ERR UNAVAILABLE no quorum\n");
    assert_eq!(reply::status("h:7000", None), "PORT h:7000\nNEXT <unset>\nOK\n");
    assert_eq!(reply::walk(&["7000".into(), "7001".into()]), "7000->7001\n7001->7000\nOK\n");
    assert_eq!(reply::walk(&["7000".into()]), "7000->7000\nOK\n");
    assert_eq!(reply::netmap(&Netmap::default(), false), "(empty)\nOK\n");
    assert_eq!(reply::page_end(None), "OK\n");
    assert_eq!(reply::page_end(Some(&name("a b"))), "OK after=a%20b\n");
    assert_eq!(reply::page_end(Some(&name("-"))), "OK after=%2D\n");
    assert_eq!(reply::range(5, &file), "OK 5 of 16777216 v3\n");
    assert_eq!(reply::chunk(None, 7, &chunk("a")), "FILE RESP-CHUNK <unset> 7 a.part-002-of-003\n");
    file.state = super::super::manifest::State::Deleted { until_ms: 1 };
    assert!(reply::stat(&file).ends_with(" v3 parts=5 copies=2 mtime=1700000000123 state=deleted\n"));
    let parts = reply::manifest(&file, |node| format!("{}", 7000 + node.0));
    assert!(parts.starts_with("part 1 start=0 size=4194304 digest=0000") && parts.ends_with("slot=7005\nOK\n"));
    assert_eq!(reply::what_if(&Default::default()), "files=0 unreadable=0 bytes=0 degraded=0\nOK\n");
}

fn script() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "(FILE|NODE|NETMAP|TOPOLOGY|file) (PUSH|PUSH-IF|LIST|PULL|GET|PING|GET-CHUNK|SCRUB) (none )?[0-9]{0,2} ?[a ./%-]{0,6}\r?\n",
        "FILE PUSH [0-9] [a-c]{1,3}\n[a-z]{0,9}",
        "\\PC{0,30}\n",
    ];
    let lines = prop::collection::vec(line.prop_map(String::into_bytes), 0..6);
    (lines, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(lines, junk)| [lines.concat(), junk].concat())
}

proptest! {
    #[test]
    fn byte_by_byte_is_at_once(script in script(), chunk in 2..20usize) {
        let at_once = heard(&script, script.len());
        prop_assert_eq!(&heard(&script, 1), &at_once);
        prop_assert_eq!(&heard(&script, chunk), &at_once);
    }

    #[test]
    fn what_is_printed_is_read(script in script()) {
        for heard in heard(&script, script.len()) {
            if let Heard::Request(request) = heard {
                prop_assert_eq!(parse(request.to_string().as_bytes()), Ok(request));
            }
        }
    }
}
