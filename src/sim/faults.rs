//! What may go wrong in a world, each fault on or off by itself.

use super::disk::DiskFaults;
use std::time::Duration;

/// A fault that strikes again and again and lasts for a while.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Spell {
    /// Mean time between two strikes.
    pub every: Duration,
    /// Longest time that one lasts (a clock's jump: longest way).
    pub lasting: Duration,
}

/// The faults of a world's chaos phase. Probabilities are between 0 and 1.
#[derive(Clone, PartialEq, Debug)]
pub struct Faults {
    /// Shortest and longest time that a frame is under way.
    pub delay: (Duration, Duration),
    /// Probability that a frame is lost.
    pub loss: f64,
    /// Probability that a frame arrives twice.
    pub duplication: f64,
    /// Probability that a frame is overtaken by later ones.
    pub reordering: f64,
    /// Mean time between two cuts of a session, anywhere.
    pub cuts: Option<Duration>,
    /// Some nodes cannot reach others.
    pub partitions: Option<Spell>,
    /// Whether partitions may stop only one direction.
    pub one_way: bool,
    /// A node handles nothing, while its clock goes on.
    pub pauses: Option<Spell>,
    /// A node loses its memory; `lasting` is the longest time until its next
    /// life.
    pub crashes: Option<Spell>,
    /// Whether crashes fall between the effects of one step (else between
    /// steps).
    pub crashes_between_effects: bool,
    /// Probability that a crashed node's next life has its disk; else it has an
    /// empty one.
    pub disk_kept: f64,
    /// What else may go wrong with disks.
    pub disk: DiskFaults,
    /// Most nodes that are at one time down, or up again but not yet ready
    /// (see [`super::World::ready_when`]). A crash or a decision of the peers
    /// counts; this is the `f` that protocols are judged under, so the chaos
    /// keeps it.
    pub down_max: usize,
    /// A node's clock jumps forward.
    pub jumps: Option<Spell>,
}

impl Default for Faults {
    fn default() -> Self {
        Faults::none()
    }
}

impl Faults {
    /// No fault: frames take 50 us to 1 ms and keep their order.
    pub fn none() -> Self {
        Faults {
            delay: (Duration::from_micros(50), Duration::from_millis(1)),
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            cuts: None,
            partitions: None,
            one_way: false,
            pauses: None,
            crashes: None,
            crashes_between_effects: false,
            disk_kept: 0.0,
            disk: DiskFaults::none(),
            down_max: 0,
            jumps: None,
        }
    }

    /// All faults, each with a settled strength, none too rare to matter
    /// within ten seconds. `down_max` is 1. Disks are honest when they are kept:
    /// flipped bits and older disks are in [`DiskFaults::all`].
    pub fn all() -> Self {
        let spell = |every, lasting| Spell { every: millis(every), lasting: millis(lasting) };
        Faults {
            delay: (Duration::from_micros(50), millis(30)),
            loss: 0.05,
            duplication: 0.05,
            reordering: 0.1,
            cuts: Some(millis(400)),
            partitions: Some(spell(2000, 2000)),
            one_way: true,
            pauses: Some(spell(2000, 1500)),
            crashes: Some(spell(2000, 1500)),
            crashes_between_effects: true,
            disk_kept: 0.5,
            disk: DiskFaults::honest(),
            down_max: 1,
            jumps: Some(spell(3000, 1000)),
        }
    }

    /// Faults as the seed will have them: each is off in one of three worlds,
    /// else of random strength. `down_max` is drawn between 0 and
    /// `down_max`. Disks are kept and honest; a protocol that bears more says so
    /// by `disk_kept`, [`DiskFaults::flipped`] and [`DiskFaults::older`].
    pub fn draw(rng: &mut fastrand::Rng, down_max: usize) -> Self {
        let mut faults = Faults::all();
        let strength = [0.2, 0.5, 1.0, 2.0][rng.usize(0..4)];
        let mut some = |spell: Option<Spell>| {
            let spell = spell.filter(|_| rng.u32(0..3) > 0)?;
            Some(Spell {
                every: spell.every.mul_f64(0.3 + rng.f64()),
                lasting: spell.lasting.mul_f64(0.1 + 2.0 * rng.f64()),
            })
        };
        faults.partitions = some(faults.partitions);
        faults.pauses = some(faults.pauses);
        faults.crashes = some(faults.crashes);
        faults.jumps = some(faults.jumps);
        let mut probability = |p: f64| if rng.u32(0..3) > 0 { (p * strength * 2.0 * rng.f64()).min(0.4) } else { 0.0 };
        faults.loss = probability(faults.loss);
        faults.duplication = probability(faults.duplication);
        faults.reordering = probability(faults.reordering);
        faults.cuts = faults.cuts.filter(|_| rng.u32(0..3) > 0).map(|every| every.mul_f64(0.2 + 2.0 * rng.f64()));
        faults.delay.1 = Duration::from_micros([200, 2000, 20_000, 100_000][rng.usize(0..4)]);
        faults.one_way = rng.bool();
        faults.crashes_between_effects = rng.u32(0..4) > 0;
        let _ = rng.usize(0..3); // keeps what earlier seeds mean below
        faults.disk_kept = 1.0;
        faults.down_max = rng.usize(0..=down_max);
        // From a copy: what the caller draws next does not depend on it.
        faults.disk = DiskFaults::draw(&mut rng.clone().fork());
        faults
    }
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The classes of faults that strike by themselves.
#[derive(Copy, Clone, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    Cut,
    Partition,
    Pause,
    Crash,
    Jump,
    DiskWrite,
    DiskSync,
    DiskRead,
    DiskFull,
}

impl Class {
    pub(super) const ALL: [Class; 9] = [
        Class::Cut,
        Class::Partition,
        Class::Pause,
        Class::Crash,
        Class::Jump,
        Class::DiskWrite,
        Class::DiskSync,
        Class::DiskRead,
        Class::DiskFull,
    ];

    /// Whether it strikes disks, of which all is drawn apart.
    pub(super) fn is_of_disks(self) -> bool {
        matches!(self, Class::DiskWrite | Class::DiskSync | Class::DiskRead | Class::DiskFull)
    }
}

impl Faults {
    /// The mean time between two strikes of a class.
    pub(super) fn every(&self, class: Class) -> Option<Duration> {
        match class {
            Class::Cut => self.cuts,
            Class::Partition => self.partitions.map(|spell| spell.every),
            Class::Pause => self.pauses.map(|spell| spell.every),
            Class::Crash => self.crashes.map(|spell| spell.every),
            Class::Jump => self.jumps.map(|spell| spell.every),
            Class::DiskWrite => self.disk.write_errors,
            Class::DiskSync => self.disk.sync_errors,
            Class::DiskRead => self.disk.read_errors,
            Class::DiskFull => self.disk.full.map(|spell| spell.every),
        }
    }
}
