//! What must hold once all faults have stopped.

use super::{Run, millis};
use crate::id::Kind;
use crate::service::ring::member::{Call, Cut, NAME};
use crate::sim::check::Violation;
use crate::sim::{NodeIndex, World};
use bytes::Bytes;

/// A byte that is read is a byte that was pushed.
pub(super) const NO_CREATION: &str = "no wrong byte";
/// What was acknowledged is there.
pub(super) const DURABLE: &str = "durability";
/// What the list names can be read, at every node.
pub(super) const READABLE: &str = "what is listed can be read";
/// Versions are acknowledged once.
pub(super) const ONE_ORDER: &str = "one order of versions";
/// All nodes list the same.
pub(super) const SAME_LIST: &str = "one list";
/// Nothing is left in stage.
pub(super) const NOTHING_STAGED: &str = "nothing is left in stage";
/// Every part has its copies, and they are right.
pub(super) const REDUNDANT: &str = "copies are whole";
/// It answers.
pub(super) const TERMINATION: &str = "termination";

/// A row of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Row {
    name: String,
    version: u64,
    root: String,
}

pub(super) fn judge(run: &mut Run<'_>) -> Result<(), Violation> {
    if let Some(wrong) = run.users.wrong.take() {
        return Err(wrong);
    }
    let nodes: Vec<NodeIndex> = run.world.all().collect();
    // read before anything is repaired by being looked at
    let rows = lists(&mut run.world, &nodes)?;
    readable(run, &nodes, &rows)?;
    durable(run, &rows)?;
    scrubbed(run)?;
    readable(run, &nodes, &rows)?;
    for node in &nodes {
        let staged = run.world.inspect_row(*node, "ring_holder", "staged").unwrap_or_default();
        if staged != "0" {
            return Err(Violation::new(NOTHING_STAGED, format!("{node:?}: {staged}")));
        }
    }
    match run.users.wrong.take() {
        Some(wrong) => Err(wrong),
        None => Ok(()),
    }
}

pub(super) fn talk(world: &mut World, node: NodeIndex, text: &str) -> Result<Bytes, Violation> {
    let call = Call::Talk(Bytes::copy_from_slice(text.as_bytes()));
    match world.ask::<Result<Bytes, Cut>>(node, Kind::of(NAME), call, millis(60_000)) {
        Ok(Ok(bytes)) => Ok(bytes),
        other => Err(Violation::new(TERMINATION, format!("{node:?}: {:?}: {other:?}", text.trim_end()))),
    }
}

fn lists(world: &mut World, nodes: &[NodeIndex]) -> Result<Vec<Row>, Violation> {
    let mut first: Option<Vec<Row>> = None;
    for node in nodes {
        let text = String::from_utf8_lossy(&talk(world, *node, "FILE LIST\n")?).into_owned();
        let row = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            Some(Row {
                name: (*fields.first()?).to_owned(),
                version: fields.get(3)?.parse().ok()?,
                root: (*fields.last()?).to_owned(),
            })
        };
        let rows: Vec<Row> = text.lines().skip(1).filter_map(row).collect();
        match &first {
            None => first = Some(rows),
            Some(before) if *before != rows => {
                return Err(Violation::new(SAME_LIST, format!("{node:?}: {before:?} and {text:?}")));
            }
            Some(_) => {}
        }
    }
    Ok(first.unwrap_or_default())
}

/// Whether a file's copies may all be gone: it was acknowledged with fewer than
/// there should be, and a disk was lost or rotted.
fn may_be_lost(run: &Run<'_>, name: &str) -> bool {
    let struck = u64::from(run.lost.is_some()) + u64::from(run.rotted > 0);
    let contents = run.users.contents.get(name).into_iter().flatten();
    contents.filter_map(|content| content.acknowledged).any(|(_, copies)| copies <= struck)
        || struck > 0 && run.users.unsure.contains(name)
}

fn readable(run: &mut Run<'_>, nodes: &[NodeIndex], rows: &[Row]) -> Result<(), Violation> {
    for row in rows {
        let Some(file) = run.users.contents.keys().copied().find(|file| *file == row.name) else {
            return Err(Violation::new(NO_CREATION, format!("{row:?} is listed, and nobody pushed it")));
        };
        for node in nodes {
            let answer = talk(&mut run.world, *node, &format!("FILE GET 0 9999999999 {file}\n"))?;
            if answer.starts_with(b"ERR") {
                if may_be_lost(run, file) {
                    continue;
                }
                let why = format!("{node:?}: {row:?}: {}", String::from_utf8_lossy(&answer));
                return Err(Violation::new(READABLE, why));
            }
            run.users.read(file, &answer);
            let end = answer.iter().position(|byte| *byte == b'\n').map_or(answer.len(), |end| end + 1);
            if blake3::hash(&answer[end..]).to_hex().as_str() != row.root {
                return Err(Violation::new(NO_CREATION, format!("{node:?}: {row:?} is not what was read")));
            }
        }
    }
    Ok(())
}

/// The newest that anybody was told of a file is what it is, or what came later and
/// nobody was told of.
fn durable(run: &Run<'_>, rows: &[Row]) -> Result<(), Violation> {
    for (file, (version, content)) in &run.users.newest {
        if run.users.forgotten.contains(file) {
            continue; // a version says no more which is the newer
        }
        let row = rows.iter().find(|row| row.name == *file);
        let unsure = run.users.unsure.contains(file);
        let wrong = match (row, content) {
            (None, Some(_)) => !unsure,
            (Some(row), _) if row.version < *version => true,
            (Some(row), Some(nth)) if row.version == *version => !is_content(run, file, *nth, row),
            // files move to other nodes, and have the next version then
            (Some(row), Some(nth)) => !unsure && !is_content(run, file, *nth, row),
            (Some(_), None) => !unsure,
            (None, None) => false,
        };
        if wrong {
            let why = format!("{file:?}: version {version} was acknowledged, {row:?} is there");
            return Err(Violation::new(DURABLE, why));
        }
    }
    Ok(())
}

fn is_content(run: &Run<'_>, file: &str, nth: usize, row: &Row) -> bool {
    let content = run.users.contents.get(file).and_then(|all| all.get(nth));
    content.is_some_and(|content| blake3::hash(&content.bytes).to_hex().as_str() == row.root)
}

/// All copies are read whole; what is wrong is repaired, and then none is.
fn scrubbed(run: &mut Run<'_>) -> Result<(), Violation> {
    let mut last = String::new();
    for _ in 0..12 {
        let at = NodeIndex(run.world.rng().usize(0..run.setup.nodes));
        last = String::from_utf8_lossy(&talk(&mut run.world, at, "FILE SCRUB\n")?).into_owned();
        if last.contains("bad=0") {
            return Ok(());
        }
        run.run_for(millis(5000));
    }
    let files: Vec<&'static str> = run.users.contents.keys().copied().collect();
    let mut told = Vec::new();
    for file in files {
        if may_be_lost(run, file) {
            return Ok(());
        }
        told.push(talk(&mut run.world, NodeIndex(0), &format!("FILE EXPLAIN {file}\n"))?);
    }
    Err(Violation::new(REDUNDANT, format!("{last}: {told:?}")))
}
