//! The document store behind REST: what the front asks is asked of the node.

use super::builder::Node;
use super::error::StartError;
use super::running::{Running, Started};
use crate::component::{Erased, WiringFault};
use crate::error::CallError;
use crate::http::{Later, Options, Server, Store, Token};
use crate::id::{Kind, NodeId};
use crate::protocol::replicated_log::{self, Key, Level, Status};
use crate::service::documents::{
    Answer, Answered, Call, Command, DocumentError, Done, Fate, Got, NAME, Question, Read, Receipt, Refusal, Remembered,
};
use serde_json::{Value, json};
use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The driver's deadline is this much later than the component's own, which says
/// more.
const GRACE: Duration = Duration::from_secs(6);
/// Until when a replica says how it is.
const STATUS_WITHIN: Duration = Duration::from_secs(5);

/// What was asked of the front, with the call that asked.
#[derive(Clone, Default)]
pub(in crate::node) struct Asked {
    pub(in crate::node) listen: Option<(String, String)>,
    pub(in crate::node) token: Option<Token>,
    pub(in crate::node) token_file: Option<std::path::PathBuf>,
}

/// A front that has its port, and does not serve yet.
pub(in crate::node) struct Front {
    listener: TcpListener,
    options: Options,
}

/// Where a started node keeps its front; the lock is held to take it out.
pub(in crate::node) type Serving = Mutex<Option<Server>>;

impl Node {
    /// The front's port and token.
    pub(in crate::node) fn bind_http(&self) -> Result<Option<Front>, Vec<WiringFault>> {
        let Some((listen, call)) = &self.http.listen else { return Ok(None) };
        let bad = |call: &str, problem: String, mend: &str| {
            vec![WiringFault::BadValue { call: call.into(), problem, mend: mend.into() }]
        };
        let token = match (&self.http.token, &self.http.token_file) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(path)) => {
                let call = format!(".http_token_file({path:?})");
                Some(
                    Token::load(path)
                        .map_err(|error| bad(&call, error.to_string(), "a file with one line, the token"))?,
                )
            }
            (None, None) => None,
        };
        let refused = |problem: String| bad(call, problem, ".has_http(\"127.0.0.1:8080\")");
        let addresses = std::net::ToSocketAddrs::to_socket_addrs(listen).map_err(|error| refused(error.to_string()))?;
        let address = addresses.into_iter().next().ok_or_else(|| refused("the host has no address".into()))?;
        if token.is_none() && !address.ip().is_loopback() {
            let problem = "others can reach this address, and there is no token".to_string();
            return Err(bad(call, problem, ".http_token_file(\"http.token\"), or a loopback address"));
        }
        let listener = TcpListener::bind(address).map_err(|error| refused(format!("{address}: {error}")))?;
        Ok(Some(Front { listener, options: Options { token, ..Options::default() } }))
    }
}

impl Front {
    /// Serves for a node that runs.
    pub(in crate::node) fn serve(self, node: &Arc<Started>) -> Result<(), StartError> {
        let store = Arc::new(Running { node: node.clone() });
        let refused = |why: std::io::Error| StartError::Refused { node: node.name.clone(), why: why.to_string() };
        let server = Server::start(self.listener, self.options, store).map_err(refused)?;
        log::info!(target: "nodewright::http", "{} answers at http://{}", node.name, server.local_addr());
        *node.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }
}

impl Running {
    /// Where the node answers HTTP, if it does.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        let serving = self.node.serving.lock().unwrap_or_else(PoisonError::into_inner);
        serving.as_ref().map(Server::local_addr)
    }

    /// Takes no more requests; those under way have a while to end.
    pub(super) fn stop_http(&self) {
        let server = self.node.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(server);
    }

    fn later(&self, to: &'static str, call: impl Any + Send, within: Duration) -> Coming {
        self.handle().call_later(Kind::of(to), Box::new(call), within + GRACE).into_recv_async()
    }
}

/// An answer on its way.
type Coming = flume::r#async::RecvFut<'static, Result<Erased, CallError>>;

/// An answer as what it is.
fn taken<T: 'static>(answer: Result<Result<Erased, CallError>, flume::RecvError>) -> Result<T, DocumentError> {
    let answer = answer.unwrap_or(Err(CallError::Stopping))?;
    answer.downcast().map(|answer| *answer).map_err(|_| DocumentError::refused(Refusal::Unreadable))
}

impl Store for Running {
    fn commit(&self, command: Command, key: Option<Key>, within: Duration) -> Later<Receipt<Done>> {
        let answer = self.later(NAME, Call::Commit { command, key, within }, within);
        Box::pin(async move { taken::<Answered>(answer.await)? })
    }

    fn ask(&self, question: Question, level: Level, within: Duration) -> Later<Option<Got<Answer>>> {
        let waits = matches!(question, Question::Watch(_));
        let answer = self.later(NAME, Call::Ask { question, level, within }, within);
        Box::pin(async move {
            match taken::<Read>(answer.await)? {
                Ok(got) => Ok(Some(got)),
                Err(error) if waits && error.fate() == Fate::Unknown => Ok(None),
                // A read has no outcome that could be unknown.
                Err(DocumentError::Unknown(why)) => Err(DocumentError::NotDone(format!("nothing was read: {why}"))),
                Err(error) => Err(error),
            }
        })
    }

    fn outcome(&self, key: Key, within: Duration) -> Later<Option<Receipt<Done>>> {
        let answer = self.later(NAME, Call::Outcome { key, within }, within);
        Box::pin(async move { taken::<Remembered>(answer.await)? })
    }

    fn status(&self) -> Later<Status> {
        let answer = self.later(replicated_log::NAME, replicated_log::Call::Status, STATUS_WITHIN);
        Box::pin(async move { taken::<Status>(answer.await) })
    }

    fn about(&self) -> Value {
        let counters = self.handle().counters();
        let load = std::fs::read_to_string("/proc/loadavg").ok();
        let load = load.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        let peers: Vec<Value> = self
            .peers()
            .iter()
            .filter(|peer| peer.alive)
            .map(|peer| json!({ "name": &*peer.name, "suspected": peer.suspected }))
            .collect();
        json!({
            "name": self.name(),
            "id": self.life().node.0.to_string(),
            "incarnation": self.life().incarnation.0,
            "load_1m": load,
            "lives": counters.lives,
            "linked": peers,
            "version": env!("CARGO_PKG_VERSION"),
        })
    }

    fn name_of(&self, node: NodeId) -> Option<String> {
        if node == self.life().node {
            return Some(self.name().to_string());
        }
        self.peers().into_iter().find(|peer| peer.life.node == node).map(|peer| peer.name.to_string())
    }

    fn remove(&self, node: NodeId, within: Duration) -> Later<()> {
        let answer = self.later(replicated_log::NAME, replicated_log::Call::Remove { node, within }, within);
        Box::pin(async move { taken::<Result<(), CallError>>(answer.await)?.map_err(DocumentError::from) })
    }
}
