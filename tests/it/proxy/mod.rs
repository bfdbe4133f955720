//! A TCP fault proxy: it stands between who dials and a target, and passes
//! bytes on with the faults that are set for each way, changed at any time.
//!
//! ```text
//!   near --(reads)--> [bytes, due at] --(waits, alters, cuts, slices)--> far      Way::Up
//!        <--(slices, cuts, alters, waits)-- [bytes, due at] <--(reads)--          Way::Down
//! ```
//! Two threads a way and connection, so that latency delays bytes and does not
//! slow them down. A stalled way keeps what it has and reads no more: the
//! sender's socket fills, the connection stays open, its end is not passed on.
//!
//! What is random comes from the seed: where bytes are altered depends on the
//! seed, the number of the connection and the bytes' places alone.

mod alter;
mod pump;
mod tests;

pub(crate) use alter::Alteration;

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

/// A direction.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// From who dialled to the target.
    Up = 0,
    /// From the target to who dialled.
    Down = 1,
}

/// What happens to the bytes of one way; nothing by default.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Faults {
    /// They arrive so much later, in order,
    pub(crate) latency: Duration,
    /// and up to so much more.
    pub(crate) jitter: Duration,
    /// They are written in pieces of 1 to so many bytes; 0: as they come.
    pub(crate) slice_max: usize,
    /// Nothing flows. Set for both ways the link is silent, for one it is
    /// one-way.
    pub(crate) stalled: bool,
    /// So many more pass, then the connection is cut at both ends. Once: what
    /// dials again is not cut.
    pub(crate) cut_after: Option<u64>,
    /// About one in so many bytes is altered so.
    pub(crate) alter: Option<(Alteration, u64)>,
}

/// What the proxy did so far.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Done {
    pub(crate) connections: u64,
    pub(crate) bytes: u64,
    pub(crate) writes: u64,
    pub(crate) altered: u64,
    pub(crate) cuts: u64,
}

/// A running proxy; its connections end when it is dropped.
pub(crate) struct Proxy {
    /// What to dial in the target's place.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

/// What the threads of a proxy share: the test changes it while they wait.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    faults: [Faults; 2],
    done: Done,
    stopped: bool,
    open: Vec<Weak<Connection>>,
}

/// Both sockets of a connection.
struct Connection {
    near: TcpStream,
    far: TcpStream,
}

impl Connection {
    fn cut(&self) {
        // either may be closed already
        let _ = (self.near.shutdown(Shutdown::Both), self.far.shutdown(Shutdown::Both));
    }
}

impl Proxy {
    /// Passes on to `target`, on a port of the system's choice.
    pub(crate) fn to(target: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let for_listener = shared.clone();
        std::thread::spawn(move || {
            for near in listener.incoming() {
                if for_listener.lock().stopped {
                    return;
                }
                if let Ok(near) = near {
                    let shared = for_listener.clone();
                    std::thread::spawn(move || shared.connect(near, target, seed));
                }
            }
        });
        Proxy { address, shared }
    }

    /// Sets the faults of one way, of open connections too.
    pub(crate) fn set(&self, way: Way, faults: Faults) {
        self.shared.lock().faults[way as usize] = faults;
        self.shared.changed.notify_all();
    }

    /// What it did so far.
    pub(crate) fn done(&self) -> Done {
        self.shared.lock().done
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let open = {
            let mut state = self.shared.lock();
            state.stopped = true;
            std::mem::take(&mut state.open)
        };
        open.iter().filter_map(Weak::upgrade).for_each(|connection| connection.cut());
        self.shared.changed.notify_all();
        let _ = TcpStream::connect(self.address); // wakes the listener
    }
}

/// What a piece of bytes may do.
enum Pass {
    /// So many of its bytes may pass, and then the connection is cut, or not.
    Bytes(usize, bool),
    Stopped,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic in a proxy")
    }

    fn connect(self: &Arc<Self>, near: TcpStream, target: SocketAddr, seed: u64) {
        let Ok(far) = TcpStream::connect(target) else { return };
        let _ = (near.set_nodelay(true), far.set_nodelay(true)); // pieces are to leave as pieces
        let connection = Arc::new(Connection { near, far });
        let number = {
            let mut state = self.lock();
            if state.stopped {
                return;
            }
            state.done.connections += 1;
            state.open.retain(|open| open.strong_count() > 0);
            state.open.push(Arc::downgrade(&connection));
            state.done.connections
        };
        for way in [Way::Up, Way::Down] {
            let random = fastrand::Rng::with_seed(seed ^ (number << 1) ^ way as u64);
            pump::start(self.clone(), connection.clone(), way, random);
        }
    }

    fn faults(&self, way: Way) -> Faults {
        self.lock().faults[way as usize]
    }

    /// Waits until `due`, and while the way is stalled; then how many of
    /// `length` bytes may pass.
    fn pass(&self, way: Way, due: Instant, length: usize) -> Pass {
        let mut state = self.lock();
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if state.stopped {
                return Pass::Stopped;
            } else if state.faults[way as usize].stalled {
                state = self.changed.wait(state).expect("no panic in a proxy");
            } else if !left.is_zero() {
                state = self.changed.wait_timeout(state, left).expect("no panic in a proxy").0;
            } else {
                break;
            }
        }
        let cut_after = &mut state.faults[way as usize].cut_after;
        let pass = match cut_after {
            Some(left) if (*left as usize) < length => Pass::Bytes(cut_after.take().unwrap_or(0) as usize, true),
            Some(left) => {
                *left -= length as u64;
                Pass::Bytes(length, false)
            }
            None => Pass::Bytes(length, false),
        };
        if let Pass::Bytes(bytes, cut) = pass {
            state.done.bytes += bytes as u64;
            state.done.writes += u64::from(length > 0);
            state.done.cuts += u64::from(cut);
        }
        pass
    }
}
