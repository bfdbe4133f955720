//! The user's own: components, callbacks, handlers of requests.

use super::Node;
use crate::component::{Factory, NetComponent, Part};
use crate::event::Event;
use crate::node::message::{Incoming, Message, MessageType, Typed};
use crate::node::services::Asked;
use crate::protocol::delivery::Delivery;
use crate::protocol::request::Params;
use std::sync::Arc;

impl Node {
    /// A component of your own: the same contract, both drivers. `make` is
    /// called for every life of the node.
    pub fn has_component<C: NetComponent>(mut self, make: impl Fn() -> C + Send + Sync + 'static) -> Self {
        let factory = Factory::new(make);
        let call = format!(".has_component(|| {})", factory.manifest().name);
        self.own.push(Part::new(factory, call));
        self
    }

    /// Calls `call` on every message of this type as it is *delivered*, and on
    /// news of nodes. If no delivery of that guarantee is composed, the
    /// unordered one is added.
    ///
    /// ```
    /// use nodewright::node::{MessageType, Node};
    ///
    /// let node = Node::new("alpha", 0, 5)
    ///     .on_receive_message(MessageType::UniformReliableDelivery, |msg| println!("{msg}"));
    /// ```
    pub fn on_receive_message(
        mut self,
        message_type: MessageType,
        call: impl FnMut(&Incoming<'_>) + Send + 'static,
    ) -> Self {
        self.callbacks.on_message(message_type, call);
        self
    }

    /// Calls `call` on every message of type `T` that `delivery` delivers; the
    /// delivery is added if it is not composed.
    pub fn on<T: Message + 'static>(
        mut self,
        delivery: Delivery,
        call: impl FnMut(Typed<'_, T>) + Send + 'static,
    ) -> Self {
        self.callbacks.on_typed(delivery, call);
        self
    }

    /// Calls `call` on every event of type `E` that a component of this node
    /// publishes; retained ones come first.
    ///
    /// ```
    /// use nodewright::node::Node;
    /// use nodewright::protocol::failure_detector::Suspicion;
    ///
    /// let node = Node::new("alpha", 0, 5).on_event(|opinion: &Suspicion| println!("{opinion:?}"));
    /// ```
    pub fn on_event<E: Event>(mut self, call: impl FnMut(&E) + Send + 'static) -> Self {
        self.callbacks.on_event(call);
        self
    }

    /// Answers requests of type `Q`. An `Err` refuses: it says that nothing
    /// was done. Handlers have a thread of their own, apart from the callbacks.
    pub fn on_request<Q: Message + 'static, R: Message + 'static>(
        mut self,
        handle: impl FnMut(Asked<Q>) -> Result<R, String> + Send + 'static,
    ) -> Self {
        let added = self.handlers.on_request(handle);
        self.one_handler(added, "on_request")
    }

    /// Answers requests of type `Q` right where they arrive, which saves a
    /// hand-over between threads (about 20 us). Only for short handlers that
    /// never block: until one returns, nothing else arrives from that peer.
    pub fn on_short_request<Q: Message + 'static, R: Message + 'static>(
        mut self,
        handle: impl Fn(Asked<Q>) -> Result<R, String> + Send + Sync + 'static,
    ) -> Self {
        let added = self.handlers.on_short_request(handle);
        self.one_handler(added, "on_short_request")
    }

    /// A named service on bytes, for clients and nodes alike. An `Err` refuses:
    /// it says that nothing was done.
    ///
    /// ```
    /// use nodewright::node::Node;
    ///
    /// let node = Node::new("alpha", 0, 5).on_service("shout", |_params, text| Ok(text.to_ascii_uppercase()));
    /// ```
    pub fn on_service(
        mut self,
        name: &str,
        handle: impl FnMut(&Params, &[u8]) -> Result<Vec<u8>, String> + Send + 'static,
    ) -> Self {
        let added = self.handlers.on_service(name, handle);
        self.one_handler(added, "on_service")
    }

    fn one_handler(mut self, added: Result<(), Arc<str>>, call: &str) -> Self {
        if let Err(name) = added {
            self.bad(format!(".{call}(..)"), format!("'{name}' has a handler already"), "keep one of the two calls");
        }
        self
    }
}
