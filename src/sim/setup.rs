//! The measures of one run: how many nodes, how many calls, which faults.
//!
//! A failing run is easier to understand the smaller these are, so a scenario
//! takes them as arguments and [`super::shrink`] makes them smaller.

use super::faults::Faults;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A class of faults that can be switched off by itself.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum FaultClass {
    /// Frames take longer than a millisecond.
    Delay,
    /// Frames are lost.
    Loss,
    /// Frames arrive twice.
    Duplication,
    /// Frames are overtaken.
    Reordering,
    /// Sessions are cut.
    Cut,
    /// Nodes cannot reach others, in one direction or both.
    Partition,
    /// Nodes handle nothing for a while.
    Pause,
    /// Nodes lose their memory and come back, also between two effects.
    Crash,
    /// Clocks jump forward.
    Jump,
}

impl FaultClass {
    /// All classes.
    pub const ALL: [FaultClass; 9] = [
        FaultClass::Delay,
        FaultClass::Loss,
        FaultClass::Duplication,
        FaultClass::Reordering,
        FaultClass::Cut,
        FaultClass::Partition,
        FaultClass::Pause,
        FaultClass::Crash,
        FaultClass::Jump,
    ];

    /// The class as people write it: `loss`.
    pub fn name(self) -> &'static str {
        match self {
            FaultClass::Delay => "delay",
            FaultClass::Loss => "loss",
            FaultClass::Duplication => "duplication",
            FaultClass::Reordering => "reordering",
            FaultClass::Cut => "cut",
            FaultClass::Partition => "partition",
            FaultClass::Pause => "pause",
            FaultClass::Crash => "crash",
            FaultClass::Jump => "jump",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of [`FaultClass`]es; written `all`, `none` or `loss,partition`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct FaultClasses(u16);

impl FaultClasses {
    /// Every class.
    pub fn all() -> Self {
        FaultClasses(FaultClass::ALL.iter().fold(0, |bits, class| bits | class.bit()))
    }

    /// No class.
    pub fn none() -> Self {
        FaultClasses(0)
    }

    /// Whether `class` is in the set.
    pub fn has(self, class: FaultClass) -> bool {
        self.0 & class.bit() != 0
    }

    /// The set with `class`.
    pub fn with(self, class: FaultClass) -> Self {
        FaultClasses(self.0 | class.bit())
    }

    /// The set without `class`.
    pub fn without(self, class: FaultClass) -> Self {
        FaultClasses(self.0 & !class.bit())
    }

    /// The classes in the set.
    pub fn iter(self) -> impl Iterator<Item = FaultClass> {
        FaultClass::ALL.into_iter().filter(move |class| self.has(*class))
    }

    /// `faults` without the classes that are not in the set.
    pub fn allow(self, faults: Faults) -> Faults {
        let none = Faults::none();
        let on = |class| self.has(class);
        Faults {
            delay: if on(FaultClass::Delay) { faults.delay } else { none.delay },
            loss: if on(FaultClass::Loss) { faults.loss } else { 0.0 },
            duplication: if on(FaultClass::Duplication) { faults.duplication } else { 0.0 },
            reordering: if on(FaultClass::Reordering) { faults.reordering } else { 0.0 },
            cuts: faults.cuts.filter(|_| on(FaultClass::Cut)),
            partitions: faults.partitions.filter(|_| on(FaultClass::Partition)),
            pauses: faults.pauses.filter(|_| on(FaultClass::Pause)),
            crashes: faults.crashes.filter(|_| on(FaultClass::Crash)),
            jumps: faults.jumps.filter(|_| on(FaultClass::Jump)),
            ..faults
        }
    }
}

impl fmt::Display for FaultClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            it if it == FaultClasses::all() => f.write_str("all"),
            it if it == FaultClasses::none() => f.write_str("none"),
            it => f.write_str(&it.iter().map(FaultClass::name).collect::<Vec<_>>().join(",")),
        }
    }
}

impl FromStr for FaultClasses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => return Ok(FaultClasses::all()),
            "none" => return Ok(FaultClasses::none()),
            _ => {}
        }
        text.split(',').try_fold(FaultClasses::none(), |classes, name| {
            let class = FaultClass::ALL.into_iter().find(|class| class.name() == name.trim());
            class.map(|class| classes.with(class)).ok_or_else(|| {
                let names: Vec<_> = FaultClass::ALL.iter().map(|class| class.name()).collect();
                format!("unknown fault '{name}': write all, none, or some of {}", names.join(","))
            })
        })
    }
}

/// The measures of one run. Written as arguments:
/// `--seed 17 --nodes 5 --calls 20 --faults all --chaos 100`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Setup {
    /// From which all else follows.
    pub seed: u64,
    /// How many nodes vote.
    pub nodes: usize,
    /// How many calls (broadcasts, requests) the chaos phase makes.
    pub calls: usize,
    /// The faults that may strike; which of them do, and how hard, is drawn.
    pub faults: FaultClasses,
    /// The length of the chaos phase in percent of the scenario's own.
    pub chaos: u32,
}

impl Default for Setup {
    /// Seed 0, five nodes, twenty calls, all faults, all of the chaos.
    fn default() -> Self {
        Setup { seed: 0, nodes: 5, calls: 20, faults: FaultClasses::all(), chaos: 100 }
    }
}

impl Setup {
    /// The same with another seed.
    pub fn seeded(self, seed: u64) -> Self {
        Setup { seed, ..self }
    }

    /// Faults as the seed has them ([`Faults::draw`]), of the allowed classes.
    /// What one class is like does not depend on whether another is allowed.
    pub fn draw(&self, rng: &mut fastrand::Rng, down_max: usize) -> Faults {
        self.faults.allow(Faults::draw(rng, down_max))
    }

    /// So much of the chaos phase's usual time.
    pub fn chaos(&self, usual: Duration) -> Duration {
        usual * self.chaos / 100
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup { seed, nodes, calls, faults, chaos } = self;
        write!(f, "--seed {seed} --nodes {nodes} --calls {calls} --faults {faults} --chaos {chaos}")
    }
}

impl FromStr for Setup {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut setup = Setup::default();
        let mut words = text.split_whitespace();
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} has no value"))?;
            let wrong = |_| format!("{name} {value}: no whole number");
            match name {
                "--seed" => setup.seed = value.parse().map_err(wrong)?,
                "--nodes" => setup.nodes = value.parse().map_err(wrong)?,
                "--calls" => setup.calls = value.parse().map_err(wrong)?,
                "--faults" => setup.faults = value.parse()?,
                "--chaos" => setup.chaos = value.parse().map_err(wrong)?,
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        Ok(setup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_reads_as_it_is_written() {
        let faults = FaultClasses::none().with(FaultClass::Loss).with(FaultClass::Crash);
        let setup = Setup { seed: 17, nodes: 3, calls: 2, faults, chaos: 25 };
        assert_eq!(setup.to_string(), "--seed 17 --nodes 3 --calls 2 --faults loss,crash --chaos 25");
        assert_eq!(setup.to_string().parse(), Ok(setup));
        assert_eq!("".parse(), Ok(Setup::default()));
        assert!("--faults rain".parse::<Setup>().is_err_and(|why| why.contains("unknown fault 'rain'")));
        assert!("--seed".parse::<Setup>().is_err() && "--seed x".parse::<Setup>().is_err());
    }

    #[test]
    fn what_is_not_allowed_is_off_and_the_rest_as_drawn() {
        let drawn = (0..50).map(|seed| {
            let draw = |faults| Setup { faults, ..Setup::default() }.draw(&mut fastrand::Rng::with_seed(seed), 2);
            (draw(FaultClasses::all()), draw(FaultClasses::all().without(FaultClass::Loss)))
        });
        let mut lossy = 0;
        for (all, some) in drawn {
            lossy += usize::from(all.loss > 0.0);
            assert_eq!(Faults { loss: 0.0, ..all }, some);
        }
        assert!(lossy > 10);
        let none = FaultClasses::none().allow(Faults::all());
        let quiet = Faults { delay: Faults::none().delay, ..Faults::none() };
        assert_eq!((none.loss, none.delay, none.crashes, none.jumps), (0.0, quiet.delay, None, None));
    }
}
