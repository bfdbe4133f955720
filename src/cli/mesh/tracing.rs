//! The trace of a run: each process records its own, this one what it does to
//! them; in the end they are merged.

use crate::cli::{Failure, traces};
use crate::id::Life;
use crate::trace::{Clock, Header, Record, Tail, Trace, What};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the nodes record, and what was done to them.
pub(super) struct Tracing {
    /// Where the whole goes; none if the directory itself was asked for.
    file: Option<PathBuf>,
    dir: PathBuf,
    epoch_unix_ns: u64,
    marks: Vec<Record>,
    /// The newest life of each node.
    pub(super) lives: Vec<Option<Life>>,
}

/// The file with what was done to the nodes.
const PLAN: &str = "plan.trace";

impl Tracing {
    /// Recording into `path`: a directory that is there, or a file that is to
    /// be made, while the nodes' own go into `dir`.
    pub(super) fn new(path: &Path, dir: &Path, nodes: usize) -> Result<Self, Failure> {
        let (file, dir) = match path.is_dir() {
            true => (None, path.to_path_buf()),
            false => (Some(path.to_path_buf()), dir.join("traces")),
        };
        std::fs::create_dir_all(&dir).map_err(|error| Failure::usage(format!("{}: {error}", dir.display())))?;
        Ok(Tracing { file, dir, epoch_unix_ns: unix_ns(), marks: Vec::new(), lives: vec![None; nodes] })
    }

    /// Where the nodes record.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Something was done to a node just now.
    pub(super) fn mark(&mut self, node: usize, what: What) {
        if let Some(life) = self.lives[node] {
            let at = unix_ns().saturating_sub(self.epoch_unix_ns);
            self.marks.push(Record { at, life, what });
        }
    }

    /// Writes the marks, and the whole if it was asked for: where it is, and of
    /// how many records.
    pub(super) fn finish(self) -> Result<(PathBuf, usize), Failure> {
        let header = Header::new(Clock::Wall, self.epoch_unix_ns, "done to them by nodewright mesh");
        let plan = Trace { header, records: self.marks, tail: Tail::Finished };
        traces::save(&plan, &self.dir.join(PLAN))?;
        let whole = traces::load(std::slice::from_ref(&self.dir))?;
        let records = whole.records.len();
        match self.file {
            Some(file) => traces::save(&whole, &file).map(|()| (file, records)),
            None => Ok((self.dir, records)),
        }
    }
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
