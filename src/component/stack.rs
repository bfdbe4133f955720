//! A composed node before it runs: a list of component factories in start
//! order. Each driver builds the components anew for every life.

use super::adapter::{Adapter, AnyComponent};
use super::{Manifest, NetComponent};
use std::sync::Arc;

/// Makes a component for a new life (or for a restarted leaf).
#[derive(Clone)]
pub struct Factory {
    manifest: Arc<Manifest>,
    make: Arc<dyn Fn(u64) -> Box<dyn AnyComponent> + Send + Sync>,
}

impl Factory {
    /// A factory from a closure that makes the component.
    pub fn new<C: NetComponent>(make: impl Fn() -> C + Send + Sync + 'static) -> Self {
        let manifest = Arc::new(make().manifest());
        Factory { manifest, make: Arc::new(move |seed| Box::new(Adapter::new(make(), seed))) }
    }

    /// The manifest of what it makes.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Makes one, with randomness from `seed`.
    pub fn make(&self, seed: u64) -> Box<dyn AnyComponent> {
        (self.make)(seed)
    }
}

impl Stack {
    /// A node of one component.
    pub fn of<C: NetComponent>(make: impl Fn() -> C + Send + Sync + 'static) -> Self {
        Stack { factories: vec![Factory::new(make)] }
    }

    /// The same with one more component.
    pub fn and<C: NetComponent>(mut self, make: impl Fn() -> C + Send + Sync + 'static) -> Self {
        self.factories.push(Factory::new(make));
        self
    }
}

impl std::fmt::Debug for Factory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Factory({})", self.manifest.name)
    }
}

/// The components of one node in start order: what requires comes after what
/// provides. Stopped in reverse.
#[derive(Clone, Debug, Default)]
pub struct Stack {
    /// The factories.
    pub factories: Vec<Factory>,
}
