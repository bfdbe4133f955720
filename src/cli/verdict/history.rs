//! Histories in memory: eight bytes an event, lives by number.

use crate::cli::records::{self, Delivered, Record, Sample, Standing, Tail};
use crate::id::{Life, NodeId};
use crate::protocol::delivery::Delivery;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// A life's number among those of a run.
pub(crate) type LifeNumber = u16;

/// A message: its origin, and which of its broadcasts it is.
pub(crate) type Message = (LifeNumber, u32);

/// One event of a life.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It broadcast its nth payload.
    Broadcast(u32),
    /// That broadcast was refused.
    Refused(u32),
    /// It delivered a message.
    Delivered(LifeNumber, u32),
}

/// What one life left behind.
#[derive(Debug)]
pub(crate) struct History {
    /// The life.
    pub(crate) life: Life,
    /// Its node's name; empty if the life is known from others only.
    pub(crate) name: String,
    /// Whether it left records of its own.
    pub(crate) declared: bool,
    /// Whether it stopped as it was asked to.
    pub(crate) ended_well: bool,
    /// What happened, in its order.
    pub(crate) events: Vec<Event>,
    /// Costs, about once a second.
    pub(crate) samples: Vec<Sample>,
    /// How often it suspected a peer.
    pub(crate) suspected: u64,
    /// How often it took a suspicion back.
    pub(crate) restored: u64,
}

/// All histories of a run.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    lives: Vec<History>,
    numbers: BTreeMap<Life, LifeNumber>,
    deliveries: BTreeSet<Delivery>,
    /// Configured voters, as the lives say.
    pub(crate) voters: usize,
    /// What no whole history may contain: wrong payloads, damage.
    pub(crate) defects: Vec<String>,
}

impl Histories {
    /// All lives, by number.
    pub(crate) fn lives(&self) -> &[History] {
        &self.lives
    }

    /// The delivery under judgement, if the lives agree on it.
    pub(crate) fn delivery(&self) -> Result<Delivery, String> {
        match self.deliveries.len() {
            1 => self.deliveries.first().copied().ok_or_else(String::new),
            0 => Err("there are no records".to_string()),
            _ => Err(format!("the lives broadcast by different deliveries: {:?}", self.deliveries)),
        }
    }

    /// Lives of `node` that anyone knows of.
    pub(crate) fn lives_of(&self, node: NodeId) -> impl Iterator<Item = &History> {
        self.lives.iter().filter(move |history| history.life.node == node)
    }

    /// What that life cost.
    pub(crate) fn samples(&self, name: &str, incarnation: u64) -> &[Sample] {
        let life = |history: &&History| history.name == name && history.life.incarnation.0 == incarnation;
        self.lives.iter().find(life).map_or(&[], |history| &history.samples)
    }

    /// Begins the history that `header` opens.
    pub(crate) fn open(&mut self, header: &Record) -> Result<LifeNumber, String> {
        let Record::Life { life, name, delivery, .. } = header else {
            return Err("the records do not begin with whose they are".to_string());
        };
        let number = self.number(*life)?;
        let history = &mut self.lives[usize::from(number)];
        if history.declared {
            return Err(format!("{name} {life} left two histories"));
        }
        history.name.clone_from(name);
        history.declared = true;
        self.deliveries.insert(delivery.parse()?);
        Ok(number)
    }

    /// Appends `record` to the history of the life `number`.
    pub(crate) fn add(&mut self, number: LifeNumber, record: &Record) -> Result<(), String> {
        let event = match record {
            Record::Broadcast { n } => Some(Event::Broadcast(narrow(*n)?)),
            Record::Refused { n } => Some(Event::Refused(narrow(*n)?)),
            Record::Delivered(delivered) => self.delivered(number, delivered)?,
            Record::Peer { life, .. } => {
                self.number(*life)?;
                None
            }
            Record::Life { .. } => return Err("a second header".to_string()),
            Record::Voters(voters) => {
                self.voters = self.voters.max(*voters as usize);
                None
            }
            Record::Sample(_) | Record::End => None,
        };
        let history = &mut self.lives[usize::from(number)];
        history.events.extend(event);
        match record {
            Record::Sample(sample) => history.samples.push(*sample),
            Record::End => history.ended_well = true,
            Record::Peer { standing: Standing::Suspected, .. } => history.suspected += 1,
            Record::Peer { standing: Standing::Restored, .. } => history.restored += 1,
            _ => {}
        }
        Ok(())
    }

    fn delivered(&mut self, number: LifeNumber, delivered: &Delivered) -> Result<Option<Event>, String> {
        let at = (delivered.batch, delivered.index);
        match delivered.payload {
            // Written by one life and, when that one ended in the meantime,
            // broadcast by the next: it is the earlier life's message still.
            Some((origin, n)) if origin.node == delivered.origin.node && origin <= delivered.origin => {
                Ok(Some(Event::Delivered(self.number(origin)?, narrow(n)?)))
            }
            Some((origin, n)) => {
                let name = &self.lives[usize::from(number)].name;
                self.defects.push(format!("{name} delivered payload {n} of {origin} as one of {}", delivered.origin));
                Ok(None)
            }
            None => {
                let name = &self.lives[usize::from(number)].name;
                self.defects.push(format!("{name} delivered a damaged payload from {} at {at:?}", delivered.origin));
                Ok(None)
            }
        }
    }

    fn number(&mut self, life: Life) -> Result<LifeNumber, String> {
        if let Some(number) = self.numbers.get(&life) {
            return Ok(*number);
        }
        let number = LifeNumber::try_from(self.lives.len()).map_err(|_| "more lives than a verdict can number")?;
        self.numbers.insert(life, number);
        self.lives.push(History {
            life,
            name: String::new(),
            declared: false,
            ended_well: false,
            events: Vec::new(),
            samples: Vec::new(),
            suspected: 0,
            restored: 0,
        });
        Ok(number)
    }
}

fn narrow(n: u64) -> Result<u32, String> {
    u32::try_from(n).map_err(|_| format!("payload number {n} is beyond what a run can reach"))
}

/// Reads every file of records in `dir`. What cannot be read becomes a defect.
///
/// # Errors
/// When the directory cannot be listed.
pub(crate) fn load(dir: &Path) -> Result<Histories, String> {
    let listed = std::fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut paths: Vec<_> = listed
        .map_err(|error| format!("cannot list {}: {error}", dir.display()))?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == records::EXTENSION))
        .collect();
    paths.sort();
    let mut histories = Histories::default();
    for path in paths {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let read = File::open(&path).map_err(|error| error.to_string()).and_then(|input| {
            let mut opened = None;
            let mut wrong = None;
            let tail = records::read(BufReader::new(input), |record| {
                if wrong.is_none() {
                    wrong = match opened {
                        None => histories.open(&record).map(|number| opened = Some(number)).err(),
                        Some(number) => histories.add(number, &record).err(),
                    };
                }
            });
            match (wrong, tail) {
                (Some(wrong), _) => Err(wrong),
                (None, Err(error)) => Err(error.to_string()),
                (None, Ok(Tail::Whole | Tail::Torn)) => Ok(()),
            }
        });
        if let Err(wrong) = read {
            histories.defects.push(format!("{file}: {wrong}"));
        }
    }
    Ok(histories)
}
