//! A client of named services: linked with one node at a time, no member.
//!
//! It goes on to its next address only when it is known that nothing was done:
//! the node could not be reached, has no such service, or was busy. An outcome
//! that is unknown is the caller's to judge.

use super::services::STATS;
use crate::error::CallError;
use crate::id::Kind;
use crate::protocol::request::{Message, Outcome, Params, service_name};
use crate::transport::Security;
use crate::transport::client::{ClientError, ClientLink};
use bytes::Bytes;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long a call takes at the most, unless [`Client::within`] says otherwise.
const WITHIN: Duration = Duration::from_secs(10);
/// How long one address may take to link.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// A client. One call at a time; make several for several threads.
///
/// ```no_run
/// use nodewright::node::{Client, Security};
///
/// # fn main() -> Result<(), nodewright::error::CallError> {
/// let mut client = Client::connect(["127.0.0.1:8888", "127.0.0.1:8889"], Security::LoopbackOnly)?;
/// let answer = client.send_data(b"hello", "echo")?;
/// println!("{} bytes; {}", answer.len(), client.collect_stats()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    addresses: Vec<String>,
    /// The address in use, or to be tried next.
    at: usize,
    security: Security,
    link: Option<ClientLink>,
    within: Duration,
    next_id: u64,
}

/// What one attempt at one node brought.
enum Attempt {
    Answered(Result<Bytes, CallError>),
    /// Nothing was done: another node may do it.
    NotDone(String),
}

impl Client {
    /// Links with the first of `addresses` (`host:port`) that answers.
    ///
    /// # Errors
    /// None did; says what each said.
    pub fn connect<A: Into<String>>(
        addresses: impl IntoIterator<Item = A>,
        security: Security,
    ) -> Result<Self, CallError> {
        let addresses = addresses.into_iter().map(Into::into).collect();
        let mut client = Client { addresses, at: 0, security, link: None, within: WITHIN, next_id: 1 };
        client.over_all(Instant::now() + WITHIN, |client, deadline| match client.linked(deadline) {
            Ok(_) => Attempt::Answered(Ok(Bytes::new())),
            Err(why) => Attempt::NotDone(why),
        })?;
        Ok(client)
    }

    /// How long a call may take from now on. 10 s.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The name of the node it is linked with.
    pub fn node_name(&self) -> Option<&str> {
        self.link.as_ref().map(ClientLink::node_name)
    }

    /// Has `service` handle `data`.
    ///
    /// # Errors
    /// Says whether it was done: refused (not done), or unknown.
    pub fn send_data(&mut self, data: &[u8], service: &str) -> Result<Bytes, CallError> {
        self.send_data_with_params(data, service, &[])
    }

    /// Has `service` handle `data`, with named values beside it.
    ///
    /// # Errors
    /// As [`Client::send_data`].
    pub fn send_data_with_params(
        &mut self,
        data: &[u8],
        service: &str,
        params: &[(&str, &str)],
    ) -> Result<Bytes, CallError> {
        let params = params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        self.ask(&service_name(service), params, data)
    }

    /// The statistics of every node that the linked one reaches, by name.
    ///
    /// # Errors
    /// As [`Client::send_data`].
    pub fn collect_stats(&mut self) -> Result<Value, CallError> {
        let text = self.ask(STATS, vec![("all".into(), "true".into())], &[])?;
        serde_json::from_slice(&text).map_err(|error| CallError::Failed(format!("the answer is no JSON: {error}")))
    }

    fn ask(&mut self, name: &str, params: Params, body: &[u8]) -> Result<Bytes, CallError> {
        self.over_all(Instant::now() + self.within, |client, deadline| {
            client.attempt(name, params.clone(), body, deadline)
        })
    }

    /// Tries the addresses in turn, from the one in use, each once.
    fn over_all(
        &mut self,
        deadline: Instant,
        mut attempt: impl FnMut(&mut Self, Instant) -> Attempt,
    ) -> Result<Bytes, CallError> {
        let mut said = Vec::new();
        for _ in 0..self.addresses.len() {
            match attempt(self, deadline) {
                Attempt::Answered(answer) => return answer,
                Attempt::NotDone(why) => said.push(why),
            }
            self.link = None;
            self.at = (self.at + 1) % self.addresses.len();
        }
        let said = if said.is_empty() { "there is no address".to_string() } else { said.join("; ") };
        Err(CallError::Refused(said))
    }

    /// The link to the address in use.
    fn linked(&mut self, deadline: Instant) -> Result<&mut ClientLink, String> {
        if self.link.is_none() {
            let left = deadline.saturating_duration_since(Instant::now()).min(CONNECT_WITHIN);
            let address = self.addresses[self.at].as_str();
            let link = ClientLink::connect(address, &self.security, left);
            self.link = Some(link.map_err(|error| format!("{address}: {error}"))?);
        }
        self.link.as_mut().ok_or_else(|| "no link".to_string())
    }

    /// Asks the linked node.
    fn attempt(&mut self, name: &str, params: Params, body: &[u8], deadline: Instant) -> Attempt {
        let id = self.next_id;
        self.next_id += 1;
        let left = deadline.saturating_duration_since(Instant::now());
        let within_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        let head = Message::Request { id, kind: Kind::of(name), version: 1, within_ms, params };
        let mut block = Vec::new();
        head.put(body, &mut block);
        let link = match self.linked(deadline) {
            Ok(link) => link,
            Err(why) => return Attempt::NotDone(why),
        };
        let outcome = exchange(link, id, block.into(), deadline);
        let node = link.node_name().to_string();
        match outcome {
            Ok((Outcome::Done, answer)) => Attempt::Answered(Ok(answer)),
            Ok((Outcome::NoHandler, _)) => Attempt::NotDone(format!("{node} has no {name}")),
            Ok((Outcome::Busy, _)) => Attempt::NotDone(format!("{node} is busy")),
            Ok((Outcome::Refused(why), _)) => {
                Attempt::Answered(Err(CallError::Refused(format!("{node} refused {name}: {why}"))))
            }
            Ok((Outcome::Failed(why), _)) => {
                Attempt::Answered(Err(CallError::Failed(format!("{name} at {node}: {why}"))))
            }
            Err(ClientError::NotDone(why)) => Attempt::NotDone(why),
            Err(ClientError::Unknown(why)) => {
                self.link = None; // an answer that is late must not be taken for a later one's
                Attempt::Answered(Err(CallError::Failed(format!("{name} at {node}: {why}"))))
            }
        }
    }
}

/// Sends a request and waits for its reply; replies to earlier ones are
/// dropped.
fn exchange(link: &mut ClientLink, id: u64, block: Bytes, deadline: Instant) -> Result<(Outcome, Bytes), ClientError> {
    let component = Kind::of("request");
    link.send(component, block)?;
    loop {
        let answers = link.next(component, deadline)?;
        for (message, body) in Message::take(&answers) {
            match message {
                Message::Reply { id: answered, outcome } if answered == id => return Ok((outcome, body)),
                _ => {}
            }
        }
    }
}
