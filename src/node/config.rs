//! Configuration from a TOML file and from the environment, with the builder's
//! names.
//!
//! Every key is a builder call: `has_peers = [..]` is `.has_peers([..])`, and
//! `NODEWRIGHT_HAS_PEERS` in the environment is the same and goes before the
//! file. A key that is no builder call is refused by name, and all that is
//! wrong is said at once. [`config_example`] prints every key.

use super::Node;
use super::config_keys::{KEYS, Key};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use toml::Value;

/// What the names of environment variables begin with.
pub const PREFIX: &str = "NODEWRIGHT_";

/// A configuration that does not read: file or variable, key, and what is
/// accepted, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// All problems.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Values by key, and where each stands.
#[derive(Clone, Debug, Default)]
pub struct Config {
    values: BTreeMap<&'static str, (Value, String)>,
    problems: Vec<String>,
}

impl Config {
    /// Reads a file. What is wrong in it is said by [`Config::node`].
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let place = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Config::parse(&text, &place)),
            Err(error) => Err(ConfigError { problems: vec![format!("{place}: {error}")] }),
        }
    }

    /// Reads TOML text that stands in `place`.
    pub fn parse(text: &str, place: &str) -> Self {
        let mut config = Config::default();
        match text.parse::<toml::Table>() {
            Err(error) => config.problems.push(format!("{place}: {}", error.to_string().trim_end())),
            Ok(table) => {
                for (name, value) in table {
                    config.put(&name, value, place);
                }
            }
        }
        config
    }

    /// Takes this process's variables, which go before what was read so far.
    /// Those of `others` (without the prefix) belong to someone else.
    #[must_use]
    pub fn with_environment(self, others: &[&str]) -> Self {
        let variables = std::env::vars_os();
        let texts = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        self.with_variables(texts, others)
    }

    /// Takes these variables, as [`Config::with_environment`].
    #[must_use]
    pub fn with_variables(mut self, variables: impl IntoIterator<Item = (String, String)>, others: &[&str]) -> Self {
        let mut ours: Vec<_> = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        ours.sort();
        for (variable, text) in ours {
            let name = &variable[PREFIX.len()..];
            if !others.contains(&name) {
                let key = name.to_ascii_lowercase();
                let value = KEYS.iter().find(|known| known.name == key).map(|known| known.shape.read(&text));
                self.put(&key, value.unwrap_or(Value::String(text)), &variable);
            }
        }
        self
    }

    fn put(&mut self, name: &str, value: Value, place: &str) {
        match KEYS.iter().find(|key| key.name == name) {
            Some(key) => {
                self.values.insert(key.name, (value, place.to_string()));
            }
            None => {
                let near = KEYS.iter().map(|key| (distance(name, key.name), key.name)).min();
                let meant = near.filter(|(distance, _)| *distance <= 1 + name.len() / 3);
                let meant = meant.map_or(String::new(), |(_, key)| format!("; did you mean '{key}'?"));
                self.problems.push(format!("{place}: unknown key '{name}'{meant}"));
            }
        }
    }

    /// The node that the values describe.
    ///
    /// # Errors
    /// Every key that is unknown or whose value is not accepted. What is wrong
    /// with the composition is said by [`Node::plan`] and [`Node::start`].
    pub fn node(self) -> Result<Node, ConfigError> {
        let mut problems = self.problems;
        let text = |name: &str| self.values.get(name).and_then(|(value, _)| value.as_str());
        let number = |name: &str| self.values.get(name).and_then(|(value, _)| value.as_integer());
        let port = number("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
        let most_peers = number("most_peers").and_then(|most| usize::try_from(most).ok()).unwrap_or(MOST_PEERS);
        let mut node = Node::new(text("name").unwrap_or_default(), port, most_peers);
        for key in KEYS {
            let Some((value, place)) = self.values.get(key.name) else { continue };
            match (key.set)(node, value) {
                Ok(set) => node = set,
                Err(given_back) => {
                    node = *given_back;
                    let Key { name, shape, .. } = key;
                    problems.push(format!("{place}: {name} = {value} is not accepted: {}", shape.accepts()));
                }
            }
        }
        if !self.values.contains_key("name") {
            problems.push(format!("the key 'name' is missing: write name = \"alpha\", or set {PREFIX}NAME"));
        }
        if problems.is_empty() { Ok(node) } else { Err(ConfigError { problems }) }
    }
}

/// Peers that a node of a configuration links, unless it says otherwise.
pub(super) const MOST_PEERS: usize = 16;

impl Node {
    /// The node of a configuration file, environment variables going before it.
    ///
    /// # Errors
    /// Names the file, the key and what is accepted.
    pub fn from_config(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Config::read(path.as_ref())?.with_environment(&[]).node()
    }
}

/// Every key with its default and what it means, as a file that loads. Keys
/// without a default are commented out.
pub fn config_example() -> String {
    let mut text = String::from(
        "# A node of Nodewright. Every key is a builder call, and may come from the environment instead:\n\
         # NODEWRIGHT_<KEY>, which goes before this file. Durations are \"500ms\", \"5s\", \"2m\", \"1h\";\n\
         # bytes are numbers or \"64KiB\", \"4MiB\"; lists in the environment are separated by commas.\n",
    );
    for Key { name, shape, comment, default, .. } in KEYS {
        for line in comment.lines() {
            text.push_str(&format!("\n# {line}"));
        }
        match default {
            Some(default) => text.push_str(&format!("\n{name} = {default}\n")),
            None => text.push_str(&format!("\n# {name} = {}\n", shape.example())),
        }
    }
    text
}

/// Letters to change, add or drop between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        Config::parse(text, "alpha.toml").node().err().map(|error| error.problems).unwrap_or_default()
    }

    #[test]
    fn the_example_loads_and_says_every_key() {
        let example = config_example();
        let node = Config::parse(&example, "example").node().expect("the example loads");
        node.plan().expect("and composes");
        for key in KEYS {
            assert!(example.contains(&format!("{} = ", key.name)), "{} is missing", key.name);
        }
        // What is commented out is right too, one at a time.
        for key in KEYS.iter().filter(|key| key.default.is_none()) {
            let text = format!("name = \"alpha\"\n{} = {}", key.name, key.shape.example());
            assert_eq!(problems(&text), Vec::<String>::new());
        }
    }

    #[test]
    fn what_is_wrong_is_said_at_once_with_place_and_key() {
        let found =
            problems("nmae = \"alpha\"\nport = \"x\"\nexclude_after = 5\nzebra = 1\nhas_delivery = [\"uniformly\"]");
        assert_eq!(
            found,
            [
                "alpha.toml: unknown key 'nmae'; did you mean 'name'?",
                "alpha.toml: unknown key 'zebra'",
                "alpha.toml: port = \"x\" is not accepted: a port from 0 to 65535",
                "alpha.toml: has_delivery = [\"uniformly\"] is not accepted: a list of best_effort, best_effort.fifo, \
                 reliable, reliable.fifo, reliable.causal, uniform, uniform.fifo, uniform.causal, uniform.all_ack",
                "alpha.toml: exclude_after = 5 is not accepted: a duration as \"500ms\", \"5s\", \"2m\" or \"1h\"",
                "the key 'name' is missing: write name = \"alpha\", or set NODEWRIGHT_NAME",
            ]
        );
        assert!(problems("name = ").first().is_some_and(|problem| problem.starts_with("alpha.toml: TOML parse error")));
        assert!(Config::read(Path::new("/nowhere/alpha.toml")).is_err());
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let variables = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>()
        };
        let config = Config::parse("name = \"alpha\"\nwindow_bytes = \"1MiB\"\nport = 1", "alpha.toml");
        let set = [
            ("NODEWRIGHT_NAME", "beta"),
            ("NODEWRIGHT_HAS_PEERS", "a:1, b:2"),
            ("NODEWRIGHT_PORT", "8888"),
            ("NODEWRIGHT_HAS_PHI_DETECTOR", "{ threshold = 4.0, period = \"100ms\" }"),
            ("NODEWRIGHT_HAS_DELIVERY", "uniform.causal"),
            ("NODEWRIGHT_JSON", "1"),
            ("PATH", "/bin"),
        ];
        let node = config.clone().with_variables(variables(&set), &["JSON"]).node().expect("reads");
        assert_eq!((node.name.as_str(), node.port, node.peers.len()), ("beta", 8888, 2));
        assert_eq!((node.detectors.len(), node.settings.window_bytes), (1, 1 << 20));
        let two = config.clone().with_variables(variables(&[("NODEWRIGHT_PORT", "1\nmost_peers = 2")]), &[]);
        assert_eq!(
            two.node().err().expect("two values").problems,
            ["NODEWRIGHT_PORT: port = \"\"\"\n1\nmost_peers = 2\"\"\" is not accepted: a port from 0 to 65535"]
        );
        let wrong = config.with_variables(variables(&[("NODEWRIGHT_PRT", "1")]), &[]).node().err().expect("unknown");
        assert_eq!(wrong.problems, ["NODEWRIGHT_PRT: unknown key 'prt'; did you mean 'port'?"]);
    }
}
