//! The component `services`: hosts the user's handlers of requests and named
//! services, on a thread of its own, apart from the callbacks.
//!
//! ```text
//! asker's `request` --Request--> `request` of this node --call--> `services`: the handler
//!                   <---Reply---                        <-reply--
//! ```

use super::message::Message;
use super::shelf::{Lent, Shelf};
use super::stats::Stats;
use super::window::as_callback;
use crate::component::{Context, Input, Inspection, Manifest, NetComponent, ReplyTo, Role, Run, Token};
use crate::error::Fault;
use crate::id::{Kind, Life};
use crate::protocol::request::{self, Params, Reply, Request, Respond, Route, service_name};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The component's name.
pub const NAME: &str = "services";

/// The request that every node answers with its statistics in JSON; with the
/// parameter `all`, with those of all nodes that it reaches.
pub const STATS: &str = "nodewright.stats";

/// A typed request as its handler gets it; dereferences to the value.
#[derive(Debug)]
pub struct Asked<T> {
    /// The value.
    pub value: T,
    /// The asking life: a member's, a client's, or this node's own.
    pub from: Life,
    /// How long the asker waits, counted from when it asked.
    pub within: Duration,
}

impl<T> Deref for Asked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

type Handler = Box<dyn FnMut(&Request) -> Reply + Send>;

/// The handlers by the hash of their request's name.
#[derive(Default)]
pub(super) struct Handlers {
    by_kind: BTreeMap<Kind, (Arc<str>, Handler)>,
    /// Those that are run in place, by the component `request`.
    short: BTreeMap<Arc<str>, Respond>,
}

/// The request name of typed requests of kind `kind`.
pub(super) fn request_name(kind: &str) -> Arc<str> {
    format!("request:{kind}").into()
}

/// The typed request, or why it is refused.
fn asked<Q: Message>(request: &Request) -> Result<Asked<Q>, Reply> {
    if request.version != Q::VERSION {
        return Err(Reply::Refused(format!("version {} of '{}' is answered here", Q::VERSION, Q::KIND)));
    }
    match postcard::from_bytes::<Q>(&request.body) {
        Ok(value) => Ok(Asked { value, from: request.from, within: request.within }),
        Err(_) => Err(Reply::Refused(format!("the body is no '{}'", Q::KIND))),
    }
}

fn done<R: Message>(reply: Result<R, String>) -> Reply {
    match reply.map(|reply| postcard::to_stdvec(&reply)) {
        Ok(Ok(bytes)) => Reply::Done(bytes.into()),
        Ok(Err(error)) => Reply::Failed(format!("its answer of kind '{}' refuses to be encoded: {error}", R::KIND)),
        Err(why) => Reply::Refused(why),
    }
}

impl Handlers {
    /// Returns the name if it has a handler already.
    pub(super) fn on_request<Q: Message, R: Message>(
        &mut self,
        mut handle: impl FnMut(Asked<Q>) -> Result<R, String> + Send + 'static,
    ) -> Result<(), Arc<str>> {
        let handler = move |request: &Request| match asked(request) {
            Ok(asked) => done(handle(asked)),
            Err(refusal) => refusal,
        };
        self.add(request_name(Q::KIND), Box::new(handler))
    }

    pub(super) fn on_short_request<Q: Message, R: Message>(
        &mut self,
        handle: impl Fn(Asked<Q>) -> Result<R, String> + Send + Sync + 'static,
    ) -> Result<(), Arc<str>> {
        let name = request_name(Q::KIND);
        self.free(&name)?;
        let respond = move |request: &Request| match asked(request) {
            Ok(asked) => done(handle(asked)),
            Err(refusal) => refusal,
        };
        self.short.insert(name, Arc::new(respond));
        Ok(())
    }

    pub(super) fn on_service(
        &mut self,
        name: &str,
        mut handle: impl FnMut(&Params, &[u8]) -> Result<Vec<u8>, String> + Send + 'static,
    ) -> Result<(), Arc<str>> {
        let on_bytes = move |request: &Request| match handle(&request.params, &request.body) {
            Ok(bytes) => Reply::Done(Bytes::from(bytes)),
            Err(why) => Reply::Refused(why),
        };
        self.add(service_name(name).into(), Box::new(on_bytes))
    }

    fn free(&self, name: &Arc<str>) -> Result<(), Arc<str>> {
        let taken = self.by_kind.contains_key(&Kind::of(name)) || self.short.contains_key(name);
        if taken { Err(name.clone()) } else { Ok(()) }
    }

    fn add(&mut self, name: Arc<str>, handler: Handler) -> Result<(), Arc<str>> {
        self.free(&name)?;
        self.by_kind.insert(Kind::of(&name), (name, handler));
        Ok(())
    }

    /// The requests component's configuration: every name leads here.
    pub(super) fn routes(&self) -> request::Config {
        let route = Route { component: Kind::of(NAME), wrap: |request| Box::new(request) };
        let names = self.by_kind.values().map(|(name, _)| name.as_ref()).chain([STATS]);
        let config = names.fold(request::Config::default(), |config, name| config.route(name, route));
        self.short.iter().fold(config, |config, (name, respond)| {
            let respond = respond.clone();
            config.respond(name, move |request| respond(request))
        })
    }
}

/// The component.
pub(super) struct Services {
    handlers: Lent<Handlers>,
    stats: Stats,
    waiting: BTreeMap<Token, ReplyTo>,
    handled: u64,
    panicked: u64,
}

impl Services {
    pub(super) fn new(shelf: &Shelf<Handlers>, stats: Stats) -> Self {
        Services { handlers: Lent::of(shelf), stats, waiting: BTreeMap::new(), handled: 0, panicked: 0 }
    }

    /// Runs the handler; one that panics has failed half-way.
    fn answer(&mut self, request: &Request) -> Reply {
        let Some((name, handler)) = self.handlers.get().by_kind.get_mut(&request.kind) else {
            return Reply::Refused("there is no such handler".into());
        };
        self.handled += 1;
        as_callback(|| catch_unwind(AssertUnwindSafe(|| handler(request)))).unwrap_or_else(|_| {
            self.panicked += 1;
            log::error!(target: "nodewright::services", "the handler of {name} panicked ({} so far)", self.panicked);
            Reply::Failed("the handler panicked".into())
        })
    }
}

impl NetComponent for Services {
    type Message = ();
    type Call = Request;
    type Timer = ();
    type Job = Stats;
    type Done = Reply;

    fn manifest(&self) -> Manifest {
        Manifest {
            requires: vec!["request"],
            run: Run::Thread,
            role: Role::Leaf,
            guarantee: "a handler runs at most once for a request; one that panics fails that request and no other",
            ..Manifest::new(NAME)
        }
    }

    fn handle(&mut self, input: Input<'_, Self>, cx: &mut Context<'_, Self>) -> Result<(), Fault> {
        match input {
            Input::Call { call: request, reply_to } if request.kind == Kind::of(STATS) => {
                // Components are asked from outside: this one is among them.
                let all = request.param("all").is_some();
                let token = cx.job(self.stats.clone().of_all(all));
                self.waiting.insert(token, reply_to);
            }
            Input::Call { call: request, reply_to } => {
                let reply = self.answer(&request);
                cx.reply(reply_to, reply);
            }
            Input::Done { token, done } => {
                if let Some(reply_to) = self.waiting.remove(&token) {
                    cx.reply(reply_to, done.unwrap_or_else(|| Reply::Failed("the statistics panicked".into())));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self, _: &mut Context<'_, Self>) -> Result<(), Fault> {
        self.handlers.give_back();
        Ok(())
    }

    fn run(stats: Stats) -> Reply {
        stats.collect()
    }

    fn inspect(&self, into: &mut Inspection) {
        into.row("requests handled", self.handled);
        into.row("handlers panicked", self.panicked);
    }
}
