//! Dialling: one thread for each voter's slot (and one for the sponsors of a
//! listener). It dials while there is no session, and is the reader of the
//! sessions that it brings about.

use super::admission::Via;
use super::config::{PeerAddr, Security};
use super::handshake::{self, Failure};
use super::hello::Refusal;
use super::joiner;
use super::peer::lock;
use super::shared::Shared;
use crate::id::NodeId;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Attempts at one sponsor before the next one's turn.
const SPONSOR_ATTEMPTS: u32 = 3;
/// The lesser id lets the greater one redial first.
const COURTESY: Duration = Duration::from_millis(100);

/// What the system may keep beyond what is under way: the rest waits in the
/// link core, where heartbeats pass it.
const NOT_SENT_BYTES_MAX: u32 = 256 << 10;

/// How an attempt ended.
pub(super) enum Dialled {
    /// There was a session of this length; it is over.
    Session {
        lasted: Duration,
    },
    Failed {
        soon: bool,
        why: String,
    },
    /// The address is this node's own.
    Myself,
}

/// Keeps the voter of a slot linked.
pub(super) fn slot_loop(shared: &Arc<Shared>, slot: usize) {
    let peer = shared.voters[slot].clone();
    let mut pauses = Pauses::new(shared, slot as u64);
    let mut failed = 0u32;
    while peer.wait_unlinked() {
        let (configured, sessions) = (lock(&shared.book).slots[slot].configured.clone(), peer.sessions());
        if sessions > 0 && peer.who().is_some_and(|who| who.life.node > shared.mine.life.node) {
            // both sides see a cut at the same moment
            if !shared.crew.pause(COURTESY) {
                return;
            }
            if peer.linked() {
                continue;
            }
        }
        let pause = match dial(shared, &configured, Via::Slot { slot, sessions }, &mut None) {
            Dialled::Myself => {
                log::error!(
                    target: "nodewright::link",
                    "{configured} is this node itself, but does not look so: list it as {}",
                    shared.mine.listen.map_or(String::new(), |listen| listen.to_string())
                );
                return;
            }
            Dialled::Session { lasted } => {
                failed = 0;
                pauses.after_session(lasted)
            }
            Dialled::Failed { soon, why } => {
                failed += 1;
                if failed >= 4 && failed.is_power_of_two() && !peer.linked() {
                    log::info!(target: "nodewright::link", "{configured} not linked after {failed} attempts: {why}");
                }
                pauses.next(soon)
            }
        };
        if !peer.linked() && !shared.crew.pause(pause) {
            return;
        }
    }
}

/// Keeps a listener linked to one of its sponsors.
pub(super) fn sponsor_loop(shared: &Arc<Shared>, sponsors: &[PeerAddr]) {
    let mut pauses = Pauses::new(shared, u64::MAX);
    let (mut at, mut failed) = (0, 0);
    loop {
        let pause = match dial(shared, &sponsors[at % sponsors.len()], Via::Sponsor, &mut None) {
            Dialled::Session { lasted } => {
                failed = 0;
                pauses.after_session(lasted)
            }
            Dialled::Failed { .. } | Dialled::Myself => {
                failed += 1;
                pauses.next(false)
            }
        };
        if failed >= SPONSOR_ATTEMPTS {
            (at, failed) = (at + 1, 0);
        }
        if !shared.crew.pause(pause) {
            return;
        }
    }
}

/// Dials an address; `met` says who was found there.
pub(super) fn dial(shared: &Arc<Shared>, to: &PeerAddr, via: Via, met: &mut Option<NodeId>) -> Dialled {
    let addresses = to.resolve();
    if let Via::Slot { slot, .. } = via
        && !addresses.is_empty()
    {
        lock(&shared.book).slots[slot].addresses.clone_from(&addresses);
    }
    let mut failure = Failure::Io(io::Error::new(io::ErrorKind::NotFound, "the host name has no address"));
    for address in addresses {
        if matches!(shared.security, Security::LoopbackOnly) && !address.ip().is_loopback() {
            let unsecured = super::StartError::Unsecured { address: to.to_string() };
            failure = Failure::Io(io::Error::other(unsecured.to_string()));
            continue;
        }
        match attempt(shared, address, via, met) {
            Ok(lasted) => return Dialled::Session { lasted },
            Err(Failure::Refusing(Refusal::Myself) | Failure::Refused(Refusal::Myself)) => return Dialled::Myself,
            Err(error) => failure = error,
        }
    }
    Dialled::Failed { soon: shared.failed(&failure, to), why: failure.to_string() }
}

/// Connects, shakes hands and reads until the session is over.
fn attempt(shared: &Arc<Shared>, address: SocketAddr, via: Via, met: &mut Option<NodeId>) -> Result<Duration, Failure> {
    let stream = TcpStream::connect_timeout(&address, shared.limits.connect_within)?;
    configure(&stream, shared)?;
    let dialling = Dialling::begin(shared, via);
    let deadline = Instant::now() + shared.limits.handshake_within;
    let mut judged = None;
    let agreed = handshake::dial(&stream, &shared.security, &shared.mine, deadline, |hello, key| {
        (judged, *met) = (Some(hello.life), Some(hello.life.node));
        shared.judge(&hello, key, via, address)
    });
    let attached = agreed.map(|mut agreed| {
        joiner::told(shared, std::mem::take(&mut agreed.told));
        shared.attach(stream, agreed)
    });
    drop(dialling);
    let attached = attached.inspect_err(|_| {
        judged.inspect(|life| shared.abandoned(*life));
    })?;
    let begun = Instant::now();
    if let Some((peer, reading)) = attached {
        reading.run(shared, &peer);
    }
    Ok(begun.elapsed())
}

/// Small writes leave at once; a dead other end is noticed.
pub(super) fn configure(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let unanswered = shared.limits.unanswered_max;
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    let alive = socket2::TcpKeepalive::new().with_time(unanswered / 2).with_interval(unanswered / 5);
    socket.set_tcp_keepalive(&alive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(unanswered))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES_MAX)?;
    Ok(())
}

/// Marks a slot while this node's handshake with it is under way.
struct Dialling<'a> {
    shared: &'a Shared,
    via: Via,
}

impl<'a> Dialling<'a> {
    fn begin(shared: &'a Shared, via: Via) -> Self {
        let dialling = Dialling { shared, via };
        dialling.mark(true);
        dialling
    }

    fn mark(&self, under_way: bool) {
        if let Via::Slot { slot, .. } = self.via {
            lock(&self.shared.book).slots[slot].dialling = under_way;
        }
    }
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.mark(false);
    }
}

/// Growing pauses between attempts, each drawn from its upper half so that
/// nodes do not keep step.
pub(super) struct Pauses {
    first: Duration,
    max: Duration,
    next: Duration,
    rng: fastrand::Rng,
}

impl Pauses {
    pub(super) fn new(shared: &Shared, salt: u64) -> Self {
        let max = shared.limits.redial_after_max;
        let rng = fastrand::Rng::with_seed(shared.mine.boot ^ salt);
        Pauses { first: max / 50, max, next: max / 50, rng }
    }

    /// A session that lasted is taken up again at once; one that broke right
    /// away counts as a failed attempt.
    pub(super) fn after_session(&mut self, lasted: Duration) -> Duration {
        if lasted < self.first {
            return self.next(false);
        }
        self.next = self.first;
        self.next(true)
    }

    pub(super) fn next(&mut self, soon: bool) -> Duration {
        let pause = if soon { self.first } else { self.next };
        if !soon {
            self.next = (self.next * 2).min(self.max);
        }
        pause.mul_f64(0.5 + self.rng.f64() / 2.0)
    }
}
