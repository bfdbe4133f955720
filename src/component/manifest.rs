//! What a component says of itself before it runs: the resolver composes
//! nodes from manifests alone.

use crate::event::EventType;
use crate::id::Kind;

/// A component's stable name: its wire kind is derived from it.
pub type ComponentName = &'static str;

/// Something that a component offers to others, by name: `"failure_detector"`,
/// `"failure_detector.accurate"`, `"delivery.uniform"`.
pub type Capability = &'static str;

/// How a component is run.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Run {
    /// On a thread of its own.
    #[default]
    Thread,
    /// On a thread of its own, but whoever hands it an input while it is idle
    /// may run it in place and save the hand-over (about 20 us to a sleeping
    /// thread). Only for components whose steps are short and never block.
    InPlace,
}

/// What follows when a component panics.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Role {
    /// Its lost state would break a guarantee: the node restarts as a new life.
    Protocol,
    /// It can begin anew alone (budget 5 restarts in 30 s, then the node).
    #[default]
    Leaf,
}

/// Something excluded, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exclusion {
    /// The capability that must not be there.
    pub capability: Capability,
    /// The reason, for people.
    pub why: &'static str,
    /// The builder call that mends it.
    pub mend: &'static str,
}

/// A component's description of itself.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// Stable name, unique in a node.
    pub name: ComponentName,
    /// What it offers.
    pub provides: Vec<Capability>,
    /// What must be there; a missing part with a default is added.
    pub requires: Vec<Capability>,
    /// What it uses where it is there.
    pub wants: Vec<Capability>,
    /// What must not be there.
    pub excludes: Vec<Exclusion>,
    /// Events that it hears.
    pub hears: Vec<EventType>,
    /// How it is run.
    pub run: Run,
    /// What follows when it panics.
    pub role: Role,
    /// Whether it is told what links acknowledged (`Input::Credit`).
    pub wants_credit: bool,
    /// Whether it is handed samples of the machine's load (`Input::Load`), about
    /// one a second. Nothing is measured where nobody wants it.
    pub wants_load: bool,
    /// Client dialects that it speaks on the node's port: the first bytes of a
    /// connection that are its own. An empty one takes every connection that says
    /// something and is nobody else's; one component of a node may have it.
    pub dialects: Vec<&'static [u8]>,
    /// Whether its directory is the node's own, rather than one of its name below it:
    /// for what people look for there.
    pub at_home: bool,
    /// The guarantee, with its failure assumption, for the plan.
    pub guarantee: &'static str,
    /// Ceiling of what it keeps in memory, in bytes, for `peers` other nodes.
    pub memory_ceiling: Option<fn(peers: usize) -> u64>,
}

impl Manifest {
    /// A manifest with this name and nothing else.
    pub fn new(name: ComponentName) -> Self {
        Manifest { name, ..Manifest::default() }
    }

    /// The component's wire kind.
    pub fn kind(&self) -> Kind {
        Kind::of(self.name)
    }
}
