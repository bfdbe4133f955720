//! The netmap as text: which node is in which state.
//!
//! ```text
//!   NETMAP GET, GET-ALL      7000=Alive        sorted by the port's text
//!                            7001=Dead
//!                            OK
//!   NETMAP SET               7000=Alive,7001=Dead
//! ```
//!
//! The old verb knows two states: a node is `Alive` if one may ask it.

use std::collections::BTreeMap;
use std::fmt;

/// Longest text of a port (or, where two nodes of a ring have one, of host and
/// port), in bytes.
pub const PORT_BYTES_MAX: usize = 262;

/// What a node is to the ring.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Status {
    /// It answers.
    Alive,
    /// It did not answer of late.
    Suspect,
    /// It does not answer. It has not left.
    Dead,
    /// It answers and takes no more bytes.
    Full,
    /// It is new and has nothing yet.
    Joining,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 5] = [Status::Alive, Status::Suspect, Status::Dead, Status::Full, Status::Joining];

    /// As `NETMAP GET` prints it.
    pub fn plain(self) -> Status {
        match self {
            Status::Alive | Status::Suspect | Status::Full => Status::Alive,
            Status::Dead | Status::Joining => Status::Dead,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::str::FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Status::ALL.into_iter().find(|status| status.to_string() == text);
        found.ok_or_else(|| format!("'{text}' is no state: Alive, Suspect, Dead, Full or Joining"))
    }
}

/// States by the port's text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Netmap(pub BTreeMap<String, Status>);

impl Netmap {
    /// The lines of `NETMAP GET` (or, with `all`, of `NETMAP GET-ALL`), without the
    /// `OK` behind them.
    pub fn lines(&self, all: bool) -> Vec<String> {
        if self.0.is_empty() {
            return vec!["(empty)".into()];
        }
        let shown = |status: &Status| if all { *status } else { status.plain() };
        self.0.iter().map(|(port, status)| format!("{port}={}", shown(status))).collect()
    }

    /// Reads the lines of an answer, up to its `OK`.
    ///
    /// # Errors
    /// The first that is none.
    pub fn from_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let own = lines.into_iter().map(str::trim_end).take_while(|line| *line != "OK");
        own.filter(|line| *line != "(empty)").try_fold(Netmap::default(), Netmap::with)
    }

    /// Reads `port=State,port=State`; nothing is the empty map.
    ///
    /// # Errors
    /// The first entry that is none.
    pub fn from_entries(text: &str) -> Result<Self, String> {
        text.split(',').filter(|entry| !entry.is_empty()).try_fold(Netmap::default(), Netmap::with)
    }

    /// What [`Netmap::from_entries`] reads.
    pub fn entries(&self) -> String {
        let entries: Vec<String> = self.0.iter().map(|(port, status)| format!("{port}={status}")).collect();
        entries.join(",")
    }

    fn with(mut self, entry: &str) -> Result<Self, String> {
        let (port, status) = entry.split_once('=').ok_or_else(|| format!("'{entry}' is no port=State"))?;
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, ',' | '=');
        if port.is_empty() || port.len() > PORT_BYTES_MAX || !port.chars().all(plain) {
            return Err(format!("'{port}' is no port"));
        }
        self.0.insert(port.to_owned(), status.parse()?);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_states_for_the_old_verb_five_for_the_new() {
        let map = Netmap::from_entries("7004=Joining,7001=Dead,7000=Alive,7002=Suspect,10000=Full").expect("is a map");
        assert_eq!(map.lines(false), ["10000=Alive", "7000=Alive", "7001=Dead", "7002=Alive", "7004=Dead"]);
        assert_eq!(map.lines(true), ["10000=Full", "7000=Alive", "7001=Dead", "7002=Suspect", "7004=Joining"]);
        assert_eq!(Netmap::default().lines(true), ["(empty)"]);
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for none in ["7000", "=Alive", "7000=alive", "7000=Alive=Dead", "70 00=Alive", "7000=Alive;7001=Dead"] {
            assert!(Netmap::from_entries(none).is_err(), "{none}");
        }
        assert_eq!(Netmap::from_lines(["(empty)", "OK"]), Ok(Netmap::default()));
        assert_eq!(
            Netmap::from_lines(["7000=Dead\r", "OK\r", "junk"]).map(|map| map.entries()),
            Ok("7000=Dead".into())
        );
        assert!(Netmap::from_lines(["ERR busy"]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ports in prop::collection::btree_map("[0-9]{1,5}|[a-z.:0-9]{1,20}", 0..5usize, 0..9)) {
            let map = Netmap(ports.into_iter().map(|(port, at)| (port, Status::ALL[at])).collect());
            prop_assert_eq!(Netmap::from_entries(&map.entries()), Ok(map.clone()));
            let lines = map.lines(true);
            prop_assert_eq!(Netmap::from_lines(lines.iter().map(String::as_str)), Ok(map));
        }
    }
}
