//! Bytes that are not what was sent.

/// What happens to bytes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Alteration {
    /// A byte is another one.
    Flip,
    /// A byte is missing.
    Drop,
    /// What was read together comes twice: a record of a quiet link, whole.
    Repeat,
}

/// Where the next alteration falls, counted in bytes of the stream.
pub(super) struct Alterer {
    random: fastrand::Rng,
    setting: Option<(Alteration, u64)>,
    /// Bytes to come before the altered one.
    before: u64,
}

impl Alterer {
    pub(super) fn new(random: fastrand::Rng) -> Self {
        Alterer { random, setting: None, before: 0 }
    }

    /// Alters bytes as is set; how often.
    pub(super) fn alter(&mut self, bytes: &mut Vec<u8>, setting: Option<(Alteration, u64)>) -> u64 {
        if self.setting != setting {
            self.setting = setting;
            self.draw();
        }
        let Some((alteration, _)) = setting else { return 0 };
        let read = std::mem::take(bytes);
        let mut altered = 0;
        let mut repeat = false;
        for byte in &read {
            if self.before > 0 {
                self.before -= 1;
                bytes.push(*byte);
                continue;
            }
            match alteration {
                Alteration::Flip => bytes.push(byte ^ self.random.u8(1..)),
                Alteration::Drop => {}
                Alteration::Repeat => {
                    bytes.push(*byte);
                    repeat = true;
                }
            }
            altered += 1;
            self.draw();
        }
        if repeat {
            bytes.extend_from_slice(&read);
        }
        altered
    }

    /// Uniform, with the mean that is set.
    fn draw(&mut self) {
        self.before = self.setting.map_or(0, |(_, every)| self.random.u64(0..(2 * every).max(2) - 1));
    }
}
