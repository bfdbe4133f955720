//! What the front asks of a node.

use crate::id::NodeId;
use crate::protocol::replicated_log::{Key, Level, Status};
use crate::service::documents::{Answer, Command, DocumentError, Done, Got, Question, Receipt};
use serde_json::Value;
use std::pin::Pin;
use std::time::Duration;

/// An answer that comes later, at its deadline at the latest.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, DocumentError>> + Send>>;

/// A node's document store, asked without waiting.
pub trait Store: Send + Sync + 'static {
    /// Does a command, once for each key.
    fn commit(&self, command: Command, key: Option<Key>, within: Duration) -> Later<Receipt<Done>>;

    /// Asks a question. One that waits for changes ([`Question::Watch`]) brings
    /// `None` if there were none in time.
    fn ask(&self, question: Question, level: Level, within: Duration) -> Later<Option<Got<Answer>>>;

    /// What became of the command with this key; `None` if none is remembered.
    fn outcome(&self, key: Key, within: Duration) -> Later<Option<Receipt<Done>>>;

    /// This node's view of the group.
    fn status(&self) -> Later<Status>;

    /// The node itself, for people.
    fn about(&self) -> Value;

    /// A node's name, where it is known.
    fn name_of(&self, node: NodeId) -> Option<String>;

    /// Removes a node from the group.
    fn remove(&self, node: NodeId, within: Duration) -> Later<()>;
}
