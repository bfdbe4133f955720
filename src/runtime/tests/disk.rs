//! Real files: disk operations, incarnations, the directory's lock.

use super::*;
use crate::component::{DiskDone, DiskOp};
use bytes::Bytes;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A directory of its own for one test, removed afterwards.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("nodewright-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a temporary directory");
        Directory(dir)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.clone()
    }

    pub(super) fn file(&self, name: &str) -> File {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("below")).expect("a directory");
        File::create(path).expect("a file")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Results = Arc<Mutex<Vec<Result<String, ErrorKind>>>>;

/// Performs the operations in order at its start.
fn clerk(ops: Vec<DiskOp>, results: Results) -> Stack {
    let clerk = little(named("clerk"), move || {
        let (ops, results) = (ops.clone(), results.clone());
        move |input: Input<'_, Little>, cx: &mut Context<'_, Little>| {
            match input {
                Input::Started(_) => ops.iter().for_each(|op| {
                    cx.disk(op.clone());
                }),
                Input::Disk { token, result } => {
                    let mut results = results.lock().expect("not poisoned");
                    assert_eq!(token.0, results.len() as u64, "out of order");
                    results.push(match result {
                        Ok(DiskDone::Ok) => Ok("ok".into()),
                        Ok(DiskDone::Read(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                        Ok(DiskDone::List(files)) => Ok(format!("{files:?}")),
                        Err(error) => Err(error.kind()),
                    });
                }
                _ => {}
            }
            Ok(())
        }
    });
    Stack { factories: vec![clerk] }
}

#[test]
fn disk_operations_are_performed_in_order_inside_the_component_s_directory() {
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let name = |name: &str| name.to_owned();
    let read = |name: &str, offset, bytes| DiskOp::Read { name: name.into(), offset, bytes };
    let ops = vec![
        (DiskOp::List { name: name("") }, Ok("[]")),
        (DiskOp::Append { name: name("log"), bytes: text("one") }, Ok("ok")),
        (DiskOp::Append { name: name("log"), bytes: text("two") }, Ok("ok")),
        (DiskOp::Sync { name: name("log") }, Ok("ok")),
        (read("log", 1, 4), Ok("netw")),
        (read("log", 4, u64::MAX), Ok("wo")),
        (read("log", 99, 4), Ok("")),
        (DiskOp::WriteAt { name: name("log"), offset: 3, bytes: text("TWO!") }, Ok("ok")),
        (read("log", 0, 100), Ok("oneTWO!")),
        (DiskOp::Replace { name: name("deep/er/state"), bytes: text("old") }, Ok("ok")),
        (DiskOp::Replace { name: name("deep/er/state"), bytes: text("new") }, Ok("ok")),
        (read("deep/er/state", 0, 100), Ok("new")),
        (DiskOp::Allocate { name: name("log"), bytes: 9 }, Ok("ok")),
        (read("log", 0, 100), Ok("oneTWO!\0\0")),
        (DiskOp::Allocate { name: name("log"), bytes: 3 }, Ok("ok")),
        (DiskOp::Rename { from: name("log"), to: name("deep/log") }, Ok("ok")),
        (DiskOp::SyncDir { name: name("deep") }, Ok("ok")),
        (DiskOp::SyncDir { name: name("") }, Ok("ok")),
        (DiskOp::List { name: name("deep") }, Ok("[(\"log\", 3)]")),
        (DiskOp::Remove { name: name("deep/log") }, Ok("ok")),
        (DiskOp::Remove { name: name("deep/log") }, Ok("ok")),
        (read("deep/log", 0, 1), Err(ErrorKind::NotFound)),
        (DiskOp::Sync { name: name("deep/log") }, Err(ErrorKind::NotFound)),
        (DiskOp::Append { name: name("../outside"), bytes: text("no") }, Err(ErrorKind::InvalidInput)),
        (DiskOp::Append { name: name("/outside"), bytes: text("no") }, Err(ErrorKind::InvalidInput)),
        (DiskOp::Remove { name: name("deep/../../clerk/x") }, Err(ErrorKind::InvalidInput)),
        (DiskOp::Remove { name: name("") }, Err(ErrorKind::InvalidInput)),
        (DiskOp::Append { name: name("a\0b"), bytes: text("no") }, Err(ErrorKind::InvalidInput)),
    ];
    let (ops, wanted): (Vec<_>, Vec<_>) = ops.into_iter().unzip();
    let (results, dir) = (Results::default(), Directory::new("disk"));
    let options = Options { dir: Some(dir.path()), ..Options::new("disk") };
    let handle = start(clerk(ops, results.clone()), options).expect("starts");
    until("all operations", || results.lock().expect("not poisoned").len() == wanted.len());
    for (n, (got, wanted)) in results.lock().expect("not poisoned").iter().zip(&wanted).enumerate() {
        assert_eq!(got.as_deref().map_err(|kind| *kind), *wanted, "operation {n}");
    }
    assert!(!dir.path().join("outside").exists());
    handle.stop();
}

#[test]
fn without_a_directory_disk_operations_fail() {
    let results = Results::default();
    let ops = vec![DiskOp::List { name: String::new() }];
    let handle = start(clerk(ops, results.clone()), Options::new("diskless")).expect("starts");
    until("an answer", || *results.lock().expect("not poisoned") == [Err(ErrorKind::Unsupported)]);
    handle.stop();
}

#[test]
fn every_start_is_a_later_life_and_two_nodes_do_not_share_a_directory() {
    let dir = Directory::new("lives");
    let options = || Options { dir: Some(dir.path()), ..Options::new("lives") };
    let first = start(Stack::default(), options()).expect("starts");
    let life = first.life();
    let shared = start(Stack::default(), options());
    assert!(matches!(&shared, Err(StartError::Dir(DirError::InUse(_)))), "{shared:?}");
    first.stop();
    let kept = fs::read_to_string(dir.path().join("incarnation")).expect("kept");
    assert_eq!(kept.trim(), life.incarnation.0.to_string());
    let second = start(Stack::default(), options()).expect("starts again");
    assert_eq!(second.life().incarnation.0, life.incarnation.0 + 1);
    second.stop();
    fs::write(dir.path().join("incarnation"), "many").expect("written");
    let broken = start(Stack::default(), options());
    assert!(matches!(&broken, Err(StartError::Dir(DirError::NoNumber(_)))), "{broken:?}");
}

#[test]
fn no_life_follows_the_greatest_that_can_be_counted() {
    let dir = Directory::new("greatest");
    fs::write(dir.path().join("incarnation"), u64::MAX.to_string()).expect("written");
    let none = start(Stack::default(), Options { dir: Some(dir.path()), ..Options::new("greatest") });
    assert!(matches!(&none, Err(StartError::Dir(DirError::NoneLeft(_)))), "{none:?}");
}
