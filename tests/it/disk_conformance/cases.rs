//! What is right, operation by operation.

use super::check;
use super::clerk::{Answer, Step};
use bytes::Bytes;
use nodewright::component::DiskOp;
use std::io::ErrorKind;

type Case = Vec<(Step, Answer)>;

const DONE: Answer = Answer::Done;
const NOT_FOUND: Answer = Answer::Failed(ErrorKind::NotFound);
const A_DIRECTORY: Answer = Answer::Failed(ErrorKind::IsADirectory);
const NO_DIRECTORY: Answer = Answer::Failed(ErrorKind::NotADirectory);
const INVALID: Answer = Answer::Failed(ErrorKind::InvalidInput);
const TOO_LARGE: Answer = Answer::Failed(ErrorKind::FileTooLarge);

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub fn append(name: &str, text: &str) -> DiskOp {
    DiskOp::Append { name: name.into(), bytes: bytes(text) }
}

fn write_at(name: &str, offset: u64, text: &str) -> DiskOp {
    DiskOp::WriteAt { name: name.into(), offset, bytes: bytes(text) }
}

fn allocate(name: &str, bytes: u64) -> DiskOp {
    DiskOp::Allocate { name: name.into(), bytes }
}

fn sync(name: &str) -> DiskOp {
    DiskOp::Sync { name: name.into() }
}

fn sync_dir(name: &str) -> DiskOp {
    DiskOp::SyncDir { name: name.into() }
}

fn replace(name: &str, text: &str) -> DiskOp {
    DiskOp::Replace { name: name.into(), bytes: bytes(text) }
}

fn rename(from: &str, to: &str) -> DiskOp {
    DiskOp::Rename { from: from.into(), to: to.into() }
}

fn remove(name: &str) -> DiskOp {
    DiskOp::Remove { name: name.into() }
}

fn read_at(name: &str, offset: u64, bytes: u64) -> DiskOp {
    DiskOp::Read { name: name.into(), offset, bytes }
}

fn read(name: &str) -> DiskOp {
    read_at(name, 0, u64::MAX)
}

fn list(name: &str) -> DiskOp {
    DiskOp::List { name: name.into() }
}

fn holds(text: &str) -> Answer {
    Answer::Read(bytes(text))
}

fn files(files: &[(&str, u64)]) -> Answer {
    Answer::List(files.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect())
}

fn ops(case: Vec<(DiskOp, Answer)>) -> Case {
    case.into_iter().map(|(op, answer)| (Step::Op(op), answer)).collect()
}

fn stream(name: &str, offset: u64, first: u64, meanwhile: Vec<DiskOp>) -> Step {
    Step::Stream { name: name.into(), offset, first, meanwhile }
}

#[test]
fn appends_and_writes() {
    check(
        "appends and writes",
        ops(vec![
            (read("log"), NOT_FOUND),
            (append("log", "one"), DONE),
            (append("log", "two"), DONE),
            (read("log"), holds("onetwo")),
            (read_at("log", 1, 4), holds("netw")),
            (read_at("log", 4, u64::MAX), holds("wo")),
            (read_at("log", 6, 1), holds("")),
            (read_at("log", 99, 4), holds("")),
            (read_at("log", u64::MAX, u64::MAX), holds("")),
            (write_at("log", 3, "TWO!"), DONE),
            (read("log"), holds("oneTWO!")),
            (write_at("log", 9, "gap"), DONE),
            (read("log"), holds("oneTWO!\0\0gap")),
            (append("log", ""), DONE),
            (write_at("log", 99, ""), DONE),
            (list(""), files(&[("log", 12)])),
            (append("empty", ""), DONE),
            (write_at("hollow", 99, ""), DONE),
            (list(""), files(&[("empty", 0), ("hollow", 0), ("log", 12)])),
        ]),
    );
}

#[test]
fn lengths() {
    check(
        "lengths",
        ops(vec![
            (append("log", "something"), DONE),
            (allocate("log", 12), DONE),
            (read("log"), holds("something\0\0\0")),
            (append("log", "!"), DONE),
            (read("log"), holds("something\0\0\0!")),
            (allocate("log", 4), DONE),
            (allocate("log", 6), DONE),
            (read("log"), holds("some\0\0")),
            (allocate("log", 6), DONE),
            (allocate("new", 3), DONE),
            (read("new"), holds("\0\0\0")),
            (allocate("log", 0), DONE),
            (list(""), files(&[("log", 0), ("new", 3)])),
            (allocate("log", DiskOp::FILE_BYTES_MAX + 1), TOO_LARGE),
            (write_at("log", DiskOp::FILE_BYTES_MAX, "x"), TOO_LARGE),
            (write_at("log", u64::MAX, "x"), TOO_LARGE),
            (list(""), files(&[("log", 0), ("new", 3)])),
            (write_at("far", (1 << 32) - 1, "x"), DONE),
            (list(""), files(&[("far", 1 << 32), ("log", 0), ("new", 3)])),
            (read_at("far", (1 << 32) - 3, 9), holds("\0\0x")),
        ]),
    );
}

#[test]
fn a_read_brings_no_more_than_its_limit() {
    let long = DiskOp::READ_BYTES_MAX + 5;
    let zeros = |bytes: u64| Answer::Read(Bytes::from(vec![0; bytes as usize]));
    check(
        "long reads",
        ops(vec![
            (allocate("long", long), DONE),
            (read("long"), zeros(DiskOp::READ_BYTES_MAX)),
            (read_at("long", DiskOp::READ_BYTES_MAX, u64::MAX), zeros(5)),
        ]),
    );
}

#[test]
fn syncs() {
    check(
        "syncs",
        ops(vec![
            (sync("log"), NOT_FOUND),
            (sync_dir(""), DONE),
            (sync_dir("d"), NOT_FOUND),
            (append("d/log", "x"), DONE),
            (sync("d/log"), DONE),
            (sync_dir("d"), DONE),
            (sync_dir(""), DONE),
            (sync("d"), A_DIRECTORY),
            (sync_dir("d/log"), NO_DIRECTORY),
            (sync_dir("d/log/e"), NO_DIRECTORY),
            (sync("d/log/e"), NO_DIRECTORY),
            (read("d/log"), holds("x")),
        ]),
    );
}

#[test]
fn replacements() {
    check(
        "replacements",
        ops(vec![
            (replace("d/e/state", "old"), DONE),
            (replace("d/e/state", "new"), DONE),
            (read("d/e/state"), holds("new")),
            (list("d/e"), files(&[("state", 3)])),
            (append("d/e/state", "er"), DONE),
            (read("d/e/state"), holds("newer")),
            (replace("d/e/state", ""), DONE),
            (read("d/e/state"), holds("")),
            (replace("d/e", "x"), A_DIRECTORY),
            (replace("d/e/state/x", "x"), NO_DIRECTORY),
            (append("state.new", "of its own"), DONE),
            (replace("state", "x"), DONE),
            (read("state.new"), holds("of its own")),
            (list(""), files(&[("state", 1), ("state.new", 10)])),
        ]),
    );
}

#[test]
fn renamings() {
    check(
        "renamings",
        ops(vec![
            (rename("a", "b"), NOT_FOUND),
            (rename("a", "d/b"), NOT_FOUND),
            (sync_dir("d"), NOT_FOUND),
            (append("a", "a"), DONE),
            (append("b", "b"), DONE),
            (rename("a", "a"), DONE),
            (rename("a", "b"), DONE),
            (read("b"), holds("a")),
            (read("a"), NOT_FOUND),
            (rename("b", "d/e/b"), DONE),
            (read("d/e/b"), holds("a")),
            (list("d"), files(&[])),
            (rename("d/e/b", "d"), A_DIRECTORY),
            (rename("d/e/b", "d/e/b/c"), NO_DIRECTORY),
            (rename("d/e/b/c", "c"), NO_DIRECTORY),
            (rename("d", "c"), A_DIRECTORY),
            (rename("d/e", "d/e"), A_DIRECTORY),
            (read("d/e/b"), holds("a")),
        ]),
    );
}

#[test]
fn removals() {
    check(
        "removals",
        ops(vec![
            (remove("a"), DONE),
            (remove("d/a"), DONE),
            (append("d/a", "x"), DONE),
            (remove("d/a"), DONE),
            (remove("d/a"), DONE),
            (read("d/a"), NOT_FOUND),
            (append("d/a", "y"), DONE),
            (read("d/a"), holds("y")),
            (remove("d"), A_DIRECTORY),
            (remove("d/a/b"), NO_DIRECTORY),
            (remove("d/a"), DONE),
            (list("d"), files(&[])),
            (append("d", "x"), A_DIRECTORY),
        ]),
    );
}

#[test]
fn files_and_directories() {
    check(
        "files and directories",
        ops(vec![
            (list(""), files(&[])),
            (list("d"), files(&[])),
            (append("d/e/f", "x"), DONE),
            (append("d/b", "xx"), DONE),
            (append("d/a", ""), DONE),
            (append("d.a", "xxx"), DONE),
            (list(""), files(&[("d.a", 3)])),
            (list("d"), files(&[("a", 0), ("b", 2)])),
            (list("d/e"), files(&[("f", 1)])),
            (list("d/e/f"), NO_DIRECTORY),
            (list("d/e/f/g"), NO_DIRECTORY),
            (list("d/x/y"), files(&[])),
            (read("d"), A_DIRECTORY),
            (read_at("d", 0, 0), A_DIRECTORY),
            (append("d/e", "x"), A_DIRECTORY),
            (write_at("d/e", 0, "x"), A_DIRECTORY),
            (allocate("d/e", 0), A_DIRECTORY),
            (append("d/b/c", "x"), NO_DIRECTORY),
            (append("d/b/c/d", "x"), NO_DIRECTORY),
            (write_at("d/b/c", 0, "x"), NO_DIRECTORY),
            (allocate("d/b/c", 0), NO_DIRECTORY),
            (read("d/b/c"), NO_DIRECTORY),
            (read("x/y"), NOT_FOUND),
        ]),
    );
}

#[test]
fn names() {
    let longest = format!("{}/{}", "d".repeat(254), "x".repeat(254));
    let too_long = ["x".repeat(255), format!("{}x", "d/".repeat(512))];
    let mut case = vec![(append(&longest, "x"), DONE), (replace(&longest, "y"), DONE), (read(&longest), holds("y"))];
    let bad = ["", "/a", "a/", "a//b", ".", "./a", "a/.", "a/./b", "..", "../a", "a/../b", "a\0b", "a~", "a~/b"];
    for name in bad.into_iter().chain(too_long.iter().map(String::as_str)) {
        let mut all = vec![
            append(name, "x"),
            write_at(name, 0, "x"),
            allocate(name, 1),
            sync(name),
            replace(name, "x"),
            rename(name, "b"),
            rename("b", name),
            read(name),
            remove(name),
        ];
        if !name.is_empty() {
            all.extend([sync_dir(name), list(name)]); // the empty one is the component's own directory
        }
        case.extend(all.into_iter().map(|op| (op, INVALID)));
    }
    case.push((list(""), files(&[])));
    check("names", ops(case));
}

#[test]
fn streams_from_files() {
    let streamed = |text: &str| Answer::Streamed(bytes(text));
    let mut case = ops(vec![(append("film", "0123456789"), DONE), (append("d/empty", ""), DONE)]);
    case.extend([
        (stream("film", 0, 0, vec![]), streamed("0123456789")),
        (stream("film", 0, 3, vec![]), streamed("0123456789")),
        (stream("film", 4, 3, vec![]), streamed("456789")),
        (stream("film", 4, 6, vec![]), streamed("456789")),
        (stream("film", 10, 1, vec![]), streamed("")),
        (stream("film", u64::MAX, 0, vec![]), streamed("")),
        (stream("d/empty", 0, 0, vec![]), streamed("")),
        (stream("d/empty", 0, 5, vec![]), streamed("")),
        (stream("none", 0, 5, vec![]), Answer::Reset),
        (stream("d", 0, 5, vec![]), Answer::Reset),
        (stream("d/empty/x", 0, 5, vec![]), Answer::Reset),
        (stream("../film", 0, 5, vec![]), Answer::Reset),
        (stream("", 0, 5, vec![]), Answer::Reset),
        (Step::WriteOnStream("film".into()), Answer::Reset),
    ]);
    check("streams", case);
}

#[test]
fn a_stream_has_the_file_that_it_opened_as_long_as_it_then_was() {
    let mut case = Vec::new();
    for (n, (meanwhile, whole)) in [
        (vec![append("film", "abc")], "0123456789"),
        (vec![write_at("film", 2, "abc")], "01abc56789"),
        (vec![write_at("film", 1, "a")], "0123456789"),
        (vec![allocate("film", 5)], "01234"),
        (vec![allocate("film", 1)], "01"),
        (vec![allocate("film", 5), allocate("film", 10)], "01234\0\0\0\0\0"),
        (vec![remove("film")], "0123456789"),
        (vec![rename("film", "other"), append("film", "abc")], "0123456789"),
        (vec![replace("film", "abc")], "0123456789"),
        (vec![remove("film"), sync_dir(""), append("film", "abc"), sync_dir("")], "0123456789"),
    ]
    .into_iter()
    .enumerate()
    {
        case.push((Step::Op(replace("film", "0123456789")), DONE));
        let first = if n == 2 { 2 } else { 2.min(n as u64 + 1) };
        case.push((stream("film", 0, first, meanwhile), Answer::Streamed(bytes(whole))));
    }
    check("streams of files that change", case);
}
