//! The keys of a configuration: each is a builder call, its default and what
//! it accepts.

use super::Node;
use crate::protocol::delivery::Delivery;
use crate::protocol::election::By;
use std::time::Duration;
use toml::Value;

/// What a value looks like.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    Name,
    Text(&'static str),
    Port,
    Number,
    Bytes,
    Flag,
    Time,
    List(&'static str),
    Deliveries,
    /// A table with these durations.
    Times(&'static [&'static str]),
    Phi,
    /// One of these texts.
    Choice(&'static [&'static str]),
}

/// A key.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// As it is written in a file; `None` where absence is the default.
    pub(super) default: Option<&'static str>,
    pub(super) comment: &'static str,
    /// Makes the call, or gives the node back.
    pub(super) set: fn(Node, &Value) -> Result<Node, Box<Node>>,
}

impl Shape {
    /// What is accepted, for people.
    pub(super) fn accepts(self) -> String {
        match self {
            Shape::Name | Shape::Text(_) => "a text in quotes".into(),
            Shape::Port => "a port from 0 to 65535".into(),
            Shape::Number => "a whole number".into(),
            Shape::Bytes => "bytes as a number, \"64KiB\" or \"4MiB\"".into(),
            Shape::Flag => "true or false".into(),
            Shape::Time => "a duration as \"500ms\", \"5s\", \"2m\" or \"1h\"".into(),
            Shape::List(of) => format!("a list of texts as [\"{of}\"]"),
            Shape::Deliveries => {
                format!("a list of {}", Delivery::ALL.map(Delivery::name).join(", "))
            }
            Shape::Times(names) => {
                let fields: Vec<_> = names.iter().map(|name| format!("{name} = \"5s\"")).collect();
                format!("{{ {} }}", fields.join(", "))
            }
            Shape::Choice(of) => format!("one of \"{}\"", of.join("\", \"")),
            Shape::Phi => "{ threshold = 8.0, period = \"200ms\" }".into(),
        }
    }

    /// A value that is accepted, as it is written.
    pub(super) fn example(self) -> String {
        match self {
            Shape::Name => "\"alpha\"".into(),
            Shape::Text(example) => format!("\"{example}\""),
            Shape::Port => "8888".into(),
            Shape::Number => "16".into(),
            Shape::Bytes => "\"4MiB\"".into(),
            Shape::Flag => "true".into(),
            Shape::Time => "\"30s\"".into(),
            Shape::Choice(of) => format!("\"{}\"", of[0]),
            Shape::List(of) => format!("[\"{of}\"]"),
            Shape::Deliveries => "[\"uniform.causal\"]".into(),
            Shape::Times(_) | Shape::Phi => self.accepts(),
        }
    }

    /// A variable's text as a value: what is text stays text, lists may be
    /// separated by commas, all else is read as TOML.
    pub(super) fn read(self, text: &str) -> Value {
        // one value, and nothing behind it: a line break would begin another key
        let toml = || {
            let table: toml::Table = format!("value = {text}").parse().ok()?;
            let mut entries = table.into_iter();
            entries.next().filter(|_| entries.next().is_none()).map(|(_, value)| value)
        };
        let as_text = || Value::String(text.to_string());
        match self {
            Shape::Name | Shape::Text(_) | Shape::Time | Shape::Choice(_) => as_text(),
            Shape::List(_) | Shape::Deliveries if !text.trim_start().starts_with('[') => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Value::Array(items.map(|item| Value::String(item.to_string())).collect())
            }
            _ => toml().unwrap_or_else(as_text),
        }
    }
}

fn duration(value: &Value) -> Option<Duration> {
    let text = value.as_str()?;
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.trim().parse::<f64>().ok()? * seconds).ok()
}

fn bytes(value: &Value) -> Option<u64> {
    if let Some(number) = value.as_integer() {
        return u64::try_from(number).ok();
    }
    let text = value.as_str()?;
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_string)).collect()
}

/// Names and keys of a list of `name@key`.
fn pins(value: &Value) -> Option<Vec<(String, String)>> {
    let pin = |text: String| text.split_once('@').map(|(name, key)| (name.trim().to_string(), key.trim().to_string()));
    texts(value)?.into_iter().map(pin).collect()
}

/// The durations of a table with exactly these fields.
fn times<const N: usize>(value: &Value, names: [&str; N]) -> Option<[Duration; N]> {
    let table = value.as_table().filter(|table| table.len() == N)?;
    let mut times = [Duration::ZERO; N];
    for (time, name) in times.iter_mut().zip(names) {
        *time = duration(table.get(name)?)?;
    }
    Some(times)
}

fn phi(value: &Value) -> Option<(f64, Duration)> {
    let table = value.as_table().filter(|table| table.len() == 2)?;
    let threshold = table.get("threshold")?;
    let threshold = threshold.as_float().or_else(|| threshold.as_integer().map(|whole| whole as f64))?;
    Some((threshold, duration(table.get("period")?)?))
}

/// Makes a call with a value that reads.
fn with<T>(node: Node, value: Option<T>, call: impl FnOnce(Node, T) -> Node) -> Result<Node, Box<Node>> {
    match value {
        Some(value) => Ok(call(node, value)),
        None => Err(Box::new(node)),
    }
}

fn flag(node: Node, value: &Value, call: impl FnOnce(Node) -> Node) -> Result<Node, Box<Node>> {
    with(node, value.as_bool(), |node, set| if set { call(node) } else { node })
}

fn elected_by(value: &Value) -> Option<By> {
    match value.as_str()? {
        "id" => Some(By::Id),
        "load" => Some(By::Load),
        _ => None,
    }
}

fn deliveries(value: &Value) -> Option<Vec<Delivery>> {
    texts(value)?.iter().map(|name| name.parse().ok()).collect()
}

#[cfg(feature = "http")]
fn has_http(node: Node, address: &str) -> Node {
    node.has_http(address)
}

#[cfg(feature = "http")]
fn http_token_file(node: Node, path: &str) -> Node {
    node.http_token_file(path)
}

#[cfg(not(feature = "http"))]
fn has_http(mut node: Node, address: &str) -> Node {
    let problem = "this program was built without HTTP";
    node.bad(format!(".has_http({address:?})"), problem, "build it with the feature `http`");
    node
}

#[cfg(not(feature = "http"))]
fn http_token_file(node: Node, _: &str) -> Node {
    node
}

#[cfg(feature = "ring")]
fn ring_durability(mut node: Node, level: &str) -> Node {
    match level.parse() {
        Ok(level) => node.ring_durability(level),
        Err(problem) => {
            let problem: String = problem;
            node.bad(format!(".ring_durability({level:?})"), problem, "strict");
            node
        }
    }
}

#[cfg(not(feature = "ring"))]
fn ring_durability(node: Node, _: &str) -> Node {
    node // the store that it is for is refused
}

/// One line a key: name, shape, default, comment, call.
macro_rules! keys {
    ($($name:ident $shape:expr, $default:expr, $comment:literal, |$node:ident, $value:ident| $set:expr;)*) => {
        &[$(Key {
            name: stringify!($name),
            shape: $shape,
            default: $default,
            comment: $comment,
            set: |$node, $value| $set,
        }),*]
    };
}

/// All keys, in the order in which the example prints them.
pub(super) const KEYS: &[Key] = keys! {
    name Shape::Name, Some("\"alpha\""),
        "The node's name, its own in the cluster.",
        |node, value| with(node, value.as_str(), |node, _| node);
    port Shape::Port, Some("0"),
        "Where it listens unless 'listen' names a port; 0 lets the system choose.",
        |node, value| with(node, value.as_integer().and_then(|port| u16::try_from(port).ok()), |node, _| node);
    most_peers Shape::Number, Some("16"),
        "Most others that it links to; a later one is refused by name.",
        |node, value| with(node, value.as_integer().and_then(|most| usize::try_from(most).ok()), |node, _| node);
    listen Shape::Text("172.28.0.2:8888"), Some("\"127.0.0.1\""),
        "Address to listen on, with or without a port. Anything but loopback needs a secret, or 'insecure'.",
        |node, value| with(node, value.as_str(), Node::listen);
    advertise Shape::Text("203.0.113.7:8888"), None,
        "Address told to others, where it is not the one listened on.",
        |node, value| with(node, value.as_str(), Node::advertise);
    secret_file Shape::Text("cluster.secret"), None,
        "The cluster secret, the same file on all nodes; `nodewright keygen` makes it.",
        |node, value| with(node, value.as_str(), Node::secret_file);
    key_file Shape::Text("node.key"), None,
        "This node's private key; without it one is kept in 'dir'. Needs 'secret_file'.",
        |node, value| with(node, value.as_str(), Node::key_file);
    allow_keys Shape::List("nwp1-0000000000000000000000000000000000000000000000000000000000000000"), None,
        "Public keys that may link; without it everyone who has the secret. Needs 'secret_file'.",
        |node, value| with(node, texts(value), Node::allow_keys);
    pin_key Shape::List("beta@nwp1-0000000000000000000000000000000000000000000000000000000000000000"), None,
        "Names bound to public keys: another key under such a name is refused. Needs 'secret_file'.",
        |node, value| with(node, pins(value), |node, pins| {
            pins.into_iter().fold(node, |node, (name, key)| node.pin_key(name, key))
        });
    insecure Shape::Flag, Some("false"),
        "Links are not sealed: everyone who reaches the port may link, read and write.",
        |node, value| flag(node, value, Node::insecure);
    has_peers Shape::List("172.28.0.2:8888"), Some("[]"),
        "The voters as \"host:port\" or \"name@host:port\", the same list on all nodes; the own one is dropped.",
        |node, value| with(node, texts(value), Node::has_peers);
    joins Shape::List("172.28.0.2:8888"), Some("[]"),
        "Members through which it joins: the replicated log where it has one, else as a listener without a vote.",
        |node, value| with(node, texts(value), Node::joins);
    dir Shape::Text("data/alpha"), None,
        "Its directory. Without one it has no memory of earlier lives.",
        |node, value| with(node, value.as_str(), Node::dir);
    has_failure_detector Shape::Times(&["timeout", "period"]), None,
        "Suspects after a fixed silence; heartbeats every period. The timeout is several periods.",
        |node, value| with(node, times(value, ["timeout", "period"]), |node, [timeout, period]| {
            node.has_failure_detector(timeout, period)
        });
    has_growing_detector Shape::Times(&["initial", "step", "period"]), None,
        "Suspects after a silence that grows by a step with every mistake.",
        |node, value| with(node, times(value, ["initial", "step", "period"]), |node, [initial, step, period]| {
            node.has_growing_detector(initial, step, period)
        });
    has_phi_detector Shape::Phi, Some("{ threshold = 8.0, period = \"200ms\" }"),
        "Judges a silence by the intervals seen so far; the default. Name one detector only.",
        |node, value| with(node, phi(value), |node, (threshold, period)| node.has_phi_detector(threshold, period));
    assume_synchrony Shape::Flag, Some("false"),
        "You warrant that nothing correct is ever slower than the fixed timeout; all-ack delivery rests on it.",
        |node, value| flag(node, value, Node::assume_synchrony);
    has_best_effort_delivery Shape::Flag, Some("false"),
        "If the sender stays up, all that stay up deliver.",
        |node, value| flag(node, value, Node::has_best_effort_delivery);
    has_reliable_delivery Shape::Flag, Some("false"),
        "All that stay up deliver the same, even if the sender fails.",
        |node, value| flag(node, value, Node::has_reliable_delivery);
    has_uniform_reliable_delivery Shape::Flag, Some("false"),
        "What anyone delivered, all that stay up deliver; a majority of the voters must be up.",
        |node, value| flag(node, value, Node::has_uniform_reliable_delivery);
    has_uniform_reliable_delivery_all_ack Shape::Flag, Some("false"),
        "Delivered once every node not suspected holds it; needs has_failure_detector and assume_synchrony.",
        |node, value| flag(node, value, Node::has_uniform_reliable_delivery_all_ack);
    has_delivery Shape::Deliveries, Some("[]"),
        "Further deliveries by name, those in the sender's order (.fifo) or causes first (.causal) too.",
        |node, value| with(node, deliveries(value), |node, all| all.into_iter().fold(node, Node::has_delivery));
    has_replicated_log Shape::Text("data/alpha"), None,
        "One log for all voters, in the node's directory: total order and the replicated map. The same on all voters.",
        |node, value| with(node, value.as_str(), Node::has_replicated_log);
    has_documents Shape::Text("data/alpha"), None,
        "The document store, on a replicated log in the node's directory. The same on all voters.",
        |node, value| with(node, value.as_str(), Node::has_documents);
    collections Shape::List("people"), None,
        "Collections of the document store that are made at start where they are not there. Needs 'has_documents'.",
        |node, value| with(node, texts(value), Node::collections);
    documents_bytes_max Shape::Bytes, None,
        "Bytes that the document store holds in memory, 1 GiB unless said; beyond them writes are refused.\nThe same on all voters. Needs 'has_documents'.",
        |node, value| with(node, bytes(value), Node::documents_bytes_max);
    has_http Shape::Text("127.0.0.1:8080"), None,
        "Answers HTTP here: the REST front of the document store. Anything but loopback needs a token.\nNeeds 'has_documents'.",
        |node, value| with(node, value.as_str(), has_http);
    http_token_file Shape::Text("http.token"), None,
        "The token that each HTTP request has to carry, one line of a file.",
        |node, value| with(node, value.as_str(), http_token_file);
    has_ring_store Shape::Text("nodes/7000"), None,
        "The ring's file store, on a replicated log in the node's directory. The same on all voters.",
        |node, value| with(node, value.as_str(), Node::has_ring_store);
    ring_copies Shape::Number, None,
        "Copies of each part of a file, 2 unless said. Needs 'has_ring_store'.",
        |node, value| with(node, value.as_integer().and_then(|n| u8::try_from(n).ok()), Node::ring_copies);
    ring_min_part Shape::Bytes, None,
        "Files are cut into fewer parts rather than into shorter ones. Needs 'has_ring_store'.",
        |node, value| with(node, bytes(value), Node::ring_min_part);
    ring_exact_split Shape::Flag, Some("false"),
        "Parts are 1/n of a file to the byte. Needs 'has_ring_store'.",
        |node, value| flag(node, value, Node::ring_exact_split);
    ring_durability Shape::Choice(&["strict", "group", "none"]), None,
        "What an acknowledged push rests on: all copies synced, all written and synced within 100 ms, or all written; strict unless said. Needs 'has_ring_store'.",
        |node, value| with(node, value.as_str(), ring_durability);
    ring_undo Shape::Time, None,
        "How long deleted and overwritten files can be brought back, 10 min unless said. Needs 'has_ring_store'.",
        |node, value| with(node, duration(value), Node::ring_undo);
    ring_token_file Shape::Text("ring.token"), None,
        "What clients of other machines have to say first, one line of a file. Needs 'has_ring_store'.",
        |node, value| with(node, value.as_str(), Node::ring_token_file);
    has_election Shape::Choice(&["id", "load"]), None,
        "Elects one leader, by the highest id or by the least load; safe over a replicated log. The same on all voters.",
        |node, value| with(node, elected_by(value), Node::has_election);
    allow_minority Shape::Flag, Some("false"),
        "Whoever is left leads, although there is a log: one leader a side in a partition. Needs has_election.",
        |node, value| flag(node, value, Node::allow_minority);
    election_timeout Shape::Time, Some("\"2s\""),
        "Unit of an election; about as long as the detector takes to suspect. At least 40ms.",
        |node, value| with(node, duration(value), Node::election_timeout);
    election_pre_emption Shape::Flag, Some("false"),
        "A much better node may displace a leader that is up, late and seldom.",
        |node, value| flag(node, value, Node::election_pre_emption);
    log_leader_by_load Shape::Flag, Some("false"),
        "The replicated log's leader moves to a voter much less loaded, four times an hour at most.\nNeeds a log; the same on all nodes.",
        |node, value| flag(node, value, Node::log_leader_by_load);
    has_lamport_clock Shape::Flag, Some("false"),
        "Stamps deliveries with Lamport times.",
        |node, value| flag(node, value, Node::has_lamport_clock);
    has_vector_clock Shape::Flag, Some("false"),
        "Stamps deliveries with vector times.",
        |node, value| flag(node, value, Node::has_vector_clock);
    exclude_after Shape::Time, Some("\"30s\""),
        "A life suspected, or holding others back, for so long is accused; a majority ends it. Many timeouts.",
        |node, value| with(node, duration(value), Node::exclude_after);
    unstable_bytes_max Shape::Bytes, Some("\"4MiB\""),
        "Held for one delivery because a life does not acknowledge; beyond it that life is accused.",
        |node, value| with(node, bytes(value), Node::unstable_bytes_max);
    window_bytes Shape::Bytes, Some("\"4MiB\""),
        "Broadcast by one delivery and not yet released; at the bound the sender waits. Larger is faster\nover long links and costs memory.",
        |node, value| with(node, bytes(value), Node::window_bytes);
    slow_callback_after Shape::Time, Some("\"1s\""),
        "Callbacks that take longer are reported.",
        |node, value| with(node, duration(value), Node::slow_callback_after);
    trace Shape::Text("alpha.trace"), None,
        "Records all that happens into a new file (in a directory: one of its own name), for `nodewright check`\nand `nodewright trace`.",
        |node, value| with(node, value.as_str(), Node::trace);
    trace_bytes_max Shape::Bytes, Some("\"256MiB\""),
        "Most bytes of that file; when they are used up recording ends.",
        |node, value| with(node, bytes(value), Node::trace_bytes_max);
    workers Shape::Number, Some("2"),
        "Threads for components' long jobs.",
        |node, value| with(node, value.as_integer().and_then(|n| usize::try_from(n).ok()), Node::workers);
};
