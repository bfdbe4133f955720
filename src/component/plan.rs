//! What a node consists of, and why: the outcome of the resolver, for people.

use super::wiring::listed;
use super::{Capability, ComponentName, Manifest, Role, Run};
use crate::id::Kind;
use std::fmt;

/// A resolved composition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is said of the node as a whole, as names and values.
    pub about: Vec<(String, String)>,
    /// The components in start order; they stop in reverse.
    pub components: Vec<Planned>,
    /// The number of other nodes for which memory ceilings are given.
    pub peers: usize,
}

/// One component of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub name: ComponentName,
    /// Its wire kind.
    pub kind: Kind,
    /// The builder call that composes it.
    pub call: String,
    /// Why it is there.
    pub why: Why,
    /// What it provides.
    pub provides: Vec<Capability>,
    /// What it requires or wants, and who provides that.
    pub uses: Vec<(Capability, ComponentName)>,
    /// What it promises, and under which failure assumption.
    pub guarantee: &'static str,
    /// Most bytes that it keeps, for [`Plan::peers`] other nodes.
    pub memory_ceiling: Option<u64>,
    /// How it is run.
    pub run: Run,
    /// What follows when it panics.
    pub role: Role,
}

/// Why a component is part of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its builder call was made.
    AskedFor,
    /// Others require what it provides, and it is the default.
    Required {
        /// Who requires, and which capability.
        by: Vec<(ComponentName, Capability)>,
    },
}

impl Planned {
    pub(super) fn new(manifest: &Manifest, call: &str, why: Why, peers: usize) -> Self {
        Planned {
            name: manifest.name,
            kind: manifest.kind(),
            call: call.into(),
            why,
            provides: manifest.provides.clone(),
            uses: Vec::new(),
            guarantee: manifest.guarantee,
            memory_ceiling: manifest.memory_ceiling.map(|ceiling| ceiling(peers)),
            run: manifest.run,
            role: manifest.role,
        }
    }
}

impl Plan {
    /// Threads that the components take; links and the pool add theirs.
    pub fn threads(&self) -> usize {
        self.components.len()
    }

    /// Sum of the components' ceilings, in bytes; those that state none are
    /// not in it.
    pub fn memory_ceiling(&self) -> u64 {
        self.components.iter().filter_map(|component| component.memory_ceiling).sum()
    }

    /// The component named `name`.
    pub fn component(&self, name: &str) -> Option<&Planned> {
        self.components.iter().find(|component| component.name == name)
    }
}

/// Bytes for people, in powers of 1024.
fn bytes_text(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.about {
            writeln!(f, "{name}: {value}")?;
        }
        let s = if self.peers == 1 { "" } else { "s" };
        writeln!(f, "{} components in start order, memory for {} peer{s}:", self.components.len(), self.peers)?;
        for component in &self.components {
            writeln!(f, "  {} {:?}", component.name, component.kind)?;
            match &component.why {
                Why::AskedFor => writeln!(f, "    asked for by {}", component.call)?,
                Why::Required { by } => {
                    let by = by.iter().map(|(name, capability)| format!("{name} requires \"{capability}\""));
                    writeln!(f, "    added because {}; {} would say so", listed(by), component.call)?;
                }
            }
            if !component.guarantee.is_empty() {
                writeln!(f, "    guarantee: {}", component.guarantee)?;
            }
            if !component.uses.is_empty() {
                let uses = component.uses.iter().map(|(capability, name)| format!("\"{capability}\" of {name}"));
                writeln!(f, "    uses {}", listed(uses))?;
            }
            let run = match component.run {
                Run::Thread => "a thread of its own",
                Run::InPlace => "a thread of its own, run in place while idle",
            };
            let role = match component.role {
                Role::Protocol => "a panic begins a new life of the node",
                Role::Leaf => "a panic restarts it alone",
            };
            let memory = component
                .memory_ceiling
                .map_or("no stated memory ceiling".into(), |bytes| format!("memory at most {}", bytes_text(bytes)));
            writeln!(f, "    {run}; {role}; {memory}")?;
        }
        write!(
            f,
            "{} component threads, memory at most {} as stated",
            self.threads(),
            bytes_text(self.memory_ceiling())
        )
    }
}
