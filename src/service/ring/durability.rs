//! What an acknowledged push rests on.
//!
//! | level | when `OK` is said, every copy is | what it takes to lose the file |
//! |---|---|---|
//! | `strict` | synced | the disks of all holders of a part |
//! | `group` | written; synced within [`GROUP_WITHIN`], with all else that came meanwhile | the power of all holders of a part, within that time |
//! | `none` | written; the system syncs it when it likes | the same, within half a minute or so |
//!
//! At every level the *decision* is synced by a majority, so a file's existence, version
//! and hashes are never lost; no crash of processes loses a byte, and a copy that the loss
//! of power cut short is found by its hashes, never read, and repaired from another one.
//! What is repaired is synced at every level.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A copy that was acknowledged at [`Durability::Group`] is synced after so long.
pub const GROUP_WITHIN: Duration = Duration::from_millis(100);

/// See [the module](self).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, Serialize, Deserialize)]
pub enum Durability {
    /// Every copy is synced before it is acknowledged.
    #[default]
    Strict,
    /// Every copy is written before, and synced soon after, many at once.
    Group,
    /// Every copy is written before; no sync is asked for.
    None,
}

impl Durability {
    /// All of them, the safest first.
    pub const ALL: [Durability; 3] = [Durability::Strict, Durability::Group, Durability::None];

    /// As it is written everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Durability::Strict => "strict",
            Durability::Group => "group",
            Durability::None => "none",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Durability::ALL.into_iter().find(|level| level.name() == text);
        found.ok_or_else(|| format!("'{text}' is no level: strict, group or none"))
    }
}
