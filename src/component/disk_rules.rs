//! What every driver refuses before it touches a file, so that a component
//! meets one rule in the world and on a machine.

use super::effect::DiskOp;
use std::io::{self, ErrorKind};

/// Most bytes of a name between two `/`: one less than file systems take,
/// since a driver puts [`RESERVED`] behind it.
const PART_BYTES_MAX: usize = 254;
/// Most bytes of a whole name.
const NAME_BYTES_MAX: usize = 1024;
/// Names that end so are the driver's own.
pub(crate) const RESERVED: char = '~';

impl DiskOp {
    /// Most bytes that one [`DiskOp::Read`] brings; a longer file is read in
    /// several, each from where the last one ended.
    pub const READ_BYTES_MAX: u64 = 16 << 20;
    /// Longest file, in bytes.
    pub const FILE_BYTES_MAX: u64 = 1 << 40;

    /// Whether an operation may be performed at all.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is none, `FileTooLarge` for a file that
    /// would be longer than [`DiskOp::FILE_BYTES_MAX`].
    pub(crate) fn check(&self) -> io::Result<()> {
        match self {
            DiskOp::Append { name, .. }
            | DiskOp::Sync { name }
            | DiskOp::Replace { name, .. }
            | DiskOp::Read { name, .. }
            | DiskOp::Remove { name } => check_name(name),
            DiskOp::WriteAt { name, offset, bytes } => {
                check_name(name)?;
                check_length(offset.saturating_add(bytes.len() as u64))
            }
            DiskOp::Allocate { name, bytes } => {
                check_name(name)?;
                check_length(*bytes)
            }
            DiskOp::Rename { from, to } => {
                check_name(from)?;
                check_name(to)
            }
            DiskOp::SyncDir { name } | DiskOp::List { name } if name.is_empty() => Ok(()),
            DiskOp::SyncDir { name } | DiskOp::List { name } => check_name(name),
        }
    }
}

/// Whether `name` is a plain name inside a component's directory.
///
/// # Errors
/// `InvalidInput` where it is not.
pub(crate) fn check_name(name: &str) -> io::Result<()> {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.len() <= PART_BYTES_MAX
            && !part.contains('\0')
            && !part.ends_with(RESERVED)
    };
    if name.len() <= NAME_BYTES_MAX && name.split('/').all(plain) {
        return Ok(());
    }
    let text = format!("'{name}' is no plain name inside the component's directory");
    Err(io::Error::new(ErrorKind::InvalidInput, text))
}

fn check_length(bytes: u64) -> io::Result<()> {
    if bytes <= DiskOp::FILE_BYTES_MAX { Ok(()) } else { Err(ErrorKind::FileTooLarge.into()) }
}
