//! The bodies over the kept corpus, and over what nobody chose; and what they
//! must notice.

use super::{BODIES, body};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// The kept inputs of a body. A file is an input; its name says what it shows,
/// or is the fuzzer's.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let files = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut inputs: Vec<(String, Vec<u8>)> = files
        .map(|file| {
            let path = file.expect("is listed").path();
            let input = std::fs::read(&path).expect("is read");
            (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), input)
        })
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 4, "{name} has a corpus");
    inputs
}

#[test]
fn the_kept_corpus_breaks_no_promise() {
    for &(name, body) in BODIES {
        for (file, input) in corpus(name) {
            let judged = catch_unwind(AssertUnwindSafe(|| body(&input)));
            assert!(judged.is_ok(), "{name}: tests/corpus/{name}/{file}");
        }
    }
}

/// Every folder of the corpus belongs to a body.
#[test]
fn no_corpus_is_left_over() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for folder in std::fs::read_dir(dir).expect("is there") {
        body(&folder.expect("is listed").file_name().to_string_lossy());
    }
}

fn is_caught(planted: fn(&[u8]), name: &str) -> bool {
    corpus(name).iter().any(|(_, input)| catch_unwind(|| planted(input)).is_err())
}

#[test]
fn planted_bugs_are_caught_by_the_corpus() {
    use crate::protocol::delivery::fuzzing::believed;
    use crate::transport::fuzzing::planted;
    assert!(is_caught(planted::trusts_a_length, "frames"), "a declared length gets its room");
    assert!(is_caught(planted::has_no_patience, "frames"), "half a frame is junk");
    #[cfg(feature = "ring")]
    {
        use crate::service::ring::fuzzing::planted;
        assert!(is_caught(planted::forgets_half_a_line, "ring"), "half a line is forgotten");
        assert!(is_caught(planted::stops_at_damage, "ring"), "damage hides what stands behind it");
    }
    assert!(is_caught(believed, "messages"), "a batch is taken at its word");
    #[cfg(feature = "stego")]
    {
        let trusting = crate::service::stego::fuzzing::trusts_a_length;
        assert!(is_caught(trusting, "stego"), "a length read from noise gets its room");
    }
    #[cfg(feature = "documents")]
    {
        use crate::service::documents::query::naive::{planted_floats, planted_open_strings};
        assert!(is_caught(planted_floats, "query"), "integers compared as floats");
        assert!(is_caught(planted_open_strings, "query"), "strings without an end in keys");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn nothing_at_random_breaks_a_promise(input in prop::collection::vec(any::<u8>(), 0..400)) {
        for (_, body) in BODIES.iter().filter(|(name, _)| !["handshake", "simulation"].contains(name)) {
            body(&input);
        }
    }
}
