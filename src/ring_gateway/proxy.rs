//! A client of the text protocol.

use super::ask::{Trouble, is_harmless, name_of};
use super::link::{BLOCK_BYTES, Link};
use super::reading::Reading;
use super::server::{Limits, Shared, first_line, split_line};
use crate::service::ring::name::Name;
use crate::service::ring::text::reply::{Code, coded, error};
use crate::service::ring::text::{Request, SIZE_MAX, parse};
use bytes::{Bytes, BytesMut};
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

/// How long a client has to take what was written last, and to end.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes that are kept to be said again to another node.
const REPLAY_BYTES_MAX: usize = 16 << 10;

/// Serves a connection of which this much was read.
pub(super) async fn serve(mut client: TcpStream, said: Bytes, shared: &Arc<Shared>) -> io::Result<()> {
    let said = match admitted(&mut client, said, shared).await? {
        Some(said) if !said.is_empty() => said,
        _ => return Ok(()),
    };
    let (line, _) = split_line(&said);
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    match parse(line.strip_suffix(b"\r").unwrap_or(line)) {
        Ok(Request::Pull(name)) => pull(client, name, shared).await,
        request => pipe(client, said, request.ok(), shared).await,
    }
}

/// Where a token is needed it is said first; what follows it is given back.
async fn admitted(client: &mut TcpStream, said: Bytes, shared: &Shared) -> io::Result<Option<Bytes>> {
    let Some(token) = &shared.token else { return Ok(Some(said)) };
    let (line, rest) = split_line(&said);
    let given = match parse(line.trim_ascii_end()) {
        Ok(Request::Auth(given)) => Some(token.is(given.as_bytes())),
        _ => None,
    };
    if given != Some(true) {
        let why = if given.is_none() { "say AUTH <token> first" } else { "the token is not this gateway's" };
        client.write_all(coded(Code::Auth, why).as_bytes()).await?;
        linger(client).await;
        return Ok(None);
    }
    client.write_all(b"OK\n").await?;
    let mut said = BytesMut::from(&rest[..]);
    match timeout(shared.limits.idle_within, first_line(client, &mut said)).await {
        Ok(read) => read.map(|()| Some(said.freeze())),
        Err(_) => Ok(None),
    }
}

/// A file, which ends whole or by a reset.
async fn pull(mut client: TcpStream, name: Name, shared: &Arc<Shared>) -> io::Result<()> {
    let mut reading = match Reading::begin(shared.nodes.clone(), name, 0, SIZE_MAX).await {
        Ok(reading) => reading,
        Err(trouble) => return refuse(client, &trouble).await,
    };
    loop {
        match reading.next().await {
            Ok(None) => break,
            Ok(Some(bytes)) => {
                let written = timeout(shared.limits.stall_within, client.write_all(&bytes)).await;
                written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            }
            Err(trouble) => return reset(client, &trouble),
        }
    }
    linger(&mut client).await;
    Ok(())
}

/// Says why not, and closes.
async fn refuse(mut client: TcpStream, trouble: &Trouble) -> io::Result<()> {
    let line = match trouble {
        trouble if trouble.code() == Some(Code::NotFound) => error("file not found"),
        Trouble::Refused(refused) => error(&refused.to_string()),
        trouble => coded(Code::Unavailable, &trouble.to_string()),
    };
    client.write_all(line.as_bytes()).await?;
    linger(&mut client).await;
    Ok(())
}

/// What was sent is not the whole: the client must not take it for that.
fn reset(client: TcpStream, why: &dyn std::fmt::Display) -> io::Result<()> {
    log::warn!(target: "nodewright::ring_gateway", "a client's connection is reset: {why}");
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO))
}

/// Ends what is said to the client, and waits until it has ended too: closing while it
/// still speaks would reset the connection, and take away what it has not read yet.
pub(super) async fn linger(client: &mut TcpStream) {
    let ended = async {
        client.shutdown().await?;
        let mut sink = BytesMut::with_capacity(16 << 10);
        while client.read_buf(&mut sink).await? > 0 {
            sink.clear();
        }
        Ok::<(), io::Error>(())
    };
    let _ = timeout(LINGER, ended).await; // it is let go in any case
}

/// How a conversation through one node ended.
enum End {
    /// The node has said all and ended.
    Done,
    /// The node went without having said anything.
    Silent(String),
    /// The node broke off in the middle.
    Broken(String),
    /// The client went, or does not take what it is told.
    ClientGone,
}

/// What the client said so far, to be said again where that does no harm.
struct Replay {
    said: BytesMut,
    ended: bool,
    whole: bool,
}

/// Bytes in both directions.
async fn pipe(mut client: TcpStream, said: Bytes, request: Option<Request>, shared: &Arc<Shared>) -> io::Result<()> {
    let nodes = &shared.nodes;
    let mut order = nodes.order(request.as_ref().and_then(name_of));
    // a line that is no request does nothing anywhere
    let whole = request.as_ref().is_none_or(is_harmless);
    let mut replay = Replay { said: BytesMut::from(&said[..]), ended: false, whole };
    loop {
        let link = match nodes.open(order.clone()).await {
            Ok(link) => link,
            Err(why) => return refuse(client, &Trouble::Nobody(why)).await,
        };
        let node = link.node.clone();
        order.drain(..=order.iter().position(|other| *other == node).unwrap_or(0));
        match converse(&mut client, link, &mut replay, &shared.limits).await {
            End::Done => {
                linger(&mut client).await;
                return Ok(());
            }
            End::Silent(why) => {
                nodes.failed(&node);
                if !replay.whole {
                    let why = format!("{node} went before it answered ({why}): whether it was done is not known");
                    return refuse(client, &Trouble::Nobody(why)).await;
                }
            }
            End::Broken(why) => {
                nodes.failed(&node);
                return reset(client, &format!("{node} broke off: {why}"));
            }
            End::ClientGone => return Ok(()),
        }
    }
}

async fn converse(client: &mut TcpStream, link: Link, replay: &mut Replay, limits: &Limits) -> End {
    let (early, mut node) = link.into_parts();
    debug_assert!(early.is_empty(), "a node answers no more than it was asked");
    let (mut from_node, mut to_node) = node.split();
    let (mut from_client, mut to_client) = client.split();
    let started = Instant::now();
    let (active, answered) = (AtomicU64::new(0), AtomicBool::new(false));
    let touch = || active.store(started.elapsed().as_millis() as u64, Ordering::Relaxed);
    // a node that takes nothing may wait for a holder for as long as one may stall
    let patience = limits.stall_within * 2;

    let up = async {
        let mut block = replay.said.clone();
        loop {
            match timeout(patience, to_node.write_all(&block)).await {
                Ok(Ok(())) => touch(),
                // what it has said by then is still told
                Ok(Err(_)) => return pending().await,
                Err(_) => return End::Silent(format!("it took nothing for {patience:?}")),
            }
            if replay.ended {
                let _ = to_node.shutdown().await; // gone: the other direction tells
                return pending().await;
            }
            block.clear();
            block.reserve(BLOCK_BYTES);
            match from_client.read_buf(&mut block).await {
                Ok(0) => replay.ended = true,
                Ok(_) => {
                    touch();
                    replay.whole &= replay.said.len() + block.len() <= REPLAY_BYTES_MAX;
                    if replay.whole {
                        replay.said.extend_from_slice(&block);
                    }
                }
                Err(_) => return End::ClientGone,
            }
        }
    };
    let down = async {
        let mut block = BytesMut::new();
        loop {
            block.clear();
            block.reserve(BLOCK_BYTES);
            match from_node.read_buf(&mut block).await {
                Ok(0) if answered.load(Ordering::Relaxed) => return End::Done,
                Ok(0) => return End::Silent("it ended the connection".into()),
                Err(error) if answered.load(Ordering::Relaxed) => return End::Broken(error.to_string()),
                Err(error) => return End::Silent(error.to_string()),
                Ok(_) => {
                    touch();
                    answered.store(true, Ordering::Relaxed);
                    if !matches!(timeout(limits.stall_within, to_client.write_all(&block)).await, Ok(Ok(()))) {
                        return End::ClientGone;
                    }
                }
            }
        }
    };
    let idle = async {
        loop {
            let until = started + Duration::from_millis(active.load(Ordering::Relaxed)) + limits.idle_within;
            if Instant::now() >= until {
                return End::ClientGone;
            }
            sleep_until(until).await;
        }
    };
    let end = tokio::select! {
        end = down => end,
        end = up => end,
        end = idle => end,
    };
    match end {
        // it answered something before: what follows cannot be repeated
        End::Silent(why) if answered.load(Ordering::Relaxed) => End::Broken(why),
        end => end,
    }
}
