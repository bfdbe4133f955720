//! Ours, seen from the parent: nodes in processes of their own, with a secret
//! made for the run.

use super::children::Child;
use crate::protocol::delivery::Delivery;
use crate::transport::keys::ClusterSecret;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

/// Nodes that are all linked to one another.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Child>,
    dir: PathBuf,
}

/// How the nodes are started.
#[derive(Copy, Clone)]
pub(super) struct Plan {
    pub(super) nodes: usize,
    pub(super) delivery: Delivery,
    pub(super) size: usize,
    /// What is sent goes to the first node only.
    pub(super) to_first: bool,
    /// All on one core.
    pub(super) pinned: bool,
    /// All that happens is recorded.
    pub(super) traced: bool,
}

impl Plan {
    /// `delivery` to all, from wherever, unrecorded.
    pub(super) fn new(nodes: usize, delivery: Delivery, size: usize) -> Self {
        Plan { nodes, delivery, size, to_first: false, pinned: false, traced: false }
    }
}

impl Cluster {
    pub(super) fn start(plan: &Plan) -> io::Result<Cluster> {
        let ports = free_ports(plan.nodes)?;
        let dir = std::env::temp_dir().join(format!("nodewright-bench-{}-{}", std::process::id(), ports[0]));
        std::fs::create_dir_all(&dir)?;
        let mut cluster = Cluster { nodes: Vec::new(), dir };
        let secret = cluster.dir.join("cluster.secret");
        ClusterSecret::generate().and_then(|made| made.create(&secret)).map_err(io::Error::other)?;
        let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let mut started = Vec::new();
        for index in 0..plan.nodes {
            let mut arguments: Vec<OsString> = vec!["node".into(), "--secret".into(), secret.clone().into()];
            let numbers =
                [("--index", index.to_string()), ("--ports", ports.clone()), ("--size", plan.size.to_string())];
            arguments.extend(numbers.into_iter().flat_map(|(name, value)| [name.into(), value.into()]));
            arguments.extend(["--delivery".into(), plan.delivery.name().into()]);
            arguments.extend(plan.to_first.then(|| "--to-first".into()));
            arguments.extend(plan.pinned.then(|| "--pinned".into()));
            if plan.traced {
                arguments.extend(["--trace".into(), cluster.dir.clone().into()]);
            }
            started.push(Child::spawn(arguments)?);
        }
        for child in started {
            cluster.nodes.push(child.ready()?);
        }
        Ok(cluster)
    }

    /// Where their files are.
    pub(super) fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    /// The most memory that any node ever held.
    pub(super) fn resident_bytes_max(&mut self) -> io::Result<u64> {
        let each = self.nodes.iter_mut().map(|node| node.numbers("rss").map(|[bytes]| bytes));
        each.collect::<io::Result<Vec<u64>>>().map(|all| all.into_iter().max().unwrap_or(0))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear(); // they end before their secret goes
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Ports that were free a moment ago. All must be known before the first node
/// starts; should another program take one in between, that node says so.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
