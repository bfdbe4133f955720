//! The layers: imports point down only, and what is below the drivers names
//! no thread, socket, file or clock. Reads the sources, inline paths too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Top-level modules and their layers; what is not listed has none yet.
const LAYERS: &[(&str, u8)] = &[
    ("id", 0),
    ("time", 0),
    ("codec", 0),
    ("envelope", 0),
    ("event", 0),
    ("error", 0),
    ("trace", 0),
    ("lsb", 0),
    ("component", 1),
    ("protocol", 2),
    ("service", 3),
    ("runtime", 4),
    ("transport", 4),
    ("sim", 4),
    ("http", 4),
    ("ring_gateway", 4),
    ("node", 5),
    ("scenario", 5),
    ("cli", 6),
    ("fuzzing", 6),
    ("main", 6),
];

/// Who of layer 4 may use whom of it: the ring's gateway shares the HTTP front's token and rates.
const NEIGHBOURS: &[(&str, &str)] = &[("runtime", "transport"), ("ring_gateway", "http")];

/// Paths that only the drivers and what is above them may name.
const DRIVERS_ONLY: &[(&str, &str)] = &[
    ("std::thread", "threads belong to the runtime: ask for a job or a timer"),
    ("std::fs", "files belong to the runtime: ask for a disk operation"),
    ("std::net", "sockets belong to the transport: send to peers, open a stream"),
    ("std::process", "processes belong to the command"),
    ("std::env", "the environment belongs to the node's configuration"),
    ("std::sync::mpsc", "channels belong to the runtime: make an effect"),
    ("std::time::Instant", "time is handed in: `cx.now()`"),
    ("std::time::SystemTime", "time is handed in: `cx.now()`"),
    ("flume", "channels belong to the runtime: make an effect"),
    ("socket2", "sockets belong to the transport"),
    ("rustix", "system calls belong to the runtime and the transport"),
    ("fastrand::u8", "randomness is handed in: `cx.rng()`"),
    ("fastrand::u32", "randomness is handed in: `cx.rng()`"),
    ("fastrand::u64", "randomness is handed in: `cx.rng()`"),
    ("fastrand::usize", "randomness is handed in: `cx.rng()`"),
    ("fastrand::bool", "randomness is handed in: `cx.rng()`"),
    ("fastrand::shuffle", "randomness is handed in: `cx.rng()`"),
];

/// Names that only the drivers may use, however they are imported.
const DRIVERS_ONLY_NAMES: &[(&str, &str)] = &[
    ("Instant", "time is handed in: `cx.now()`"),
    ("SystemTime", "time is handed in: `cx.now()`"),
    ("HashMap", "its order differs from run to run: use BTreeMap"),
    ("HashSet", "its order differs from run to run: use BTreeSet"),
];

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// The source with comments and literals blanked, lines kept.
fn code_only(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let bytes = source.as_bytes();
    let mut at = 0;
    let blank_to = |out: &mut String, from: usize, to: usize| {
        out.extend(source[from..to].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        to
    };
    while at < bytes.len() {
        let rest = &source[at..];
        let raw = rest.strip_prefix('r').map(|text| text.len() - text.trim_start_matches('#').len());
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw.filter(|hashes| rest[1 + hashes..].starts_with('"')) {
            let close = format!("\"{}", "#".repeat(hashes));
            rest[2 + hashes..].find(&close).map_or(rest.len(), |end| 2 + hashes + end + close.len())
        } else if let Some(inside) = rest.strip_prefix('"') {
            let mut escaped = false;
            let close = inside.find(|c| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            close.map_or(rest.len(), |close| close + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else {
            let c = rest.chars().next().expect("not at the end");
            out.push(c);
            at += c.len_utf8();
            continue;
        };
        at = blank_to(&mut out, at, at + end);
    }
    out
}

/// `code` without its inline test modules, lines kept; and the files that are
/// test modules of their own.
fn without_tests(code: &str) -> (String, Vec<String>) {
    let (mut out, mut files, mut rest) = (String::new(), Vec::new(), code);
    while let Some(start) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..start]);
        rest = &rest[start + "#[cfg(test)]".len()..];
        let ends = rest.find([';', '{']).unwrap_or(rest.len());
        let mut end = ends;
        if rest[ends..].starts_with('{') {
            let mut depth = 0;
            end = rest[ends..]
                .find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth == 0
                })
                .map_or(rest.len(), |length| ends + length);
        } else if let Some((_, name)) = rest[..ends].split_once("mod ") {
            files.push(name.trim().to_string());
        }
        out.extend(rest[..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    out.push_str(rest);
    (out, files)
}

/// Every path in `code`, groups spread out, with its line.
fn paths(code: &str) -> Vec<(usize, String)> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < code.len() {
        let c = code[at..].chars().next().expect("not at the end");
        line += usize::from(c == '\n');
        if !is_name(c) {
            at += c.len_utf8();
            continue;
        }
        let end = path_end(code, at);
        spread("", &code[at..end], line, &mut found);
        line += code[at..end].matches('\n').count();
        at = end;
    }
    found
}

fn path_end(code: &str, start: usize) -> usize {
    let bytes = code.as_bytes();
    let mut at = start;
    loop {
        while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_' || bytes[at] >= 0x80) {
            at += 1;
        }
        if !code[at..].starts_with("::") {
            return at;
        }
        at += 2;
        if bytes.get(at) == Some(&b'{') {
            let mut depth = 0;
            let close = code[at..].find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth == 0
            });
            return close.map_or(code.len(), |close| at + close + 1);
        }
    }
}

fn spread(prefix: &str, path: &str, line: usize, found: &mut Vec<(usize, String)>) {
    let Some(open) = path.find('{') else {
        let name = path.split(" as ").next().unwrap_or(path).trim().trim_end_matches("::");
        found.push((line, format!("{prefix}{name}")));
        return;
    };
    let prefix = format!("{prefix}{}", path[..open].trim());
    let inside = &path[open + 1..path.rfind('}').unwrap_or(path.len())];
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inside.char_indices().chain([(inside.len(), ',')]) {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            let part = &inside[start..at];
            if !part.trim().is_empty() {
                let line = line + inside[..start].matches('\n').count();
                spread(&prefix, part.trim(), line, found);
            }
            start = at + 1;
        }
    }
}

/// `path` from the crate's root, if it begins with `crate` or `super`.
fn from_root(module: &[&str], path: &str) -> Option<Vec<String>> {
    let names: Vec<&str> = path.split("::").collect();
    let ups = names.iter().take_while(|name| **name == "super").count();
    match names[0] {
        "crate" => Some(names[1..].iter().map(ToString::to_string).collect()),
        "super" if ups <= module.len() => {
            let base = module[..module.len() - ups].iter();
            Some(base.chain(&names[ups..]).map(ToString::to_string).collect())
        }
        _ => None,
    }
}

/// What is wrong with the file whose module path is `module`.
fn faults(module: &[&str], source: &str) -> Vec<String> {
    let mut faults = BTreeSet::new();
    let Some(own) = layer(module[0]) else {
        return vec![format!("which layer is `{}`? Add it to the table of this test and to src/README.md", module[0])];
    };
    let (code, _) = without_tests(&code_only(source));
    for (line, path) in paths(&code) {
        let mut fault = |text: String| faults.insert(format!("line {line}: `{path}`: {text}"));
        if let Some(target) = from_root(module, &path).filter(|target| !target.is_empty()) {
            let (to, below) = (target[0].as_str(), target.get(1).map(String::as_str));
            match layer(to) {
                Some(other) if other > own => {
                    fault(format!("imports point down: {} is in layer {own}, {to} in layer {other}", module[0]));
                }
                Some(4) if own == 4 && to != module[0] && !NEIGHBOURS.contains(&(module[0], to)) => {
                    fault(format!("{} and {to} are siblings; only runtime may use transport", module[0]));
                }
                Some(2) if own == 4 && module[0] != "http" && below.is_some_and(|below| below != "link") => {
                    fault("the drivers know no protocol but protocol::link: let the node hand it in".into());
                }
                Some(3) if own == 3 && to == module[0] && below != module.get(1).copied() => {
                    fault("services never import each other: what they share belongs in protocol".into());
                }
                _ => {}
            }
        }
        if own <= 3 {
            let path = path.replacen("core::", "std::", 1);
            for (forbidden, why) in DRIVERS_ONLY {
                if path == *forbidden || path.strip_prefix(forbidden).is_some_and(|rest| rest.starts_with("::")) {
                    fault(format!("not below the drivers; {why}"));
                }
            }
            for (name, why) in DRIVERS_ONLY_NAMES {
                if path.split("::").any(|part| part == *name) {
                    fault(format!("not below the drivers; {why}"));
                }
            }
        }
    }
    faults.into_iter().collect()
}

fn read(dir: &Path, module: &[String], found: &mut Vec<(String, Vec<String>, String)>) {
    let mut entries: Vec<_> =
        fs::read_dir(dir).expect("the sources are there").map(|e| e.expect("readable").path()).collect();
    entries.sort();
    for path in entries {
        let stem = path.file_stem().expect("named").to_string_lossy().into_owned();
        let inside = || module.iter().cloned().chain([stem.clone()]).collect::<Vec<_>>();
        if path.is_dir() {
            read(&path, &inside(), found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = if stem == "mod" { module.to_vec() } else { inside() };
            let source = fs::read_to_string(&path).expect("readable");
            found.push((path.display().to_string(), module, source));
        }
    }
}

#[test]
fn imports_point_down_and_only_drivers_touch_the_machine() {
    let mut files = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut files);
    assert!(files.len() > 20, "the sources were not found");
    let tests: BTreeSet<Vec<String>> = files
        .iter()
        .flat_map(|(_, module, source)| {
            let names = without_tests(&code_only(source)).1;
            names.into_iter().map(|name| module.iter().cloned().chain([name]).collect()).collect::<Vec<_>>()
        })
        .collect();
    let mut report = String::new();
    for (path, module, source) in &files {
        let is_test = (1..=module.len()).any(|length| tests.contains(&module[..length]));
        if module == &["lib"] || is_test {
            continue;
        }
        let names: Vec<&str> = module.iter().map(String::as_str).collect();
        for fault in faults(&names, source) {
            report.push_str(&format!("{path}, {fault}\n"));
        }
    }
    assert!(report.is_empty(), "the layers are described in src/README.md\n{report}");
}

#[track_caller]
fn check(module: &[&str], source: &str, expected: &[&str]) {
    let found = faults(module, source);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (fault, expected) in found.iter().zip(expected) {
        assert!(fault.contains(expected), "{fault}");
    }
}

#[test]
fn planted_imports_are_caught() {
    let link = &["protocol", "link"];
    check(link, "use crate::node::Node;", &["line 1: `crate::node::Node`: imports point down"]);
    check(link, "\nfn f() { crate::runtime::start() }", &["line 2: `crate::runtime::start`: imports point down"]);
    check(link, "use crate::{id::Life, sim::{World, Net}};", &["`crate::sim::Net`", "`crate::sim::World`"]);
    check(link, "use super::super::cli::run;", &["`super::super::cli::run`: imports point down"]);
    check(&["runtime"], "use crate::sim::World;", &["siblings"]);
    check(&["runtime"], "use crate::protocol::delivery::Delivery;", &["no protocol but"]);
    check(&["service", "stego"], "use crate::service::ring::Ring;", &["never import each other"]);
    check(&["stranger"], "", &["which layer is `stranger`?"]);
}

#[test]
fn planted_threads_files_and_clocks_are_caught() {
    let delivery = &["protocol", "delivery", "core"];
    check(delivery, "use std::thread;", &["threads belong to the runtime"]);
    check(delivery, "use std::{fs::File, io};", &["files belong to the runtime"]);
    check(delivery, "let a: std::net::SocketAddr;", &["sockets belong to the transport"]);
    check(delivery, "let t = Instant::now();", &["time is handed in"]);
    check(delivery, "use std::time::{Duration, SystemTime};", &["`std::time::SystemTime`"]);
    check(delivery, "let n = fastrand::u64(..);", &["randomness is handed in"]);
    check(delivery, "use std::collections::HashMap;", &["its order differs"]);
}

#[test]
fn what_is_allowed_passes() {
    check(&["protocol", "link"], "use crate::id::Life; use super::delivery::Delivery;", &[]);
    check(&["runtime"], "use crate::transport::Links; use crate::protocol::link::Link; use std::thread;", &[]);
    check(&["id"], "// use crate::node::Node;\n/* crate::sim */ const A: &str = \"crate::cli::x\";", &[]);
    check(
        &["id"],
        "const A: &str = r#\"crate::cli \" x\"#; const B: char = '\"'; const C: &str = \"\\\"std::fs\";",
        &[],
    );
    check(&["id"], "#[cfg(test)]\nmod tests { use crate::sim::World; fn f() { { } } }", &[]);
    check(&["service", "stego"], "use crate::service::stego::Task; use crate::protocol::clock;", &[]);
    check(&["id"], "#[cfg(test)]\nmod tests { }\nuse crate::sim::World;", &["line 3"]);
}
