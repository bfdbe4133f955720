//! What can be wrong with a composition: every fault names the builder calls
//! that made it and the line that mends it.

use super::{Capability, ComponentName};
use std::fmt;

/// All that is wrong with a composition, found in one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WiringReport {
    /// Whose composition, for people.
    pub node: String,
    /// The faults, in an order that does not depend on that of the calls.
    pub faults: Vec<WiringFault>,
}

/// One fault of a composition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WiringFault {
    /// A value given to a builder call is no good.
    BadValue {
        /// The call as it was written.
        call: String,
        /// What is wrong with it.
        problem: String,
        /// What to write.
        mend: String,
    },
    /// Two components have one name.
    DuplicateName {
        /// The name.
        name: ComponentName,
        /// The calls that composed them.
        calls: Vec<String>,
    },
    /// Two names hash to one wire kind.
    KindClash {
        /// The names.
        names: [ComponentName; 2],
        /// The calls that composed them.
        calls: [String; 2],
    },
    /// Nothing provides what is required, and there is no default.
    Missing {
        /// What is required.
        capability: Capability,
        /// By which components, and the calls that composed them.
        by: Vec<(ComponentName, String)>,
    },
    /// A component rests on an assumption that nobody made.
    Assumption {
        /// What is required.
        capability: Capability,
        /// The assumption, in words.
        assumption: &'static str,
        /// By which components, and the calls that composed them.
        by: Vec<(ComponentName, String)>,
        /// The call that makes the assumption.
        mend: String,
    },
    /// Several components provide what exactly one is to provide.
    Ambiguous {
        /// The capability.
        capability: Capability,
        /// The providers and the calls that composed them.
        providers: Vec<(ComponentName, String)>,
        /// Who needs one of them.
        by: Vec<ComponentName>,
    },
    /// Components require one another in a circle.
    Cyclic {
        /// Each requires the capability, which the next one provides.
        circle: Vec<(ComponentName, Capability)>,
        /// The calls that composed them.
        calls: Vec<String>,
    },
    /// A component cannot stand beside what another provides.
    Excluded {
        /// Who excludes, and the call that composed it.
        by: (ComponentName, String),
        /// What it excludes.
        capability: Capability,
        /// Who provides that, and the call that composed it.
        provider: (ComponentName, String),
        /// Why.
        why: &'static str,
        /// The call that mends it.
        mend: &'static str,
    },
}

/// `a, b and c`.
pub(super) fn listed<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match texts.pop() {
        None => "nothing".into(),
        Some(last) if texts.is_empty() => last,
        Some(last) => format!("{} and {last}", texts.join(", ")),
    }
}

fn with_calls(parts: &[(ComponentName, String)]) -> String {
    listed(parts.iter().map(|(name, call)| format!("{name} ({call})")))
}

impl WiringFault {
    /// The line that mends it.
    pub fn mend(&self) -> String {
        match self {
            WiringFault::BadValue { mend, .. } | WiringFault::Assumption { mend, .. } => mend.clone(),
            WiringFault::DuplicateName { calls, .. } => format!("keep one of {}", listed(calls)),
            WiringFault::KindClash { names, .. } => {
                format!("give {} or {} another name in its manifest", names[0], names[1])
            }
            WiringFault::Missing { capability, .. } => {
                format!(".has_component(|| ...) with a component whose manifest provides \"{capability}\"")
            }
            WiringFault::Ambiguous { providers, .. } => {
                format!("keep one of {}", listed(providers.iter().map(|(_, call)| call)))
            }
            WiringFault::Cyclic { calls, .. } => {
                format!("remove one of {}, or let one of them want instead of require", listed(calls))
            }
            WiringFault::Excluded { mend, .. } => (*mend).into(),
        }
    }
}

impl fmt::Display for WiringFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WiringFault::BadValue { call, problem, .. } => write!(f, "{call}: {problem}"),
            WiringFault::DuplicateName { name, calls } => {
                write!(f, "{} components are named {name}: {}", calls.len(), listed(calls))
            }
            WiringFault::KindClash { names: [a, b], calls: [call_a, call_b] } => {
                write!(f, "{a} ({call_a}) and {b} ({call_b}) hash to one wire kind")
            }
            WiringFault::Missing { capability, by } => {
                write!(f, "nothing provides \"{capability}\", which {} requires", with_calls(by))
            }
            WiringFault::Assumption { capability, assumption, by, .. } => {
                write!(f, "{} requires \"{capability}\": nobody assumed that {assumption}", with_calls(by))
            }
            WiringFault::Ambiguous { capability, providers, by } => {
                write!(f, "{} all provide \"{capability}\", of which {} needs one", with_calls(providers), listed(by))
            }
            WiringFault::Cyclic { circle, .. } => {
                let steps = circle.iter().map(|(name, capability)| format!("{name} requires \"{capability}\" of"));
                write!(
                    f,
                    "{} {}",
                    steps.collect::<Vec<_>>().join(" "),
                    circle.first().map_or("itself", |(name, _)| name)
                )
            }
            WiringFault::Excluded { by, capability, provider, why, .. } => {
                write!(
                    f,
                    "{} ({}) excludes \"{capability}\", which {} ({}) provides: {why}",
                    by.0, by.1, provider.0, provider.1
                )
            }
        }
    }
}

impl fmt::Display for WiringReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, s) = (self.faults.len(), if self.faults.len() == 1 { "" } else { "s" });
        write!(f, "{n} fault{s} in the composition of node \"{}\":", self.node)?;
        for (i, fault) in self.faults.iter().enumerate() {
            write!(f, "\n{}. {fault}\n   mend: {}", i + 1, fault.mend())?;
        }
        Ok(())
    }
}

impl std::error::Error for WiringReport {}
