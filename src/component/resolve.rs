//! From builder calls to a stack: the order of the calls does not matter, a
//! missing part with a sensible default is added and the plan says why, and
//! all faults are reported together.
//!
//! Components start in the order of their requirements (Kahn's topological
//! sort; among those that are ready the ones whose wants are there come first,
//! then the lesser name). What a component wants orders it too, but never
//! makes a circle a fault.

use super::plan::{Plan, Planned, Why};
use super::wiring::{WiringFault, WiringReport};
use super::{Capability, ComponentName, Factory, Manifest, Stack};
use crate::id::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// A component and the builder call that composes it.
#[derive(Clone, Debug)]
pub struct Part {
    /// Makes it.
    pub factory: Factory,
    /// The call, as a user writes it: `.has_reliable_delivery()`.
    pub call: String,
}

impl Part {
    /// The component of `factory`, composed by `call`.
    pub fn new(factory: Factory, call: impl Into<String>) -> Self {
        Part { factory, call: call.into() }
    }

    fn manifest(&self) -> &Manifest {
        self.factory.manifest()
    }

    fn named(&self) -> (ComponentName, String) {
        (self.manifest().name, self.call.clone())
    }

    fn provides(&self, capability: Capability) -> bool {
        self.manifest().provides.contains(&capability)
    }
}

/// What is done about a required capability that nobody provides.
#[derive(Clone, Debug)]
pub enum WhenMissing {
    /// This component is added.
    Add(Part),
    /// Nothing: it stands for an assumption that only the user can make.
    Assume {
        /// The assumption, in words.
        assumption: &'static str,
        /// The call that makes it.
        mend: String,
    },
}

/// What is done about a missing capability, by capability.
pub type Catalogue = BTreeMap<Capability, WhenMissing>;

/// Composes a node named `node` of the parts that were asked for; `peers` is
/// the number of other nodes for which the plan states memory.
///
/// # Errors
/// Everything that is wrong, in one report.
pub fn resolve(
    node: &str,
    mut asked: Vec<Part>,
    catalogue: &Catalogue,
    peers: usize,
) -> Result<(Stack, Plan), WiringReport> {
    asked.sort_by_cached_key(Part::named);
    let asked_for = asked.len();
    let mut composition = Composition { parts: asked, faults: BTreeSet::new() };
    composition.add_defaults(catalogue);
    let ambiguous = composition.check_ambiguity();
    composition.check_names(&ambiguous);
    composition.check_exclusions();
    let order = composition.start_order();
    if !composition.faults.is_empty() {
        return Err(WiringReport { node: node.into(), faults: composition.faults.into_iter().collect() });
    }
    let components = order.iter().map(|&at| composition.planned(at, at < asked_for, peers)).collect();
    let factories = order.iter().map(|&at| composition.parts[at].factory.clone()).collect();
    Ok((Stack { factories }, Plan { about: Vec::new(), components, peers }))
}

struct Composition {
    /// Those asked for, by name; after them those added.
    parts: Vec<Part>,
    faults: BTreeSet<WiringFault>,
}

impl Composition {
    fn providers(&self, capability: Capability) -> impl Iterator<Item = usize> + '_ {
        (0..self.parts.len()).filter(move |&at| self.parts[at].provides(capability))
    }

    fn requiring(&self, capability: Capability) -> Vec<(ComponentName, String)> {
        self.parts.iter().filter(|part| part.manifest().requires.contains(&capability)).map(Part::named).collect()
    }

    fn unprovided(&self) -> BTreeSet<Capability> {
        let required = self.parts.iter().flat_map(|part| part.manifest().requires.iter().copied());
        required.filter(|capability| self.providers(capability).next().is_none()).collect()
    }

    /// Adds defaults until nothing is missing that has one; each round either
    /// adds a part of the catalogue or is the last.
    fn add_defaults(&mut self, catalogue: &Catalogue) {
        let mut hopeless = BTreeSet::new();
        while let Some(capability) = self.unprovided().into_iter().find(|missing| !hopeless.contains(missing)) {
            match catalogue.get(capability) {
                Some(WhenMissing::Add(part)) if part.provides(capability) => self.parts.push(part.clone()),
                _ => {
                    hopeless.insert(capability);
                }
            }
        }
        for capability in hopeless {
            let by = self.requiring(capability);
            self.faults.insert(match catalogue.get(capability) {
                Some(WhenMissing::Assume { assumption, mend }) => {
                    WiringFault::Assumption { capability, assumption, by, mend: mend.clone() }
                }
                _ => WiringFault::Missing { capability, by },
            });
        }
    }

    /// Names are checked but for those that are ambiguous already.
    fn check_names(&mut self, ambiguous: &BTreeSet<(ComponentName, String)>) {
        let mut names = BTreeMap::<ComponentName, Vec<String>>::new();
        let mut kinds = BTreeMap::<Kind, (ComponentName, String)>::new();
        for part in &self.parts {
            let (name, call) = part.named();
            if !ambiguous.contains(&(name, call.clone())) {
                names.entry(name).or_default().push(call.clone());
            }
            let (other, other_call) = kinds.entry(part.manifest().kind()).or_insert_with(|| (name, call.clone()));
            if *other != name {
                let (names, calls) = ([*other, name], [other_call.clone(), call]);
                self.faults.insert(WiringFault::KindClash { names, calls });
            }
        }
        let twice = names.into_iter().filter(|(_, calls)| calls.len() > 1);
        self.faults.extend(twice.map(|(name, calls)| WiringFault::DuplicateName { name, calls }));
    }

    fn check_exclusions(&mut self) {
        let mut found = Vec::new();
        for (at, part) in self.parts.iter().enumerate() {
            for exclusion in &part.manifest().excludes {
                let capability = exclusion.capability;
                for provider in self.providers(capability).filter(|provider| *provider != at) {
                    let (by, provider) = (part.named(), self.parts[provider].named());
                    let (why, mend) = (exclusion.why, exclusion.mend);
                    found.push(WiringFault::Excluded { by, capability, provider, why, mend });
                }
            }
        }
        self.faults.extend(found);
    }

    /// One provider is needed of what is required, and of what is wanted.
    /// Returns those of which there are several.
    fn check_ambiguity(&mut self) -> BTreeSet<(ComponentName, String)> {
        let mut users = BTreeMap::<Capability, BTreeSet<ComponentName>>::new();
        for part in &self.parts {
            for capability in part.manifest().requires.iter().chain(&part.manifest().wants) {
                users.entry(capability).or_default().insert(part.manifest().name);
            }
        }
        let mut ambiguous = BTreeSet::new();
        for (capability, by) in users {
            let providers: BTreeSet<_> = self.providers(capability).map(|at| self.parts[at].named()).collect();
            if providers.len() > 1 {
                ambiguous.extend(providers.iter().cloned());
                let (providers, by) = (providers.into_iter().collect(), by.into_iter().collect());
                self.faults.insert(WiringFault::Ambiguous { capability, providers, by });
            }
        }
        ambiguous
    }

    /// The other parts that provide one of `capabilities`; what a part
    /// provides itself it needs of nobody.
    fn below(&self, at: usize, capabilities: &[Capability]) -> BTreeMap<usize, Capability> {
        let of_others = capabilities.iter().copied().filter(|capability| !self.parts[at].provides(capability));
        of_others.flat_map(|capability| self.providers(capability).map(move |below| (below, capability))).collect()
    }

    fn start_order(&mut self) -> Vec<usize> {
        let hard: Vec<_> =
            (0..self.parts.len()).map(|at| self.below(at, &self.parts[at].manifest().requires)).collect();
        let soft: Vec<_> = (0..self.parts.len()).map(|at| self.below(at, &self.parts[at].manifest().wants)).collect();
        let mut left: BTreeSet<usize> = (0..self.parts.len()).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            let met = |needs: &BTreeMap<usize, Capability>| !needs.keys().any(|need| left.contains(need));
            let ready = left.iter().copied().filter(|&at| met(&hard[at]));
            match ready.min_by_key(|&at| (!met(&soft[at]), self.parts[at].manifest().name)) {
                Some(next) => {
                    left.remove(&next);
                    order.push(next);
                }
                None => self.take_circle(&hard, &mut left),
            }
        }
        order
    }

    /// Every part that is left requires one that is left: following the
    /// requirements must come round. The circle is reported and taken out.
    fn take_circle(&mut self, hard: &[BTreeMap<usize, Capability>], left: &mut BTreeSet<usize>) {
        let mut path: Vec<(usize, Capability)> = Vec::new();
        let mut next = left.first().copied();
        while let Some(at) = next {
            if let Some(start) = path.iter().position(|(seen, _)| *seen == at) {
                path.drain(..start);
                break;
            }
            let need = hard[at].iter().find(|(need, _)| left.contains(need));
            path.extend(need.map(|(_, capability)| (at, *capability)));
            next = need.map(|(need, _)| *need);
        }
        for (at, _) in &path {
            left.remove(at);
        }
        let circle = path.iter().map(|(at, capability)| (self.parts[*at].manifest().name, *capability)).collect();
        let calls = path.iter().map(|(at, _)| self.parts[*at].call.clone()).collect();
        self.faults.insert(WiringFault::Cyclic { circle, calls });
    }

    fn planned(&self, at: usize, asked_for: bool, peers: usize) -> Planned {
        let part = &self.parts[at];
        let why = if asked_for {
            Why::AskedFor
        } else {
            let by = self.parts.iter().flat_map(|user| {
                let used = user.manifest().requires.iter().filter(|capability| part.provides(capability));
                used.map(|capability| (user.manifest().name, *capability))
            });
            Why::Required { by: by.collect::<BTreeSet<_>>().into_iter().collect() }
        };
        let mut planned = Planned::new(part.manifest(), &part.call, why, peers);
        for capability in part.manifest().requires.iter().chain(&part.manifest().wants) {
            let providers = self.providers(capability).filter(|provider| *provider != at);
            planned.uses.extend(providers.map(|provider| (*capability, self.parts[provider].manifest().name)));
        }
        planned
    }
}
