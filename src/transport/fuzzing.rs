//! The bodies of [`crate::fuzzing`] for what strangers write to a port.

use super::handshake::{Agreed, Failure, MAGIC, accept, dial};
use super::hello::{Hello, Refusal, Role, Third, Verdict, WIRE_VERSION};
use super::keys::{ClusterSecret, KeyPair, PublicKey};
use super::reader::{Frames, Raw};
use super::seal::Seal;
use super::{Credentials, Security};
use crate::codec::fuzzing::stays_itself;
use crate::id::{Life, NodeId};
use crate::protocol::link::{BLOCK_BYTES_MAX, FrameHeader};
use bytes::Bytes;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

type Cut = (Vec<(FrameHeader, Bytes)>, bool);

/// The first byte says how the rest, a stream, is cut.
pub(crate) fn frames(input: &[u8]) {
    frames_by(input, Frames::split);
}

/// Judges how `split` cuts frames off.
pub(super) fn frames_by(input: &[u8], split: impl Fn(&mut Frames) -> bool) {
    let Some((&seed, stream)) = input.split_first() else { return };
    let whole = read(stream, &split, || usize::MAX);
    let mut rng = fastrand::Rng::with_seed(seed.into());
    let longest = 1 << (seed % 8);
    assert_eq!(read(stream, &split, || rng.usize(1..=longest)), whole, "cut otherwise");
    let mut again = Vec::new();
    for (header, block) in &whole.0 {
        assert!(block.len() <= BLOCK_BYTES_MAX);
        again.extend_from_slice(&header.encode());
        again.extend_from_slice(block);
    }
    assert!(stream.starts_with(&again), "each is what was read");
}

fn read(stream: &[u8], split: &impl Fn(&mut Frames) -> bool, mut next: impl FnMut() -> usize) -> Cut {
    let mut frames = Frames::default();
    let mut rest = stream;
    let mut sound = true;
    while sound && !rest.is_empty() {
        let (piece, after) = rest.split_at(next().min(rest.len()));
        frames.plain.extend_from_slice(piece);
        rest = after;
        sound = split(&mut frames);
        let arrived = stream.len() - rest.len();
        assert!(frames.plain.capacity() <= 4 * arrived + 1024, "room for {} of {arrived}", frames.plain.capacity());
    }
    (frames.whole, sound)
}

/// Records over a socket: the frames are those of what the records hold.
pub(crate) fn records(input: &[u8]) {
    let mut plain = vec![0]; // cut anyhow
    let mut rest = input;
    while let Some((length, after)) = rest.split_first_chunk() {
        let Some((record, after)) = after.split_at_checked(u16::from_le_bytes(*length).into()) else { break };
        plain.extend_from_slice(record);
        rest = after;
    }
    let expected = read(&plain[1..], &Frames::split, || usize::MAX);
    let [writing, reading] = pair();
    // what does not fit into the socket's buffers is written beside the reader
    let (found, sound) = std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = (&writing).write_all(input); // the reader may have stopped at junk
            let _ = writing.shutdown(Shutdown::Both);
        });
        let (mut raw, mut frames, mut nonce) = (Raw::new(), Frames::default(), 0);
        while raw.read(&reading).is_ok_and(|bytes| bytes > 0) {
            if !raw.open(&Seal::Plain, &mut nonce, &mut frames.plain) || !frames.split() {
                return (frames.whole, false);
            }
        }
        (frames.whole, true)
    });
    assert_eq!((found, sound), expected);
}

/// What the two sides tell each other.
pub(crate) fn hellos(input: &[u8]) {
    stays_itself::<Hello>(input);
    stays_itself::<Third>(input);
    stays_itself::<Verdict>(input);
    stays_itself::<Refusal>(input);
    if let Some(header) = input.first_chunk()
        && let Ok(header) = FrameHeader::decode(header, BLOCK_BYTES_MAX)
    {
        assert_eq!(header.encode(), input[..FrameHeader::BYTES]);
    }
}

/// The first byte says who the fuzzer is: what dials or accepts, sealed or not;
/// or who stands between two true sides and alters what passes.
pub(crate) fn handshake(input: &[u8]) {
    let Some((&who, bytes)) = input.split_first() else { return };
    let security = if who & 1 == 0 { Security::Insecure } else { sealed() };
    match who / 2 % 3 {
        0 => drop(against(bytes, |stream| accept_from(stream, &[], &security))),
        1 => {
            // past what decides on the mode
            let first = [&MAGIC[..], &[WIRE_VERSION]].concat();
            let agreed = against(bytes, |stream| accept_from(stream, &first, &security));
            assert!(agreed.is_err() || who & 1 == 0, "a stranger without the secret was let in");
        }
        _ => {
            let agreed = against(bytes, |stream| dial_to(stream, &security));
            assert!(agreed.is_err() || who & 1 == 0, "a stranger without the secret was let in");
        }
    }
    if who & 1 == 1 && who / 2 % 3 == 0 {
        between(bytes);
    }
}

/// One side alone; the other writes these bytes and ends.
fn against<T>(bytes: &[u8], side: impl FnOnce(&TcpStream) -> T) -> T {
    let [writing, reading] = pair();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = (&writing).write_all(bytes); // refused before all was read
            let _ = writing.shutdown(Shutdown::Write);
            let _ = (&writing).read_to_end(&mut Vec::new());
        });
        let result = side(&reading);
        let _ = reading.shutdown(Shutdown::Both);
        result
    })
}

/// Two true sides; the bytes say what is altered: `[at][with]` each way.
fn between(bytes: &[u8]) {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let alter = [(byte(0), byte(1)), (byte(2), byte(3))];
    let [[a, a_out], [b, b_out]] = [pair(), pair()];
    let altered = std::sync::atomic::AtomicBool::new(false);
    let pump = |from: &TcpStream, to: &TcpStream, (at, with): (u8, u8)| {
        let (mut from, mut to) = (from, to);
        let (mut passed, mut piece) = (0, [0; 512]);
        while let Ok(length @ 1..) = from.read(&mut piece) {
            if let Some(hit) = usize::from(at).checked_sub(passed).filter(|hit| *hit < length && with != 0) {
                piece[hit] ^= with;
                altered.store(true, std::sync::atomic::Ordering::SeqCst);
            }
            passed += length;
            if to.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    };
    let security = sealed();
    let (dialled, accepted) = std::thread::scope(|scope| {
        scope.spawn(|| pump(&a_out, &b_out, alter[0]));
        scope.spawn(|| pump(&b_out, &a_out, alter[1]));
        let accepted = scope.spawn(|| {
            let accepted = accept_from(&b, &[], &security).is_ok();
            let _ = b.shutdown(Shutdown::Write);
            accepted
        });
        let dialled = dial_to(&a, &security).is_ok();
        let _ = a.shutdown(Shutdown::Write);
        (dialled, accepted.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let altered = altered.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(dialled && accepted, !altered, "dialled {dialled}, accepted {accepted}, altered {altered}");
}

fn accept_from(stream: &TcpStream, first: &[u8], security: &Security) -> Result<Agreed<Hello>, Failure> {
    accept(stream, first, security, &hello(2), within(), |hello, _: Option<PublicKey>| Ok(hello), Vec::new)
}

fn dial_to(stream: &TcpStream, security: &Security) -> Result<Agreed<Hello>, Failure> {
    dial(stream, security, &hello(1), within(), |hello, _: Option<PublicKey>| Ok(hello))
}

fn within() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn hello(id: u64) -> Hello {
    let (life, name) = (Life::new(NodeId(id), 1), id.to_string());
    let provides = Vec::new();
    Hello { life, name, boot: id, role: Role::Voter, listen: None, block_bytes_max: 1 << 20, voters: 2, provides }
}

fn sealed() -> Security {
    static CREDENTIALS: OnceLock<Arc<Credentials>> = OnceLock::new();
    let credentials = CREDENTIALS.get_or_init(|| {
        let random = "the system has random bytes";
        Arc::new(Credentials::new(ClusterSecret::generate().expect(random), KeyPair::generate().expect(random)))
    });
    Security::Secured(credentials.clone())
}

/// Two ends of a connection.
/// Thousands of pairs a second: without a reset at the end each would keep its ports for
/// a minute, and there are not so many.
fn pair() -> [TcpStream; 2] {
    let ends = || -> std::io::Result<[TcpStream; 2]> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let ends = [TcpStream::connect(listener.local_addr()?)?, listener.accept()?.0];
        for end in &ends {
            end.set_nodelay(true)?;
        }
        socket2::SockRef::from(&ends[1]).set_linger(Some(Duration::ZERO))?;
        Ok(ends)
    };
    ends().expect("loopback is there")
}

/// Planted bugs that `frames` must notice.
#[cfg(test)]
pub(crate) mod planted {
    use super::*;

    /// Makes room for what is declared.
    pub(crate) fn trusts_a_length(input: &[u8]) {
        frames_by(input, |frames| {
            let sound = frames.split();
            if let Some(header) = frames.plain.first_chunk()
                && let Ok(header) = FrameHeader::decode(header, BLOCK_BYTES_MAX)
            {
                frames.plain.reserve(header.block_bytes as usize);
            }
            sound
        });
    }

    /// Takes what has not wholly arrived for junk.
    pub(crate) fn has_no_patience(input: &[u8]) {
        frames_by(input, |frames| frames.split() && frames.plain.is_empty());
    }
}
