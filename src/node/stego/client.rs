//! A client of the steganography service: no member, one task at a time. Make
//! several for several threads.

use crate::service::stego::service::errand::Pace;
use crate::service::stego::service::frame::{HEAD_BYTES, LIMIT_BYTES_MAX, head};
use crate::service::stego::service::{Answer, Errand, Request, Stats, Step, TaskId, Told, Work, binary};
use crate::service::stego::{Reading, extract};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long one server may take to be reached.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long a decision, a place or an acknowledgement is awaited.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);

/// A client with its connections, which it keeps.
///
/// ```no_run
/// use nodewright::node::StegoClient;
/// use nodewright::service::stego::{Format, service::Work};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut client = StegoClient::new("Client1", ["127.0.0.1:8001", "127.0.0.1:8002"]);
/// let cover = Some(std::fs::read("cover.png")?.into());
/// let work = Work { cover, payload: "meet at dawn".into(), is_text: true, format: Format::Boxed };
/// let done = client.embed(1, work, None)?;
/// std::fs::write("hidden.png", &done.image)?;
/// # Ok(())
/// # }
/// ```
pub struct StegoClient {
    name: String,
    servers: Vec<String>,
    connections: BTreeMap<String, TcpStream>,
    /// The server that answered last.
    first: usize,
    /// How long a server may take for a task.
    task_within: Duration,
    pace: Pace,
}

/// A result.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// A whole PNG; what is hidden in it was extracted and compared.
    pub image: Bytes,
    /// Which server made it.
    pub server: String,
    /// From the first question to the acknowledgement.
    pub took: Duration,
    /// What went otherwise than straight: servers that did not answer, were full, had
    /// no leader.
    pub retries: u32,
    /// Results that hid something else, and were made again.
    pub wrong: u32,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// No server can do it; the task is over.
    #[error("{0}")]
    Failed(String),
    /// The time is up. It may still be done: the same request id asks for it again.
    #[error("no result within {0:?} (outcome unknown): the same request id asks for it again")]
    TimedOut(Duration),
}

impl StegoClient {
    /// A client by this name, of servers at these addresses (`host:port`); at least
    /// one. Nothing is connected yet.
    pub fn new<A: Into<String>>(name: impl Into<String>, servers: impl IntoIterator<Item = A>) -> Self {
        StegoClient {
            name: name.into(),
            servers: servers.into_iter().map(Into::into).collect(),
            connections: BTreeMap::new(),
            first: 0,
            task_within: Duration::from_secs(30),
            pace: Pace::default(),
        }
    }

    /// How long one server may take for one task before another is asked: 30 s.
    #[must_use]
    pub fn task_within(mut self, time: Duration) -> Self {
        self.task_within = time;
        self
    }

    /// Which server is asked first.
    #[must_use]
    pub fn starting_at(mut self, server: usize) -> Self {
        self.first = server;
        self
    }

    /// Asks one server one thing.
    ///
    /// # Errors
    /// It was not reached, or did not answer in time.
    pub fn ask(&mut self, server: &str, request: &Request) -> io::Result<Answer> {
        let within = if matches!(request, Request::Submit { .. }) { self.task_within } else { ANSWER_WITHIN };
        // A connection that was kept may have ended meanwhile: a second try is on a new one.
        if let Some(mut kept) = self.connections.remove(server)
            && let Ok(answer) = exchange(&mut kept, request, within)
        {
            self.connections.insert(server.to_string(), kept);
            return Ok(answer);
        }
        let mut new = connect(server)?;
        let answer = exchange(&mut new, request, within)?;
        self.connections.insert(server.to_string(), new);
        Ok(answer)
    }

    /// Has a payload embedded, verifies the result by extraction and acknowledges it.
    /// Goes on over all servers, as long as it takes, or until `until`.
    ///
    /// # Errors
    /// [`TaskError`].
    pub fn embed(&mut self, request: u64, work: Work, until: Option<Instant>) -> Result<Embedded, TaskError> {
        let (begun, payload, format) = (Instant::now(), work.payload.clone(), work.format);
        let task = TaskId { client: self.name.clone(), request };
        let mut errand = Errand::new(task, work, self.servers.clone(), self.first, self.pace);
        let (mut step, mut result, mut wrong) = (errand.begin(), Bytes::new(), 0);
        loop {
            if until.is_some_and(|until| Instant::now() > until) {
                return Err(TaskError::TimedOut(begun.elapsed()));
            }
            let told = match step {
                Step::Ask { server, request } => self.ask(&server, &request).map_or(Told::Broken, Told::Answer),
                Step::Wait(time) => {
                    std::thread::sleep(time); // a poll's pace: nobody tells of the next leader
                    Told::Waited
                }
                Step::Look(image) => {
                    if hides_exactly(&image, &payload, format) {
                        result = image;
                        Told::Good
                    } else {
                        wrong += 1;
                        Told::Bad
                    }
                }
                Step::Failed(why) => return Err(TaskError::Failed(why)),
                Step::Done => {
                    self.first = errand.first();
                    let server = errand.server.unwrap_or_default();
                    let (took, retries) = (begun.elapsed(), errand.retries);
                    return Ok(Embedded { image: result, server, took, retries, wrong });
                }
            };
            step = errand.told(told);
        }
    }

    /// How each server does, as it says itself.
    pub fn stats(&mut self) -> Vec<(String, io::Result<Stats>)> {
        let servers = self.servers.clone();
        let ask = |server: String| {
            let stats = match self.ask(&server, &Request::Stats) {
                Ok(Answer::Stats(stats)) => Ok(*stats),
                Ok(other) => Err(io::Error::other(format!("an answer to something else: {other:?}"))),
                Err(error) => Err(error),
            };
            (server, stats)
        };
        servers.into_iter().map(ask).collect()
    }
}

/// Whether an image hides exactly this.
pub fn hides_exactly(image: &[u8], payload: &[u8], format: crate::service::stego::Format) -> bool {
    let reading = Reading { format: Some(format), ..Reading::default() };
    extract(image, &reading, None).is_ok_and(|found| found.payload.bytes() == payload)
}

fn connect(server: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{server} is no address"));
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
            Ok(connection) => {
                connection.set_nodelay(true)?;
                return Ok(connection);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(connection: &mut TcpStream, request: &Request, within: Duration) -> io::Result<Answer> {
    let until = Instant::now() + within;
    connection.set_write_timeout(Some(within))?;
    let (first, parts) = binary::encode(request);
    let length = first.len() + parts.iter().map(Bytes::len).sum::<usize>();
    connection.write_all(&[&head(length)[..], &first].concat())?;
    for part in parts {
        connection.write_all(&part)?;
    }
    let length = read_until(connection, until, HEAD_BYTES)?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > LIMIT_BYTES_MAX {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let body = Bytes::from(read_until(connection, until, length)?);
    binary::decode_answer(&body).ok_or_else(|| io::Error::other("an answer that does not decode"))
}

/// Reads so many bytes; makes room for what arrives only.
fn read_until(connection: &mut TcpStream, until: Instant, wanted: usize) -> io::Result<Vec<u8>> {
    let (mut got, mut buffer) = (Vec::new(), [0; 64 << 10]);
    while got.len() < wanted {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        connection.set_read_timeout(Some(left))?;
        let most = buffer.len().min(wanted - got.len());
        match connection.read(&mut buffer[..most]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => got.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
