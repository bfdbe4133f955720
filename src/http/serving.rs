//! A thread that serves connections until it is stopped.

use super::gate::Token;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

/// How long connections have to end when the thread is stopped.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// The thread. Dropping it stops it.
pub(crate) struct Serving {
    name: &'static str,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Serves on a bound listener: `serve` runs on the thread, and hears when it is to
    /// stop.
    ///
    /// # Errors
    /// The machine refuses a thread; or others can reach the address, and there is no
    /// token.
    pub(crate) fn start<F: Future<Output = ()>>(
        name: &'static str,
        listener: TcpListener,
        token: Option<&Token>,
        serve: impl FnOnce(tokio::net::TcpListener, watch::Receiver<bool>) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        if token.is_none() && !address.ip().is_loopback() {
            let why = format!("others can reach {address}, and there is no token: name a token file");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopping) = watch::channel(false);
        let serve = move || runtime.block_on(serve(listener, stopping));
        let thread = std::thread::Builder::new().name(name.into()).spawn(serve)?;
        Ok(Serving { name, address, stop, thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.stop.send(true); // it may have ended by itself
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!(target: "nodewright::http", "the thread '{}' that served {} fell", self.name, self.address);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The next connection; `None` once the thread is to stop.
pub(crate) async fn accept(
    listener: &tokio::net::TcpListener,
    stopping: &mut watch::Receiver<bool>,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            _ = stopping.changed() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                // No more descriptors, say: those that end make room.
                log::warn!(target: "nodewright::http", "a connection is not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Waits for those under way, of at most so many, and not for ever.
pub(crate) async fn drain(connections: &Semaphore, most: usize) {
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    if tokio::time::timeout(STOP_WITHIN, connections.acquire_many(all)).await.is_err() {
        log::debug!(target: "nodewright::http", "connections that did not end in time are cut");
    }
}
