use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn name(text: &str) -> Name {
    Name::from_bytes(text.as_bytes()).expect("is taken")
}

#[test]
fn the_zoo_is_refused() {
    let long = "x".repeat(1025);
    let refused: [(&[u8], NameError); 18] = [
        (b"", NameError::Empty),
        (b"../x", NameError::Dots),
        (b"/etc/x", NameError::Absolute),
        (b"a/../../b", NameError::Dots),
        (b".", NameError::Dots),
        (b"..", NameError::Dots),
        (b"a/.", NameError::Dots),
        (b"a/./b", NameError::Dots),
        (b"/", NameError::Absolute),
        (long.as_bytes(), NameError::Long(1025)),
        (b"a\tb", NameError::Control(1)),
        (b"a\0", NameError::Control(1)),
        (b"a\rb", NameError::Control(1)),
        (b"ab\n", NameError::Control(2)),
        (b"\x1b[2J", NameError::Control(0)),
        (b"del\x7f", NameError::Control(3)),
        (b"caf\xe9", NameError::NotUtf8(3)),
        ("c1\u{9b}2J".as_bytes(), NameError::Control(2)),
    ];
    for (bytes, error) in refused {
        assert_eq!(Name::from_bytes(bytes), Err(error), "{bytes:?}");
    }
}

/// Everything else is kept exactly, under a key of its own.
#[test]
fn the_zoo_is_kept_exactly() {
    let mut kept: Vec<String> = [
        "-rf",
        "a b",
        " a",
        "a ",
        "a\"b",
        "a'b",
        "a,b",
        "%2e%2e",
        "%2E%2E",
        "%2E",
        "..\\x",
        "C:\\x",
        "a//b",
        "a/",
        "...",
        "..a",
        ".hidden",
        "x",
        "x.part-001-of-003",
        "x.part-001-of-003.part-001-of-003",
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{1f980}",
        "con",
        "~",
        "a~",
        "*",
        "?",
        "x%-y",
        "a.b.c",
        "LIST",
        "OK",
    ]
    .map(String::from)
    .into();
    kept.extend([199, 200, 201, 255, 469, 470, 471, 512, 1023, 1024].map(|length| "y".repeat(length)));
    kept.extend(["\u{e9}", "\u{1f980}"].map(|c| c.repeat(250)));
    let (mut keys, mut map_keys) = (BTreeSet::new(), BTreeSet::new());
    for text in &kept {
        let name = name(text);
        assert_eq!(name.as_str(), text);
        let key = name.key();
        assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-%".contains(&b)), "{key}");
        assert!(!key.starts_with('.') && key.len() <= 216, "{key}");
        assert!(name.part_file(u16::MAX, u16::MAX).len() <= 254);
        if !key.contains(CUT) {
            assert_eq!(Name::from_key(&key), Some(name.clone()), "{key}");
        } else {
            assert_eq!(Name::from_key(&key), None, "a hash is no name");
        }
        assert!(keys.insert(key), "{text}: a key of its own");
        let map_key = name.map_key(b"ring/f/");
        assert!(map_key.len() <= 512);
        assert!(map_keys.insert(map_key), "{text}: a key of its own in the map");
    }
}

#[test]
fn what_was_not_made_by_the_encoding_is_no_key() {
    for key in ["", "%2e%2e", "%41", "a/b", "..", ".x", "%2", "%zz", "%00", "a b", "%E9"] {
        assert_eq!(Name::from_key(key), None, "{key}");
    }
}

#[test]
fn files_of_parts() {
    assert_eq!(name("a b").part_file(2, 3), "a%20b.part-002-of-003");
    assert_eq!(name("x").part_file(1000, 1234), "x.part-1000-of-1234");
    let zoo = name("x.part-001-of-003");
    assert_eq!(parse_part_file(&zoo.part_file(2, 5)), Some(("x.part-001-of-003", 2, 5)));
    assert_eq!(parse_part_file("x.part-001-of-003"), Some(("x", 1, 3)));
    for none in ["x", "x.part-001", "x.part-000-of-003", "x.part-004-of-003", "x.part-1-of-003", ".part-001-of-001"] {
        assert_eq!(parse_part_file(none), None, "{none}");
    }
    for none in ["x.part-+01-of-003", "x.part-0001-of-003", "x.part-001-of-003.tmp", "x.part-001-of-99999"] {
        assert_eq!(parse_part_file(none), None, "{none}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c/.% -]{0,12}",
        "\\PC{0,40}",
        (460usize..480, "[ab]{0,3}").prop_map(|(length, tail)| "z".repeat(length) + &tail),
        (140usize..210, "[a%.\u{e9}]{0,9}").prop_map(|(length, tail)| "z".repeat(length) + &tail),
    ]
}

proptest! {
    #[test]
    fn keys_are_plain_and_apart(a in text(), b in text()) {
        let (a, b) = (Name::from_bytes(a.as_bytes()), Name::from_bytes(b.as_bytes()));
        if let (Ok(a), Ok(b)) = (a, b) {
            prop_assert_eq!(a == b, a.key() == b.key());
            prop_assert_eq!(a == b, a.map_key(b"f/") == b.map_key(b"f/"));
            if !a.shares_head(&b) {
                prop_assert_eq!(a.cmp(&b), a.map_key(b"f/").cmp(&b.map_key(b"f/")));
            }
            prop_assert!(!a.key().contains('/') && !a.key().starts_with('.'));
            let (file, key) = (a.part_file(3, 7), a.key());
            prop_assert_eq!(parse_part_file(&file), Some((key.as_str(), 3, 7)));
        }
    }

    #[test]
    fn any_key_names_one_name_or_none(key in "\\PC{0,20}") {
        if let Some(name) = Name::from_key(&key) {
            prop_assert_eq!(name.key(), key);
        }
    }

    #[test]
    fn escapes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        prop_assert_eq!(unpercent(percent(&bytes, true).as_bytes()), Some(bytes));
    }
}
