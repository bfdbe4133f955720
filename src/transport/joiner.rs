//! A joiner's links: with all members, none of whom has it in a list.
//!
//! It dials the addresses that it was given; whoever accepts it tells it in the
//! handshake where the others are, and it dials those too: the configured members,
//! met or not, and earlier joiners. Members never dial it, so nothing about it
//! needs to be configured, stored or agreed on by them, and no single one is
//! needed by it once it has met another. Two joiners that come at once meet as
//! well: on each member that both link with, the later one is told of the earlier.
//!
//! What it was told it keeps in a file, and needs no sponsor at its next start.
//! An address is dialled as long as the node runs: whoever moves is found at both.

use super::admission::Via;
use super::config::PeerAddr;
use super::dial::{Dialled, Pauses, dial};
use super::hello::Told;
use super::peer::lock;
use super::shared::Shared;
use crate::component::PeerRole;
use crate::id::NodeId;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Of two joiners the lesser id waits so long before it redials.
const COURTESY: Duration = Duration::from_secs(1);
/// Longest file of addresses that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Whom a joiner dials.
#[derive(Debug)]
pub(super) struct Acquaintances {
    /// A lock, since each dialling thread may be told of more.
    addresses: Mutex<BTreeSet<PeerAddr>>,
    file: Option<PathBuf>,
    max: usize,
}

impl Acquaintances {
    /// None yet; at most `max` of them.
    pub(super) fn new(file: Option<PathBuf>, max: usize) -> Self {
        Acquaintances { addresses: Mutex::default(), file, max }
    }

    /// Adds an address; whether it is new.
    fn add(&self, address: &PeerAddr) -> bool {
        let mut addresses = lock(&self.addresses);
        let added = addresses.len() < self.max && addresses.insert(address.clone());
        if let (true, Some(file)) = (added, &self.file)
            && let Err(error) = keep(file, &addresses)
        {
            log::warn!(target: "nodewright::link", "{}: {error}: the next start needs a sponsor", file.display());
        }
        added
    }
}

/// Writes the addresses, one a line, in the place of what was there.
fn keep(file: &Path, addresses: &BTreeSet<PeerAddr>) -> io::Result<()> {
    let unfinished = file.with_extension("unfinished");
    let mut out = fs::File::create(&unfinished)?;
    for address in addresses {
        writeln!(out, "{address}")?;
    }
    out.sync_all()?;
    fs::rename(&unfinished, file)
}

/// The addresses that an earlier life was told; none where there is no file.
///
/// # Errors
/// The file cannot be read, or a line is no address.
pub fn acquainted(file: &Path) -> Result<Vec<PeerAddr>, String> {
    let read = match fs::metadata(file) {
        Ok(about) if about.len() > FILE_BYTES_MAX => return Err("too long for a list of members".into()),
        Ok(_) => fs::read_to_string(file),
        Err(error) => Err(error),
    };
    match read {
        Ok(text) => text.lines().map(|line| line.parse::<PeerAddr>().map_err(|error| error.to_string())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// Dials an address from now on, if it is a new one and there is room.
pub(super) fn acquaint(shared: &Arc<Shared>, address: PeerAddr, node: Option<NodeId>) {
    if node == Some(shared.mine.life.node) || !shared.acquaintances.add(&address) {
        return;
    }
    let spawned = shared.crew.spawn(shared, "nw-join", move |shared| keep_linked(shared, &address, node));
    if let Err(error) = spawned {
        log::warn!(target: "nodewright::link", "a member is not dialled: {error}");
    }
}

/// What a member told.
pub(super) fn told(shared: &Arc<Shared>, told: Vec<Told>) {
    for Told { address, node } in told {
        acquaint(shared, address.into(), node);
    }
}

/// Keeps the member at an address linked.
fn keep_linked(shared: &Arc<Shared>, address: &PeerAddr, mut node: Option<NodeId>) {
    let salt = address.host.bytes().fold(u64::from(address.port), |salt, byte| salt.rotate_left(7) ^ u64::from(byte));
    let mut pauses = Pauses::new(shared, salt);
    loop {
        let peer = node.and_then(|node| lock(&shared.book).peer(node));
        if let Some(peer) = peer.filter(|peer| peer.linked()) {
            peer.wait_unlinked();
            let other = peer.who().filter(|who| who.role == PeerRole::Joiner).map(|who| who.life.node);
            let pause = if other > Some(shared.mine.life.node) { COURTESY } else { pauses.next(true) };
            if !shared.crew.pause(pause) {
                return;
            }
            continue;
        }
        let pause = match dial(shared, address, Via::Sponsor, &mut node) {
            Dialled::Session { lasted } => pauses.after_session(lasted),
            Dialled::Failed { .. } => pauses.next(false),
            Dialled::Myself => return,
        };
        if !shared.crew.pause(pause) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_read_again_and_bounded() {
        let dir = std::env::temp_dir().join(format!("nodewright-joiner-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a temporary directory");
        let file = dir.join("members");
        assert_eq!(acquainted(&file), Ok(vec![]), "a first start");
        let address = |text: &str| text.parse::<PeerAddr>().expect("an address");
        let acquaintances = Acquaintances::new(Some(file.clone()), 2);
        assert!(acquaintances.add(&address("127.0.0.1:7001")) && acquaintances.add(&address("beta@node-b:7002")));
        assert!(!acquaintances.add(&address("127.0.0.1:7001")), "known");
        assert!(!acquaintances.add(&address("127.0.0.1:7003")), "no room");
        let kept: BTreeSet<PeerAddr> = acquainted(&file).expect("it reads").into_iter().collect();
        assert_eq!(kept, BTreeSet::from([address("127.0.0.1:7001"), address("beta@node-b:7002")]));
        fs::write(&file, "no address\n").expect("written");
        assert!(acquainted(&file).is_err());
        fs::remove_dir_all(&dir).expect("removed");
    }
}
