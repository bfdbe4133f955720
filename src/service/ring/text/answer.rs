//! Answers as clients read them: what [`reply`](super::reply) writes.

use super::super::durability::Durability;
use super::super::name::unpercent;
use super::reply::{CSV_HEADER, Code};
use thiserror::Error;

/// Why there is no answer in an answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NoAnswer {
    /// The node refused, or could not.
    #[error("{text}")]
    Refused {
        /// What went wrong, where the node says so.
        code: Option<Code>,
        /// All that stands behind `ERR `.
        text: String,
    },
    /// The node says something else.
    #[error("'{0}' is no answer to that")]
    Odd(String),
}

/// What `FILE STAT` tells.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the fields of the answer
pub struct Stat {
    pub size: u64,
    pub root: String,
    pub version: u64,
    pub parts: u64,
    pub copies: u64,
    pub mtime_ms: u64,
    pub deleted: bool,
}

/// What `FILE PUSH` tells in its second line.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the fields of the answer
pub struct Pushed {
    pub size: u64,
    pub root: String,
    pub version: u64,
    pub copies: u64,
    pub durability: Durability,
}

/// One row of `FILE LIST`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the columns
pub struct Row {
    pub name: String,
    pub start: String,
    pub size: u64,
    pub version: u64,
    pub parts: u64,
    pub copies: u64,
    pub mtime_ms: u64,
    pub root: String,
}

/// What stands before the bytes of `FILE GET`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the fields of the answer
pub struct Ranged {
    pub length: u64,
    pub size: u64,
    pub version: u64,
}

/// A line of a page of `FILE LIST`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listed {
    /// The line that names the columns.
    Header,
    /// A file.
    Row(Row),
    /// The page is over; more follow behind this name.
    End(Option<Vec<u8>>),
}

/// The line, unless it is an error.
///
/// # Errors
/// It is one.
pub fn accepted(line: &str) -> Result<&str, NoAnswer> {
    let Some(text) = line.strip_prefix("ERR ") else { return Ok(line) };
    let first = text.split(' ').next().unwrap_or_default();
    let mut code = Code::ALL.into_iter().find(|code| code.text() == first);
    if text == "file not found" {
        code = Some(Code::NotFound);
    }
    Err(NoAnswer::Refused { code, text: text.to_owned() })
}

fn odd(line: &str) -> NoAnswer {
    NoAnswer::Odd(line.chars().take(100).collect())
}

/// `line` as fields behind `OK `; keys before `=` have to be as named.
fn fields<const N: usize>(line: &str, keys: [&str; N]) -> Result<[String; N], NoAnswer> {
    let given = accepted(line)?.strip_prefix("OK ").ok_or_else(|| odd(line))?;
    let values: Option<Vec<String>> =
        given.split(' ').zip(keys).map(|(field, key)| field.strip_prefix(key).map(str::to_owned)).collect();
    values.and_then(|values| values.try_into().ok()).ok_or_else(|| odd(line))
}

fn number(text: &str, line: &str) -> Result<u64, NoAnswer> {
    text.parse().map_err(|_| odd(line))
}

impl Stat {
    /// Reads the line.
    ///
    /// # Errors
    /// The node refused; or it is none.
    pub fn read(line: &str) -> Result<Self, NoAnswer> {
        let [size, root, version, parts, copies, mtime, state] =
            fields(line, ["", "", "v", "parts=", "copies=", "mtime=", "state="])?;
        let of = |text: &str| number(text, line);
        Ok(Stat {
            size: of(&size)?,
            root,
            version: of(&version)?,
            parts: of(&parts)?,
            copies: of(&copies)?,
            mtime_ms: of(&mtime)?,
            deleted: state == "deleted",
        })
    }
}

impl Pushed {
    /// Reads the second line.
    ///
    /// # Errors
    /// The node refused; or it is none.
    pub fn read(line: &str) -> Result<Self, NoAnswer> {
        let [size, root, version, copies, level] = fields(line, ["", "", "v", "copies=", "durability="])?;
        let of = |text: &str| number(text, line);
        let durability = level.parse().map_err(|_| odd(line))?;
        Ok(Pushed { size: of(&size)?, root, version: of(&version)?, copies: of(&copies)?, durability })
    }
}

impl Ranged {
    /// Reads the line.
    ///
    /// # Errors
    /// The node refused; or it is none.
    pub fn read(line: &str) -> Result<Self, NoAnswer> {
        let [length, _of, size, version] = fields(line, ["", "of", "", "v"])?;
        let of = |text: &str| number(text, line);
        Ok(Ranged { length: of(&length)?, size: of(&size)?, version: of(&version)? })
    }
}

/// Reads the version of `OK v<version>`.
///
/// # Errors
/// The node refused; or it is none.
pub fn version(line: &str) -> Result<u64, NoAnswer> {
    let [version] = fields(line, ["v"])?;
    number(&version, line)
}

impl Listed {
    /// Reads a line of a page. A file may be named as the end is written, and has
    /// commas behind it then.
    ///
    /// # Errors
    /// The node refused; or it is none.
    pub fn read(line: &str) -> Result<Self, NoAnswer> {
        if line == CSV_HEADER.trim_end() {
            return Ok(Listed::Header);
        }
        if let Some(row) = Row::read(line) {
            return Ok(Listed::Row(row));
        }
        match (accepted(line)?, line.strip_prefix("OK after=")) {
            ("OK", _) => Ok(Listed::End(None)),
            (_, Some(after)) => {
                unpercent(after.as_bytes()).map(|after| Listed::End(Some(after))).ok_or_else(|| odd(line))
            }
            _ => Err(odd(line)),
        }
    }
}

impl Row {
    /// Reads a row; columns behind those that are known are left out.
    pub fn read(line: &str) -> Option<Self> {
        let mut columns = columns(line)?.into_iter();
        let (name, start) = (columns.next()?, columns.next()?);
        let mut number = || columns.next()?.parse::<u64>().ok();
        let (size, version, parts, copies, mtime_ms) = (number()?, number()?, number()?, number()?, number()?);
        Some(Row { name, start, size, version, parts, copies, mtime_ms, root: columns.next()? })
    }
}

/// The columns of a line of a CSV (RFC 4180).
fn columns(line: &str) -> Option<Vec<String>> {
    let (mut columns, mut rest) = (Vec::new(), line);
    loop {
        let mut column = String::new();
        if let Some(mut inside) = rest.strip_prefix('"') {
            loop {
                let (text, behind) = inside.split_once('"')?;
                column.push_str(text);
                match behind.strip_prefix('"') {
                    Some(more) => {
                        column.push('"');
                        inside = more;
                    }
                    None => {
                        rest = behind;
                        break;
                    }
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            column.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        columns.push(column);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Some(columns),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::manifest::tests::manifest;
    use super::super::super::name::Name;
    use super::super::reply;
    use super::*;

    #[test]
    fn what_nodes_write_is_read() {
        let root = "aa".repeat(32);
        for name in ["a", "a,\"b\" ", " OK", "OK", "OK after=x", "ERR x", "\"", "ä,"] {
            let file = manifest(name, 3, 16 << 20, &[1, 2, 3, 4, 5]);
            let row = reply::csv_row(&file, "7000");
            let Ok(Listed::Row(row)) = Listed::read(row.trim_end_matches('\n')) else { panic!("{row}") };
            assert_eq!((row.name.as_str(), row.start.as_str(), row.size, &row.root), (name, "7000", 16 << 20, &root));
        }
        let file = manifest("a", 3, 16 << 20, &[1, 2, 3, 4, 5]);
        let stat = Stat::read(reply::stat(&file).trim_end()).expect("a stat");
        assert_eq!((stat.size, stat.version, stat.parts, stat.copies, stat.deleted), (16 << 20, 3, 5, 2, false));
        let pushed = reply::pushed(&file, 2, Durability::Strict);
        let pushed = Pushed::read(pushed.lines().nth(1).expect("two lines")).expect("a receipt");
        assert_eq!((pushed.size, pushed.root, pushed.version, pushed.copies), (16 << 20, root, 3, 2));
        let ranged = Ranged::read(reply::range(5, &file).trim_end());
        assert_eq!(ranged, Ok(Ranged { length: 5, size: 16 << 20, version: 3 }));
        let name = Name::from_bytes(b"a b").expect("a name");
        assert_eq!(Listed::read(reply::page_end(Some(&name)).trim_end()), Ok(Listed::End(Some(b"a b".to_vec()))));
        assert_eq!(Listed::read(reply::page_end(None).trim_end()), Ok(Listed::End(None)));
        assert_eq!(Listed::read(reply::CSV_HEADER.trim_end()), Ok(Listed::Header));
        assert_eq!(version("OK v7"), Ok(7));
    }

    #[test]
    fn refusals_and_nonsense_are_told_apart() {
        let code = |line: &str| match Stat::read(line) {
            Err(NoAnswer::Refused { code, .. }) => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code("ERR file not found"), Some(Code::NotFound));
        assert_eq!(code("ERR node verb"), None);
        for known in Code::ALL {
            assert_eq!(code(reply::coded(known, "why").trim_end()), Some(known));
        }
        for odd in ["", "OK", "OK 1", "OK x y vz parts=1 copies=1 mtime=1 state=live", "PONG", "\"", "OK after=%z"] {
            assert!(matches!(Stat::read(odd), Err(NoAnswer::Odd(_))), "{odd}");
            assert!(matches!(Ranged::read(odd), Err(NoAnswer::Odd(_))), "{odd}");
        }
    }
}
