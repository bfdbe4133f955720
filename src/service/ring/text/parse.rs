//! A line becomes a request, or what is wrong with it.

use super::super::name::{Name, NameError, parse_part_file, unpercent};
use super::request::{Chunk, Expected, Listing, Rate, Refused, Request, SIZE_MAX};

/// Most names of one page of a list.
const LIST_MAX: u32 = 1000;

type Parsed = Result<Request, Refused>;

/// Reads a line, its end already taken off.
///
/// # Errors
/// What is wrong with it.
pub fn parse(line: &[u8]) -> Parsed {
    let (noun, rest) = field(line);
    let noun = noun.to_ascii_uppercase();
    let (verb, rest) = match &noun[..] {
        b"AUTH" => return Ok(Request::Auth(text(rest).filter(|token| !token.is_empty()).ok_or_else(no_token)?)),
        b"NODE" | b"NETMAP" | b"TOPOLOGY" | b"FILE" => field(rest.unwrap_or_default()),
        _ => {
            let noun = String::from_utf8_lossy(field(line).0).escape_debug().take(64).collect::<String>();
            return Err(Refused::line(format!("unknown command namespace: '{noun}'")));
        }
    };
    let verb = verb.to_ascii_uppercase();
    match &noun[..] {
        b"NODE" => node(&verb, rest),
        b"NETMAP" => netmap(&verb, rest),
        b"TOPOLOGY" => topology(&verb, rest),
        _ => file(&verb, rest),
    }
}

fn node(verb: &[u8], rest: Option<&[u8]>) -> Parsed {
    match verb {
        b"PING" => nothing("NODE PING", rest, Request::Ping),
        b"STATUS" => nothing("NODE STATUS", rest, Request::Status),
        b"HEAL" => nothing("NODE HEAL", rest, Request::Heal),
        b"REBUILD" => nothing("NODE REBUILD", rest, Request::Rebuild),
        b"NEXT" => address("NODE NEXT", rest).map(Request::Next),
        b"DRAIN" => address("NODE DRAIN", rest).map(Request::Drain),
        b"FORGET" => address("NODE FORGET", rest).map(Request::Forget),
        b"WHATIF" => {
            let ports = text(rest).unwrap_or_default();
            let ports: Vec<String> = ports.split(',').map(|port| port.trim().to_owned()).collect();
            if ports.iter().any(|port| !is_word(port)) {
                return Err(Refused::line("NODE WHATIF wants ports: NODE WHATIF 7001,7002"));
            }
            Ok(Request::WhatIf(ports))
        }
        b"REBALANCE" => {
            let rate = rest.filter(|rest| !rest.is_empty());
            let rate = match rate {
                None => Some(Rate::Usual),
                Some(rest) if rest.eq_ignore_ascii_case(b"stop") => Some(Rate::Stop),
                Some(rest) if rest.eq_ignore_ascii_case(b"status") => Some(Rate::Status),
                Some(rest) => number(rest).filter(|bytes| *bytes > 0).map(Rate::Bytes),
            };
            let wrong = || Refused::line("NODE REBALANCE wants bytes a second, or stop, or status, or nothing");
            rate.map(Request::Rebalance).ok_or_else(wrong)
        }
        b"HEAL-HOP" | b"HEAL-DONE" => Err(Refused::line("node verb")),
        _ => Err(Refused::line("unknown NODE command")),
    }
}

fn netmap(verb: &[u8], rest: Option<&[u8]>) -> Parsed {
    match verb {
        b"GET" => nothing("NETMAP GET", rest, Request::Netmap { all: false }),
        b"GET-ALL" => nothing("NETMAP GET-ALL", rest, Request::Netmap { all: true }),
        b"DISCOVER" => nothing("NETMAP DISCOVER", rest, Request::Discover),
        b"HOP" | b"DONE" | b"SET" => Err(Refused::line("node verb")),
        _ => Err(Refused::line("unknown NETMAP command")),
    }
}

fn topology(verb: &[u8], rest: Option<&[u8]>) -> Parsed {
    match verb {
        b"WALK" => nothing("TOPOLOGY WALK", rest, Request::Walk),
        b"HOP" | b"DONE" | b"SET" => Err(Refused::line("node verb")),
        _ => Err(Refused::line("unknown TOPOLOGY command")),
    }
}

fn file(verb: &[u8], rest: Option<&[u8]>) -> Parsed {
    match verb {
        b"LIST" => list(rest),
        b"PUSH" => {
            let (size, rest) = sized("FILE PUSH", rest)?;
            let name = named("FILE PUSH", rest, size)?;
            Ok(Request::Push { size, name })
        }
        b"PUSH-IF" => {
            let (expected, rest) = field(rest.unwrap_or_default());
            let expected = match expected {
                none if none.eq_ignore_ascii_case(b"none") => Some(Expected::Nothing),
                version => number(version).map(Expected::Version),
            };
            let wrong = || Refused::line("invalid version for FILE PUSH-IF: a number, or none");
            let expected = expected.ok_or_else(wrong)?;
            let (size, rest) = sized("FILE PUSH-IF", rest)?;
            let name = named("FILE PUSH-IF", rest, size)?;
            Ok(Request::PushIf { expected, size, name })
        }
        b"GET" => {
            let (offset, rest) = field(rest.unwrap_or_default());
            let (length, rest) = field(rest.unwrap_or_default());
            let (Some(offset), Some(length)) = (number(offset), number(length)) else {
                return Err(Refused::line("invalid range for FILE GET: FILE GET <offset> <length> <name>"));
            };
            Ok(Request::Get { offset, length, name: named("FILE GET", rest, 0)? })
        }
        b"PULL" => named("FILE PULL", rest, 0).map(Request::Pull),
        b"STAT" => named("FILE STAT", rest, 0).map(Request::Stat),
        b"MANIFEST" => named("FILE MANIFEST", rest, 0).map(Request::Manifest),
        b"EXPLAIN" => named("FILE EXPLAIN", rest, 0).map(Request::Explain),
        b"DELETE" => named("FILE DELETE", rest, 0).map(Request::Delete),
        b"UNDO" => named("FILE UNDO", rest, 0).map(Request::Undo),
        b"SCRUB" if rest.is_none_or(<[u8]>::is_empty) => Ok(Request::Scrub(None)),
        b"SCRUB" => named("FILE SCRUB", rest, 0).map(|name| Request::Scrub(Some(name))),
        b"GET-CHUNK" => chunk("FILE GET-CHUNK", rest).map(Request::GetChunk),
        b"GET-BACKUP-CHUNK" => chunk("FILE GET-BACKUP-CHUNK", rest).map(Request::GetBackupChunk),
        b"GET-CHUNK-FOR-BACKUP" => chunk("FILE GET-CHUNK-FOR-BACKUP", rest).map(Request::GetChunkForBackup),
        b"TAGS-SET" | b"NOTIFY-CHUNK-SAVED" => Err(Refused::line("node verb")),
        b"RELAY-STREAM" => Err(Refused { close: true, ..Refused::line("node verb") }),
        _ => Err(Refused::line("unknown FILE command")),
    }
}

fn list(rest: Option<&[u8]>) -> Parsed {
    let Some(rest) = rest.filter(|rest| !rest.is_empty()) else { return Ok(Request::List) };
    let fields: Vec<&[u8]> = rest.split(|byte| *byte == b' ').collect();
    let name = |at: usize| match fields.get(at).copied() {
        None | Some(b"-") => Some(Vec::new()),
        Some(b"") => None,
        Some(text) => unpercent(text),
    };
    let limit = match fields.get(2) {
        None => Some(LIST_MAX),
        Some(limit) => number(limit).filter(|limit| *limit > 0).map(|limit| limit.min(LIST_MAX.into()) as u32),
    };
    match (name(0), name(1), limit, fields.len()) {
        (Some(prefix), Some(after), Some(limit), 1..=3) => Ok(Request::ListPage(Listing { prefix, after, limit })),
        _ => Err(Refused::line(
            "FILE LIST wants nothing, or a prefix, a name to begin behind, and a limit: names percent-encoded, - for none",
        )),
    }
}

/// Up to the first space, and what stands behind it.
fn field(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(space) => (&line[..space], Some(&line[space + 1..])),
        None => (line, None),
    }
}

/// Digits and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

fn text(rest: Option<&[u8]>) -> Option<String> {
    let text = String::from_utf8(rest?.to_vec()).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != ',')
}

fn no_token() -> Refused {
    Refused::line("AUTH the token is missing: AUTH <token>")
}

fn nothing(verb: &str, rest: Option<&[u8]>, request: Request) -> Parsed {
    match rest {
        Some(rest) if !rest.trim_ascii().is_empty() => Err(Refused::line(format!("{verb} takes nothing more"))),
        _ => Ok(request),
    }
}

fn address(verb: &str, rest: Option<&[u8]>) -> Result<String, Refused> {
    let address = text(rest).unwrap_or_default();
    let address = address.trim();
    match address {
        "" => Err(Refused::line(format!("missing address for {verb}"))),
        address if is_word(address) => Ok(address.to_owned()),
        _ => Err(Refused::line(format!("invalid address for {verb}: host:port"))),
    }
}

fn sized<'a>(verb: &str, rest: Option<&'a [u8]>) -> Result<(u64, Option<&'a [u8]>), Refused> {
    let (size, rest) = field(rest.unwrap_or_default());
    let size = number(size).filter(|size| *size <= SIZE_MAX);
    Ok((size.ok_or_else(|| Refused::line(format!("invalid size for {verb}")))?, rest))
}

/// The name that is the rest of the line; where it is refused, `body` bytes follow.
fn named(verb: &str, rest: Option<&[u8]>, body: u64) -> Result<Name, Refused> {
    Name::from_bytes(rest.unwrap_or_default()).map_err(|error| match error {
        NameError::Empty => Refused::line(format!("missing file name for {verb}")),
        error => Refused { body, ..Refused::line(format!("NAME {error}")) },
    })
}

fn chunk(verb: &str, rest: Option<&[u8]>) -> Result<Chunk, Refused> {
    let rest = rest.unwrap_or_default();
    if rest.is_empty() {
        return Err(Refused::line(format!("missing file name for {verb}")));
    }
    let wrong = || Refused::line(format!("invalid chunk for {verb}: <name>.part-001-of-003"));
    let (name, part, parts) = std::str::from_utf8(rest).ok().and_then(parse_part_file).ok_or_else(wrong)?;
    Ok(Chunk { name: named(verb, Some(name.as_bytes()), 0)?, part, parts })
}
