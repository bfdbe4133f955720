//! A document store of three nodes in one process: write at one, read at another,
//! watch at the third.
//!
//! ```text
//! cargo run --example documents
//! ```
#![expect(clippy::print_stdout, reason = "an example shows its point")]

use nodewright::node::{Node, start_together};
use nodewright::protocol::replicated_log::Level;
use nodewright::service::documents::query::{Filter, Patch};
use nodewright::service::documents::{Find, IndexSpec, Watched};
use serde_json::json;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("nodewright-example-{}", std::process::id()));
    let nodes =
        start_together(["alpha", "beta", "gamma"].map(|name| Node::new(name, 0, 5).has_documents(dir.join(name))))?;
    let [alpha, beta, gamma] = [0, 1, 2].map(|n| nodes[n].documents().within(Duration::from_secs(30)));

    let created = alpha.create_collection("people")?;
    alpha.create_index("people", IndexSpec::over(["born"]))?;
    let ada = alpha.insert("people", json!({ "_id": "ada", "name": "Ada", "born": 1815 }))?;
    println!("ada is synced on {} nodes, at index {}", ada.synced, ada.index);
    beta.insert("people", json!({ "_id": "alan", "name": "Alan", "born": 1912 }))?;

    // Any node, as new as anything acknowledged.
    let old = Filter::parse(&json!({ "born": { "$lt": 1900 } }))?;
    for found in gamma.find("people", Find::matching(old))?.value.documents {
        println!("revision {}: {}", found.revision, found.document);
    }

    // Only if nobody changed it meanwhile.
    let patch = Patch::parse(&json!({ "$push": { "known_for": "notes" } }))?;
    let patched = beta.patch("people", "ada", patch.clone(), Some(ada.value.revision))?;
    let again = beta.patch("people", "ada", patch, Some(ada.value.revision));
    println!("patched at {}; the same revision again: {}", patched.index, again.expect_err("it has another one"));

    // Every change since the collection was made, at a node that has come so far.
    let watching = gamma.level(Level::AtLeast(patched.index));
    watching.get("people", "ada")?;
    if let Watched::Changes { changes, .. } = watching.watch(Some("people"), created.index)?.value {
        println!("{} changes", changes.len());
    }

    nodes.iter().for_each(|node| node.stop());
    std::fs::remove_dir_all(dir)?;
    Ok(())
}
