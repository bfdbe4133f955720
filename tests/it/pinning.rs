//! Keys pinned to names, over real sockets: the right key is let in, another
//! one under the name is refused, counted and named.

use crate::node_api::{Mesh, collect, eventually, texts};
use nodewright::node::{MessageType, Node, StartError, start_together};
use nodewright::protocol::delivery::Delivery;
use nodewright::transport::keys::{ClusterSecret, KeyPair};
use std::path::PathBuf;
use std::sync::mpsc::channel;

/// A cluster's secret and keys in files; removed when dropped.
struct Keys {
    dir: PathBuf,
    secret: ClusterSecret,
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir); // only untidy if it stays
    }
}

impl Keys {
    fn new(test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("nodewright-pins-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let secret = ClusterSecret::generate().expect("random");
        secret.create(&dir.join("secret")).expect("a new file");
        Keys { dir, secret }
    }

    fn path(&self, file: &str) -> String {
        self.dir.join(file).display().to_string()
    }

    /// Makes a key file: its public half.
    fn make(&self, file: &str) -> String {
        let keys = KeyPair::generate().expect("random");
        keys.create(&self.dir.join(file)).expect("a new file");
        keys.public().to_string()
    }
}

#[test]
fn the_pinned_keys_are_let_in_and_all_nodes_may_have_the_same_list() {
    let keys = Keys::new("right");
    let pins = ["alpha", "beta"].map(|name| (name, keys.make(name)));
    let (sender, receiver) = channel();
    let nodes = ["alpha", "beta"].map(|name| {
        let node = Node::new(name, 0, 1).secret(keys.secret.clone()).key_file(keys.path(name));
        let node = node.allow_keys(Vec::<&str>::new()); // a pin is leave enough
        let node = pins.iter().fold(node, |node, (name, key)| node.pin_key(*name, key));
        node.on_receive_message(MessageType::ReliableDelivery, texts(&sender))
    });
    let mesh = Mesh(start_together(nodes).expect("the nodes start"));
    mesh.0[0].broadcast(Delivery::Reliable, "sealed").expect("sent");
    assert_eq!(collect(&receiver, 2), ["alpha: sealed"; 2]);
    assert_eq!(mesh.0[0].stats()["links"]["impostors"], serde_json::json!({}));
}

#[test]
fn another_key_under_a_pinned_name_or_its_id_is_refused_and_named() {
    let keys = Keys::new("wrong");
    let pinned = keys.make("beta");
    keys.make("other");
    let impostors = [
        Node::new("beta", 0, 1),
        // its id is what peers know a node by
        Node::new("zeta", 0, 1).id(nodewright::id::NodeId::from_name("beta")),
    ];
    for impostor in impostors {
        let name = impostor.name().to_string();
        let alpha = Node::new("alpha", 0, 1).secret(keys.secret.clone()).pin_key("beta", &pinned);
        let impostor = impostor.secret(keys.secret.clone()).key_file(keys.path("other"));
        let mesh = Mesh(start_together([alpha, impostor]).expect("the nodes start"));
        let counted = |node: usize, of: &str, by: &str| mesh.0[node].stats()["links"][of][by].as_u64() > Some(0);
        eventually("alpha names it", || counted(0, "impostors", "beta") && counted(0, "refused", "not the pinned key"));
        eventually("it is told", || counted(1, "refused", "not the pinned key"));
        assert_eq!(mesh.0[1].stats()["links"]["impostors"], serde_json::json!({}), "it refused nobody");
        assert!(mesh.0[0].peers().is_empty(), "{name} is linked: {:?}", mesh.0[0].peers());
    }
}

#[test]
fn all_that_is_wrong_with_pins_is_in_one_report() {
    let keys = Keys::new("faults");
    let (own, other) = (keys.make("own"), keys.make("other"));
    let node = Node::new("alpha", 0, 3)
        .secret(keys.secret.clone())
        .key_file(keys.path("own"))
        .has_peers(["alpha@127.0.0.1:1", "beta@127.0.0.1:2"])
        .pin_key("alpha", &other)
        .pin_key("beta", &other)
        .pin_key("beta", &own)
        .pin_key("bta", &own)
        .pin_key("two words", "nwp1-short")
        .window_bytes(1);
    let Err(StartError::Wiring(report)) = node.start() else { panic!("it must not start") };
    let text = report.to_string();
    for expected in [
        &format!(".pin_key(\"alpha\", \"{other}\"): this node's own key is {own}"),
        &format!(".pin_key(\"beta\", \"{own}\"): this name is pinned already"),
        ".pin_key(\"bta\", ..): nobody has this name: the peers are alpha, beta",
        ".pin_key(\"two words\", \"nwp1-short\"): the name has blanks",
        ".pin_key(\"two words\", \"nwp1-short\"): the text: this is a damaged key",
        ".window_bytes(1): at least 65536 is needed",
    ] {
        assert!(text.contains(expected), "'{expected}' is not said:\n{text}");
    }
    let mute = Node::new("alpha", 0, 1).pin_key("beta", &own).plan().expect_err("no secret").to_string();
    assert!(mute.contains(".pin_key(..): keys mean nothing without a secret"), "{mute}");
    // where an address stands without its name, nobody knows who is meant
    let listed = Node::new("alpha", 0, 1).secret(keys.secret.clone()).has_peers(["127.0.0.1:2"]);
    assert!(listed.pin_key("beta", &own).plan().is_ok());
}

#[cfg(feature = "cli")]
#[test]
fn the_command_pins_keys_and_its_log_names_who_came_with_another() {
    use crate::process::{DEADLINE, Port, Process};
    use std::time::{Duration, Instant};

    let keys = Keys::new("command");
    let (alpha_key, beta_key, other_key) = (keys.make("alpha"), keys.make("beta"), keys.make("other"));
    let (alpha_port, beta_port) = (Port::keep(), Port::keep());
    let peers = format!("alpha@{},beta@{}", alpha_port.address, beta_port.address);
    let start = |name, port: &Port, key, more: &[&str]| {
        let (listen, secret, key) = (port.address.to_string(), keys.path("secret"), keys.path(key));
        let args =
            ["--name", name, "--listen", &listen, "--peers", &peers, "--secret-file", &secret, "--key-file", &key];
        Process::start(&[&args, more].concat())
    };
    // The other key is allowed, but not as beta's; beta's own is allowed by its pin alone.
    let pins = format!("alpha@{alpha_key},beta@{beta_key}");
    let alpha = start("alpha", &alpha_port, "alpha", &["--allow-keys", &other_key, "--pin-key", &pins]);
    let beta = start("beta", &beta_port, "other", &[]);
    let named = format!("the key {other_key} is not the one pinned to beta");
    let deadline = Instant::now() + DEADLINE;
    while !alpha.log().contains(&named) {
        assert!(Instant::now() < deadline, "'{named}' is not in its log:\n{}", alpha.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    beta.stop();
    let beta = start("beta", &beta_port, "beta", &[]);
    alpha.wait_for_peer("beta", "joined");
    beta.wait_for_peer("alpha", "joined");
    alpha.stop();
    beta.stop();
}
